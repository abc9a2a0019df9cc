"""Cityscapes in its standard folders: pairs of photograph and label file, and label ids as street classes.

leftImg8bit/<split>/<city>/*_leftImg8bit.png    photographs
gtFine/<split>/<city>/*_gtFine_labelIds.png     label maps
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from channels.errors import UsageError
from semcom.images.files import image_files
from semcom.images.street_classes import CITYSCAPES_TO_CAMVID, IGNORED

_PHOTO, _LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"

# Label ids of the nineteen classes that the benchmark evaluates (Cordts et al., CVPR 2016).
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
    """A photograph and its label map, before either file is opened.

    Args:
        name: common beginning of the two file names, for instance "frankfurt_000000_000294".
        photo: path of the photograph.
        labels: path of the label file.
        size: width and height to which both are resized; None keeps their size.
    """

    name: str
    photo: Path
    labels: Path
    size: tuple[int, int] | None

    def read(self, open_image: Callable[[Path], Image.Image]) -> Image.Image:
        """Read the photograph with `open_image` and resize it."""
        image = open_image(self.photo)
        return image if self.size is None else image.resize(self.size, Image.Resampling.BICUBIC)

    def read_classes(self, open_image: Callable[[Path], Image.Image]) -> Image.Image:
        """Read the label map as `StreetClass` numbers, `IGNORED` for ids that the benchmark does not evaluate."""
        table = np.full(256, IGNORED, np.uint8)
        for number, name in IDS.items():
            table[number] = CITYSCAPES_TO_CAMVID[name]
        classes = Image.fromarray(table[np.asarray(open_image(self.labels))])
        return classes if self.size is None else classes.resize(self.size, Image.Resampling.NEAREST)


def scenes(folder: Path, argument: str) -> list[Scene]:
    """List the scenes of a split, ordered by the SHA-256 of their names.

    Args:
        folder: folder with leftImg8bit and gtFine.
        argument: split and optional size, width first: "val", "train" or "val:512x256"; empty is "val".

    Raises:
        UsageError: the layout lacks a folder or a label file, or the size is malformed.
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
        splits = sorted(path.name for path in photos.parent.glob("[!.]*") if path.is_dir())
        raise UsageError(f"cityscapes has no split {split!r}; there are {', '.join(splits) or 'none'}")
    found = []
    for photo in image_files(photos, f"*/*{_PHOTO}"):
        name = photo.name.removesuffix(_PHOTO)
        found.append(Scene(name, photo, labels / photo.parent.name / f"{name}{_LABELS}", size))
    if not found:
        raise UsageError(f"no photographs {photos}/CITY/*{_PHOTO}; unpack the archive with its folders")
    for scene in found:
        if not scene.labels.is_file():
            raise UsageError(f"{scene.photo.name} has no label file {scene.labels}")
    return sorted(found, key=lambda scene: hashlib.sha256(scene.name.encode()).digest())


def _size(shape: str) -> tuple[int, int] | None:
    """Width and height of "512x256"; None for an empty text."""
    if not shape:
        return None
    width, _, height = shape.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"invalid size {shape!r}: write, for example, cityscapes:val:512x256 (width first)")
    return int(width), int(height)
