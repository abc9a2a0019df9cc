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


def wide(stop: Stop, rows: pyarrow.Table) -> tuple[int, int]:
    """How many means of the rule's metric have a wider interval than it asks for, and how many there are.

    Users at different SNRs are different lines of a table. Where the metric says nothing there is nothing to wait for.
    """
    found = [line.estimate for line in tables.summarise(rows, stop.metric)]
    known = [max(one.high - one.mean, one.mean - one.low) <= stop.half_width for one in found]  # False where NaN
    return known.count(False), len(known)


def _known(stop: Stop, parts: list[pyarrow.Table]) -> bool:
    return not wide(stop, tables.joined(parts))[0]
