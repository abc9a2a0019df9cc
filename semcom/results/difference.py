"""Figures of paired differences: every system of a run less one of them, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semcom.results import compare, labels, panels, scenario_file
from semcom.results import table as tables
from semcom.results.intervals import Estimate
from semcom.results.panels import Facet, Panels, Plan, RowOfPanels
from semcom.results.plot import draw_band
from semcom.results.style import Format

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes

_CROSSING = "Crossing point with 95 % interval"


def figure(
    table: pyarrow.Table,
    out: Path,
    against: str,
    x: str | None = None,
    metrics: Sequence[str] = (),
    look: Format | None = None,
) -> Path:
    """Plot the difference of each system to one of them, paired by image, fading and noise, against one swept quantity.

    Bands are paired 95 % intervals; a horizontal line is at 0. Over the SNR, diamonds mark the crossing points, with
    the 95 % interval of their SNR. Colors are those of `plot.figure`.

    Args:
        table: table from `table.read`.
        out: folder of the run.
        against: label of the system to compare with.
        x: swept quantity on the horizontal axis, as in `plot.figure`.
        metrics: names of the metrics; all if empty.
        look: file format, size and style; None for a PNG file.

    Returns:
        Path of the file: OUT/difference.SUFFIX, or OUT/difference-X.SUFFIX for another quantity than the default.

    Raises:
        UsageError: `x` was not swept, or the table has no such metric or system.
    """
    import matplotlib as mpl
    from matplotlib.lines import Line2D

    look, plan = look or Format(), Plan.of(table, x)
    units = tables.metrics(table) | tables.costs(table)
    chosen = list(metrics) or list(tables.metrics(table))
    curves = {row: found for metric in chosen for row, found in _curves(table, metric, against, plan).items()}
    curves = curves or {(metric, None): {} for metric in chosen}
    estimates = [point for found in curves.values() for points in found.values() for point in points.values()]
    title = [
        f"{scenario_file.title(out)}: difference to {labels.system(against)}, paired by image",
        plan.fixed,
        labels.csit(table),
        panels.sample_note(table, estimates),
    ]
    swept = tables.conditions(table)
    names = {row: f"Difference: {panels.row_label(row, units[row[0]], swept)}" for row in curves}
    looks = panels.curve_looks(table, out, plan.across)
    with mpl.rc_context(look.settings()):
        grid, handles, crossed = Panels(plan, names, title, look), {}, False
        for panel in grid.by_place.values():
            panel.axhline(0, color="#555555", linewidth=0.9, zorder=1)
        for row, found in curves.items():
            for (name, facet), points in found.items():
                handles[name] = _draw(grid.by_place[row, facet], name, points, looks[name], plan.along)
        for metric in dict.fromkeys(metric for metric, _ in curves) if plan.across == "snr_db" else ():
            for crossing in compare.crossings(table, metric, against):
                conditions = {"system": crossing.system, **crossing.conditions}
                color = looks[panels.curve_name(conditions, table, plan.across)]["color"]
                facet = tuple(conditions[name] for name in plan.apart)
                _mark(grid.by_place[panels.row_of(metric, conditions), facet], crossing, color)
                crossed = True
        if crossed:
            handles[_CROSSING] = Line2D([], [], linestyle="", marker="d", color="#555555", markerfacecolor="white")
        return grid.finish(handles, plan.file(out, "difference", look))


def _curves(
    table: pyarrow.Table, metric: str, against: str, plan: Plan
) -> dict[RowOfPanels, dict[tuple[str, Facet], dict[Any, Estimate]]]:
    """Differences by position on the horizontal axis, for each row of panels, curve and panel."""
    found: dict[RowOfPanels, dict[tuple[str, Facet], dict[Any, Estimate]]] = {}
    for one in compare.compare(table, metric, against):
        row = {"system": one.system, **one.conditions}
        key = panels.curve_name(row, table, plan.across), tuple(one.conditions[name] for name in plan.apart)
        position = one.conditions[plan.across]
        along = plan.along if position is None else [position]  # constant where neither system has this argument
        curves = found.setdefault(panels.row_of(metric, one.conditions), {})
        curves.setdefault(key, {}).update(dict.fromkeys(along, one.difference))
    return found


def _draw(panel: Axes, name: str, points: Mapping[Any, Estimate], look: Mapping[str, Any], along: list[Any]) -> Any:
    """Draw one curve of differences, and return its line for the legend."""
    words, places = panels.is_text(along), dict(zip(along, panels.positions(along), strict=True))
    values = sorted(points, key=along.index)
    x, found = [places[value] for value in values], [points[value] for value in values]
    (line,) = panel.plot(x, [one.mean for one in found], linestyle="" if words else "-", label=name, **look)
    draw_band(panel, x, found, look["color"], words)
    return line


def _mark(panel: Axes, crossing: compare.Crossing, color: str) -> None:
    """Mark a crossing point on the zero line, and its interval within the measured SNRs."""
    ends = np.clip([crossing.low, crossing.high], *panel.dataLim.intervalx)
    panel.plot(ends, [0, 0], color=color, linewidth=3, alpha=0.4, solid_capstyle="butt")
    panel.plot([crossing.snr_db], [0], linestyle="", marker="d", color=color, markerfacecolor="white", zorder=4)
