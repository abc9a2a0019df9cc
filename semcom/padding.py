"""Pictures to sizes that networks take, and back."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def pad_to_multiple(
    images: Float[Tensor, "rows channels h w"], multiple: int
) -> tuple[Float[Tensor, "rows channels padded_h padded_w"], tuple[int, int]]:
    """Repeat the bottom row and right column until both sides are multiples; also return (h, w) for `crop`.

    >>> import torch
    >>> padded, size = pad_to_multiple(torch.rand(1, 3, 1, 17), 8)
    >>> padded.shape, crop(padded, size).shape
    (torch.Size([1, 3, 8, 24]), torch.Size([1, 3, 1, 17]))
    """
    height, width = images.shape[-2:]
    padding = (0, -width % multiple, 0, -height % multiple)
    return functional.pad(images, padding, mode="replicate"), (height, width)


def crop(images: Float[Tensor, "rows channels padded_h padded_w"], size: tuple[int, int]) -> Tensor:
    """Undo `pad_to_multiple`: keep the top left (h, w)."""
    return images[..., : size[0], : size[1]]
