"""One image that compares several: tiles in rows, each with a caption."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from semcom.images.files import to_pil

_NARROWEST, _WIDEST = 224, 1024  # pixels of a tile
_MARGIN, _TEXT, _LINE = 8, 14, 18  # pixels: around a tile, height of the font, distance of lines


@dataclass(frozen=True)
class Tile:
    """An image and its caption.

    Args:
        image: image in the size in which it is shown.
        caption: lines of text below the image.
    """

    image: Image.Image
    caption: tuple[str, ...]


def tile(pixels: Float[Tensor, "3 h w"], caption: Sequence[str]) -> Tile:
    """A tile: pixels of small images are repeated, images wider than 1024 pixels are reduced.

    Args:
        pixels: float [3, h, w] in [0, 1].
        caption: lines of text.

    >>> import torch
    >>> tile(torch.ones(3, 64, 64), ["original"]).image.size
    (256, 256)
    """
    image = to_pil(pixels)
    width, height = image.size
    if width > _WIDEST:
        image = image.resize((_WIDEST, max(1, round(height * _WIDEST / width))), Image.Resampling.LANCZOS)
    elif (times := -(-_NARROWEST // width)) > 1:
        image = image.resize((width * times, height * times), Image.Resampling.NEAREST)
    return Tile(image, tuple(line for text in caption for line in _wrapped(text, image.width)))


def comparison(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """Tiles in rows, on white, with their captions."""
    columns = max(map(len, rows))
    widths = [max(row[i].image.width for row in rows if i < len(row)) + 2 * _MARGIN for i in range(columns)]
    heights = [max(one.image.height + _LINE * len(one.caption) for one in row) + 3 * _MARGIN for row in rows]
    page = Image.new("RGB", (sum(widths), sum(heights)), "white")
    draw = ImageDraw.Draw(page)
    for i, row in enumerate(rows):
        top = sum(heights[:i]) + _MARGIN
        for j, one in enumerate(row):
            left = sum(widths[:j]) + _MARGIN
            page.paste(one.image, (left, top))
            for k, line in enumerate(one.caption):
                draw.text((left, top + one.image.height + _MARGIN // 2 + k * _LINE), line, "black", _font())
    return page


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    spec = importlib.util.find_spec("matplotlib")  # has a font with many scripts; not imported
    if spec is not None and spec.submodule_search_locations:
        path = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), _TEXT)
    return ImageFont.load_default(_TEXT)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """The text in lines that are at most `width` pixels wide."""
    line = ""
    for word in text.split():
        if line and _font().getlength(f"{line} {word}") > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while _font().getlength(line) > width and len(line) > 1:
            count = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or _font().getlength(line[:n]) <= width)
            yield line[:count]
            line = line[count:]
    if line:
        yield line
