"""Means and ratios over independent pictures, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

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
            return short(self.mean)
        return f"{short(self.mean)} [{short(self.low)}, {short(self.high)}]"


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


def short(value: float) -> str:
    """Four digits, and no more decimals than three."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    digits = 3 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, min(digits, 3))}f}" if digits < 6 else f"{value:.2e}"
