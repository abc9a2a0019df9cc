"""CIFAR-10: the archive of its authors in the format for Python, read without running code that it may contain."""

from __future__ import annotations

import io
import pickle
import shutil
import tarfile
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from channels.errors import UsageError
from semcom import atomic

if TYPE_CHECKING:
    from semcom.images.source_image import Entry

ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"  # as Keras and others list it
FOLDER = "cifar-10-batches-py"
"""Folder of the archive; also where torchvision puts it."""

_SPLITS = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
_FILES = (*_SPLITS["train"], *_SPLITS["test"], "batches.meta")
_SIDE, _ROWS = 32, 10000


def is_there(folder: Path) -> bool:
    """Whether a folder contains the files of the archive."""
    return all((folder / name).is_file() for name in _FILES)


def unpack(archive: Path) -> None:
    """Unpack the files of the data set beside the archive and remove the archive.

    Raises:
        UsageError: the archive lacks a file of the data set.
        OSError: a file cannot be written.
    """
    with tarfile.open(archive) as members:
        for name in _FILES:
            try:
                content = members.extractfile(f"{FOLDER}/{name}")
            except KeyError:
                content = None
            if content is None:
                raise UsageError(f"{archive} lacks the file {FOLDER}/{name}; remove the archive and download it again")
            with atomic.replacing(archive.parent / name) as file:
                shutil.copyfileobj(content, file)
    archive.unlink()


def entries(folder: Path, split: str) -> list[Entry]:
    """Images of a split in the order of the data set, which is random; the caption is the name of the class.

    Args:
        folder: folder with the unpacked files.
        split: "train" or "test".

    Raises:
        UsageError: there is no such split, or a file is missing or damaged.
    """
    from semcom.images.source_image import Entry  # imports torch, which `semcom data` does not need

    if split not in _SPLITS:
        raise UsageError(f"cifar10 has no split {split!r}; there are {', '.join(_SPLITS)}")
    names = _names(folder)
    return [
        Entry(
            f"{split}{start + row:05d}",
            partial(_image, path, row),
            caption=names[label],
            category=label,
            files=(path,),
        )
        for index, file in enumerate(_SPLITS[split])
        for path, start in [(folder / file, _ROWS * index)]
        for row, label in enumerate(_batch(path).labels)
    ]


def _names(folder: Path) -> list[str]:
    names = _load(folder / "batches.meta").get("label_names")
    if not isinstance(names, list) or len(names) != 10:
        raise UsageError(f"{folder / 'batches.meta'} is no file of CIFAR-10; run: semcom data get cifar10")
    return [str(name) for name in names]


def _image(path: Path, row: int) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(_batch(path).pixels[row].reshape(3, _SIDE, _SIDE).transpose(1, 2, 0)))


@dataclass(frozen=True)
class _Batch:
    """Images of a file: uint8 [images, 3072], all red samples of an image first, and their classes."""

    pixels: np.ndarray
    labels: list[int]


@lru_cache(maxsize=6)  # 180 MB in all
def _batch(path: Path) -> _Batch:
    content = _load(path)
    pixels, labels = content.get("data"), content.get("labels")
    if not (
        isinstance(pixels, np.ndarray)
        and isinstance(labels, list)
        and pixels.dtype == np.uint8
        and pixels.shape == (len(labels), 3 * _SIDE**2)
        and all(isinstance(label, int) and 0 <= label < 10 for label in labels)
    ):
        raise UsageError(f"{path} is no file of CIFAR-10; run: semcom data get cifar10")
    return _Batch(pixels, labels)


class _Reader(pickle.Unpickler):
    """Reads dictionaries, lists, text, numbers and arrays; a file that names anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.ndarray.__reduce__(np.empty(0))[0]
        if (module, name) == ("_codecs", "encode"):
            return _encoded
        raise pickle.UnpicklingError(f"{module}.{name} is not expected")


def _encoded(text: str, encoding: str) -> bytes:
    """The bytes of a file that Python 3 has written for Python 2."""
    return text.encode(encoding)


def _load(path: Path) -> dict[str, Any]:
    """The dictionary in a file.

    Raises:
        UsageError: the file is missing, damaged, or contains anything but data.
    """
    try:
        content = _Reader(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except FileNotFoundError:
        raise UsageError(f"no file {path}; run: semcom data get cifar10") from None
    except Exception as error:  # damaged files raise many exceptions
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path} cannot be read ({reason}); run: semcom data get cifar10") from None
    return content if isinstance(content, dict) else {}
