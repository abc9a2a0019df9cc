"""Cells of tables: values, columns of limited width for terminals, and texts that a spreadsheet does not calculate."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from semcom.results.intervals import FEW, Estimate
from semcom.results.printing import printable

WIDTH = 100  # columns of a table for a terminal
_CELL = 34  # widest column; holds every estimate with its interval
_FORMULA = ("=", "+", "-", "@")  # first characters of a spreadsheet formula


def spreadsheet(value: object) -> object:
    """A cell of a CSV file; an apostrophe is put before a text that a spreadsheet would read as a formula.

    Source: OWASP, CSV injection.

    >>> spreadsheet("=1+1"), spreadsheet("analog"), spreadsheet(-5.0)
    ("'=1+1", 'analog', -5.0)
    """
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value.startswith(_FORMULA) else printable(value)


def value_text(value: object) -> str:
    """The value of a condition as tables print it; "" where it does not apply.

    >>> value_text(10.0), value_text(None)
    ('10', '')
    """
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def marked(found: Estimate) -> str:
    """An estimate as tables print it; a star marks an interval of fewer than five independent images."""
    return f"{found}*" if found.clusters < FEW and not math.isnan(found.low) else str(found)


def sample_size(estimates: Iterable[Estimate], of_one_image: bool = False) -> str:
    """Number of independent images that intervals are computed from, and the meaning of a star beside one.

    Args:
        estimates: means with their intervals.
        of_one_image: whether there is a single image, so that the intervals are over its repetitions.

    >>> sample_size([]), sample_size([Estimate(1.0, 0.0, 2.0, 4, 8)])
    ('no intervals', '95 % intervals over n = 4 images; * fewer than 5 images: indicative only')
    """
    counts = sorted({found.clusters for found in estimates})
    if not counts:
        return "no intervals"
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if counts == [1]:
        return "n = 1 image: no intervals"
    units = "repetitions" if of_one_image else "images"
    few = f"; * fewer than {FEW} {units}: indicative only" if counts[0] < FEW else ""
    return f"95 % intervals over n = {span} {units}{' of one image' if of_one_image else ''}{few}"


def aligned(grid: Sequence[Sequence[str]], keys: int = 0, width: int = WIDTH) -> str:
    """Cells as text, in columns aligned to the right; a table that is too wide is split into blocks of columns.

    A heading is wrapped to the width of its column, and a cell of more than 34 characters is wrapped too.

    Args:
        grid: cells, headings first.
        keys: number of columns that every block repeats, the first ones.
        width: columns of the terminal.

    >>> print(aligned([["snr_db", "analog", "AVIF, 6 dB margin"], ["0", "20.0", "24.0"]], keys=1, width=20))
    snr_db  analog
         0    20.0
    <BLANKLINE>
    snr_db   AVIF,
              6 dB
            margin
         0    24.0
    """
    columns = [[printable(cell) for cell in column] for column in zip(*grid, strict=True)]
    widths = [
        min(_CELL, max(max(map(len, body), default=0), *(len(word) for word in head.split()), 0))
        for head, *body in columns
    ]
    blocks: list[list[int]] = []
    fixed = list(range(keys))
    for column in range(keys, len(columns)):
        if not blocks or sum(widths[place] + 2 for place in [*blocks[-1], column]) - 2 > width:
            blocks.append(list(fixed))
        blocks[-1].append(column)
    return "\n\n".join(_block([columns[i] for i in block], [widths[i] for i in block]) for block in blocks or [fixed])


def _block(columns: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    lines = []
    for row in zip(*columns, strict=True):
        wrapped = [textwrap.wrap(cell, max(width, 1)) or [""] for cell, width in zip(row, widths, strict=True)]
        for line in zip_longest(*wrapped, fillvalue=""):
            lines.append("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return "\n".join(lines)
