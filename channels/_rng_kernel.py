"""The loops of random numbers compiled for the processor: a generator for each row, and both ends of Box and Muller.

Import it late: it brings numba. One setting-up of NumPy's own SFC64 costs more than a short row's numbers; here it is
four loads. Logarithm, sine and cosine stay with NumPy, whose vector versions numba lacks.
"""

# ruff: noqa: ANN001, ANN202, TID253 - numba infers its types, and this module is imported late

from typing import no_type_check

import numba as nb
import numpy as np

_HALF_WORD = np.float32(2**-31)
_HALF_TURN = np.float32(np.pi * 2**-31)
_LARGEST_LOG = np.float32(-(2**-26))  # float32 rounds u to 1 now and then: no fade is exactly zero


@nb.njit(inline="always")
@no_type_check
def _step(a, b, c, counter):
    """One step of SFC64 (C. Doty-Humphrey, PractRand): the word and the next state."""
    word = a + b + counter
    turned = (c << np.uint64(24)) | (c >> np.uint64(40))
    return word, b ^ (b >> np.uint64(11)), c + (c << np.uint64(3)), turned + word, counter + np.uint64(1)


@nb.njit(nogil=True, cache=True)
@no_type_check
def fill(states, words):
    """Fill each row of uint64 `words` [rows, count] from its generator in `states` [rows, 4], which moves on."""
    rows, count = words.shape
    for row in range(rows):
        a, b, c, counter = states[row, 0], states[row, 1], states[row, 2], states[row, 3]
        for i in range(count):
            words[row, i], a, b, c, counter = _step(a, b, c, counter)
        states[row, 0], states[row, 1], states[row, 2], states[row, 3] = a, b, c, counter


@nb.njit(nogil=True, cache=True)
@no_type_check
def fill_polar(states, level, phase):
    """Fill `level` with u in (0, 1] from the low halves of words, `phase` with angles in [-pi, pi) from the high ones.

    Both are float32 [rows, count]; the generators in `states`, uint64 [rows, 4], move on.
    """
    rows, count = level.shape
    for row in range(rows):
        a, b, c, counter = states[row, 0], states[row, 1], states[row, 2], states[row, 3]
        for i in range(count):
            word, a, b, c, counter = _step(a, b, c, counter)
            level[row, i] = (np.abs(np.float32(np.int32(word))) + np.float32(1)) * _HALF_WORD
            phase[row, i] = np.float32(np.int32(word >> np.uint64(32))) * _HALF_TURN
        states[row, 0], states[row, 1], states[row, 2], states[row, 3] = a, b, c, counter


@nb.njit(nogil=True, cache=True)
@no_type_check
def combine(drawn, log_level, cosine, sine, variance):
    """Write sqrt(-variance ln u) (cos v, sin v) to float32 `drawn` [rows, 2 * count]; variance is float32 [rows]."""
    rows, count = log_level.shape
    for row in range(rows):
        scale = -variance[row]
        for i in range(count):
            radius = np.sqrt(min(log_level[row, i], _LARGEST_LOG) * scale)
            drawn[row, 2 * i] = cosine[row, i] * radius
            drawn[row, 2 * i + 1] = sine[row, i] * radius
