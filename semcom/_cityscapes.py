"""Cityscapes in its standard folders: which photograph has which label file, and its ids as the eleven classes.

leftImg8bit/<split>/<city>/*_leftImg8bit.png    photographs
gtFine/<split>/<city>/*_gtFine_labelIds.png     their classes
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from channels._errors import UsageError

_PHOTO, _LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"

# The ids in label files of the nineteen classes that are evaluated (Cordts et al., CVPR 2016); others are left out.
IDS: dict[int, str] = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}


@dataclass(frozen=True)
class Scene:
    """A photograph and its classes, not yet read.

    Args:
        name: as files begin, for instance "frankfurt_000000_000294".
        photo: file.
        labels: file.
        size: width and height to which both are resized; None leaves them as they are.
    """

    name: str
    photo: Path
    labels: Path
    size: tuple[int, int] | None

    def read(self, opened: Callable[[Path], Image.Image]) -> Image.Image:
        """The photograph, by what opens image files."""
        image = opened(self.photo)
        return image if self.size is None else image.resize(self.size, Image.Resampling.BICUBIC)

    def read_classes(self, opened: Callable[[Path], Image.Image]) -> Image.Image:
        """The eleven classes of `semcom.systems.scene.classes`, its `IGNORED` for ids that are not evaluated."""
        from semcom.systems.scene.cityscapes import SAME  # a part of a system that loads pictures itself
        from semcom.systems.scene.classes import CLASSES, IGNORED

        table = np.full(256, IGNORED, np.uint8)
        for number, name in IDS.items():
            table[number] = CLASSES.index(SAME[name])
        classes = Image.fromarray(table[np.asarray(opened(self.labels))])
        return classes if self.size is None else classes.resize(self.size, Image.Resampling.NEAREST)


def scenes(folder: Path, argument: str) -> list[Scene]:
    """The scenes of a split, in the order of the SHA-256 of their names.

    Args:
        folder: that holds leftImg8bit and gtFine.
        argument: "val", "train" or "val:512x256" (width first); empty is "val".

    Raises:
        UsageError: folders or label files that the standard layout has are missing; a size that is none.
    """
    split, _, shape = argument.partition(":")
    split, size = split or "val", _size(shape)
    for part in ("leftImg8bit", "gtFine"):
        if not (folder / part).is_dir():
            raise UsageError(
                f"no {folder / part}: unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip there"
            )
    photos, labels = folder / "leftImg8bit" / split, folder / "gtFine" / split
    if not photos.is_dir():
        splits = sorted(path.name for path in photos.parent.iterdir() if path.is_dir())
        raise UsageError(f"cityscapes has no split {split!r}; there are {', '.join(splits) or 'none'}")
    found = []
    for photo in photos.glob(f"*/*{_PHOTO}"):
        name = photo.name.removesuffix(_PHOTO)
        found.append(Scene(name, photo, labels / photo.parent.name / f"{name}{_LABELS}", size))
    if not found:
        raise UsageError(f"no photographs {photos}/CITY/*{_PHOTO}; keep the folders as they are in the archive")
    for scene in found:
        if not scene.labels.is_file():
            raise UsageError(f"{scene.photo.name} has no label file {scene.labels}")
    return sorted(found, key=lambda scene: hashlib.sha256(scene.name.encode()).digest())


def _size(shape: str) -> tuple[int, int] | None:
    """Width and height of "512x256"; None of nothing."""
    if not shape:
        return None
    width, _, height = shape.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"write cityscapes:val:512x256, width first, not {shape!r}")
    return int(width), int(height)
