"""Rows and what they come to: read a folder of parts, take ratios and means, and say how sure one may be."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from channels._errors import UsageError
from channels.arq import SelectiveRepeat
from semcom.discover import nearest

if TYPE_CHECKING:
    import pyarrow

CONDITIONS = ("channel", "medium_cbr_granted", "users", "snr_db")
ARQ_DELAY = "arq_delay_s"
_ABOUT_ROWS = ("system", *CONDITIONS, "repetition", "image", "user", "bound", "weights", "point", "picture", "seconds")
_RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean, or a ratio of sums, with its 95 % interval.

    Args:
        mean: over all rows, or sum of numerators over sum of denominators.
        low: lower end of the interval; NaN when there is only one thing to resample.
        high: upper end.
        clusters: how many independent things (pictures) were resampled.
        rows: how many rows there were.
    """

    mean: float
    low: float
    high: float
    clusters: int
    rows: int

    def __str__(self) -> str:
        if math.isnan(self.low):
            return _short(self.mean)
        return f"{_short(self.mean)} [{_short(self.low)}, {_short(self.high)}]"


@dataclass(frozen=True)
class Line:
    """One line of a summary: a metric of a system under some conditions."""

    metric: str
    unit: str
    system: str
    bound: bool
    conditions: dict[str, Any]
    estimate: Estimate


def read(out: str | Path) -> pyarrow.Table:
    """All rows of a folder that `sweep.run` wrote to, finished or not, with their seconds.

    Raises:
        UsageError: there are none.
    """
    out = Path(out)
    paths = sorted((out / "rows").glob("[!.]*.parquet"))
    if not paths:
        raise UsageError(f"no rows in {out}; `semcom run SCENARIO --out {out}` makes them")
    parts = []
    for path in paths:
        part, seconds = read_part(path), out / "seconds" / path.name
        parts.append(part.append_column("seconds", read_part(seconds)["seconds"]) if seconds.is_file() else part)
    table = joined(parts)
    return table.take(_order(table, out / "scenario.yaml"))


def read_part(path: Path) -> pyarrow.Table:
    """One file of a run's folder.

    Raises:
        UsageError: it cannot be read.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise UsageError(f"{path} cannot be read ({error}); remove it and run again") from None


def joined(parts: Sequence[pyarrow.Table]) -> pyarrow.Table:
    """Parts of a table as one; a column that a part lacks is null there."""
    import pyarrow

    return pyarrow.concat_tables(_same_types(parts), promote_options="permissive")


def _order(table: pyarrow.Table, scenario: Path) -> list[int]:
    """Rows by repetition and condition, with channels and systems as the scenario lists them."""
    import yaml

    written = yaml.safe_load(scenario.read_text(encoding="utf-8")) if scenario.is_file() else {}
    places = {
        (column, variant["label"]): i
        for column, key in (("channel", "channel"), ("system", "systems"))
        for i, variant in enumerate(written.get(key, []))
    }
    names = ("repetition", "channel", "medium_cbr_granted", "users", "snr_db", "system", "point")
    columns = [[places.get((name, value), value) for value in table[name].to_pylist()] for name in names]
    keys = list(zip(*columns, strict=True))
    return sorted(range(len(keys)), key=keys.__getitem__)


def _same_types(parts: Sequence[pyarrow.Table]) -> list[pyarrow.Table]:
    """Make text of a column that is text in one part and a number in another (a swept "auto" beside 0.5)."""
    import pyarrow

    text = {field.name for part in parts for field in part.schema if pyarrow.types.is_string(field.type)}
    return [
        part.cast(
            pyarrow.schema(field.with_type(pyarrow.string()) if field.name in text else field for field in part.schema)
        )
        for part in parts
    ]


def metrics(table: pyarrow.Table) -> dict[str, str]:
    """Names of the metrics in a table, and their units; where `bler` and `airtime_s` are known, also `arq_delay_s`."""
    found = {
        field.name.removesuffix(".numerator"): field.metadata[b"unit"].decode()
        for field in table.schema
        if field.metadata and b"unit" in field.metadata and not field.name.endswith(".denominator")
    }
    return found | ({ARQ_DELAY: "s"} if {"bler", "airtime_s"} <= found.keys() else {})


def conditions(table: pyarrow.Table) -> dict[str, list[Any]]:
    """Conditions of the rows and swept arguments, and the values that each took: numbers rising, words as they come."""
    measured = {field.name for field in table.schema if field.metadata and b"unit" in field.metadata}
    arguments = [name for name in table.column_names if name not in measured and name not in _ABOUT_ROWS]
    return {
        name: sorted(values, key=lambda value: (True, 0) if isinstance(value, str) else (False, value))
        for name in (*CONDITIONS, *arguments)
        for values in [[value for value in table[name].unique().to_pylist() if value is not None]]
    }


def summarise(table: pyarrow.Table, metric: str) -> list[Line]:
    """One line for each system under each condition.

    The interval is of the mean over pictures like these: pictures are resampled, with all their repetitions and users.
    Where there is only one picture, repetitions are resampled, and the interval is of that picture's mean. A ratio of
    counts whose rows are all or nothing, as lost or not lost, has the interval of a `proportion`, which resampling
    rows that are all alike cannot give.

    Args:
        table: from `read`.
        metric: a name from `metrics(table)`. Rows in which it says nothing (0 of 0) do not count.
    """
    if metric not in metrics(table):
        raise UsageError(f"no metric {metric!r} in these rows; {nearest(metric, metrics(table))}")
    if metric == ARQ_DELAY:
        return _arq_delays(table)
    columns = {name: table[name].to_pylist() for name in ("system", "bound", *conditions(table))}
    numerators, denominators = _sums(table, metric)
    counted = metric not in table.column_names
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
        all_or_nothing = (
            counted and numerators.ndim == 1 and bool(((numerators == 0) | (numerators == denominators))[rows].all())
        )
        interval = proportion if all_or_nothing else estimate
        system, bound, *values = key
        lines.append(
            Line(
                metric,
                metrics(table)[metric],
                system,
                bound,
                dict(zip(conditions(table), values, strict=True)),
                interval(numerators[rows], denominators[rows], clusters),
            )
        )
    return lines


def _arq_delays(table: pyarrow.Table) -> list[Line]:
    """`_arq_delay` of each line; rows without code blocks, as of analogue systems, do not count."""
    import pyarrow
    from pyarrow import compute

    sent = table["bler.denominator"]
    table = table.append_column(pyarrow.field("blocks", sent.type, metadata={"unit": ""}), sent)
    table = table.filter(compute.greater(sent, 0))
    lines = zip(*(summarise(table, name) for name in ("airtime_s", "blocks", "bler")), strict=True)
    return [
        replace(air, metric=ARQ_DELAY, unit="s", estimate=_arq_delay(air.estimate, blocks.estimate.mean, bler.estimate))
        for air, blocks, bler in lines
    ]


def _arq_delay(airtime_s: Estimate, blocks: float, bler: Estimate) -> Estimate:
    """Expected seconds until a picture whose lost blocks are repeated selectively is there, by `SelectiveRepeat`.

    A picture is n blocks (the mean, rounded) of A / n seconds each, sent in bursts of up to 20, each
    acknowledged without fail 0.02 s after its end (the defaults of `SelectiveRepeat`); a block is lost with probability
    p, independently, whenever it is sent, and repeated until it arrives: never, if p is 1. Encoding and decoding are
    left out. The delay rises with A and p, and its interval reaches from both lower to both upper ends: as sure as that
    of p where airtime is constant, surer where it is not.
    """
    packets = max(1, round(blocks))

    def delay(seconds: float, error: float) -> float:
        unknown = math.isnan(seconds + error)
        return math.nan if unknown else SelectiveRepeat(seconds / packets).expected_delay_s(packets, error)

    ends = delay(airtime_s.low, bler.low), delay(airtime_s.high, bler.high)
    return Estimate(delay(airtime_s.mean, bler.mean), *ends, bler.clusters, bler.rows)


def _sums(table: pyarrow.Table, metric: str) -> tuple[np.ndarray, np.ndarray]:
    if metric in table.column_names:
        values = table[metric].to_numpy()
        return values, np.ones(len(values))
    return _counts(table[f"{metric}.numerator"]), _counts(table[f"{metric}.denominator"])


def _counts(column: pyarrow.ChunkedArray) -> np.ndarray:
    """A count a row, or a row of counts, one a class; rows of another system that has none are zeros."""
    import pyarrow

    if not pyarrow.types.is_list(column.type):
        return column.to_numpy()
    rows = column.to_pylist()
    width = max(len(row) for row in rows if row is not None)
    return np.array([[0] * width if row is None else row for row in rows])


def estimate(numerators: np.ndarray, denominators: np.ndarray, clusters: Sequence[Any]) -> Estimate:
    """Sum of numerators over sum of denominators, and the expanded percentile interval of a cluster bootstrap.

    Of counts [rows, classes] it is the mean of the classes' ratios; a class that nobody has stands out of it.

    Whole clusters are drawn with replacement, 2000 times, always the same draws. A percentile interval of n clusters is
    too narrow by about t / z sqrt(n / (n - 1)); taking percentiles further out by that factor makes up for it.

    Source: Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69(4), 2015, 3.3.

    >>> print(estimate(np.array([1.0, 2, 3, 4]), np.ones(4), ["a", "b", "c", "d"]))
    2.500 [1.000, 4.000]
    """
    index, count = _numbered(clusters)
    infinite = np.isinf(numerators)
    finite = _by_cluster(np.where(infinite, 0, numerators), index, count)
    endless = _by_cluster(np.where(infinite, np.sign(numerators), 0), index, count)
    weight = _by_cluster(denominators, index, count)

    def ratio(times: np.ndarray) -> np.ndarray:
        """Of clusters taken so many times; an infinite row makes the mean infinite, wherever it is taken at all."""
        with np.errstate(divide="ignore", invalid="ignore"):
            sign = times @ endless
            ratios = np.where(sign != 0, np.copysign(np.inf, sign), (times @ finite) / (times @ weight))
            return ratios if numerators.ndim == 1 else np.asarray(np.nanmean(ratios, -1))

    mean = float(ratio(np.ones(count)))
    if count < 2:
        return Estimate(mean, math.nan, math.nan, count, len(numerators))
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    resampled = np.sort(ratio(draws))
    resampled = resampled[~np.isnan(resampled)]
    tail = _tail(count)
    low, high = np.quantile(resampled, [tail, 1 - tail], method="nearest")
    return Estimate(mean, float(low), float(high), count, len(numerators))


def proportion(numerators: np.ndarray, denominators: np.ndarray, clusters: Sequence[Any]) -> Estimate:
    """Sum of numerators over sum of denominators, and Wilson's interval, of rows that are all or nothing.

    Wilson's interval (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), with for n the number of
    rows, or where rows of a cluster are alike the smaller number of independent rows that would know p equally well:
    n p (1 - p) / (n - 1) / var(p) (t_rows / t_clusters)^2, where var(p) is the variance between clusters and t are the
    97.5 % points of Student's t.

    Source: Wilson, J. American Statistical Association 22(158), 1927; for clusters Korn and Graubard, Survey
    Methodology 24(2), 1998, and Dean and Pagano, J. Survey Statistics and Methodology 3(4), 2015.

    >>> print(proportion(np.zeros(10), np.ones(10), range(10)))
    0 [0, 0.278]
    """
    rows, mean = len(numerators), float(numerators.sum() / denominators.sum())
    index, count = _numbered(clusters)
    n = float(rows)
    if 0 < mean < 1 and count > 1:
        errors = np.bincount(index, numerators - mean * denominators, count) / denominators.sum()
        variance = count / (count - 1) * float(np.square(errors).sum())
        if variance > 0:
            alone = mean * (1 - mean) / (rows - 1)  # the variance if rows knew nothing of each other
            n = min(n, rows * alone / variance * (_t(rows) / _t(count)) ** 2)
    z = NormalDist().inv_cdf(0.975)
    centre, spread = mean + z**2 / (2 * n), z * math.sqrt(mean * (1 - mean) / n + (z / (2 * n)) ** 2)
    low, high = ((centre + side * spread) / (1 + z**2 / n) for side in (-1, 1))
    return Estimate(mean, 0.0 if mean == 0 else low, 1.0 if mean == 1 else high, count, rows)


def _by_cluster(values: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    """Sums of rows over clusters."""
    sums = np.zeros((count, *values.shape[1:]))
    np.add.at(sums, index, values)
    return sums


def _numbered(clusters: Sequence[Any]) -> tuple[np.ndarray, int]:
    """The cluster of each row as a number from 0, and how many there are."""
    names, index = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    return index, len(names)


def _tail(count: int) -> float:
    """Share of resamples to leave out at each end."""
    return NormalDist().cdf(-math.sqrt(count / (count - 1)) * _t(count))


def _t(count: int) -> float:
    """97.5 % point of Student's t with count - 1 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, 0.975))


# --- for people and for other programs -------------------------------------------------------------------------------


def as_text(table: pyarrow.Table, metric: str) -> str:
    """A table for a terminal: a line for each condition, a column for each system."""
    return _aligned(_grid(table, metric))


def as_csv(table: pyarrow.Table) -> str:
    """All metrics, one line for each system and condition, with the ends of the intervals."""
    file = io.StringIO()
    names = list(conditions(table))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["metric", "unit", "system", *names, "mean", "low", "high", "clusters", "rows"])
    for metric in metrics(table):
        for line in summarise(table, metric):
            found = line.estimate
            values = [line.conditions[name] for name in names]
            writer.writerow(
                [metric, line.unit, line.system, *values, found.mean, found.low, found.high, found.clusters, found.rows]
            )
    return file.getvalue()


def _grid(table: pyarrow.Table, metric: str) -> list[list[str]]:
    lines = summarise(table, metric)
    swept = [name for name, values in conditions(table).items() if len(values) > 1 or name == "snr_db"]
    systems = list(dict.fromkeys(line.system for line in lines))
    cells: dict[tuple[Any, ...], dict[str, str]] = {}
    for line in lines:
        key = tuple(line.conditions[name] for name in swept)
        cells.setdefault(key, {})[line.system] = str(line.estimate)
    body = [
        [*(_value(value) for value in key), *(found.get(system, "") for system in systems)]
        for key, found in cells.items()
    ]
    return [[*swept, *systems], *body]


def _aligned(grid: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid
    )


def _value(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _short(value: float) -> str:
    """Four digits, and no more decimals than three."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    digits = 3 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, min(digits, 3))}f}" if digits < 6 else f"{value:.2e}"
