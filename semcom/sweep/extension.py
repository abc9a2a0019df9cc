"""Further metrics for a run: its points are simulated again, and their rows replaced one point at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from channels.errors import UsageError
from semcom.discover import user_metrics
from semcom.scenario.model import Point, Scenario
from semcom.sweep.run_folder import RunFolder

if TYPE_CHECKING:
    import pyarrow

_NAMED_BY_KEY = ("point", "image_file")  # columns that differ between a point with and without the further metrics


@dataclass(frozen=True)
class Extension:
    """The rows in a folder that have some of a scenario's metrics and not all.

    Args:
        folder: folder of the run.
        metrics: lists of metrics that rows in the folder have.
    """

    folder: RunFolder
    metrics: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, folder: RunFolder, scenario: Scenario) -> Extension:
        """The extension of the rows in a folder to the metrics of a scenario."""
        names = {user_metrics.column(name): name for name in scenario.all_metrics}
        expected = {point.key for point in scenario.points()}
        found = {folder.metrics(key) for key in folder.done - expected}
        known = (columns for columns in found if set(columns) <= names.keys())
        return cls(folder, frozenset(tuple(names[column] for column in columns) for columns in known))

    def keys(self, scenario: Scenario) -> set[str]:
        """Keys of all parts of a scenario with some of its metrics."""
        count = scenario.repetitions if scenario.stop is None else scenario.stop.max_repetitions
        points = [replace(point, repetition=number) for point in scenario.points() for number in range(count)]
        return {key for point in points for key in self.former(point)} if self.metrics else set()

    def former(self, point: Point) -> list[str]:
        """Keys of the parts that have the rows of a point with some of its metrics."""
        keys = (replace(point, metrics=metrics).key for metrics in self.metrics if metrics != point.metrics)
        return [key for key in keys if key in self.folder.done]

    def check(self, point: Point, rows: pyarrow.Table) -> None:
        """Compare the new rows of a point with its former ones.

        Raises:
            UsageError: a column differs.
        """
        for key in self.former(point):
            before = self.folder.rows(key)
            for name in before.column_names:
                if name not in _NAMED_BY_KEY and (name not in rows.column_names or rows[name] != before[name]):
                    raise UsageError(
                        f"{point}: {name} is not the same as before, because code, a model or a library has changed; "
                        "choose another --out"
                    )

    def remove(self, point: Point) -> None:
        """Delete the former parts of a point whose new part has been written."""
        for key in self.former(point):
            self.folder.remove_part(key)
