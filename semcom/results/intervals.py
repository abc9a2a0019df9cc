"""Means, ratios and differences over independent images, with 95 % intervals that cover at small counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

FEW = 5  # below so many independent images, tables and figures mark an interval
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Estimate:
    """A mean, a ratio of sums or a difference of two, with its 95 % interval.

    Args:
        mean: mean over all rows, or sum of numerators over sum of denominators.
        low: lower end of the interval; NaN where a single cluster, an infinite value, or clusters that do not vary
            allow none.
        high: upper end, likewise.
        clusters: number n of independent units (images) that the interval is computed from.
        rows: number of rows.
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


def estimate(
    numerators: np.ndarray,
    denominators: np.ndarray,
    clusters: Sequence[Any],
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Ratio of sums r = sum a / sum b over rows, with the interval of a jackknife over clusters.

    With r_i the ratio without cluster i = 1..n, the standard error is s^2 = (n - 1) / n sum (r_i - mean(r_i))^2 and the
    interval r +- t_{n-1} s; for b = 1 and clusters of equal size this is Student's interval of the clusters'
    means. For counts [rows, classes] r is the mean of the classes' ratios; a class without counts is left out. Where
    no numerator exceeds its denominator the interval is cut to [0, 1], and every interval to `bounds`: as r is within
    them, this never lowers the coverage. Clusters that do not vary have no interval: zero
    variance among few images does not mean that the mean over all images is known.

    Args:
        numerators: float or int [rows] or [rows, classes].
        denominators: likewise; ones for a plain mean.
        clusters: name of each row's independent unit, such as its image.
        bounds: least and greatest possible value of the metric.

    Source: Student, Biometrika 6(1), 1908; Tukey, Annals of Mathematical Statistics 29(2), 1958, for the jackknife.
        `benchmarks/interval_coverage.py` measures how often the interval covers.

    >>> print(estimate(np.array([1.0, 2, 3, 4]), np.ones(4), ["a", "b", "c", "d"]))
    2.500 [0.446, 4.554]
    """
    index, count = _numbered(clusters)
    mean, without = _jackknife(numerators, denominators, index, count)
    low, high = student(mean, without, np.abs(without).max(initial=0))
    share = bool((denominators != 1).any() and (numerators >= 0).all() and (numerators <= denominators).all())
    if share:
        bounds = max(bounds[0], 0.0), min(bounds[1], 1.0)
    if not math.isnan(low):
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Estimate(mean, low, high, count, len(numerators))


def difference(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    clusters: Sequence[Any],
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Ratio of `first` less ratio of `second` over the same rows, with the paired t interval over clusters.

    The jackknife of `estimate` is taken of the difference, so that what both systems have in common, such as an image
    that is hard to code or a deep fade, cancels.

    Args:
        first: numerators and denominators of the rows of one system.
        second: those of the other system, row by row of the same image, repetition and user.
        clusters: name of each row's independent unit.
        bounds: least and greatest possible value of the metric, whose differences are within their distance.

    >>> ones = np.ones(3)
    >>> print(difference((np.array([11.0, 22, 33]), ones), (np.array([10.0, 20, 31]), ones), ["a", "b", "c"]))
    1.667 [0.232, 3.101]
    """
    index, count = _numbered(clusters)
    (mean_a, a), (mean_b, b) = (_jackknife(*side, index, count) for side in (first, second))
    mean = mean_a - mean_b
    low, high = student(mean, a - b, np.abs([a, b]).max(initial=0))
    if not math.isnan(low):
        low, high = max(low, bounds[0] - bounds[1]), min(high, bounds[1] - bounds[0])
    return Estimate(mean, low, high, count, len(clusters))


def is_share(numerators: np.ndarray, denominators: np.ndarray) -> bool:
    """Whether all rows are 0 or 1, as outages are: their mean is a proportion.

    >>> is_share(np.array([0, 3]), np.array([1, 3])), is_share(np.array([0, 2]), np.array([1, 3]))
    (True, False)
    """
    return numerators.ndim == 1 and bool(((numerators == 0) | (numerators == denominators)).all())


def proportion(numerators: np.ndarray, denominators: np.ndarray, clusters: Sequence[Any]) -> Estimate:
    """Share p of rows whose outcome is 1 instead of 0, with an interval for the effective number of independent rows.

    The effective number n is that of all rows, or the smaller n p (1 - p) / (n - 1) / var(p) (t_rows / t_clusters)^2 if
    rows of a cluster are correlated; var(p) is the variance between clusters and t are the 97.5 % points of Student's
    t. If p is 0 or 1, the correlation cannot be estimated, and n is the number of clusters. The interval is Wilson's,
    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), with the ends of a Poisson count where up to
    three rows are on one side; below five independent rows it is Clopper and Pearson's.

    Source: Wilson, J. American Statistical Association 22(158), 1927; Clopper and Pearson, Biometrika 26(4), 1934;
        Brown, Cai and DasGupta, Statistical Science 16(2), 2001, section 4.1; for clusters Korn and Graubard, Survey
        Methodology 24(2), 1998, and Dean and Pagano, J. Survey Statistics and Methodology 3(4), 2015.

    >>> print(proportion(np.zeros(10), np.ones(10), range(10)))
    0 [0, 0.278]
    """
    rows, mean = len(numerators), float(numerators.sum() / denominators.sum())
    index, count = _numbered(clusters)
    n = float(count)
    if 0 < mean < 1 and count > 1:
        errors = np.bincount(index, numerators - mean * denominators, count) / denominators.sum()
        variance = count / (count - 1) * float(np.square(errors).sum())
        independent = mean * (1 - mean) / (rows - 1)  # variance of the mean of rows that are independent
        n = min(float(rows), rows * independent / variance * (_t(rows) / _t(count)) ** 2) if variance > 0 else n
    low, high = _clopper_pearson(mean, n) if n < FEW else _wilson(mean, n)
    return Estimate(mean, 0.0 if mean == 0 else low, 1.0 if mean == 1 else high, count, rows)


def difference_of_proportions(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], clusters: Sequence[Any]
) -> Estimate:
    """Share p of `first` less share q of `second` over the same rows, with Newcombe's paired interval over clusters.

    With the intervals [l, u] of p and [m, v] of q by `proportion` and the correlation r of both shares over clusters,
    the ends are p - q - sqrt((p - l)^2 - 2 r (p - l) (v - q) + (v - q)^2) and
    p - q + sqrt((u - p)^2 - 2 r (u - p) (q - m) + (q - m)^2), which never leave [-1, 1]. A positive r is reduced by the
    continuity correction 1 / (2 n sqrt(p (1 - p) q (1 - q))) for n clusters; r = 0 if p or q is 0 or 1.

    Args:
        first, second, clusters: as in `difference`; each row is 0 or 1.

    Source: Newcombe, Statistics in Medicine 17(22), 1998, method 10; Zou and Donner, Statistics in Medicine 27(10),
        2008, for other intervals than Wilson's in it.

    >>> ones = np.ones(8)
    >>> print(difference_of_proportions((ones, ones), (np.array([0, 1, 1, 1, 1, 1, 1, 1]), ones), range(8)))
    0.125 [-0.220, 0.471]
    """
    p, q = (proportion(*side, clusters) for side in (first, second))
    if p.clusters < 2:
        return Estimate(p.mean - q.mean, math.nan, math.nan, p.clusters, p.rows)
    index, count = _numbered(clusters)
    errors = [_by_cluster(a - share.mean * b, index, count) for (a, b), share in ((first, p), (second, q))]
    norm = math.sqrt(math.prod(float(np.square(error).sum()) for error in errors))
    spread = math.sqrt(math.prod(share.mean * (1 - share.mean) for share in (p, q)))
    r = float(errors[0] @ errors[1]) / norm if norm > 0 and spread > 0 else 0.0
    if r > 0:
        r = max(0.0, r - 1 / (2 * count * spread))

    def distance(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a**2 - 2 * r * a * b + b**2))

    low = p.mean - q.mean - distance(p.mean - p.low, q.high - q.mean)
    high = p.mean - q.mean + distance(p.high - p.mean, q.mean - q.low)
    return Estimate(p.mean - q.mean, low, high, count, p.rows)


def _jackknife(
    numerators: np.ndarray, denominators: np.ndarray, index: np.ndarray, count: int
) -> tuple[float, np.ndarray]:
    """The ratio of sums, and the same without each cluster in turn; NaN where nothing is left to count."""
    a, b = _by_cluster(numerators, index, count), _by_cluster(denominators, index, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.stack([a.sum(0), *(a.sum(0) - a)]), np.stack([b.sum(0), *(b.sum(0) - b)])
        ratios = sums[0] / sums[1]
        if numerators.ndim > 1:  # of classes: their mean, without those that have no counts
            counted = sums[1] > 0
            ratios = np.where(counted, ratios, 0).sum(1) / counted.sum(1)
    return float(ratios[0]), ratios[1:]


def student(mean: float, without: np.ndarray, size: float) -> tuple[float, float]:
    """The 95 % t interval around `mean` from its values without each cluster; NaN where there is none.

    Values that differ by rounding errors of numbers as large as `size` do not vary.
    """
    count = len(without)
    if count < 2 or not np.isfinite(without).all() or not math.isfinite(mean):
        return math.nan, math.nan
    if np.ptp(without) <= 1e-12 * size:
        return math.nan, math.nan
    half = _t(count) * float(without.std()) * math.sqrt(count - 1)
    return mean - half, mean + half


def _wilson(mean: float, n: float) -> tuple[float, float]:
    from scipy.special import gammaincinv

    center, spread = mean + _Z**2 / (2 * n), _Z * math.sqrt(mean * (1 - mean) / n + (_Z / (2 * n)) ** 2)
    low, high = ((center + side * spread) / (1 + _Z**2 / n) for side in (-1, 1))
    if 0 < n * mean <= 3:
        low = min(low, float(gammaincinv(n * mean, 0.05)) / n)
    if 0 < n * (1 - mean) <= 3:
        high = max(high, 1 - float(gammaincinv(n * (1 - mean), 0.05)) / n)
    return low, high


def _clopper_pearson(mean: float, n: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    met, unmet = n * mean, n * (1 - mean)
    low = float(betaincinv(met, unmet + 1, 0.025)) if met > 0 else 0.0
    return low, float(betaincinv(met + 1, unmet, 0.975)) if unmet > 0 else 1.0


def _by_cluster(values: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    """Sums of rows over clusters."""
    sums = np.zeros((count, *values.shape[1:]))
    np.add.at(sums, index, values)
    return sums


def _numbered(clusters: Sequence[Any]) -> tuple[np.ndarray, int]:
    """The cluster of each row as a number from 0, and how many there are."""
    names, index = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    return index, len(names)


def _t(count: int) -> float:
    """97.5 % point of Student's t with count - 1 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, 0.975))


def short(value: float) -> str:
    """A number with four digits and no more than three decimals; below 0.01 with three digits.

    >>> short(33.581), short(0.0484), short(0.000345)
    ('33.58', '0.048', '0.000345')
    """
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    digits = 3 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, min(digits, 3))}f}" if digits < 6 else f"{value:.3g}"
