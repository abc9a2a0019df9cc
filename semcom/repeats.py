"""How often a point is repeated: as often as the scenario says, or until its mean is known well enough."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from semcom import table as tables
from semcom.scenario import Point, Scenario, Stop

if TYPE_CHECKING:
    import pyarrow


class Repeats:
    """The points of a scenario, as what was measured calls for them.

    A stop rule looks at a point after each whole batch of `repetitions`, at the rows of all its repetitions and of no
    other point. What it decides therefore depends neither on the order in which rows come in nor on the number of
    workers, and a run that is taken up again decides the same.

    Args:
        scenario: with or without a stop rule.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._batch, self._stop = scenario.repetitions, scenario.stop
        self._measured: dict[Point, dict[int, pyarrow.Table]] = {}

    def after(self, point: Point, rows: pyarrow.Table) -> list[Point]:
        """The points that are due now that this one has been measured; mostly none."""
        if self._stop is None:
            return []
        series = replace(point, repetition=0)
        measured = self._measured.setdefault(series, {})
        measured[point.repetition] = rows
        count, most = len(measured), self._stop.max_repetitions
        if count < most and count % self._batch:
            return []  # in the middle of a batch
        if count >= most or _known(self._stop, [measured[repetition] for repetition in range(count)]):
            del self._measured[series]
            return []
        return [replace(point, repetition=more) for more in range(count, min(count + self._batch, most))]


def _known(stop: Stop, parts: list[pyarrow.Table]) -> bool:
    """Whether the interval is narrow enough on both sides; where the metric says nothing there is nothing to wait for.

    Users at different SNRs are different lines of a table, and each must be known.
    """
    lines = tables.summarise(tables.joined(parts), stop.metric)
    return all(
        max(found.high - found.mean, found.mean - found.low) <= stop.half_width  # not so where the ends are NaN
        for found in (line.estimate for line in lines)
    )
