"""Images of an image source, read and not yet read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class SourceImage:
    """One image with its annotations.

    Args:
        name: name that is unique in the source, for example "kodim08".
        pixels: float32 [3, h, w] in [0, 1], RGB.
        caption: sentence that describes the image, or None.
        labels: int64 [h, w], class of each pixel, or None.
        category: class of the whole image, or None.
    """

    name: str
    pixels: Float[Tensor, "3 h w"]
    caption: str | None = None
    labels: Int[Tensor, "h w"] | None = None
    category: int | None = None

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of the image and its annotations."""
        found = hashlib.sha256(json.dumps([list(self.pixels.shape), self.caption, self.category]).encode())
        found.update(self.pixels.numpy().tobytes())
        if self.labels is not None:
            found.update(self.labels.numpy().tobytes())
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class Entry:
    """An image that is not yet read; a source is a sequence of entries, so that `count: 8` reads eight files.

    Args:
        name: name that is unique in the source.
        read: function that reads the image.
        caption: sentence that describes the image, or None.
        read_labels: function that reads the label map, or None.
        category: class of the whole image, or None.
        captions: all sentences that describe the image, `caption` first; empty if there is at most one.
        files: files that are read, empty for a synthetic image.
    """

    name: str
    read: Callable[[], Image.Image]
    caption: str | None = None
    read_labels: Callable[[], Image.Image] | None = None
    category: int | None = None
    captions: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def group_by_shape(images: Sequence[SourceImage]) -> list[list[SourceImage]]:
    """Group images by shape, so that each group can be stacked to a batch; groups are in order of first occurrence."""
    groups: dict[tuple[int, ...], list[SourceImage]] = {}
    for image in images:
        groups.setdefault(tuple(image.pixels.shape), []).append(image)
    return list(groups.values())
