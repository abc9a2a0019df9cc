"""Colours of classes, and the plainest restorer: each class in its colour. It needs no network."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from semcom.systems.scene.classes import CLASSES, IGNORED

# Mean colours, of 255, of each class in the training pictures of CamVid; mid-grey where nothing is known.
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


def painted(
    labels: Int[Tensor, "rows h w"],
    palette: Float[Tensor, "rows classes 3"] | None = None,
    sent: Bool[Tensor, " rows"] | None = None,
) -> Float[Tensor, "rows 3 h w"]:
    """Each pixel in the colour of its class; arguments are those of `Restorer.forward`.

    >>> (painted(torch.full((1, 1, 1), IGNORED))[0, :, 0, 0] * 255).round().tolist()
    [128.0, 128.0, 128.0]
    """
    rows = len(labels)
    known = torch.tensor(MEANS, dtype=torch.float32) / 255
    colours = known.expand(rows, -1, -1).clone()
    if palette is not None:
        told = torch.ones(rows, dtype=torch.bool) if sent is None else sent
        colours[told, : len(CLASSES)] = palette[told]
    return colours[torch.arange(rows)[:, None, None], labels].permute(0, 3, 1, 2)


def mean_colours(
    images: Float[Tensor, "rows 3 h w"], labels: Int[Tensor, "rows h w"]
) -> Float[Tensor, "rows classes 3"]:
    """The mean colour of each class in each picture; the picture's mean for classes that are not in it."""
    shares = functional.one_hot(labels.clamp(0, IGNORED), IGNORED + 1)[..., : len(CLASSES)].float()
    total = torch.einsum("bchw,bhwk->bkc", images.float(), shares)
    count = shares.sum((1, 2))[..., None]
    return torch.where(count > 0, total / count.clamp(min=1), images.float().mean((2, 3))[:, None])
