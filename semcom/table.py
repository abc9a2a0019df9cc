"""Rows and what they come to: read a folder of parts, take ratios and means, and say how sure one may be."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from channels._errors import UsageError
from channels.arq import SelectiveRepeat
from semcom.discover import nearest
from semcom.intervals import Estimate, estimate, proportion

if TYPE_CHECKING:
    import pyarrow

CONDITIONS = ("channel", "medium_cbr_granted", "users", "snr_db")
ARQ_DELAY = "arq_delay_s"
_ABOUT_ROWS = ("system", *CONDITIONS, "repetition", "image", "user", "bound", "weights", "point", "picture", "seconds")


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

    Swept arguments that several systems have by the same name, as in `a.keep` and `b.keep`, are one column `keep`.

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
    return _named_alike(table.take(_order(table, out / "scenario.yaml")))


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


def _named_alike(table: pyarrow.Table) -> pyarrow.Table:
    """Systems' arguments of the same name in one column: each row is of one system."""
    from pyarrow import compute

    channels = set(table["channel"].unique().to_pylist())
    alike: dict[str, list[str]] = {}
    for name in conditions(table):
        owner, dot, argument = name.partition(".")
        if dot and owner not in channels:
            alike.setdefault(argument, []).append(name)
    for argument, names in alike.items():
        if len(names) > 1 and len({table[name].type for name in names}) == 1:
            place = table.column_names.index(names[0])
            together = compute.coalesce(*(table[name] for name in names))
            table = table.drop(names).add_column(place, argument, together)
    return table


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


# --- for people and for other programs -------------------------------------------------------------------------------


def as_text(table: pyarrow.Table, metric: str) -> str:
    """A table for a terminal: a line for each condition, a column for each system."""
    grid = _grid(table, metric)
    return _aligned(grid) if len(grid) > 1 else "nothing to measure in these pictures"


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
    swept = {name: values for name, values in conditions(table).items() if len(values) > 1 or name == "snr_db"}
    systems = list(dict.fromkeys(line.system for line in lines))
    cells: dict[tuple[Any, ...], dict[str, str]] = {}
    for line in lines:
        key = tuple(line.conditions[name] for name in swept)
        cells.setdefault(key, {})[line.system] = str(line.estimate)

    def place(key: tuple[Any, ...]) -> list[int]:
        return [-1 if value is None else values.index(value) for value, values in zip(key, swept.values(), strict=True)]

    body = [
        [*(_value(value) for value in key), *(cells[key].get(system, "") for system in systems)]
        for key in sorted(cells, key=place)
    ]
    return [[*swept, *systems], *body]


def _aligned(grid: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid
    )


def _value(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
