"""How often the printed 95 % interval covers the true value, by simulation.

    python benchmarks/interval_coverage.py                       # the table
    python benchmarks/interval_coverage.py --out results/interval_coverage.csv

Kinds of data, each as n independent images:

* normal, exponential: one value an image; the exponential distribution is strongly skewed.
* repeated: normal values of 8 repetitions of each image, which share the image's mean.
* equal rows: an outcome of 8 users an image that is the same for all (probability 0.9).
* correlated rows: outcomes of 8 users an image whose probability of success differs from image to image (mean 0.9).
* independent rows: outcomes of 8 users an image, independent (probability 0.9).
* mIoU: intersections and unions of five classes, each in 3 of 4 images; the truth is the ratio over 200,000 images.
* difference of rows, of equal rows, of independent rows: outcomes of two systems with probabilities 0.95 and 0.90 of
  success; one row an image, or 8 users an image, all the same or independent.
* difference of nested rows: the same, and the better system succeeds wherever the other one does; 8 independent users.
* exponential, equal rows: one exponential value an image that all its 8 users have.
* difference, normal; difference, exponential: values of two systems, which differ by a normal or an exponential value.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import outputs
from argument_types import whole

from semcom.results.intervals import Estimate, difference, difference_of_proportions, estimate, proportion

COUNTS = (2, 3, 4, 5, 8, 10, 20, 50)
ROWS = 8  # rows (users or repetitions) of an image
SHARE = 0.9
PAIR = (0.95, 0.90)  # probabilities of success of two systems
Sample = Callable[[np.random.Generator, int], Estimate]


def normal(random: np.random.Generator, count: int) -> Estimate:
    return estimate(random.normal(0, 1, count), np.ones(count), range(count))


def exponential(random: np.random.Generator, count: int) -> Estimate:
    return estimate(random.exponential(1, count), np.ones(count), range(count))


def repeated(random: np.random.Generator, count: int) -> Estimate:
    values = random.normal(0, 1, (count, 1)) + random.normal(0, 0.5, (count, ROWS))
    return estimate(values.ravel(), np.ones(values.size), _images(count))


def equal_rows(random: np.random.Generator, count: int) -> Estimate:
    return _shares(np.repeat(random.random(count) < SHARE, ROWS), count)


def correlated_rows(random: np.random.Generator, count: int) -> Estimate:
    chances = random.beta(2 * SHARE, 2 * (1 - SHARE), (count, 1))
    return _shares((random.random((count, ROWS)) < chances).ravel(), count)


def independent_rows(random: np.random.Generator, count: int) -> Estimate:
    return _shares(random.random(count * ROWS) < SHARE, count)


def miou(random: np.random.Generator, count: int) -> Estimate:
    return estimate(*_class_counts(random, count), range(count))


def difference_of_rows(random: np.random.Generator, count: int) -> Estimate:
    return _differences(random.random((2, count, 1)))


def difference_of_equal_rows(random: np.random.Generator, count: int) -> Estimate:
    return _differences(np.repeat(random.random((2, count, 1)), ROWS, axis=2))


def difference_of_independent_rows(random: np.random.Generator, count: int) -> Estimate:
    return _differences(random.random((2, count, ROWS)))


def difference_of_nested_rows(random: np.random.Generator, count: int) -> Estimate:
    return _differences(np.repeat(random.random((1, count, ROWS)), 2, axis=0))


def exponential_equal_rows(random: np.random.Generator, count: int) -> Estimate:
    return estimate(np.repeat(random.exponential(1, count), ROWS), np.ones(count * ROWS), _images(count))


def difference_normal(random: np.random.Generator, count: int) -> Estimate:
    return _paired(random, random.normal(0, 0.2, count))


def difference_exponential(random: np.random.Generator, count: int) -> Estimate:
    return _paired(random, random.exponential(1, count))


def _paired(random: np.random.Generator, differences: np.ndarray) -> Estimate:
    """Interval of the difference of two systems with the same normal values and these differences."""
    count, values = len(differences), random.normal(0, 1, len(differences))
    return difference((values + differences, np.ones(count)), (values, np.ones(count)), range(count))


def _differences(quantiles: np.ndarray) -> Estimate:
    """Interval of the difference of two systems; a row succeeds where its quantile [systems, images, rows] is low."""
    first, second = (((side < share).ravel(), np.ones(side.size)) for side, share in zip(quantiles, PAIR, strict=True))
    count, rows = quantiles.shape[1:]
    return difference_of_proportions(first, second, np.repeat(np.arange(count), rows).tolist())


def _images(count: int) -> list[int]:
    return np.repeat(np.arange(count), ROWS).tolist()


def _shares(outcomes: np.ndarray, count: int) -> Estimate:
    return proportion(outcomes, np.ones(len(outcomes)), _images(count))


def _class_counts(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    present = random.random((count, 5)) < 0.75
    unions = np.round(random.gamma(2, 500, (count, 5))) * present
    return np.round(unions * random.beta(4, 3, (count, 5))), unions


KINDS: dict[str, tuple[Sample, float | None]] = {
    "normal": (normal, 0.0),
    "exponential": (exponential, 1.0),
    "repeated": (repeated, 0.0),
    "equal rows": (equal_rows, SHARE),
    "correlated rows": (correlated_rows, SHARE),
    "independent rows": (independent_rows, SHARE),
    "mIoU": (miou, None),
    "difference of rows": (difference_of_rows, PAIR[0] - PAIR[1]),
    "difference of equal rows": (difference_of_equal_rows, PAIR[0] - PAIR[1]),
    "difference of independent rows": (difference_of_independent_rows, PAIR[0] - PAIR[1]),
    "difference of nested rows": (difference_of_nested_rows, PAIR[0] - PAIR[1]),
    "exponential, equal rows": (exponential_equal_rows, 1.0),
    "difference, normal": (difference_normal, 0.0),
    "difference, exponential": (difference_exponential, 1.0),
}

CLAIMS = {
    **{"normal": 0.93, "exponential": 0.88, "equal rows": 0.88},
    **{"difference of rows": 0.93, "difference of equal rows": 0.88, "difference of independent rows": 0.93},
    **{"difference of nested rows": 0.93, "exponential, equal rows": 0.88},
    **{"difference, normal": 0.93, "difference, exponential": 0.88},
}  # least coverage at any count; the tests assert it


def coverage(kind: str, count: int, trials: int) -> float:
    """Share of simulated intervals that hold the true value."""
    sample, truth = KINDS[kind]
    random = np.random.default_rng([COUNTS.index(count), list(KINDS).index(kind)])
    if truth is None:
        intersections, unions = _class_counts(np.random.default_rng(0), 200_000)
        truth = float((intersections.sum(0) / unions.sum(0)).mean())
    found = [sample(random, count) for _ in range(trials)]
    return float(np.mean([each.low <= truth <= each.high for each in found]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--trials", type=whole(1), default=40_000, help="simulated samples of each kind and n (default 40000)"
    )
    outputs.add_option(parser, "CSV file to write as well")
    options = parser.parse_args(arguments)
    table = [["data", "claim", *(f"n={count}" for count in COUNTS)]]
    outputs.check_file(parser, options, table[0])
    for kind in KINDS:
        claim = f"{CLAIMS[kind]:.2f}" if kind in CLAIMS else "none"
        table.append([kind, claim, *(f"{coverage(kind, count, options.trials):.3f}" for count in COUNTS)])
    for row in table:
        print(f"{row[0]:<32}" + "".join(f"{cell:>8}" for cell in row[1:]))
    outputs.write_csv(options.out, table)


if __name__ == "__main__":
    sys.exit(main())
