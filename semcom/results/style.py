"""Appearance of figures: sizes, fonts and colors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from channels.errors import UsageError
from semcom.scenario.numbers import number

# Colors of Okabe and Ito (2008), distinguishable with any color vision, without yellow, which is faint on white.
_COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
_WIDTHS = {"single": 3.5, "double": 7.16}  # inches; one and two columns of an IEEE journal
_MOST_INCHES = 50
_PANELS = 3  # most panels in a row
_FONTS: dict[Any, Any] = {
    "pdf.fonttype": 42,  # journals refuse Type 3 fonts
    "ps.fonttype": 42,
    "svg.fonttype": "none",  # text stays text, which can be searched and edited
    "svg.hashsalt": "semcom",
    "text.parse_math": False,  # labels are shown as written
}
_LINES: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.titlesize": "medium",
    "figure.titlesize": "medium",
    "legend.frameon": False,
    "legend.fontsize": "medium",
}


@dataclass(frozen=True)
class Format:
    """File format, size and style of a figure.

    Args:
        suffix: file format, "png", "pdf" or "svg".
        width: width in inches; None for a width that depends on the number of panels.
        height: height in inches; None for a height that depends on the content.
        style: "paper", or "slides" for larger text and thicker lines.
        largest: largest size of the text in points, for narrow panels.
    """

    suffix: str = "png"
    width: float | None = None
    height: float | None = None
    style: str = "paper"
    largest: float = math.inf

    @property
    def font_size(self) -> float:
        """Size of the text in points."""
        return min(self.largest, 15.0 if self.style == "slides" else 9.0 if self.width is None else 8.0)

    @property
    def panel(self) -> tuple[float, float]:
        """Width and height of a panel in inches, in a figure without a given width."""
        return (5.4, 3.7) if self.style == "slides" else (3.4, 2.3)

    @property
    def columns(self) -> int:
        """Largest number of panels in a row."""
        narrowest = 3.4 if self.style == "slides" else 2.2
        return _PANELS if self.width is None else max(1, min(_PANELS, int(self.width / narrowest)))

    @property
    def dpi(self) -> int:
        """Pixels per inch of a PNG file."""
        return 160 if self.width is None else 300

    def settings(self) -> dict[Any, Any]:
        """Matplotlib's rcParams."""
        thick = 2 if self.style == "slides" else 1
        sizes = {"font.size": self.font_size, "lines.linewidth": 1.4 * thick, "lines.markersize": 4 * thick + 1}
        return _FONTS | _LINES | sizes

    def characters(self, inches: float) -> int:
        """Number of characters of average width that fit into a length."""
        return max(8, int(inches * 72 / (0.56 * self.font_size)))


def format_of(size: str | None, suffix: str = "png", style: str = "paper") -> Format:
    """The format with a size as the command line writes it.

    Args:
        size: "single", "double", "WIDTH,HEIGHT" in inches, or None for a size that depends on the content.
        suffix, style: as in `Format`.

    Raises:
        UsageError: `size` is none of these.

    >>> format_of("single").width, format_of("6,4").height
    (3.5, 4.0)
    """
    if size is None or size in _WIDTHS:
        return Format(suffix, None if size is None else _WIDTHS[size], None, style)
    try:
        width, height = (float(number(part)) for part in size.split(","))
    except (UsageError, ValueError):  # another count of parts
        width = height = 0.0
    if not (1 <= width <= _MOST_INCHES and 1 <= height <= _MOST_INCHES):
        raise UsageError(
            f"--size must be single, double, or WIDTH,HEIGHT of 1 to {_MOST_INCHES} inches as in 6,4; not {size!r}"
        )
    return Format(suffix, width, height, style)


def looks(curves: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Color and marker of each curve: one color for each system, a lighter shade for each further curve of it.

    Args:
        curves: names of the curves of each system, systems in the order of the scenario.
    """
    found = {}
    for place, names in enumerate(curves.values()):
        turn, number = divmod(place, len(_COLORS))
        for i, name in enumerate(names):
            color = _lighter(_COLORS[number], 0.65 * i / len(names))
            found[name] = {"color": color, "marker": _MARKERS[(number + turn + i) % len(_MARKERS)]}
    return found


def _lighter(color: str, share: float) -> str:
    """A color mixed with a share of white."""
    parts = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (255 - part) * share):02x}" for part in parts)
