"""The transparent color of an image file, compared with samples of the depth in which the file gives it."""

from __future__ import annotations

from io import BufferedReader, BytesIO
from typing import Any

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

# Largest sample of a PNG, and its factor to the samples that Pillow returns, by Pillow's name of the layout.
_DEPTHS = {"1": (1, 1), "L;2": (3, 85), "L;4": (15, 17), "L": (255, 1), "RGB": (255, 1)}
_DEEP_RGB = "RGB;16B"  # Pillow returns the upper byte of each sample only


def opacity(image: Image.Image, file: BytesIO | BufferedReader) -> Image.Image | None:
    """Opacity of each pixel, 0 for the transparent color and 255 elsewhere; None without such a color.

    Args:
        image: gray or RGB image that is opened and not yet loaded.
        file: its file.
    """
    color = image.info.get("transparency")
    if color is None or not (image.mode in ("1", "L", "RGB") or image.mode.startswith("I")):
        return None
    tiles: Any = image.tile if isinstance(image, ImageFile) else ()
    layout = tiles[0].args if image.format == "PNG" and tiles else ""
    layout = layout[0] if isinstance(layout, tuple) else layout
    samples, color = np.asarray(image).astype(np.int64), np.asarray(color)
    if layout == _DEEP_RGB:
        samples = 256 * samples + _lower_bytes(file)
    elif layout in _DEPTHS:
        largest, factor = _DEPTHS[layout]
        color = (color & largest) * factor
    same = samples == color
    same = same.all(-1) if samples.ndim == 3 else same
    return Image.fromarray(np.where(same, 0, 255).astype(np.uint8))


def _lower_bytes(file: BytesIO | BufferedReader) -> np.ndarray:
    """The lower bytes of a PNG with 16-bit RGB samples: its samples in the other byte order."""
    file.seek(0)
    with Image.open(file, formats=["PNG"]) as image:
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]  # type: ignore[attr-defined]
        return np.asarray(image).astype(np.int64)
