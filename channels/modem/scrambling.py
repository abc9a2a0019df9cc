"""Scrambling sequence of coded bits (3GPP TS 38.211, clauses 5.2.1 and 7.3.1.1)."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from channels.modem.bits import integers_to_bits

INITIAL_STATE = 1 << 15
"""c_init = n_RNTI * 2^15 + q * 2^14 + n_ID for user 1, code word 0, cell 0; fixed, known to both ends."""
_SKIPPED = 1600


def scrambling_bits(length: int) -> NDArray[np.uint8]:
    """First `length` bits of the length-31 Gold sequence c(n) = x1(n + 1600) + x2(n + 1600) modulo 2.

    It makes all constellation points equally likely for any data, so that the expected energy per symbol is one.

    >>> scrambling_bits(8)
    array([0, 0, 0, 1, 0, 0, 1, 1], dtype=uint8)
    """
    return _sequence(1 << max(length - 1, 0).bit_length())[:length]


@lru_cache(maxsize=4)
def _sequence(length: int) -> NDArray[np.uint8]:
    first = _shift_register(1, (3, 0), length + _SKIPPED)
    second = _shift_register(INITIAL_STATE, (3, 2, 1, 0), length + _SKIPPED)
    return (first ^ second)[_SKIPPED:]


def _shift_register(state: int, taps: tuple[int, ...], length: int) -> NDArray[np.uint8]:
    """x(n + 31) = sum of x(n + tap); over GF(2) the recursion also holds with all offsets times a power of two."""
    sequence = integers_to_bits(torch.tensor(state), 31).flip(0).numpy()
    stride = 1
    while len(sequence) < length:
        while len(sequence) >= 62 * stride:
            stride *= 2
        known = len(sequence)
        start = known - 31 * stride
        following = np.zeros(28 * stride, np.uint8)
        for tap in taps:
            following ^= sequence[start + tap * stride : start + (tap + 28) * stride]
        sequence = np.concatenate([sequence, following])
    return sequence[:length]
