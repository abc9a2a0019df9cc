"""Label files: PNG files with the class of each pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from channels.errors import UsageError
from semcom.images.metadata import without_metadata
from semcom.images.street_classes import IGNORED


def open_labels(path: Path) -> Image.Image:
    """Read a palette or gray PNG whose sample values (not colors) are the classes.

    Raises:
        UsageError: the file is missing, damaged or in another format.
    """
    if not path.is_file():
        raise UsageError(f"no label file {path}")
    try:
        with path.open("rb") as file, Image.open(without_metadata(file)[0], formats=["PNG"]) as image:
            mode, classes = image.mode, np.array(image)
    except Exception as error:  # Pillow's plugins raise many exceptions for damaged files
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None
    if mode not in ("P", "L"):
        raise UsageError(f"{path} must be a palette or gray PNG of class numbers, not {mode}")
    return Image.fromarray(classes)


def open_classes(path: Path) -> Image.Image:
    """Read a label file of the eleven street classes, with `IGNORED` for pixels without a class.

    Raises:
        UsageError: the file cannot be read, or has another class.
    """
    labels = open_labels(path)
    if (most := np.asarray(labels).max()) > IGNORED:
        raise UsageError(f"{path} has the class {most}: write 0 to {IGNORED - 1}, and {IGNORED} for unlabeled pixels")
    return labels
