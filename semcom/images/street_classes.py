"""The eleven classes of street scenes (CamVid), their colors, and the corresponding classes of Cityscapes."""

from __future__ import annotations

from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels.errors import UsageError


class StreetClass(IntEnum):
    """Class numbers in label maps.

    Source: Brostow, Fauqueur, Cipolla, Pattern Recognition Letters 30(2), 2009, merged to eleven classes as in SegNet.
    """

    SKY = 0
    BUILDING = 1
    POLE = 2
    ROAD = 3
    PAVEMENT = 4
    TREE = 5
    SIGN = 6
    FENCE = 7
    CAR = 8
    PEDESTRIAN = 9
    BICYCLIST = 10


CLASSES: tuple[str, ...] = tuple(one.name.lower() for one in StreetClass)

IGNORED = len(CLASSES)  # label of pixels without a class


def check_labels(labels: Tensor) -> None:
    """Check that label maps contain class numbers only.

    Args:
        labels: class of each pixel, of any shape.

    Raises:
        UsageError: a label is below 0 or above `IGNORED`.

    >>> check_labels(torch.tensor([0, IGNORED]))
    """
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) <= IGNORED:
        wrong = int(labels.min()) if labels.min() < 0 else int(labels.max())
        raise UsageError(f"labels must be 0 to {IGNORED - 1}, or {IGNORED} for pixels without a class, not {wrong}")


# CamVid's color of each class, and black for pixels without a class.
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

# Names of Cityscapes' nineteen classes and the class of each here, merged as SegNet merged CamVid's thirty-two classes.
CITYSCAPES_TO_CAMVID: dict[str, StreetClass] = {
    "road": StreetClass.ROAD,
    "sidewalk": StreetClass.PAVEMENT,
    "building": StreetClass.BUILDING,
    "wall": StreetClass.BUILDING,
    "fence": StreetClass.FENCE,
    "pole": StreetClass.POLE,
    "traffic light": StreetClass.SIGN,
    "traffic sign": StreetClass.SIGN,
    "vegetation": StreetClass.TREE,
    "terrain": StreetClass.TREE,
    "sky": StreetClass.SKY,
    "person": StreetClass.PEDESTRIAN,
    "rider": StreetClass.BICYCLIST,
    "car": StreetClass.CAR,
    "truck": StreetClass.CAR,
    "bus": StreetClass.CAR,
    "train": StreetClass.CAR,
    "motorcycle": StreetClass.BICYCLIST,
    "bicycle": StreetClass.BICYCLIST,
}


def colored(labels: Int[Tensor, "rows h w"]) -> Float[Tensor, "rows 3 h w"]:
    """Show a label map in CamVid's colors: float32 images in [0, 1], black for pixels without a class.

    >>> (colored(torch.full((1, 2, 2), StreetClass.BUILDING))[0, :, 0, 0] * 255).tolist()
    [128.0, 0.0, 0.0]
    """
    palette = torch.tensor(PALETTE, dtype=torch.float32, device=labels.device) / 255
    return palette[labels.clamp(0, IGNORED)].permute(0, 3, 1, 2)
