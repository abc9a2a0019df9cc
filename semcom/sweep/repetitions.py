"""The number of repetitions of a point: fixed by the scenario, or decided by its stopping rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from semcom.results import means
from semcom.results import table as tables
from semcom.scenario.model import Point, Scenario, StoppingRule

if TYPE_CHECKING:
    import pyarrow


class Repetitions:
    """Adds repetitions of a point until the stopping rule is satisfied.

    The rule is evaluated after every `repetitions` repetitions of a point, on all rows of this point and of no other.
    The number of repetitions therefore depends neither on the order in which points finish nor on the number of
    workers, and a resumed run has the same points as one that was never interrupted.

    Args:
        scenario: scenario with or without a stopping rule.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._batch, self._rule = scenario.repetitions, scenario.stop
        self._measured: dict[Point, dict[int, pyarrow.Table]] = {}

    def next_points(self, point: Point, rows: pyarrow.Table) -> list[Point]:
        """Further repetitions to simulate after a point, from its rows; empty if none are needed yet."""
        if self._rule is None:
            return []
        first = replace(point, repetition=0)
        measured = self._measured.setdefault(first, {})
        measured[point.repetition] = rows
        count, most = len(measured), self._rule.max_repetitions
        if count < most and count % self._batch:
            return []
        if count >= most or _satisfied(self._rule, [measured[repetition] for repetition in range(count)]):
            del self._measured[first]
            return []
        return [replace(point, repetition=number) for number in range(count, min(count + self._batch, most))]


def describe(rule: StoppingRule, rows: pyarrow.Table) -> str:
    """One sentence: how many means satisfy the stopping rule.

    Args:
        rule: stopping rule of the scenario.
        rows: table of the run.
    """
    wide, count = _wide_intervals(rule, rows)
    rest = f"; the others reached {rule.max_repetitions} repetitions" if wide else ""
    return f"{count - wide} of {count} means of {rule.metric} have a 95 % interval within +-{rule.half_width:g}{rest}"


def _satisfied(rule: StoppingRule, parts: list[pyarrow.Table]) -> bool:
    return not _wide_intervals(rule, tables.joined(parts))[0]


def _wide_intervals(rule: StoppingRule, rows: pyarrow.Table) -> tuple[int, int]:
    """Number of means of the rule's metric whose 95 % interval is too wide, and number of all its means.

    Users at different SNRs have separate means. Where the metric does not apply there is no mean.
    """
    estimates = [line.estimate for line in means.summarize(rows, rule.metric)]
    narrow = [max(one.high - one.mean, one.mean - one.low) <= rule.half_width for one in estimates]  # False for NaN
    return narrow.count(False), len(narrow)
