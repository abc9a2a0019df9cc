"""Known symbols: the preamble, a Zadoff-Chu sequence repeated under a cover sequence, and the pilots."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SEGMENT = 16
"""Number of symbols of one repetition in the preamble."""


@lru_cache(maxsize=8)
def zadoff_chu() -> NDArray[np.complex128]:
    """Zadoff-Chu sequence of 16 symbols, e^(-j pi k^2 / 16): constant modulus, zero periodic autocorrelation.

    Source: Chu, Polyphase codes with good periodic correlation properties, 1972.
    """
    return np.exp(-1j * np.pi * np.arange(SEGMENT) ** 2 / SEGMENT)


@lru_cache(maxsize=8)
def cover(repetitions: int) -> NDArray[np.complex128]:
    """Cover sequence e^(j 2 pi m^3 / p), p the smallest prime that is not below `repetitions`.

    A shift in time and frequency leaves a correlation of about 1 / sqrt(p), so that neither the timing nor the
    frequency of the preamble is ambiguous.

    Source: Alltop, Complex sequences with low periodic correlations, 1980.
    """
    prime = next(n for n in range(max(repetitions, 5), 2 * repetitions + 5) if _is_prime(n))
    return np.exp(2j * np.pi * np.arange(repetitions) ** 3 / prime)


@lru_cache(maxsize=8)
def preamble(symbols: int) -> NDArray[np.complex128]:
    """Preamble: `symbols` / 16 repetitions of the Zadoff-Chu sequence, each times a symbol of the cover sequence.

    >>> preamble(64).shape
    (64,)
    """
    return np.asarray(np.kron(cover(symbols // SEGMENT), zadoff_chu()), complex)


@lru_cache(maxsize=8)
def pilots(count: int) -> NDArray[np.complex128]:
    """Pilot symbols with the amplitudes of Gaussian symbols, mean energy 1.

    Their errors therefore include the compression of an amplifier as Gaussian payload symbols see it. Amplitudes are
    quantiles of the Rayleigh distribution in a low-discrepancy order. Phases are quadratic in the index, so that the
    products of neighboring pilots average to zero and interference between them does not look like a gain.

    >>> float((abs(pilots(400)) ** 2).mean().round(2))
    1.0
    """
    order = np.arange(count) + 0.5
    quantile = np.mod(order * (math.sqrt(5) - 1) / 2, 1)
    amplitude = np.sqrt(-np.log1p(-np.minimum(quantile, 0.995)))
    return amplitude / np.sqrt(np.mean(amplitude**2)) * np.exp(2j * np.pi * np.mod(order**2 * math.sqrt(2), 1))


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
