"""Curves of publications, read from CSV files and drawn beside the curves of a run."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels.errors import UsageError
from semcom.results import scenario_file
from semcom.results.panels import Facet, Plan
from semcom.scenario.numbers import number

if TYPE_CHECKING:
    import pyarrow

COLUMNS = ("system", "dataset", "channel", "medium_cbr", "metric", "snr_db", "value", "source")
_AXES = {"snr_db": "snr_db", "medium_cbr_budget": "medium_cbr"}  # axis of a figure: column of the file
_CBR_TOLERANCE = 0.02  # relative; 1/12 is also written 0.083


@dataclass(frozen=True)
class PublishedPoint:
    """One line of a file.

    Args:
        system: name of the system.
        dataset: name of the image set.
        channel: name of the channel.
        medium_cbr: channel uses per real number of an image.
        metric: name of the metric.
        snr_db: Es/N0 in dB.
        value: mean of the metric.
        source: publication, and how the value was read.
    """

    system: str
    dataset: str
    channel: str
    medium_cbr: float
    metric: str
    snr_db: float
    value: float
    source: str


@dataclass(frozen=True)
class PublishedCurve:
    """A curve of a publication over one axis.

    Args:
        legend: legend entry.
        points: pairs (position on the axis, value).
    """

    legend: str
    points: tuple[tuple[float, float], ...]


def read(path: Path) -> list[PublishedPoint]:
    """Read a CSV file of published values with the columns `COLUMNS`.

    Raises:
        UsageError: the file cannot be read, a column is missing, or a number is invalid.
    """
    if path.is_char_device():  # /dev/zero has no end
        raise UsageError(f"{path} is a device; give a CSV file in UTF-8")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(f"{path}:1: no column {missing[0]!r}; the columns are {', '.join(COLUMNS)}")
            points = [_point(line, f"{path}:{reader.line_num}") for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be read: {reason}; give a CSV file in UTF-8") from None
    if not points:
        raise UsageError(f"{path} has no values; write one line for each value")
    return points


def _point(line: Mapping[str, str | None], place: str) -> PublishedPoint:
    numbers = {}
    for name in ("medium_cbr", "snr_db", "value"):
        try:
            numbers[name] = float(number(line[name] or ""))  # None in a line that is too short
        except UsageError:
            numbers[name] = math.nan
        if not math.isfinite(numbers[name]):
            raise UsageError(f"{place}: {name} must be a number, not {line[name]!r}")
    texts = {name: line[name] or "" for name in COLUMNS if name not in numbers}
    return PublishedPoint(**texts, **numbers)  # type: ignore[arg-type]


def in_panels(
    points: Sequence[PublishedPoint], table: pyarrow.Table, out: Path, plan: Plan, metrics: Sequence[str]
) -> dict[PublishedCurve, list[tuple[str, Facet]]]:
    """The curves over the axis of a figure, and the panels (metric, facet) that they belong to.

    A curve belongs to the panels of its metric whose channel has its name or label and whose other condition, the
    channel-use budget or the SNR, is equal.

    Args:
        points: values from `read`.
        table: table from `table.read`.
        out: folder of the run.
        plan: plan of the figure.
        metrics: names of the metrics of the figure.

    Raises:
        UsageError: a curve fits no panel.
    """
    if points and plan.across not in _AXES:
        raise UsageError(
            f"published curves are over {' or '.join(_AXES)}, not {plan.across}; choose --x {next(iter(_AXES))}"
        )
    groups: dict[tuple[str, ...] | tuple[object, ...], list[PublishedPoint]] = {}
    other = "medium_cbr" if plan.across == "snr_db" else "snr_db"
    for point in points:
        key = (point.system, point.dataset, point.channel, point.metric, getattr(point, other))
        groups.setdefault(key, []).append(point)
    names = scenario_file.channel_names(out)
    found = {}
    for group in groups.values():
        first = group[0]
        places = [
            (first.metric, facet)
            for facet in plan.facets
            if first.metric in metrics and _fits(first, dict(zip(plan.apart, facet, strict=True)), names)
        ]
        if not places:
            shown = "; ".join(
                filter(None, (", ".join(metrics), plan.fixed, " | ".join(filter(None, plan.facets.values()))))
            )
            raise UsageError(
                f"the published curve {first.system} ({first.metric} over {first.channel} at medium_cbr "
                f"{first.medium_cbr:g}{f', {first.snr_db:g} dB' if other == 'snr_db' else ''}) fits no panel of this "
                f"figure ({shown}); give a file of the same metric, channel and {other}"
            )
        pairs = tuple((float(getattr(point, _AXES[plan.across])), point.value) for point in group)
        found[PublishedCurve(f"{first.system}, {first.dataset} (published)", pairs)] = places
    return found


def _fits(point: PublishedPoint, conditions: dict[str, Any], names: dict[str, str]) -> bool:
    """Whether a panel with these conditions shows the same channel, budget and SNR."""
    channel = str(conditions.get("channel", point.channel))
    same_channel = point.channel.casefold() in (channel.casefold(), names.get(channel, channel).casefold())
    budget, snr_db = conditions.get("medium_cbr_budget", point.medium_cbr), conditions.get("snr_db", point.snr_db)
    return (
        same_channel
        and math.isclose(float(budget), point.medium_cbr, rel_tol=_CBR_TOLERANCE)
        and snr_db == point.snr_db
    )
