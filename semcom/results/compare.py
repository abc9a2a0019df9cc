"""Paired comparisons: systems that saw the same images, fading and noise differ by less than their intervals say.

All systems of a run are sent the same draws, so that the difference of two systems on a row is known far better than
either mean.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from channels.errors import UsageError
from semcom.discover import nearest
from semcom.results import intervals, labels, table
from semcom.results.cells import aligned, marked, sample_size, value_text
from semcom.results.counts import counts, may_be_share
from semcom.results.intervals import Estimate, short
from semcom.results.printing import printable

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Comparison:
    """A system less another one, in one metric under one set of conditions.

    Args:
        metric: name of the metric.
        unit: its unit, "" for a pure number.
        system: label of the system.
        conditions: value of each condition and swept argument of the system.
        difference: mean of the system less mean of the other one, with its paired 95 % interval.
        wins: number of images for which the system is better (higher, where the metric has no direction).
        losses: number of images for which it is worse.
    """

    metric: str
    unit: str
    system: str
    conditions: dict[str, Any]
    difference: Estimate
    wins: int
    losses: int


@dataclass(frozen=True)
class Crossing:
    """The SNR at which the curve of a system passes that of another one.

    Args:
        metric: name of the metric.
        system: label of the system.
        conditions: other conditions of the curve.
        snr_db: zero of the difference, interpolated linearly between two measured SNRs; the middle of several measured
            SNRs at which it is 0.
        low, high: ends of the 95 % interval; infinite where it reaches beyond the measured SNRs.
        better_above: whether the system is better above it.
    """

    metric: str
    system: str
    conditions: dict[str, Any]
    snr_db: float
    low: float
    high: float
    better_above: bool

    def __str__(self) -> str:
        """SNR and interval, which one image does not have.

        >>> print(Crossing("psnr", "analog", {}, 6.5, 6.0, 7.0, better_above=True))
        6.500 dB [6.000, 7.000]
        >>> print(Crossing("psnr", "analog", {}, 6.5, math.nan, math.nan, better_above=True))
        6.500 dB
        """
        interval = "" if math.isnan(self.low) else f" [{short(self.low)}, {short(self.high)}]"
        return f"{short(self.snr_db)} dB{interval}"


@dataclass(frozen=True)
class _Paired:
    """Rows of two systems side by side, under one set of conditions."""

    first: tuple[np.ndarray, np.ndarray]
    second: tuple[np.ndarray, np.ndarray]
    clusters: list[Any]
    dimensionless: bool
    bounds: tuple[float, float]

    def difference(self) -> Estimate:
        """Mean of the first system less that of the second."""
        shares = self.dimensionless and all(intervals.is_share(*side) for side in (self.first, self.second))
        if shares:
            return intervals.difference_of_proportions(self.first, self.second, self.clusters)
        return intervals.difference(self.first, self.second, self.clusters, self.bounds)


def compare(rows: pyarrow.Table, metric: str, against: str) -> list[Comparison]:
    """Differences of every other system to one, at each set of conditions.

    Rows are paired by image, repetition and user; those to which the metric does not apply in either system are left
    out. The interval is that of `intervals.difference`, or of `intervals.difference_of_proportions` where every row is
    0 or 1.

    Args:
        rows: table from `table.read`.
        metric: name from `table.metrics`.
        against: label or title of the system to compare with.

    Raises:
        UsageError: no such metric or system.
    """
    upward = _direction(rows, metric)
    found = []
    for (system, conditions), pair in _pairs(rows, metric, against).items():
        better = [upward * sign for sign in _by_image(pair)]
        wins, losses = sum(sign > 0 for sign in better), sum(sign < 0 for sign in better)
        unit = (table.metrics(rows) | table.costs(rows))[metric]
        found.append(Comparison(metric, unit, system, dict(conditions), pair.difference(), wins, losses))
    return found


def crossings(rows: pyarrow.Table, metric: str, against: str) -> list[Crossing]:
    """SNRs at which curves pass that of one system.

    Between two measured SNRs the difference d and both ends of its paired 95 % interval are interpolated linearly, as
    figures draw them. The interval of the zero of d holds the SNRs around it at which the interval of d contains 0: it
    covers the zero at least as often as the intervals of d cover d, since interpolation reduces the variance.

    Args:
        rows, metric, against: as in `compare`.
    """
    upward = _direction(rows, metric)
    curves: dict[tuple[str, tuple[tuple[str, Any], ...]], list[tuple[float, Estimate]]] = {}
    for (system, conditions), pair in _pairs(rows, metric, against).items():
        others = tuple((name, value) for name, value in conditions if name != "snr_db")
        curves.setdefault((system, others), []).append((dict(conditions)["snr_db"], pair.difference()))
    return [
        Crossing(metric, system, dict(others), at, low, high, rising == (upward > 0))
        for (system, others), curve in curves.items()
        for at, low, high, rising in _zeros(sorted(curve, key=lambda point: point[0]))
    ]


def as_text(rows: pyarrow.Table, metric: str, against: str) -> str:
    """Differences and crossing points as text for a terminal, a line each."""
    shown = [name for name, values in table.conditions(rows).items() if len(values) > 1]
    compared = compare(rows, metric, against)
    lines = [
        [
            found.system,
            *(value_text(found.conditions.get(name)) for name in shown),
            marked(found.difference),
            f"{found.wins} : {found.losses}",
        ]
        for found in compared
    ]
    if not lines:
        return f"no other system has values of {metric} to compare with {printable(against)}"
    directed = table.higher_is_better(rows, metric) is not None
    counts, better = ("wins : losses", "better") if directed else ("higher : lower", "higher")
    text = aligned([["system", *shown, f"difference to {against}", counts], *lines], 3 + len(shown))
    text += f"\n{sample_size(found.difference for found in compared)}"
    for found in crossings(rows, metric, against):
        where = "".join(f", {name} {found.conditions[name]}" for name in shown if name in found.conditions)
        side = "above" if found.better_above else "below"
        text += f"\n{printable(found.system + where)}: {better} {side} {found}"
    return text


def _direction(rows: pyarrow.Table, metric: str) -> int:
    """1 where higher values are better or the metric has no direction, -1 where lower ones are."""
    known = table.metrics(rows) | table.costs(rows)
    if metric not in known:
        raise UsageError(f"no metric {metric!r} in this run; {nearest(metric, known)}")
    return -1 if table.higher_is_better(rows, metric) is False else 1


def _pairs(rows: pyarrow.Table, metric: str, against: str) -> dict[tuple[str, tuple[tuple[str, Any], ...]], _Paired]:
    """Paired rows by system and conditions."""
    systems = rows["system"].to_pylist()
    against = labels.chosen("system", against, list(dict.fromkeys(systems)))
    if set(systems) == {against}:
        raise UsageError(f"{against} is the only system in this run; give a run with others")
    numerators, denominators = counts(rows, metric)
    dimensionless = may_be_share(rows, metric)
    names = list(table.conditions(rows))
    columns = {name: rows[name].to_pylist() for name in (*names, "image", "repetition", "user")}
    groups: dict[str, dict[tuple[Any, ...], dict[tuple[Any, ...], int]]] = {}
    for row, system in enumerate(systems):
        if (denominators[row] > 0).any():
            key = tuple(columns[name][row] for name in names)
            unit = tuple(columns[name][row] for name in ("image", "repetition", "user"))
            groups.setdefault(system, {}).setdefault(key, {})[unit] = row
    found = {}
    for system, settings in groups.items():
        for key, own in settings.items() if system != against else ():
            for other_key, other in groups.get(against, {}).items():
                both = sorted(own.keys() & other.keys())
                if both and _same(key, other_key):
                    first, second = [own[unit] for unit in both], [other[unit] for unit in both]
                    conditions = tuple(
                        (name, a if a is not None else b) for name, a, b in zip(names, key, other_key, strict=True)
                    )
                    images = [unit[0] for unit in both]
                    found[system, conditions] = _Paired(
                        (numerators[first], denominators[first]),
                        (numerators[second], denominators[second]),
                        images if len(set(images)) > 1 else [unit[1] for unit in both],
                        dimensionless,
                        table.bounds(rows, metric),
                    )
    return found


def _same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether conditions agree where both systems have them."""
    return all(a == b or a is None or b is None for a, b in zip(first, second, strict=True))


def _by_image(pair: _Paired) -> list[float]:
    """Difference on each image alone."""
    names = np.asarray(pair.clusters, dtype=object).astype(str)
    differences = []
    for name in dict.fromkeys(names):
        rows = names == name
        sides = [intervals.estimate(a[rows], b[rows], names[rows].tolist()).mean for a, b in (pair.first, pair.second)]
        differences.append(sides[0] - sides[1])
    return differences


def _zeros(curve: Sequence[tuple[float, Estimate]]) -> list[tuple[float, float, float, bool]]:
    """Zeros of a curve of differences: SNR, ends of the interval, and whether the difference rises there."""
    found = []
    nonzero = [place for place, (_, difference) in enumerate(curve) if difference.mean != 0]
    for before, after in itertools.pairwise(nonzero):
        (x0, d0), (x1, d1) = ((snr_db, difference.mean) for snr_db, difference in (curve[before], curve[after]))
        if d0 * d1 < 0 and math.isfinite(d0 - d1):
            zeros = [snr_db for snr_db, _ in curve[before + 1 : after]]
            at = (zeros[0] + zeros[-1]) / 2 if zeros else x0 + (x1 - x0) * d0 / (d0 - d1)
            found.append((at, _reach(curve, at, -1), _reach(curve, at, 1), d1 > d0))
    return found


def _reach(curve: Sequence[tuple[float, Estimate]], start: float, side: int) -> float:
    """How far from a zero, to one side, the interval of the difference still contains 0."""
    if any(difference.clusters < 2 for _, difference in curve):
        return math.nan
    knots = [  # images that do not vary have no interval, but their difference
        (x, *((one.mean, one.mean) if math.isnan(one.low) else (one.low, one.high))) for x, one in curve
    ]
    snrs, lows, highs = zip(*knots, strict=True)
    last = start, float(np.interp(start, snrs, lows)), float(np.interp(start, snrs, highs))
    for knot in sorted((knot for knot in knots if (knot[0] - start) * side > 0), reverse=side < 0):
        end = 1 if knot[1] > 0 else 2 if knot[2] < 0 else None  # the end that passes 0 before this SNR
        if end is not None:
            return last[0] + (knot[0] - last[0]) * last[end] / (last[end] - knot[end])
        last = knot
    return math.copysign(math.inf, side)
