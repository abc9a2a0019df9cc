"""The eleven classes of a street, as CamVid numbers and colours them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Source: Brostow, Fauqueur, Cipolla, Pattern Recognition Letters 30(2), 2009, in the eleven classes of SegNet.
CLASSES: tuple[str, ...] = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
IGNORED = len(CLASSES)  # pixels that nobody labelled

PALETTE: tuple[tuple[int, int, int], ...] = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
    (0, 0, 0),
)


def coloured(labels: Int[Tensor, "rows h w"]) -> Float[Tensor, "rows 3 h w"]:
    """Paint a label map in CamVid's colours; float32 in [0, 1], black where nothing is known.

    >>> (coloured(torch.full((1, 2, 2), CLASSES.index("building")))[0, :, 0, 0] * 255).tolist()
    [128.0, 0.0, 0.0]
    """
    palette = torch.tensor(PALETTE, dtype=torch.float32, device=labels.device) / 255
    return palette[labels.clamp(0, IGNORED)].permute(0, 3, 1, 2)
