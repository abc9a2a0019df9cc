"""How each image file is written: Pillow's options, chosen for the highest PSNR at a given length."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image

from channels._errors import UsageError


@dataclass(frozen=True)
class Codec:
    """One way to write files.

    Args:
        format: Pillow's name.
        variants: options that are tried and kept by PSNR; which it was is part of the stream.
        climbed: how many of the variants are tried at several scales, the others only at the best scale so far.
        qualities: from the smallest file to the largest.
        options: from the size (width, height) and the quality to Pillow's other options.
        longest_side: in pixels, that the format can hold.
    """

    format: str
    variants: tuple[dict[str, Any], ...]
    climbed: int
    qualities: Sequence[int]
    options: Callable[[tuple[int, int], int], dict[str, Any]]
    longest_side: int


# libavif tunes for the eye unless told otherwise: tune=psnr gains 0.7 dB and CDEF 0.1 dB. Fixed superblocks and no loop
# restoration (0.04 dB, at slow speeds only) keep the sequence header the same for all pictures of a size.
_AVIF_ADVANCED = {"tune": "psnr", "enable-cdef": "1", "enable-restoration": "0", "sb-size": "64"}


def _avif_options(size: tuple[int, int], quality: int) -> dict[str, Any]:
    # one thread and one tile write the same bytes on any machine
    return {"quality": quality, "max_threads": 1, "autotiling": False, "advanced": _AVIF_ADVANCED}


def _jpeg2000_options(size: tuple[int, int], quality: int) -> dict[str, Any]:
    return {
        "no_jp2": True,
        "irreversible": True,
        "mct": 1,
        "num_resolutions": min(6, min(size).bit_length()),
        "quality_mode": "rates",
        "quality_layers": [2 ** ((900 - quality) / 64)],  # compression ratio, 17 000 to 1 in steps of 1 %
    }


CODECS = {
    "jpeg": Codec(
        format="JPEG",
        variants=(
            {"subsampling": "4:4:4", "progressive": True},
            {"subsampling": "4:4:4", "optimize": True},
            {"subsampling": "4:4:4"},
            {"subsampling": "4:2:0", "progressive": True},
            {"subsampling": "4:2:0", "optimize": True},
            {"subsampling": "4:2:0"},
        ),
        climbed=6,
        qualities=range(1, 101),
        options=lambda size, quality: {"quality": quality},
        longest_side=65_500,
    ),
    "webp": Codec(
        format="WEBP",
        variants=({},),
        climbed=1,
        qualities=range(101),
        options=lambda size, quality: {"quality": quality, "method": 6},
        longest_side=16_383,
    ),
    "avif": Codec(
        format="AVIF",
        variants=(
            {"subsampling": "4:4:4"},
            {"subsampling": "4:2:0"},
            # on a par with tune=psnr: its quantizers lie between the others and fill a budget better (0.01 to 0.08 dB)
            {"subsampling": "4:4:4", "advanced": _AVIF_ADVANCED | {"tune": "ssim"}},
        ),
        climbed=2,
        # one for each of AV1's 64 quantizers
        qualities=sorted({((100 - quality) * 63 + 50) // 100: quality for quality in range(101)}.values()),
        options=_avif_options,
        longest_side=65_536,
    ),
    "jpeg2000": Codec(
        format="JPEG2000",
        variants=({},),
        climbed=1,
        qualities=range(901),
        options=_jpeg2000_options,
        longest_side=1 << 30,
    ),
}


def codec_named(name: str) -> Codec:
    """The codec of that name, or a UsageError that lists them."""
    if name not in CODECS:
        raise UsageError(f"no image codec {name!r}; there are {', '.join(CODECS)}")
    return CODECS[name]


def write(image: Image.Image, codec: str, variant: int, quality: int, speed: int) -> bytes:
    """The file of an 8-bit RGB picture; `speed` is for AVIF alone."""
    writer = CODECS[codec]
    options = writer.options(image.size, quality) | writer.variants[variant]
    if codec == "avif":
        options["speed"] = speed
    file = io.BytesIO()
    image.save(file, format=writer.format, **options)
    return file.getvalue()


@lru_cache(maxsize=64)
def blank(codec: str, size: tuple[int, int], variant: int, quality: int) -> bytes:
    """The file of a black picture, which has the constant bytes of all files of its size, variant and quality."""
    return write(Image.new("RGB", size), codec, variant, quality, speed=10)
