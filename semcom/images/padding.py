"""Padding of images to the sizes that networks require, and its inverse."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def pad_to_multiple(
    images: Float[Tensor, "rows channels h w"], multiple: int
) -> tuple[Float[Tensor, "rows channels padded_h padded_w"], tuple[int, int]]:
    """Repeat the bottom row and right column until both sides are multiples of `multiple`.

    Args:
        images: float32 [rows, channels, h, w].
        multiple: divisor of the padded height and width in pixels.

    Returns:
        Padded images, and (h, w) for `crop`.

    >>> import torch
    >>> padded, size = pad_to_multiple(torch.rand(1, 3, 1, 17), 8)
    >>> padded.shape, crop(padded, size).shape
    (torch.Size([1, 3, 8, 24]), torch.Size([1, 3, 1, 17]))
    """
    height, width = images.shape[-2:]
    padding = (0, -width % multiple, 0, -height % multiple)
    return functional.pad(images, padding, mode="replicate"), (height, width)


def crop(images: Float[Tensor, "rows channels padded_h padded_w"], size: tuple[int, int]) -> Tensor:
    """Undo `pad_to_multiple`: return the top left (h, w) pixels."""
    return images[..., : size[0], : size[1]]
