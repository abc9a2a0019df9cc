"""Figures of a run: curves with 95 % confidence bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semcom.results import labels, means, panels, scenario_file
from semcom.results import table as tables
from semcom.results.intervals import FEW, Estimate
from semcom.results.panels import Facet, Panels, Plan, RowOfPanels
from semcom.results.published import PublishedCurve, PublishedPoint, in_panels
from semcom.results.style import Format

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes

_LOGARITHMIC = ("message_ber", "ber")
_PROBABILITIES = ("outage", "bler")
_OUTAGE_LIMIT = 0.5  # outage probability above which a marker is hollow
_HOLLOW = "Hollow marker: outage probability above 50 %"


def figure(
    table: pyarrow.Table,
    out: Path,
    x: str | None = None,
    metrics: Sequence[str] = (),
    look: Format | None = None,
    published: Sequence[PublishedPoint] = (),
) -> Path:
    """Plot each metric against one swept quantity: one panel for each metric, image source and condition.

    Lines are systems, bands are 95 % confidence intervals of the mean over images, bounds are dashed, published curves
    are dotted. A marker is hollow where the outage probability exceeds 50 %, and a band has a dotted outline where its
    interval is computed from fewer than five images. A system has the same color in all figures of a run.

    Args:
        table: table from `table.read`.
        out: folder of the run.
        x: swept quantity on the horizontal axis, a name from `table.conditions`; None for the SNR if it was swept, else
            for the first quantity that was.
        metrics: names of the metrics; all if empty.
        look: file format, size and style; None for a PNG file.
        published: values from `published.read`.

    Returns:
        Path of the file: OUT/figure.SUFFIX, or OUT/figure-X.SUFFIX for another quantity than the default.

    Raises:
        UsageError: `x` was not swept, the table has no such metric, or a published curve fits no panel.
    """
    import matplotlib as mpl

    look, plan = look or Format(), Plan.of(table, x)
    chosen = list(metrics) or list(tables.metrics(table))
    curves = _curves(table, chosen, plan)
    measured = {curve.row for curve in curves}  # a metric may not apply to the images
    sources = tables.conditions(table).get(tables.SOURCE, [None])
    rows = [
        row for metric in chosen for source in sources for row in [(metric, source)] if row in measured or not measured
    ]
    chosen = list(dict.fromkeys(metric for metric, _ in rows))
    overlay = in_panels(published, table, out, plan, chosen)
    looks = panels.curve_looks(table, out, plan.across)
    note = panels.sample_note(table, [point for curve in curves for point in curve.points.values()])
    title = [scenario_file.title(out), plan.fixed, labels.csit(table), note]
    units, swept = tables.metrics(table) | tables.costs(table), tables.conditions(table)
    names = {row: panels.row_label(row, units[row[0]], swept) for row in rows}
    with mpl.rc_context(look.settings()):
        grid, handles = Panels(plan, names, title, look), {}
        for curve in curves:
            handles[curve.name] = _draw(grid.by_place[curve.row, curve.facet], curve, looks[curve.name], plan.along)
        for i, (other, places) in enumerate(overlay.items()):
            for metric, facet in places:
                for row in [row for row in rows if row[0] == metric]:
                    handles[other.legend] = _draw_published(grid.by_place[row, facet], other, i)
        for ((metric, source), _), panel in grid.by_place.items():
            if metric in _PROBABILITIES:
                panel.set_ylim(-0.04, 1.04)
            own = [curve for curve in curves if curve.row == (metric, source)]
            points = [point.mean for curve in own for point in curve.points.values()]
            if metric in _LOGARITHMIC and any(mean > 0 for mean in points):
                panels.logarithmic(panel)
        if any(curve.outages for curve in curves):
            handles[_HOLLOW] = _hollow_marker()
        return grid.finish(handles, plan.file(out, "figure", look))


@dataclass(frozen=True)
class _Curve:
    """One line of a panel.

    Args:
        name: legend entry.
        bound: whether it is a theoretical bound, plotted dashed.
        row: row of panels.
        facet: values of the conditions that select the panel.
        points: mean and interval by position on the horizontal axis.
        outages: positions at which the outage probability exceeds 50 %.
    """

    name: str
    bound: bool
    row: RowOfPanels
    facet: Facet
    points: dict[Any, Estimate]
    outages: frozenset[Any]


def _curves(table: pyarrow.Table, metrics: Sequence[str], plan: Plan) -> list[_Curve]:
    outages = {
        (line.system, *line.conditions.values())
        for line in means.outages(table)
        if line.estimate.mean > _OUTAGE_LIMIT and not line.bound
    }
    found: dict[tuple[str, RowOfPanels, Facet], _Curve] = {}
    for metric in metrics:
        for line in means.summarize(table, metric):
            name = panels.curve_name({"system": line.system, **line.conditions}, table, plan.across)
            facet, position = tuple(line.conditions[key] for key in plan.apart), line.conditions[plan.across]
            row = panels.row_of(metric, line.conditions)
            curve = found.get((name, row, facet), _Curve(name, line.bound, row, facet, {}, frozenset()))
            along = plan.along if position is None else [position]  # constant for a system without this argument
            hollow = set(along) if (line.system, *line.conditions.values()) in outages else set()
            points = curve.points | dict.fromkeys(along, line.estimate)
            found[name, row, facet] = replace(curve, points=points, outages=curve.outages | hollow)
    return list(found.values())


def _draw(panel: Axes, curve: _Curve, look: Mapping[str, Any], along: list[Any]) -> Any:
    """Draw a curve, and return its line for the legend."""
    words, places = panels.is_text(along), dict(zip(along, panels.positions(along), strict=True))
    values = sorted(curve.points, key=along.index)
    x, mean = [places[value] for value in values], [curve.points[value].mean for value in values]
    line = "" if words else "--" if curve.bound else "-"
    marker = "_" if curve.bound and words else "" if curve.bound else look["marker"]
    (handle,) = panel.plot(x, mean, linestyle=line, marker=marker, color=look["color"], label=curve.name)
    hollow = [i for i, value in enumerate(values) if value in curve.outages]
    panel.plot(
        [x[i] for i in hollow],
        [mean[i] for i in hollow],
        linestyle="",
        marker=marker,
        color=look["color"],
        markerfacecolor="white",
    )
    draw_band(panel, x, [curve.points[value] for value in values], look["color"], words)
    return handle


def draw_band(panel: Axes, x: Sequence[float], points: Sequence[Estimate], color: str, words: bool) -> None:
    """Draw the intervals of a curve: a band, or bars at words and at a single point; dotted where n is below five."""
    low, high = [point.low for point in points], [point.high for point in points]
    few = any(point.clusters < FEW for point in points)
    if words or len(points) == 1:
        panel.vlines(x, low, high, color=color, alpha=0.5, linestyle=":" if few else "-")
    elif few:
        panel.fill_between(
            x, low, high, facecolor=(color, 0.08), edgecolor=(color, 0.7), linewidth=0.9, linestyle=(0, (1, 1.5))
        )
    else:
        panel.fill_between(x, low, high, facecolor=(color, 0.15), linewidth=0)


def _draw_published(panel: Axes, curve: PublishedCurve, number: int) -> Any:
    x, values = zip(*sorted(curve.points), strict=True)
    (handle,) = panel.plot(
        x, values, linestyle=":", marker="x+*12"[number % 5], color=("#555555", "#999999")[number // 5 % 2]
    )
    return handle


def _hollow_marker() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="", marker="o", color="#555555", markerfacecolor="white")
