"""Animations of frames with captions, and maps of the difference of two images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from channels.arguments import one_of, positive, within
from channels.errors import UsageError
from semcom.images.comparison import Tile, comparison


def animation(
    frames: Sequence[Sequence[Tile]], file_format: Literal["GIF", "WEBP"], seconds_per_frame: float = 0.2
) -> bytes:
    """Content of an animated image file that repeats without end.

    WebP is lossless: a frame has the pixels of its images. GIF has a palette of at most 256 colors for each frame.

    Args:
        frames: one or several images with captions, side by side, for each frame; all frames have the same layout.
        file_format: "GIF" or "WEBP".
        seconds_per_frame: duration of a frame, 0.02 or longer.

    Raises:
        UsageError: no frame, frames of different sizes, or an argument is out of range.

    >>> import torch
    >>> from semcom.images.comparison import tile
    >>> frames = [[tile(torch.full((3, 64, 64), level), [f"{level}"])] for level in (0.0, 1.0)]
    >>> animation(frames, "GIF")[:6]
    b'GIF89a'
    """
    one_of("file_format", file_format, ("GIF", "WEBP"))
    within("seconds_per_frame", seconds_per_frame, 0.02)
    pages = [comparison([frame]) for frame in frames]
    if len({page.size for page in pages}) != 1:
        raise UsageError("an animation requires frames, all of the same size")
    if file_format == "GIF":
        pages = [page.quantize(dither=Image.Dither.FLOYDSTEINBERG) for page in pages]
    options: dict[str, object] = {"lossless": True, "quality": 20, "method": 2} if file_format == "WEBP" else {}
    file = io.BytesIO()
    pages[0].save(
        file,
        format=file_format,
        save_all=True,
        append_images=pages[1:],
        duration=round(1000 * seconds_per_frame),
        loop=0,
        **options,
    )
    return file.getvalue()


def difference_map(
    first: Float[Tensor, "3 h w"], second: Float[Tensor, "3 h w"], gain: float = 4.0
) -> Float[Tensor, "3 h w"]:
    """Absolute difference of two images, gain |a - b| in each color, clamped to 1; black where they are equal.

    Args:
        first, second: float32 [3, h, w] in [0, 1].
        gain: amplification, above 0.

    >>> import torch
    >>> difference_map(torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.25)).max().item()
    1.0
    """
    return (positive("gain", gain) * (first - second).abs()).clamp(max=1)
