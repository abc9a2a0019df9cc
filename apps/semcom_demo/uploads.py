"""Pictures that somebody uploads: judged before they are decoded, kept in memory alone."""

from __future__ import annotations

import io
import math
from pathlib import PurePath

from PIL import Image, ImageOps

from channels import UsageError
from semcom.images import Picture, to_rgb, to_tensor

MOST_MEGABYTES = 10
MOST_MEGAPIXELS = 16
LEAST_SIDE = 16
SUFFIXES = ("png", "jpg", "jpeg", "webp", "avif", "gif", "bmp")

_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP")
_MEGABYTE = 1_000_000


def picture(name: str, data: bytes, most_pixels: int) -> Picture:
    """An uploaded picture, upright, in RGB, shrunk to so many pixels.

    Args:
        name: of the file; the picture's is the same with the ending .png, as which it can be saved.
        data: the file.
        most_pixels: of the picture that is returned.

    Raises:
        UsageError: anything but one photograph of reasonable size, said in one line.
    """
    name = PurePath(name).name or "upload"
    if not data:
        raise UsageError(f"{name} is empty; choose another file")
    if len(data) > MOST_MEGABYTES * _MEGABYTE:
        size = len(data) / _MEGABYTE
        raise UsageError(f"{name} has {size:.0f} MB, a picture may have {MOST_MEGABYTES}: shrink it first")
    if _is_svg(data):
        raise UsageError(f"{name} is a drawing (SVG), not a photograph: export it as PNG")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_header(name, image)
            rgb = to_rgb(ImageOps.exif_transpose(image))
    except UsageError:
        raise
    except Image.UnidentifiedImageError:
        raise UsageError(f"{name} is not a picture: PNG, JPEG, WebP, AVIF, GIF and BMP files can be read") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UsageError(_too_many_pixels(name)) from None
    except Exception:  # on damaged files Pillow's plugins raise whatever they stumble over
        raise UsageError(f"{name} is damaged or cut short: choose another file") from None
    return Picture(f"{PurePath(name).stem}.png", to_tensor(shrunk(rgb, most_pixels)))


def shrunk(image: Image.Image, most_pixels: int) -> Image.Image:
    """The picture with sides that are multiples of 8 and at most so many pixels; a small one stays as it is."""
    width, height = image.size
    if width * height <= most_pixels:
        return image
    scale = math.sqrt(most_pixels / (width * height))
    size = max(LEAST_SIDE, int(width * scale) // 8 * 8), max(LEAST_SIDE, int(height * scale) // 8 * 8)
    return ImageOps.fit(image, size, Image.Resampling.BICUBIC)


def _check_header(name: str, image: Image.Image) -> None:
    """Refuse what should not be decoded; of the file only the header has been read."""
    width, height = image.size
    if width * height > MOST_MEGAPIXELS * 1_000_000:
        raise UsageError(_too_many_pixels(name))
    if min(width, height) < LEAST_SIDE:
        raise UsageError(f"{name} is {width} x {height} pixels: each side needs {LEAST_SIDE}")
    if getattr(image, "is_animated", False) and image.format != "MPO":  # a phone's JPEG with a depth map beside it
        raise UsageError(f"{name} is an animation: choose a single picture")


def _too_many_pixels(name: str) -> str:
    return f"{name} has more than {MOST_MEGAPIXELS} megapixels: shrink it first"


def _is_svg(data: bytes) -> bool:
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<svg", b"<?xml", b"<!doctype svg"))
