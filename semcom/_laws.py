"""What the laws of channels and of systems are made of."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-5  # between batches, whose sums may be taken in another order
Z = 4.0


class NotApplicableError(Exception):
    """A law says nothing about its subject, for the reason given."""


def differ(first: Tensor, second: Tensor) -> str | None:
    """How far two tensors are apart, if they are. Relative to the larger entry, where that is above one."""
    scale = torch.maximum(first.abs(), second.abs()).clamp(min=1)
    largest = float(((first - second).abs() / scale).max())
    return None if largest <= TOLERANCE else f"they differ by up to {largest:.3g}"


def off(what: str, rows: Tensor, expected: float) -> str | None:
    """A z-test of the mean, with the deviation between independent rows."""
    deviation = float(rows.std()) / len(rows) ** 0.5
    mean = float(rows.mean())
    allowed = Z * deviation + 1e-5
    return None if abs(mean - expected) <= allowed else f"{what} is {mean:.4f}, not {expected} +- {allowed:.4f}"


def touched(action: Callable[[], object]) -> str | None:
    """Which global generators an action changes, if any."""
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    action()
    after = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    names = ("torch", "numpy", "random")
    same = (torch.equal(before[0], after[0]), before[1] == after[1], before[2] == after[2])
    changed = [name for name, kept in zip(names, same, strict=True) if not kept]
    return f"the global state of {', '.join(changed)} changed" if changed else None
