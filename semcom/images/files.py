"""Image files and tensors: reading of all image formats, and conversion and writing of pixels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from io import BufferedReader, BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from channels.errors import UsageError
from semcom import atomic
from semcom.codecs.plugins import load_plugin
from semcom.images.metadata import upright, without_metadata
from semcom.images.transparency import opacity

# Formats that Pillow itself decodes: EPS and WMF would start other programs; TGA is last, it has no signature.
FORMATS = (
    *("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "QOI", "PCX", "SGI"),
    *("SUN", "ICO", "PSD", "TGA"),
)
_OTHER_SUFFIXES = (".heic", ".heif", ".mpo")  # HEIF needs a plugin; an MPO file starts with a JPEG file
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


@cache
def suffixes() -> frozenset[str]:
    """Endings of the names of image files, in lower case.

    >>> ".jpg" in suffixes(), ".pdf" in suffixes()
    (True, False)
    """
    Image.init()
    return frozenset(_OTHER_SUFFIXES).union(suffix for suffix, name in Image.EXTENSION.items() if name in FORMATS)


def image_files(folder: Path, pattern: str = "*") -> list[Path]:
    """Image files of a folder in the order of their names.

    Hidden files and folders, files without the ending of an image file, folders and dead links are left out.

    Args:
        folder: folder that exists.
        pattern: glob pattern of paths below the folder.
    """
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in suffixes() and not is_hidden(path, folder) and os.path.isfile(path)
    )


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether the name of a path, or of a folder between `folder` and it, starts with a dot."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def open_image(path: str | Path) -> Image.Image:
    """Read an image file as 8-bit RGB.

    Gray and palette images become RGB, transparent pixels are blended with white, 16-bit samples are scaled to 8 bits,
    the EXIF orientation is applied, the first frame of an animation is used, and all other metadata are ignored.

    Args:
        path: image file in one of `FORMATS`.

    Raises:
        UsageError: the file is missing, empty, truncated, no image, or larger than Pillow's limit against decompression
            bombs.
    """
    if not os.path.isfile(path):
        raise UsageError(f"no image file {path}; name a file that exists")
    if os.path.getsize(path) == 0:
        raise UsageError(f"{path} is empty; choose another image")
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return decode(file)
    except UsageError as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UsageError(f"{path} has more than {Image.MAX_IMAGE_PIXELS} pixels; reduce its size first") from None
    except Image.UnidentifiedImageError:
        raise UsageError(f"{path} is not an image in a known format; convert it, for example to PNG") from None
    except PermissionError:
        raise UsageError(f"{path} cannot be read: permission denied") from None
    except Exception as error:  # Pillow's plugins raise many exceptions for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path} cannot be read: {reason}") from None


def decode(
    file: BytesIO | BufferedReader,
    formats: tuple[str, ...] = FORMATS,
    check: Callable[[Image.Image], None] | None = None,
) -> Image.Image:
    """Decode an image file as `open_image` does.

    Args:
        file: image file, at its beginning.
        formats: accepted formats, of `FORMATS`.
        check: function that raises an exception for an image that should not be decoded, given its header.

    Raises:
        UsageError: the file is a HEIF file and the plugin is not installed; samples are out of range.
        Exception: any exception of Pillow.
    """
    if formats is FORMATS and _is_heif(file):
        _register_heif()
        formats = ("HEIF",)
    pixels, exif = without_metadata(file)
    with _opened(pixels, formats) as image:
        if check is not None:
            check(image)
        alpha = opacity(image, pixels)
        image.load()
        return upright(to_rgb(image, alpha), exif or image.info.get("exif") or b"")  # None: a HEIF file without EXIF


def _opened(file: BytesIO | BufferedReader, formats: tuple[str, ...]) -> Image.Image:
    try:
        return Image.open(file, formats=formats)
    except Image.UnidentifiedImageError:
        if formats != ("HEIF",):
            raise
        raise UsageError("the HEIC file is damaged") from None


def _is_heif(file: BytesIO | BufferedReader) -> bool:
    """Whether a file is in the HEIF format and not in AVIF, which shares its container."""
    head = file.read(64)
    file.seek(0)
    end = int.from_bytes(head[:4], "big")
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and b"avif" not in head[8:end]


def _register_heif() -> None:
    try:
        load_plugin("hevc")
    except UsageError:
        raise UsageError("HEIC: convert it to JPEG or PNG, or pip install 'semcom[hevc]'") from None


def to_rgb(image: Image.Image, alpha: Image.Image | None = None) -> Image.Image:
    """Convert an image of any mode to 8-bit RGB, as described at `open_image`.

    Args:
        image: image of any mode.
        alpha: opacity of each pixel in place of that of the image, mode "L", or None.

    Raises:
        UsageError: samples are out of range.

    >>> to_rgb(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0))
    (255, 255, 255)
    """
    if image.mode.startswith("I"):  # "I;16" in either byte order; some 16-bit files have mode "I"
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UsageError("integer samples of the image are outside 0 to 65535; convert them to 16 bits")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    elif image.mode == "F":
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):
            raise UsageError(
                "floating-point samples of the image are outside 0 to 1; divide them by their largest value"
            )
        image = Image.fromarray(np.round(values * 255).astype(np.uint8))
    if alpha is not None:
        image = image.convert("RGB")
        image.info.pop("transparency", None)
        image.putalpha(alpha)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def to_tensor(image: Image.Image) -> Float[Tensor, "3 h w"]:
    """Convert an RGB image to float32 [3, h, w] in [0, 1]."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def to_pil(pixels: Float[Tensor, "3 h w"]) -> Image.Image:
    """Convert float [3, h, w], clamped to [0, 1] and rounded, to an 8-bit RGB image.

    >>> to_pil(torch.ones(3, 1, 2)).getpixel((1, 0))
    (255, 255, 255)
    """
    return Image.fromarray(to_bytes(pixels))


def to_bytes(pixels: Float[Tensor, "3 h w"]) -> np.ndarray:
    """Convert float [3, h, w], clamped to [0, 1] and rounded, to uint8 [h, w, 3], as in image files."""
    return (pixels.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def save_png(pixels: Float[Tensor, "3 h w"] | Image.Image, path: str | Path) -> None:
    """Write an RGB image, or float [3, h, w], as an 8-bit PNG file.

    Raises:
        OSError: the file cannot be written; a former file is unchanged.
    """
    text = PngInfo()
    text.add_text("Software", "semcom")  # marks a file that semcom wrote
    image = pixels if isinstance(pixels, Image.Image) else to_pil(pixels)
    with atomic.replacing(Path(path)) as file:
        image.save(file, format="PNG", pnginfo=text)
