"""Panels of a figure: the quantity on the axis, the conditions that select a panel, and the drawing with its legend."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels.errors import UsageError
from semcom import atomic
from semcom.discover import nearest
from semcom.results import labels, scenario_file
from semcom.results import table as tables
from semcom.results.intervals import FEW, Estimate
from semcom.results.printing import printable
from semcom.results.style import Format, looks

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Facet = tuple[Any, ...]
RowOfPanels = tuple[str, str | None]  # metric, and label of the image source if a run has several

_MANY = 10  # from so many images on, a figure does not explain why its bands are wide


@dataclass(frozen=True)
class Plan:
    """What a figure of a run shows where.

    Args:
        across: swept quantity on the horizontal axis.
        along: its values.
        apart: names of the conditions that select a panel, without the image source, which selects a row of panels.
        facets: their values and the text of those that differ, for each panel.
        fixed: text of the conditions that are the same in all panels.
        default: whether `across` is the default axis of a figure.
    """

    across: str
    along: list[Any]
    apart: list[str]
    facets: dict[Facet, str]
    fixed: str
    default: bool

    @classmethod
    def of(cls, table: pyarrow.Table, x: str | None = None) -> Plan:
        """The plan of a table with the quantity `x`, or the default one, on the horizontal axis.

        Raises:
            UsageError: `x` was not swept.
        """
        swept = tables.conditions(table)
        default = first_swept(swept)
        across = x or default
        if across not in swept:
            raise UsageError(f"{across!r} was not swept; {nearest(across, swept)}")
        apart = [name for name in panel_conditions(table, across) if name != tables.SOURCE]
        constant = [name for name in apart if len(swept[name]) == 1 and (name != "users" or swept[name] != [1])]
        fixed = [labels.fixed_condition(name, *swept[name]) for name in constant]
        fixed += filter(None, (labels.swept_definition(name) for name in (across, *apart) if name not in constant))
        values = itertools.product(*(swept[name] for name in apart))
        facets = {facet: labels.conditions(apart, facet, swept) for facet in values}
        return cls(across, swept[across], apart, facets, ", ".join(fixed), across == default)

    def file(self, out: Path, name: str, look: Format) -> Path:
        """The path of a figure; the name states the axis if it is not the default one."""
        return out / (f"{name}.{look.suffix}" if self.default else f"{name}-{self.across}.{look.suffix}")


def first_swept(swept: Mapping[str, list[Any]]) -> str:
    """The default of the horizontal axis: the SNR if it was swept, else a swept number, else a swept text."""
    several = [name for name in ("snr_db", *swept) if len(swept[name]) > 1]
    numbers = [name for name in several if not any(isinstance(value, str) for value in swept[name])]
    return next(iter((*numbers, *several)), "snr_db")


def panel_conditions(table: pyarrow.Table, across: str) -> list[str]:
    """Conditions that select the panel: all but the horizontal axis and the arguments of systems."""
    channels = {"channel", *table["channel"].unique().to_pylist()}
    return [
        name
        for name in tables.conditions(table)
        if name != across and (name in tables.CONDITIONS or name.partition(".")[0] in channels)
    ]


def row_of(metric: str, conditions: Mapping[str, Any]) -> RowOfPanels:
    """The row of panels for a metric under a set of conditions."""
    return metric, conditions.get(tables.SOURCE)


def row_label(row: RowOfPanels, unit: str, swept: Mapping[str, list[Any]]) -> str:
    """The axis label of a row of panels: the metric, and the image source if there are several."""
    metric, source = row
    label = labels.axis_label(metric, unit)
    return f"{label}, {source}" if source is not None and len(swept[tables.SOURCE]) > 1 else label


def curve_name(row: Mapping[str, Any], table: pyarrow.Table, across: str) -> str:
    """A system's title with its swept arguments, except for the one on the horizontal axis."""
    apart = {across, *panel_conditions(table, across)}
    arguments = [
        labels.condition(name, row[name])
        for name in tables.conditions(table)
        if name not in apart and row.get(name) is not None
    ]
    return ", ".join([labels.system(row["system"], table["system"].unique().to_pylist()), *arguments])


def curve_looks(table: pyarrow.Table, out: Path, across: str) -> dict[str, dict[str, Any]]:
    """Color and marker of every curve of a run; a system has the same color in all figures of the run."""
    columns = ["system", *(name for name in tables.conditions(table) if name not in tables.CONDITIONS)]
    curves: dict[str, dict[str, None]] = {label: {} for label in scenario_file.systems(out)}
    for row in table.select(columns).group_by(columns, use_threads=False).aggregate([]).to_pylist():
        curves.setdefault(row["system"], {})[curve_name(row, table, across)] = None
    return looks({system: list(names) for system, names in curves.items()})


def sample_note(table: pyarrow.Table, estimates: Iterable[Estimate]) -> str:
    """Number of independent images n of the intervals of a figure, and how it marks fewer than five."""
    counts = sorted({found.clusters for found in estimates}) or [0]
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    unit = "image" if len(table["image"].unique()) > 1 or counts[-1] <= 1 else "repetition"
    of_one = "" if unit == "image" else " of one image"
    plural = "" if counts[-1] == 1 else "s"
    dotted = f"; dotted: fewer than {FEW} {unit}s" if 1 < counts[0] < FEW or counts[0] < FEW < counts[-1] else ""
    wide = " (few, therefore wide)" if counts[-1] < _MANY else ""
    return (
        f"bands: 95 % intervals of the mean, n = {span} {unit}{plural}{of_one}{wide}{dotted}"
        if counts[-1] > 1
        else "n = 1 image, no interval"
    )


# --- drawing ---------------------------------------------------------------------------------------------------------


class Sheet:
    """A figure with panels of equal size, at most three in a row, a title above and a legend below.

    Args:
        across: number of panels side by side; those that exceed the width continue in the next row.
        blocks: number of times that these panels are repeated below each other.
        title: lines above the panels.
        look: format of the figure.
    """

    def __init__(self, across: int, blocks: int, title: Sequence[str], look: Format) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._look = look
        rows = math.ceil(across / look.columns)
        if across % rows and across % (rows + 1) == 0 and across > rows + 1:
            rows += 1  # rows of equal length, as 4 rows of 2 in place of 3, 3 and 2
        self.columns = math.ceil(across / rows)
        self._rows = math.ceil(across / self.columns) * blocks
        self._width = look.width or 1.0 + look.panel[0] * self.columns
        self.panel_width = self._width / self.columns - 0.6
        self._panel_height = look.panel[1] if look.width is None else 0.7 * self._width / self.columns + 0.3
        self.drawing: Figure = Figure(figsize=(self._width, look.height or 4), layout="constrained")
        FigureCanvasAgg(self.drawing)
        self.grid = self.drawing.add_gridspec(self._rows, self.columns)
        lines = [line for text in title for line in text.splitlines() if line]
        self._title = [part for line in lines for part in textwrap.wrap(printable(line), look.characters(self._width))]
        self.drawing.suptitle("\n".join(self._title))

    @property
    def panel_height(self) -> float:
        """Height of a panel with its labels in inches."""
        return (self._look.height or self._panel_height * self._rows) / self._rows

    def finish(self, handles: Mapping[str, Any], path: Path) -> Path:
        """Add the legend, one entry for each name, set the height, and write the file."""
        legend = _legend(self.drawing, {printable(name): handle for name, handle in handles.items()}, self._look)
        if self._look.height is None:
            line = 1.3 * self._look.font_size / 72
            height = self._rows * self._panel_height + len(self._title) * line + legend + 0.4
            self.drawing.set_size_inches(self._width, height)
        return save(self.drawing, path, self._look)


class Panels(Sheet):
    """A figure with one panel for each metric, image source and facet.

    Args:
        plan: plan of the figure.
        metrics: axis label of each row of panels.
        title: lines above the panels.
        look: format of the figure.
    """

    def __init__(self, plan: Plan, metrics: Mapping[RowOfPanels, str], title: Sequence[str], look: Format) -> None:
        several = len(plan.facets) > 1
        across = len(plan.facets) if several else len(metrics)
        super().__init__(across, len(metrics) if several else 1, title, look)
        columns = self.columns
        self.by_place: dict[tuple[RowOfPanels, Facet], Axes] = {}
        lowest: dict[int, Axes] = {}
        for row, (metric, text) in enumerate(metrics.items()):
            first = None
            for i, (facet, name) in enumerate(plan.facets.items()):
                block, column = divmod(i if several else row, columns)
                line = block + (row * math.ceil(across / columns) if several else 0)
                other = next(iter(lowest.values()), None)
                panel = self.drawing.add_subplot(self.grid[line, column], sharex=other, sharey=first)
                self.by_place[metric, facet] = panel
                first = first or (panel if several else None)
                if column == 0 or not several:
                    panel.set_ylabel(textwrap.fill(text, look.characters(self.panel_height)))
                else:
                    panel.tick_params(labelleft=False)
                if several and (row == 0 or len(plan.facets) > columns):
                    panel.set_title(textwrap.fill(printable(name), look.characters(self.panel_width)))
                if column in lowest:
                    lowest[column].tick_params(labelbottom=False)
                lowest[column] = panel
        for panel in lowest.values():
            panel.set_xlabel(labels.axis_label(plan.across))
        self._ticks(plan, lowest.values())

    def _ticks(self, plan: Plan, lowest: Iterable[Axes]) -> None:
        """Mark the values of the swept quantity on the axis, where they leave room for their texts."""
        text = labels.ratio if plan.across == "medium_cbr_budget" else labels.plain
        texts = [printable(text(value)) for value in plan.along]
        if not is_text(plan.along):
            texts = [text.replace("-", "\N{MINUS SIGN}") for text in texts]
        places = positions(plan.along)
        span = (max(places) - min(places)) or 1
        gap = min((b - a for a, b in itertools.pairwise(places)), default=span) / span * self.panel_width
        wide = max(map(len, texts)) * 0.6 * self._look.font_size / 72 > gap
        if is_text(plan.along):
            for panel in lowest:
                turned: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if wide else {}
                panel.set_xticks(places, texts, **turned)
        elif not wide:
            for panel in lowest:
                panel.set_xticks(places, texts)


def is_text(along: Sequence[Any]) -> bool:
    """Whether the values of an axis are words, which curves do not connect."""
    return any(isinstance(value, str) for value in along)


def positions(along: Sequence[Any]) -> list[float]:
    """Positions of the values of an axis: numbers at their value, words one after the other."""
    return [float(i) if is_text(along) else float(value) for i, value in enumerate(along)]


def logarithmic(panel: Axes, horizontal: bool = False) -> None:
    """Make the vertical axis logarithmic, with plain numbers: texts of figures are not parsed as formulas.

    Args:
        panel: panel to change.
        horizontal: change the horizontal axis instead, with numbers at powers of ten only.
    """
    from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter

    if horizontal:
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # 0.01, not 1e-02
        panel.xaxis.set_minor_formatter(NullFormatter())
        return
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(LogFormatter())
    panel.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))


def save(drawing: Figure, path: Path, look: Format) -> Path:
    """Write a figure, as a whole or not at all."""
    author = {"Software" if look.suffix == "png" else "Creator": "semcom"}  # `semcom.cli.outputs` looks for it
    with atomic.replacing(path) as file:
        drawing.savefig(file, format=look.suffix, dpi=look.dpi, metadata=author)
    return path


def _legend(drawing: Figure, handles: Mapping[str, Any], look: Format) -> float:
    """Add the legend below the panels, in as many columns as fit the width; return its height in inches."""
    if not handles:
        return 0.0
    inches, names = drawing.get_figwidth(), list(handles)
    whole = [(columns, 10_000) for columns in range(min(len(names), 6), 0, -1)]
    wrapped = [(1, int(look.characters(inches) * share)) for share in (0.9, 0.75, 0.6, 0.45)]
    for columns, characters in (*whole, *wrapped):
        # the names are set afterwards: a legend leaves out entries that start with an underscore
        legend = drawing.legend(handles.values(), ["x"] * len(names), loc="outside lower center", ncols=columns)
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set_text(textwrap.fill(name, max(8, characters)) if characters < len(name) else name)
        size = legend.get_window_extent(drawing.canvas.get_renderer())  # type: ignore[attr-defined]
        if size.width < 0.98 * drawing.bbox.width or (columns, characters) == wrapped[-1]:
            break
        legend.remove()
    return float(size.height / drawing.dpi)
