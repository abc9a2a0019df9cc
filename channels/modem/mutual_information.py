"""Mutual information of QAM over AWGN, for the effective SNR of a code word that spans several channel states."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from channels.arguments import one_of
from channels.modem.qam import ORDERS

_GRID_DB = np.arange(-40.0, 50.25, 0.25)
_NODES = 64  # of the Gauss-Hermite quadrature


def mutual_information(bits_per_symbol: int, snr_db: np.ndarray) -> np.ndarray:
    """Mutual information of equiprobable symbols over AWGN, bit per channel use, interpolated in a table.

    A code word whose uses have several SNRs is decodable about where the mean mutual information of its uses is that
    of the SNR that it requires over AWGN.

    Args:
        bits_per_symbol: bits of a constellation symbol: 1, 2, 4, 6 or 8.
        snr_db: Es/N0 in dB, any shape.

    Source: Brueninghaus and others, Link performance models for system level simulations of broadband radio access
    systems, PIMRC 2005 (mutual-information effective SNR).

    >>> mutual_information(4, np.array([0.0, 10.0, 30.0])).round(2)
    array([0.99, 3.16, 4.  ])
    """
    one_of("bits_per_symbol", bits_per_symbol, ORDERS)
    return np.interp(snr_db, _GRID_DB, _table(bits_per_symbol))


@lru_cache
def _table(bits_per_symbol: int) -> np.ndarray:
    """Values on the grid by Gauss-Hermite quadrature over the noise of one real dimension."""
    dimensions = min(bits_per_symbol, 2)
    count = 2 ** (bits_per_symbol // dimensions)
    levels = 2.0 * np.arange(count) - (count - 1)
    levels /= math.sqrt(dimensions * np.mean(levels**2))
    nodes, weights = np.polynomial.hermite.hermgauss(_NODES)
    distance = levels[:, None] - levels
    snr = 10 ** (_GRID_DB / 10)
    # exponent of p(y | x_j) / p(y | x_i) for y = x_i + node / sqrt(snr): [snr, nodes, i, j]
    noise = nodes[:, None, None] / np.sqrt(snr)[:, None, None, None]
    exponent = -snr[:, None, None, None] * (distance**2 + 2 * distance * noise)
    lost = np.log2(np.exp(exponent).sum(-1)).mean(-1) @ weights / math.sqrt(math.pi)
    return dimensions * (math.log2(count) - lost)
