"""Values and counts of a metric, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from semcom.results.table import metrics

if TYPE_CHECKING:
    import pyarrow


def counts(table: pyarrow.Table, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Numerators and denominators of a metric, [rows] or [rows, classes]; denominators are ones for a plain value.

    Both are 0 in rows without the metric, as in a run to which a metric is being added.
    """
    if metric in table.column_names:
        values = table[metric].to_numpy()
        return np.nan_to_num(values), 1.0 - np.isnan(values)
    return _counts(table[f"{metric}.numerator"]), _counts(table[f"{metric}.denominator"])


def may_be_share(table: pyarrow.Table, metric: str) -> bool:
    """Whether the rows of a metric are proportions if all are 0 or 1: ratios of counts, and values without a unit."""
    units = metrics(table)
    return metric not in table.column_names or units.get(metric) == ""


def _counts(column: pyarrow.ChunkedArray) -> np.ndarray:
    """One count for each row, or one for each row and class; zero for rows of a system without counts."""
    import pyarrow

    if not pyarrow.types.is_list(column.type):
        return np.nan_to_num(column.to_numpy())
    rows = column.to_pylist()
    width = max(len(row) for row in rows if row is not None)
    return np.array([[0] * width if row is None else row for row in rows])
