"""Paired differences of a run as a table: each system less one of them, as `semcom compare` prints."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from semcom.results import compare, table
from semcom.results.cells import spreadsheet

if TYPE_CHECKING:
    import pyarrow


def as_csv(rows: pyarrow.Table, metrics: Sequence[str], against: str) -> str:
    """One line for each metric, system and condition, with the columns of `semcom.results.table_formats.as_csv`.

    Args:
        rows: table from `semcom.results.table.read`.
        metrics: names of the metrics; those that the rows do not have are left out.
        against: label of the system to compare with.

    Raises:
        UsageError: no such system.
    """
    file, names = io.StringIO(), list(table.conditions(rows))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["metric", "unit", "system", *names, "mean", "low", "high", "clusters", "rows"])
    for metric in [metric for metric in metrics if metric in table.metrics(rows)]:
        for line in compare.compare(rows, metric, against):
            found, values = line.difference, [line.conditions[name] for name in names]
            ends = [found.mean, found.low, found.high, found.clusters, found.rows]
            cells = (metric, line.unit, line.system, *values, *ends)
            writer.writerow([spreadsheet(cell) for cell in cells])
    return file.getvalue()
