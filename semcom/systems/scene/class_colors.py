"""Mean colors of the classes, and the restorer that fills each class with its mean color."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from semcom.images.street_classes import CLASSES, IGNORED

# Mean color of each of `CLASSES` in CamVid's training images, 0 to 255; last, mid-gray for pixels without a class.
MEANS = (
    (225, 236, 237),
    (88, 89, 88),
    (86, 87, 89),
    (77, 80, 84),
    (69, 69, 70),
    (102, 104, 103),
    (77, 75, 81),
    (64, 63, 61),
    (61, 64, 69),
    (36, 35, 39),
    (32, 34, 37),
    (128, 128, 128),
)


def fill_with_class_colors(
    labels: Int[Tensor, "rows h w"],
    class_colors: Float[Tensor, "rows classes 3"] | None = None,
    has_colors: Bool[Tensor, " rows"] | None = None,
) -> Float[Tensor, "rows 3 h w"]:
    """Give each pixel the color of its class: the received one, else CamVid's mean.

    Args: see `Restorer.forward`.

    >>> (fill_with_class_colors(torch.full((1, 1, 1), IGNORED))[0, :, 0, 0] * 255).round().tolist()
    [128.0, 128.0, 128.0]
    """
    rows = len(labels)
    means = torch.tensor(MEANS, dtype=torch.float32, device=labels.device) / 255
    colors = means.expand(rows, -1, -1).clone()
    if class_colors is not None:
        received = torch.ones(rows, dtype=torch.bool, device=labels.device) if has_colors is None else has_colors
        colors[received, : len(CLASSES)] = class_colors[received]
    return colors[torch.arange(rows, device=labels.device)[:, None, None], labels].permute(0, 3, 1, 2)


def mean_class_colors(
    images: Float[Tensor, "rows 3 h w"], labels: Int[Tensor, "rows h w"]
) -> Float[Tensor, "rows classes 3"]:
    """Mean color of each class in each image; the mean color of the image for absent classes."""
    masks = functional.one_hot(labels.clamp(0, IGNORED), IGNORED + 1)[..., : len(CLASSES)].float()
    total = torch.einsum("bchw,bhwk->bkc", images.float(), masks)
    count = masks.sum((1, 2))[..., None]
    return torch.where(count > 0, total / count.clamp(min=1), images.float().mean((2, 3))[:, None])
