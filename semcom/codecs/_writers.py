"""Encoder options of each image file format, selected for the highest PSNR at a given file length."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from PIL import Image

from channels.arguments import one_of
from semcom.codecs.plugins import load_plugin


@dataclass(frozen=True)
class Codec:
    """Image file format.

    Options are keyword arguments of Pillow; a dictionary among them adds to one of the same name.

    Args:
        format: name of the format in Pillow.
        variants: alternative options, selected by PSNR; the index is part of the stream.
        qualities: quality settings, from the smallest to the largest file.
        options: function from image size (width, height) and quality to the other options.
        longest_side: largest supported side, pixels.
        preview: options of a fast encoder whose files show how length and error depend on quality and scale; empty if
            the encoder has no such setting.
        excess: logarithm of the ratio of a preview's length to that of a file of equal PSNR.
        worth_db: lowest expected improvement of the PSNR that is worth a run of the encoder, dB.
        grid: indices of the qualities of previews, so that lengths are at most doubled; empty for even steps.
        equal: number of consecutive variants that decode to the same image; the shortest of their files is sent.
    """

    format: str
    variants: tuple[dict[str, Any], ...]
    qualities: Sequence[int]
    options: Callable[[tuple[int, int], int], dict[str, Any]]
    longest_side: int
    preview: dict[str, Any] = field(default_factory=dict)
    excess: float = 0.0
    worth_db: float = 0.02
    grid: Sequence[int] = ()
    equal: int = 1


# tune=psnr and tune=ssim gain 0.7 dB over the perceptual default of libavif, CDEF 0.1 dB. Fixed superblocks and no loop
# restoration (0.04 dB, at slow speeds only) make the sequence header equal for all images of a size.
_AVIF_ADVANCED = {"enable-cdef": "1", "enable-restoration": "0", "sb-size": "64"}


def _avif_options(size: tuple[int, int], quality: int) -> dict[str, Any]:
    # one thread and one tile, so that the file is the same on every machine
    one_thread = {"max_threads": 1, "autotiling": False}
    return {"quality": quality, "subsampling": "4:4:4", "advanced": _AVIF_ADVANCED, **one_thread}


# tune=psnr turns psychovisual options off. Unless an offset is given, x265 raises the chroma quantizers of 4:4:4 by 6,
# which costs 0.8 dB of RGB PSNR; the offsets here are the best of -12 to 6. One thread: the same file on every machine.
_HEVC = {"tune": "psnr", "x265:pools": "none", "x265:frame-threads": "1", "x265:wpp": "0"}
_HEVC_444 = _HEVC | {"chroma": "444", "x265:cbqpoffs": "-2", "x265:crqpoffs": "-2"}
_HEVC_420 = _HEVC | {"chroma": "420", "x265:cbqpoffs": "-5", "x265:crqpoffs": "-5"}


def _jpeg2000_options(size: tuple[int, int], quality: int) -> dict[str, Any]:
    return {
        "no_jp2": True,
        "irreversible": True,
        "mct": 1,
        "num_resolutions": min(6, min(size).bit_length()),
        "quality_mode": "rates",
        "quality_layers": [2 ** ((900 - quality) / 64)],  # compression ratio, 17,000 to 1 in steps of 1 %
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
        qualities=range(1, 101),
        options=lambda size, quality: {"quality": quality},
        longest_side=65_500,
        preview={"progressive": False, "optimize": True},
        grid=(0, 2, 4, 7, 11, 17, 27, 42, 62, 82, 99),
        equal=3,
    ),
    "webp": Codec(
        format="WEBP",
        variants=({},),
        qualities=range(101),
        options=lambda size, quality: {"quality": quality, "method": 6},
        longest_side=16_383,
        preview={"method": 2},
        excess=0.13,
    ),
    "avif": Codec(
        format="AVIF",
        # The variants are equal on average, but not for an image, and their file lengths differ. 4:2:0 was selected for
        # 4 of 145 budgets, where it gained 0.1 dB at most.
        variants=({"advanced": {"tune": "ssim"}}, {"advanced": {"tune": "psnr"}}),
        # one for each of AV1's 64 quantizers
        qualities=sorted({((100 - quality) * 63 + 50) // 100: quality for quality in range(101)}.values()),
        options=_avif_options,
        longest_side=65_536,
        preview={"speed": 10},
        excess=0.2,
        worth_db=0.055,
    ),
    "jpeg2000": Codec(
        format="JPEG2000",
        variants=({},),
        qualities=range(901),
        options=_jpeg2000_options,
        longest_side=1 << 30,
    ),
    "hevc": Codec(
        format="HEIF",
        variants=({"enc_params": _HEVC_444}, {"enc_params": _HEVC_420}),
        qualities=range(0, 95, 2),  # one for each quantizer from 47 to 0
        options=lambda size, quality: {"quality": quality},
        longest_side=16_384,
        preview={"enc_params": {"preset": "ultrafast"}},
        excess=0.2,
        worth_db=0.055,
    ),
    "jxl": Codec(
        format="JXL",
        variants=({},),
        qualities=range(100),
        options=lambda size, quality: {"quality": quality, "num_threads": 0},
        longest_side=1 << 30,
        preview={"effort": 3},
    ),
}


def codec_named(name: str) -> Codec:
    """Image file format of a name.

    Raises:
        UsageError: the name is unknown, or the codec's Pillow plugin is not installed.
    """
    one_of("codec", name, tuple(CODECS))
    load_plugin(name)
    return CODECS[name]


def write(image: Image.Image, codec: str, variant: int, quality: int, speed: int, preview: bool = False) -> bytes:
    """Write an 8-bit RGB image as a file; `speed` applies to AVIF only."""
    writer = codec_named(codec)
    options = _combined(writer.options(image.size, quality), writer.variants[variant])
    if codec == "avif":
        options["speed"] = speed
    if preview:
        options = _combined(options, writer.preview)
    file = io.BytesIO()
    image.save(file, format=writer.format, **options)
    return file.getvalue()


def _combined(options: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both options; dictionaries of the same name are combined too."""
    inner = {name: options[name] | value for name, value in more.items() if isinstance(options.get(name), dict)}
    return options | more | inner


@lru_cache(maxsize=64)
def blank(codec: str, size: tuple[int, int], variant: int, quality: int) -> bytes:
    """File of a black image, which has the constant bytes of all files of its size, variant and quality."""
    return write(Image.new("RGB", size), codec, variant, quality, speed=10)
