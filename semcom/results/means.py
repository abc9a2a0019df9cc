"""Means and ratios of metrics over the rows of a run, with 95 % intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from channels.arq import SelectiveRepeat
from channels.errors import UsageError
from semcom.discover import nearest
from semcom.results.counts import counts, may_be_share
from semcom.results.intervals import Estimate, estimate, is_share, proportion
from semcom.results.table import ARQ_DELAY, OUTAGE, bounds, conditions, costs, metrics

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Line:
    """The mean of one metric of one system under one set of conditions.

    Args:
        metric: name of the metric.
        unit: unit of the metric, "" for a pure number.
        system: label of the system.
        bound: whether the system is a theoretical bound.
        conditions: value of each condition and swept argument; None where an argument does not apply.
        estimate: mean and 95 % interval.
    """

    metric: str
    unit: str
    system: str
    bound: bool
    conditions: dict[str, Any]
    estimate: Estimate


def summarize(table: pyarrow.Table, metric: str) -> list[Line]:
    """Mean and 95 % interval of a metric for each system under each set of conditions.

    The interval is for the mean over images of the same kind: images are the independent units, with all their
    repetitions and users. With a single image, repetitions are the units, and the interval is for the mean of that
    image. A ratio of counts, or a metric without a unit, that is 0 or 1 in every row, as for outage, has the interval
    of `proportion`.

    Args:
        table: table from `table.read`.
        metric: name from `table.metrics` or `table.costs`. Rows to which it does not apply (0 of 0) are left out.

    Raises:
        UsageError: the table has no such metric.
    """
    units = metrics(table) | costs(table)
    if metric not in units:
        raise UsageError(f"no metric {metric!r} in this run; {nearest(metric, units)}")
    if metric == ARQ_DELAY:
        return _arq_delays(table)
    columns = {name: table[name].to_pylist() for name in ("system", "bound", *conditions(table))}
    numerators, denominators = counts(table, metric)
    dimensionless = may_be_share(table, metric)
    images, repetitions = table["image"].to_pylist(), table["repetition"].to_pylist()
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(zip(*columns.values(), strict=True)):
        if (denominators[row] > 0).any():
            groups.setdefault(key, []).append(row)
    lines = []
    for key, rows in groups.items():
        clusters = [images[row] for row in rows]
        if len(set(clusters)) == 1:
            clusters = [repetitions[row] for row in rows]
        share = dimensionless and is_share(numerators[rows], denominators[rows])
        interval = proportion if share else partial(estimate, bounds=bounds(table, metric))
        system, bound, *values = key
        lines.append(
            Line(
                metric,
                units[metric],
                system,
                bound,
                dict(zip(conditions(table), values, strict=True)),
                interval(numerators[rows], denominators[rows], clusters),
            )
        )
    return lines


def outages(table: pyarrow.Table) -> list[Line]:
    """Outage probabilities, whether or not the scenario lists the metric; empty for rows without outage counts."""
    import pyarrow

    name = f"{OUTAGE}.numerator"
    if name not in table.column_names:
        return []
    field = pyarrow.field(name, table[name].type, metadata={"unit": ""})
    return summarize(table.set_column(table.column_names.index(name), field, table[name]), OUTAGE)


def _arq_delays(table: pyarrow.Table) -> list[Line]:
    """Delay with ARQ of each system under each set of conditions; rows without code blocks are left out."""
    import pyarrow
    from pyarrow import compute

    sent = table["bler.denominator"]
    table = table.append_column(pyarrow.field("blocks", sent.type, metadata={"unit": ""}), sent)
    table = table.filter(compute.greater(sent, 0))
    lines = zip(*(summarize(table, name) for name in ("airtime_s", "blocks", "bler")), strict=True)
    return [
        replace(
            airtime,
            metric=ARQ_DELAY,
            unit="s",
            estimate=_arq_delay(airtime.estimate, blocks.estimate.mean, bler.estimate),
        )
        for airtime, blocks, bler in lines
    ]


def _arq_delay(airtime_s: Estimate, blocks: float, bler: Estimate) -> Estimate:
    """Expected delay of an image with selective-repeat ARQ, computed with the defaults of `SelectiveRepeat`.

    With airtime A and n blocks (the mean, rounded), each block takes A / n seconds. Blocks are sent in bursts of up to
    20; an error-free acknowledgement arrives 0.02 s after the end of a burst. Each transmission of a block fails
    independently with probability p and is repeated until it succeeds; for p = 1 the delay is infinite. Computing
    time is not included. The delay increases with A and p; its interval combines both lower and both upper ends, so
    that it is conservative where A varies. An airtime that is the same for all images is known.

    Args:
        airtime_s: airtime A in seconds.
        blocks: mean number of code blocks of an image.
        bler: block error rate p.
    """
    packets = max(1, round(blocks))

    def delay(seconds: float, error: float) -> float:
        if math.isnan(error):
            return math.nan
        seconds = airtime_s.mean if math.isnan(seconds) else seconds
        return SelectiveRepeat(max(seconds / packets, 1e-9)).expected_delay_s(packets, error)

    ends = delay(airtime_s.low, bler.low), delay(airtime_s.high, bler.high)
    return Estimate(delay(airtime_s.mean, bler.mean), *ends, bler.clusters, bler.rows)
