"""The loops of `channels.rng_kernel` in NumPy, to the last bit: slower for many rows, but without loading numba."""

from __future__ import annotations

import numpy as np

HALF_WORD = np.float32(2**-31)
HALF_TURN = np.float32(np.pi * 2**-31)
LARGEST_LOG = np.float32(-(2**-26))  # float32 may round u to 1; this bound keeps a fading gain from being exactly zero


def fill(states: np.ndarray, words: np.ndarray) -> None:
    """Fill each row of `words`, uint64 [rows, count], from its generator state in `states`, uint64 [rows, 4]."""
    generator = np.random.SFC64(0)
    for state, row in zip(states, words, strict=True):
        generator.state = {"bit_generator": "SFC64", "state": {"state": state}, "has_uint32": 0, "uinteger": 0}
        row[:] = generator.random_raw(len(row))
        state[:] = generator.state["state"]["state"]


def fill_polar(states: np.ndarray, level: np.ndarray, phase: np.ndarray) -> None:
    """Fill `level` with u in (0, 1] from the low half of each word, `phase` with [-pi, pi) from the high half.

    Both are float32 [rows, count]; the generator states, uint64 [rows, 4], are updated.
    """
    words = np.empty(level.shape, "<u8")
    fill(states, words)
    halves = words.view("<i4")
    level[:] = halves[:, 0::2]
    np.abs(level, out=level)
    level += np.float32(1)
    level *= HALF_WORD
    phase[:] = halves[:, 1::2]
    phase *= HALF_TURN


def combine(
    values: np.ndarray, log_level: np.ndarray, cosine: np.ndarray, sine: np.ndarray, variance: np.ndarray
) -> None:
    """Write sqrt(-variance ln u) (cos v, sin v) to `values`, float32 [rows, 2 * count]; variance is float32 [rows]."""
    radius = np.sqrt(np.minimum(log_level, LARGEST_LOG) * -variance[:, None])
    np.multiply(cosine, radius, out=values[:, 0::2])
    np.multiply(sine, radius, out=values[:, 1::2])
