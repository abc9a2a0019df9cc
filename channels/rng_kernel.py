"""Compiled loops of the random number generator: SFC64 for each row, and two steps of the Box-Muller method.

Import this module late, because it imports numba. Constructing NumPy's own SFC64 takes longer than generating a short
row; here it is four loads. NumPy computes the logarithm, sine and cosine, because numba has no vector versions of them.
"""

# ruff: noqa: ANN001, ANN202, TID253 - numba infers the types, and this module is imported late

from typing import no_type_check

import numba as nb
import numpy as np

from channels.compiled import compiled
from channels.rng_numpy import HALF_TURN, HALF_WORD, LARGEST_LOG


@nb.njit(inline="always")
@no_type_check
def _step(a, b, c, counter):
    """One step of SFC64 (C. Doty-Humphrey, PractRand): the word and the next state."""
    word = a + b + counter
    rotated = (c << np.uint64(24)) | (c >> np.uint64(40))
    return word, b ^ (b >> np.uint64(11)), c + (c << np.uint64(3)), rotated + word, counter + np.uint64(1)


@compiled(nogil=True)
@no_type_check
def fill(states, words) -> None:
    """Fill each row of `words`, uint64 [rows, count], from its generator state in `states`, uint64 [rows, 4]."""
    rows, count = words.shape
    for row in range(rows):
        a, b, c, counter = states[row, 0], states[row, 1], states[row, 2], states[row, 3]
        for i in range(count):
            words[row, i], a, b, c, counter = _step(a, b, c, counter)
        states[row, 0], states[row, 1], states[row, 2], states[row, 3] = a, b, c, counter


@compiled(nogil=True)
@no_type_check
def fill_polar(states, level, phase) -> None:
    """Fill `level` with u in (0, 1] from the low half of each word, `phase` with [-pi, pi) from the high half.

    Both are float32 [rows, count]; the generator states, uint64 [rows, 4], are updated.
    """
    rows, count = level.shape
    for row in range(rows):
        a, b, c, counter = states[row, 0], states[row, 1], states[row, 2], states[row, 3]
        for i in range(count):
            word, a, b, c, counter = _step(a, b, c, counter)
            level[row, i] = (np.abs(np.float32(np.int32(word))) + np.float32(1)) * HALF_WORD
            phase[row, i] = np.float32(np.int32(word >> np.uint64(32))) * HALF_TURN
        states[row, 0], states[row, 1], states[row, 2], states[row, 3] = a, b, c, counter


@compiled(nogil=True)
@no_type_check
def combine(values, log_level, cosine, sine, variance) -> None:
    """Write sqrt(-variance ln u) (cos v, sin v) to `values`, float32 [rows, 2 * count]; variance is float32 [rows]."""
    rows, count = log_level.shape
    for row in range(rows):
        scale = -variance[row]
        for i in range(count):
            radius = np.sqrt(min(log_level[row, i], LARGEST_LOG) * scale)
            values[row, 2 * i] = cosine[row, i] * radius
            values[row, 2 * i + 1] = sine[row, i] * radius
