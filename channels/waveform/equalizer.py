"""Channel estimate from known symbols, and the linear MMSE equalizer, as one pulse for the whole receiver.

The channel is sum_l c_l delta(t - l T / 2), |l| limited. With the outputs y of the matched filter and known symbols s,

    b_l = sum_k conj(s_k) y((k + l / 2) T),    E b = A c,    cov b = N0 A,    A_(l l') = a(l - l')

is a sufficient statistic for c in white noise. Sparse Bayesian learning estimates the mean power of each coefficient,
so that empty ones cost nothing. The infinite linear MMSE equalizer behind the channel's matched filter has the spectrum
1 / (X + N0), where X is the folded spectrum of pulse and channel, and the gain mu = mean of X / (X + N0); division by
mu removes its bias.

Source: Tipping, Sparse Bayesian learning and the relevance vector machine, 2001 (powers); Proakis and Salehi, Digital
Communications, 5th ed., section 9.4-2 (equalizer).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.waveform.pulse import Pulse, Table, combined

_ITERATIONS = 15
_TRIM = 1e-6  # share of the equalizer's energy that may be cut off at its ends
_BINS = 128  # of the equalizer's spectrum


@dataclass(frozen=True)
class ChannelEstimate:
    """Estimated channel of a frame.

    Args:
        delays: delays l of the coefficients in half symbols, int64 [coefficients].
        taps: coefficients c, complex128 [coefficients].
        noise_var: noise variance N0 of a matched filter output.
        parameters: effective number of estimated coefficients.
        spectrum: folded spectrum X over the frequencies of `numpy.fft.fft`, float64 [bins].
        delay_spread: root-mean-square delay spread in symbols, see `_delay_spread`.
    """

    delays: NDArray[np.int64]
    taps: NDArray[np.complex128]
    noise_var: float
    parameters: float
    spectrum: NDArray[np.float64]
    delay_spread: float

    @property
    def energy(self) -> float:
        """Received energy of a symbol of unit energy."""
        return float(self.spectrum.mean())

    def equalizer(self, pulse: Pulse) -> Table:
        """Pulse of the receiver: matched filter, channel-matched filter and equalizer, without bias."""
        shape = 1 / (self.spectrum + self.noise_var)
        gain = max(float((self.spectrum * shape).mean()), 1e-6)  # the estimate vanishes if no known symbol came
        filter_ = np.fft.ifft(shape) / gain
        half = _BINS // 2 - 1
        taps = np.zeros(4 * half + 1 + int(np.ptp(self.delays)) + 1, complex)
        origin = 2 * half - int(self.delays.min())
        for delay, tap in zip(self.delays, self.taps, strict=True):
            # weight of y((k - j) T + l T / 2)
            taps[origin + delay - 2 * half : origin + delay + 2 * half + 1 : 2] += (
                tap.conj() * filter_[np.arange(half, -half - 1, -1)]
            )
        energy = np.abs(taps) ** 2
        ends = np.flatnonzero(
            (energy.cumsum() > _TRIM * energy.sum()) & (energy[::-1].cumsum()[::-1] > _TRIM * energy.sum())
        )
        span = slice(ends[0], ends[-1] + 1)
        offsets = (np.arange(len(taps)) - origin)[span] * (pulse.samples_per_symbol / 2)
        weights = taps[span]
        large = np.abs(weights) ** 2 > _TRIM * energy.sum() / len(weights)
        return combined(pulse, offsets[large], weights[large])


def estimate(
    halves: NDArray[np.complex128], known: NDArray[np.complex128], pulse: Pulse, before: int, after: int
) -> ChannelEstimate:
    """Estimate the channel from consecutive known symbols.

    Args:
        halves: matched filter outputs from `before` half symbols before the first known symbol to `after` half symbols
            after the last one, complex128 [2 * symbols - 1 + before + after].
        known: known symbols s, complex128 [symbols].
        pulse: pulse of the symbols.
        before: number of coefficients with negative delays.
        after: number of coefficients with positive delays.
    """
    count, delays = len(known), np.arange(-before, after + 1)
    correlation = np.array([known.conj() @ halves[first : first + 2 * count - 1 : 2] for first in before + delays])
    gram, inner, shapes = _design(known.astype(complex).tobytes(), pulse, before, after)
    outputs = halves[before + 2 * inner]

    power = np.abs(correlation / gram[0, 0].real) ** 2
    noise = max(float(np.mean(np.abs(outputs) ** 2)) - power.max(), 1e-3 * power.max())
    mean, free = np.zeros(len(delays), complex), 0.0
    for _ in range(_ITERATIONS):
        power = np.maximum(power, 1e-12 * power.max())
        covariance = np.linalg.inv(gram / noise + np.diag(1 / power))
        mean = covariance @ correlation / noise
        used = np.clip(1 - covariance.diagonal().real / power, 1e-9, 1)
        power, free = np.abs(mean) ** 2 / used, float(used.sum())
        error = float((np.abs(outputs - shapes @ mean) ** 2).sum())
        noise = max(error / max(len(inner) - free, 1), 1e-9 * float(np.abs(mean[before]) ** 2 + 1e-30))
    spectrum = _folded(mean, delays, pulse)
    return ChannelEstimate(delays, mean, noise, free, spectrum, _delay_spread(mean, delays, pulse))


@lru_cache(maxsize=32)
def _design(
    sequence: bytes, pulse: Pulse, before: int, after: int
) -> tuple[NDArray[np.complex128], NDArray[np.int64], NDArray[np.complex128]]:
    """Matrix A; positions of symbols away from the unknown ones at both ends; their outputs for each coefficient."""
    known, delays = np.frombuffer(sequence, complex), np.arange(-before, after + 1)
    lags = np.arange(-pulse.span, pulse.span + 1)
    overlap = _autocorrelation(pulse, len(delays))  # q(m T + d T / 2) of each lag m and distance d
    toeplitz = np.array([_lagged(known, int(m)) for m in lags]) @ overlap  # a(d), d = -(L - 1) .. L - 1
    gram = toeplitz[len(delays) - 1 + delays[:, None] - delays[None]]
    edge = pulse.span // 2
    inner = np.arange(edge, len(known) - edge)
    return gram, inner, np.stack([_shaped(known, pulse, -int(delay))[inner] for delay in delays], 1)


def _lagged(known: NDArray[np.complex128], lag: int) -> complex:
    """sum_k conj(s_k) s_(k - lag)."""
    if lag >= 0:
        return complex(known[lag:].conj() @ known[: len(known) - lag])
    return complex(known[:lag].conj() @ known[-lag:])


def _shaped(known: NDArray[np.complex128], pulse: Pulse, halves: int) -> NDArray[np.complex128]:
    """sum_k' s_k' q((k - k') T + halves T / 2) at each symbol k."""
    return np.convolve(known, _lag_values(pulse, halves), mode="full")[pulse.span : pulse.span + len(known)]


@lru_cache(maxsize=256)
def _lag_values(pulse: Pulse, halves: int) -> NDArray[np.float64]:
    """q(m T + halves T / 2) for m = -span .. span."""
    return pulse.autocorrelation(np.arange(-pulse.span, pulse.span + 1, dtype=float) + halves / 2)


@lru_cache(maxsize=8)
def _autocorrelation(pulse: Pulse, count: int) -> NDArray[np.float64]:
    return np.stack([_lag_values(pulse, distance) for distance in range(1 - count, count)], 1)


def _delay_spread(taps: NDArray[np.complex128], delays: NDArray[np.int64], pulse: Pulse) -> float:
    """Root-mean-square delay spread in symbols, of coefficients with 1 % of the largest received energy or more.

    The energy of coefficient l is Re conj(c_l) sum_l' c_l' q((l - l') T / 2). Coefficients that cancel each other
    within the band of the pulse, which known symbols do not determine, have none.
    """
    distances = np.arange(len(taps))[:, None] - np.arange(len(taps))
    energy = (taps.conj() * (_autocorrelation(pulse, len(taps))[pulse.span][distances + len(taps) - 1] @ taps)).real
    energy = np.where(energy > 0.01 * energy.max(), energy, 0)
    total = max(float(energy.sum()), 1e-300)
    mean = float((energy * delays / 2).sum()) / total
    return math.sqrt(float((energy * (delays / 2 - mean) ** 2).sum()) / total)


def _folded(taps: NDArray[np.complex128], delays: NDArray[np.int64], pulse: Pulse) -> NDArray[np.float64]:
    """X = transform of x_m = sum_(l l') conj(c_l) c_l' q(m T + (l - l') T / 2)."""
    products = np.correlate(taps, taps, mode="full")  # sum_l' c_(l' + d) conj(c_l') for d = 1 - L .. L - 1
    values = _autocorrelation(pulse, len(taps)) @ products[::-1]
    lags = np.arange(-pulse.span, pulse.span + 1)
    sequence = np.zeros(_BINS, complex)
    np.add.at(sequence, lags % _BINS, values)
    return np.maximum(np.fft.fft(sequence).real, 0)
