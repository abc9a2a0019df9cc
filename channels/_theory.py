"""Exact error rates and correlations that the certificate holds channels against; independent of the channels' code."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

# SNR grid of the tables, dB: fades of 60 dB below and 25 dB above the mean are the ends of every integral.
_GRID_DB = np.arange(-60.0, 46.0, 0.1)


def level_pairs(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Equally spaced levels with mean energy 1/2 and their reflected Gray labels [levels, width]."""
    index = np.arange(2**width)
    levels = 2.0 * index - (2**width - 1)
    gray = index ^ index >> 1
    labels = gray[:, None] >> np.arange(width - 1, -1, -1) & 1
    return levels / math.sqrt(2 * np.mean(levels**2)), labels


def ber_awgn(bits_per_symbol: int, snr: np.ndarray | float) -> np.ndarray:
    """Bit error rate of Gray QAM when each bit is decided by the sign of its exact LLR.

    P = sum over bits of 1/2 integral min(p(y | 0), p(y | 1)) dy, by quadrature for 16QAM and above; BPSK
    Q(sqrt(2 SNR)) and QPSK Q(sqrt(SNR)). Above 30 dB the thresholds stand midway between levels.

    Args:
        bits_per_symbol: 1, 2, 4, 6 or 8.
        snr: Es/N0, linear.

    Source: Proakis and Salehi, Digital Communications, 5th ed., sections 4.1 (decision by posterior) and 4.3.

    >>> float(ber_awgn(1, 10.0).round(9))
    3.872e-06
    """
    snr = np.asarray(snr, float)
    if bits_per_symbol <= 2:
        return _q(np.asarray(np.sqrt(2 / bits_per_symbol * snr)))
    return np.vectorize(lambda value: _ber_level(bits_per_symbol // 2, float(value)))(snr)


def ber_fading(bits_per_symbol: int, snr: float, k_factor: float = 0.0, power: int = 1) -> float:
    """E[P(SNR |g|^2)^power] over Rician fading with E|g|^2 = 1; power 2 gives the variance between fades.

    Args:
        bits_per_symbol: 1, 2, 4, 6 or 8.
        snr: mean Es/N0, linear.
        k_factor: line of sight over scattered power, linear, up to 1000 (the grid's limit); 0 is Rayleigh.
        power: 1 or 2.

    Source: Simon and Alouini, Digital Communication over Fading Channels, 2nd ed., sections 2.2 and 8.2.

    >>> rayleigh = 0.5 * (1 - math.sqrt(10 / 11))
    >>> abs(ber_fading(1, 10.0) / rayleigh - 1) < 1e-3
    True
    """
    gain = 10 ** (_GRID_DB / 10) / snr
    # I0(z) e^(-z) keeps the density finite for strong lines of sight
    argument = 2 * np.sqrt(k_factor * (1 + k_factor) * gain)
    bessel = torch.special.i0e(torch.from_numpy(argument)).numpy()
    density = (1 + k_factor) * bessel * np.exp(argument - k_factor - (1 + k_factor) * gain)
    weight = density * gain * (math.log(10) / 100)
    # what lies below the grid is a fade that leaves bits to chance
    return float((_table(bits_per_symbol) ** power * weight).sum() + 0.5**power * max(0.0, 1 - weight.sum()))


def jakes(lag_s: np.ndarray | float, doppler_hz: float) -> np.ndarray:
    """J0(2 pi f_D tau): autocorrelation of waves from all directions of the plane.

    Source: Clarke, A statistical theory of mobile-radio reception, 1968.

    >>> float(jakes(0.0, 10.0))
    1.0
    """
    return torch.special.bessel_j0(torch.as_tensor(2 * math.pi * doppler_hz * np.asarray(lag_s, float))).numpy()


def estimated_snr(snr: float, error_variance: float) -> float:
    """Mean effective SNR behind an estimate H + e of a Rayleigh gain, e ~ CN(0, error_variance): 1 / (N0 (1 + v) + v).

    The receiver knows E[H | H + e]; what is left of H is noise. With one pilot of the data's energy v = N0, and the
    loss tends to 3 dB: SNR^2 / (1 + 2 SNR).

    Source: Hassibi and Hochwald, How much training is needed in multiple-antenna wireless links?, 2003, equation 20.

    >>> round(10 * math.log10(100 / estimated_snr(100.0, 0.01)), 2)
    3.03
    """
    return 1 / ((1 + error_variance) / snr + error_variance)


def _q(x: np.ndarray) -> np.ndarray:
    return np.asarray(torch.special.erfc(torch.as_tensor(x / math.sqrt(2), dtype=torch.float64)).numpy() / 2)


@lru_cache
def _table(bits_per_symbol: int) -> np.ndarray:
    return ber_awgn(bits_per_symbol, 10 ** (_GRID_DB / 10))


def _ber_level(width: int, snr: float) -> float:
    levels, labels = level_pairs(width)
    deviation = math.sqrt(0.5 / snr)
    if snr > 1000:
        return _ber_nearest(levels, labels, deviation)
    step = deviation / 40
    reach = levels[-1] + 9 * deviation
    heard = np.arange(-reach, reach, step)
    likelihood = np.exp(-((heard - levels[:, None]) ** 2) / (2 * deviation**2))
    one = labels.T.astype(float) @ likelihood
    zero = (1.0 - labels.T) @ likelihood
    density = np.minimum(one, zero).sum(1) * step / (len(levels) * deviation * math.sqrt(2 * math.pi))
    return float(density.mean())


def _ber_nearest(levels: np.ndarray, labels: np.ndarray, deviation: float) -> float:
    """Of an axis whose nearest level is decided, which at high SNR is what the posterior decides.

    Source: Cho and Yoon, On the general BER expression of one- and two-dimensional amplitude modulations, 2002.
    """
    edges = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
    below = _q((levels[:, None] - edges[None]) / deviation)
    decided = np.diff(below, axis=1)
    # differences of numbers near one lose small tails: take them from the other side
    above = _q((edges[None] - levels[:, None]) / deviation)
    decided = np.where(edges[None, :-1] > levels[:, None], -np.diff(above, axis=1), decided)
    distance = (labels[:, None] != labels[None]).mean(-1)
    return float((decided * distance).sum() / len(levels))
