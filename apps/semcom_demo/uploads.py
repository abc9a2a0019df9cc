"""Uploaded images: checked before they are decoded, and held in memory only."""

from __future__ import annotations

import io
import math
from functools import partial
from pathlib import PurePath

from PIL import Image, ImageOps

from channels import UsageError
from semcom.images.files import decode, to_tensor
from semcom.images.source_image import SourceImage

MAX_MEGABYTES = 10
MAX_MEGAPIXELS = 50
MIN_SIDE = 16
_MEGABYTE = 1_000_000


def read_image(name: str, data: bytes, max_pixels: int) -> SourceImage:
    """Decode an uploaded image file to RGB, upright, with at most `max_pixels` pixels.

    Args:
        name: File name. The returned image has this name with the ending .png.
        data: Content of the file.
        max_pixels: Largest number of pixels of the returned image; a larger image is resized.

    Raises:
        UsageError: The file is not a single image of the allowed size. The message has one line.
    """
    name = PurePath(name).name or "upload"
    if not data:
        raise UsageError(f"{name} is empty; choose another file")
    if len(data) > MAX_MEGABYTES * _MEGABYTE:
        size = len(data) / _MEGABYTE
        raise UsageError(f"{name} has {size:.0f} MB, more than the limit of {MAX_MEGABYTES} MB: shrink it first")
    if _is_svg(data):
        raise UsageError(f"{name} is a vector graphic (SVG): export it as PNG")
    try:
        rgb = decode(io.BytesIO(data), check=partial(_check_header, name))
    except UsageError:
        raise
    except Image.UnidentifiedImageError:
        raise UsageError(f"{name} is not an image: choose an image file, such as PNG or JPEG") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UsageError(_too_many_pixels(name)) from None
    except Exception:  # Pillow's plugins raise many kinds of errors on damaged files
        raise UsageError(f"{name} is damaged or cut short: choose another file") from None
    return SourceImage(f"{PurePath(name).stem}.png", to_tensor(shrink(rgb, max_pixels)))


def shrink(image: Image.Image, max_pixels: int) -> Image.Image:
    """Resize a large image to at most `max_pixels` pixels, with sides that are multiples of 8."""
    width, height = image.size
    if width * height <= max_pixels:
        return image
    scale = math.sqrt(max_pixels / (width * height))
    size = max(MIN_SIDE, int(width * scale) // 8 * 8), max(MIN_SIDE, int(height * scale) // 8 * 8)
    return ImageOps.fit(image, size, Image.Resampling.BICUBIC)


def _check_header(name: str, image: Image.Image) -> None:
    """Reject an image that should not be decoded, from its header alone."""
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise UsageError(_too_many_pixels(name))
    if min(width, height) < MIN_SIDE:
        raise UsageError(f"{name} is {width} x {height} pixels: each side must have at least {MIN_SIDE}")
    # The frames of an MPO file are a phone's photograph and its depth map, not an animation.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise UsageError(f"{name} is an animation: choose a single image")


def _too_many_pixels(name: str) -> str:
    return f"{name} has more than {MAX_MEGAPIXELS} megapixels: shrink it first"


def _is_svg(data: bytes) -> bool:
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<svg", b"<?xml", b"<!doctype svg"))
