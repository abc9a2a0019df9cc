"""Rows of a run as one table, and the metrics and conditions in it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels.errors import UsageError
from semcom import discover
from semcom.results import channel_knowledge, former_names, labels, scenario_file
from semcom.scenario.model import COSTS

if TYPE_CHECKING:
    import pyarrow

SOURCE = "source"  # column of rows whose scenario has several image sources
CONDITIONS = ("channel", "medium_cbr_budget", "users", SOURCE, "snr_db")
ARQ_DELAY = "arq_delay_s"
OUTAGE = "outage"  # every row has its counts; they have a unit only if the scenario lists the metric
_NOT_SWEPT = (
    "system",
    *CONDITIONS,
    "repetition",
    "image",
    "user",
    "bound",
    "weights",
    "point",
    "image_file",
    "received_message",
    "seconds",
    "csit",
    "transmitter_snr_db",
    *COSTS,
    "cost_note",
    *(f"{OUTAGE}.{part}" for part in ("numerator", "denominator")),
)


def read(out: str | Path) -> pyarrow.Table:
    """All rows of a run, finished or not, with their run times and measured costs.

    Swept arguments of several systems with the same name, as in `a.quality` and `b.quality`, become one column
    `quality`.

    Args:
        out: folder of the run.

    Raises:
        UsageError: the folder has no rows, or a file cannot be read.
    """
    out = Path(out)
    paths = sorted((out / "rows").glob("[!.]*.parquet"))
    if not paths:
        raise UsageError(f"no results of semcom run in {out}; give its --out folder")
    parts = []
    for path in paths:
        part, seconds = read_part(path), out / "seconds" / path.name
        if "posterior" in part.column_names[-1].partition("_")[0]:
            raise UsageError(f"{out} has no images: its rows and figures are those of a recognition scenario")
        for name, column in zip(*_columns_of(seconds), strict=True):
            part = part.append_column(name, column)
        parts.append(part)
    table, scenario = joined(parts), scenario_file.content(out)
    table = table.rename_columns(former_names.renamed_arguments(table.column_names, scenario))
    table = channel_knowledge.stated(table, scenario_file.channels(out))
    return _merged_arguments(table.take(_order(table, scenario)).select(_columns(table, scenario)))


def read_part(path: Path) -> pyarrow.Table:
    """The rows of one point, with the present names of columns.

    Raises:
        UsageError: the file cannot be read.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        part = parquet.read_table(path)
        return part.rename_columns(former_names.renamed_columns(part.column_names))
    except (OSError, pyarrow.ArrowException) as error:
        raise UsageError(f"{path} cannot be read ({error}); remove the file and run the same command again") from None


def _columns_of(path: Path) -> tuple[list[str], list[Any]]:
    """Names and columns of a file of run times; none if it is missing."""
    part = read_part(path) if path.is_file() else None
    return ([], []) if part is None else (part.column_names, part.columns)


def _merged_arguments(table: pyarrow.Table) -> pyarrow.Table:
    """Merge columns of systems' arguments with the same name; each row belongs to one system."""
    from pyarrow import compute

    channels = set(table["channel"].unique().to_pylist())
    same_name: dict[str, list[str]] = {}
    for name in conditions(table):
        owner, dot, argument = name.partition(".")
        if dot and owner not in channels:
            same_name.setdefault(argument, []).append(name)
    for argument, names in same_name.items():
        if len(names) > 1 and len({table[name].type for name in names}) == 1:
            place = table.column_names.index(names[0])
            together = compute.coalesce(*(table[name] for name in names))
            table = table.drop(names).add_column(place, argument, together)
    return table


def joined(parts: Sequence[pyarrow.Table]) -> pyarrow.Table:
    """One table from parts; a column that a part does not have is null there."""
    import pyarrow

    return pyarrow.concat_tables(_same_types(parts), promote_options="permissive")


def _order(table: pyarrow.Table, scenario: dict[str, Any]) -> list[int]:
    """Order of the rows: by repetition and conditions; channels, sources and systems in the order of the scenario."""
    places = {
        (column, entry["label"]): i
        for column, key in (("channel", "channel"), ("system", "systems"), (SOURCE, "images"))
        for i, entry in enumerate(scenario.get(key, []))
        if isinstance(entry, dict) and "label" in entry
    }
    order = ("repetition", "channel", "medium_cbr_budget", "users", SOURCE, "snr_db", "system", "point")
    names = [name for name in order if name in table.column_names]
    columns = [[places.get((name, value), value) for value in table[name].to_pylist()] for name in names]
    keys = list(zip(*columns, strict=True))
    return sorted(range(len(keys)), key=keys.__getitem__)


def _columns(table: pyarrow.Table, scenario: dict[str, Any]) -> list[str]:
    """Names of the columns; metrics of single image sources in the order of the scenario, not of the files."""
    entries = scenario.get("images")
    listed = [name for entry in entries for name in entry.get("metrics", [])] if isinstance(entries, list) else []
    places = {name.rpartition(":")[2]: 1 + i for i, name in reversed(list(enumerate(listed)))}
    common = {name.rpartition(":")[2] for name in scenario.get("metrics", [])}
    metrics = [name.removesuffix(".numerator").removesuffix(".denominator") for name in table.column_names]
    order = [0 if name in common else places.get(name, 0) for name in metrics]
    return [name for _, name in sorted(zip(order, table.column_names, strict=True), key=lambda pair: pair[0])]


def _same_types(parts: Sequence[pyarrow.Table]) -> list[pyarrow.Table]:
    """Convert a column to text in all parts if it is text in one, as for the swept values "auto" and 0.5."""
    import pyarrow

    text = {field.name for part in parts for field in part.schema if pyarrow.types.is_string(field.type)}
    return [
        part.cast(
            pyarrow.schema(field.with_type(pyarrow.string()) if field.name in text else field for field in part.schema)
        )
        for part in parts
    ]


def metrics(table: pyarrow.Table) -> dict[str, str]:
    """Units of the metrics in a table, by name; with `bler` and `airtime_s` there is also `arq_delay_s`."""
    found = {
        field.name.removesuffix(".numerator"): field.metadata[b"unit"].decode()
        for field in table.schema
        if field.metadata and b"unit" in field.metadata and not field.name.endswith(".denominator")
    }
    return found | ({ARQ_DELAY: "s"} if {"bler", "airtime_s"} <= found.keys() else {})


def costs(table: pyarrow.Table) -> dict[str, str]:
    """Units of the columns of cost, by name: each can be tabulated and plotted as a metric, if it is named."""
    return {name: unit for name, unit in COSTS.items() if name in table.column_names}


def higher_is_better(table: pyarrow.Table, metric: str) -> bool | None:
    """The direction of a metric; None where it has none, or where a derived metric does not say."""
    for name in (metric, f"{metric}.numerator"):
        if name in table.column_names:
            written = (table.schema.field(name).metadata or {}).get(b"higher_is_better", b"None")
            return False if metric in COSTS else {b"True": True, b"False": False}.get(written)
    return False if metric == ARQ_DELAY else None


def bounds(table: pyarrow.Table, metric: str) -> tuple[float, float]:
    """Least and greatest possible value of a metric, infinite without a bound; earlier versions did not record them."""
    low, high = discover.metrics()[metric].bounds if metric in discover.metrics() else (None, None)
    for name in (metric, f"{metric}.numerator"):
        if name in table.column_names and (written := (table.schema.field(name).metadata or {}).get(b"bounds")):
            low, high = json.loads(written)
    low = 0.0 if metric in COSTS else low
    return -math.inf if low is None else low, math.inf if high is None else high


def title(table: pyarrow.Table, metric: str, statistic: str = "mean") -> str:
    """Heading of a table of one metric, with the channel knowledge of the transmitter if the channel has fading."""
    unit = (metrics(table) | costs(table)).get(metric, "")
    knowledge = labels.csit(table)
    return (
        f"{metric}{f' ({unit})' if unit else ''}, {statistic} and 95 % interval{f'; {knowledge}' if knowledge else ''}"
    )


def conditions(table: pyarrow.Table) -> dict[str, list[Any]]:
    """Values of each condition and swept argument; numbers in ascending order, then text in the order of the rows."""
    measured = {field.name for field in table.schema if field.metadata and b"unit" in field.metadata}
    others = measured | set(_NOT_SWEPT)
    arguments = [name for name in table.column_names if name not in others]
    return {
        name: sorted(values, key=lambda value: (True, 0) if isinstance(value, str) else (False, value))
        for name in (*CONDITIONS, *arguments)
        if name in table.column_names
        for values in [[value for value in table[name].unique().to_pylist() if value is not None]]
    }
