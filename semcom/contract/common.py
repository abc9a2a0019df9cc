"""Comparisons that the properties of channels and of systems share."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-5  # largest difference between batch sizes, which may change the order of sums
MAX_Z = 4.0  # largest deviation of a mean, in standard deviations of that mean


class NotApplicableError(Exception):
    """A property is not defined for this system or channel; the message says why."""


def difference(first: Tensor, second: Tensor, most: float = TOLERANCE, relative: bool = True) -> str | None:
    """Problem text if two tensors differ by more than `most`, relative to entries above 1; None otherwise."""
    scale = torch.maximum(first.abs(), second.abs()).clamp(min=1) if relative else 1
    largest = float(((first - second).abs() / scale).max())
    return None if largest <= most else f"they differ by up to {largest:.3g}"


def mean_deviation(name: str, rows: Tensor, expected: float) -> str | None:
    """Problem text if the mean over independent rows fails a z-test; None otherwise.

    Args:
        name: quantity in the problem text.
        rows: values [rows].
        expected: expected mean.
    """
    deviation = float(rows.std()) / len(rows) ** 0.5
    mean = float(rows.mean())
    allowed = MAX_Z * deviation + 1e-5
    return None if abs(mean - expected) <= allowed else f"{name} is {mean:.4f}, not {expected} +- {allowed:.4f}"


def changed_generators(action: Callable[[], object]) -> str | None:
    """Problem text with the global random generators that an action changes; None if it changes none."""
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    action()
    after = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    names = ("torch", "numpy", "random")
    equal = (torch.equal(before[0], after[0]), before[1] == after[1], before[2] == after[2])
    changed = [name for name, unchanged in zip(names, equal, strict=True) if not unchanged]
    return f"the global state of {', '.join(changed)} changed" if changed else None
