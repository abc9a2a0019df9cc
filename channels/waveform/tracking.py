"""Phase, frequency and sampling clock of a frame from its known symbols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex
from numpy.typing import NDArray
from torch import Tensor

from channels.waveform.pulse import Table, evaluate, split

_BEGINNING_WEIGHT = 128  # largest weight of the beginning in the gain, in symbols
_GROUP = 16  # consecutive known symbols with one phase
_WALKS = (1e-12, *(10 ** (exponent / 2) for exponent in range(-16, -3)))  # phase noise per symbol, rad^2
_PASSES = 3  # of Gauss-Newton over the whole frame, at most
_CONVERGED = 1e-3  # last change of a time in symbols: even if all of it is left, an error 55 dB below the signal
_DERIVATIVE = 1 / 16  # symbols on each side of a time for the derivative


@dataclass(frozen=True)
class Track:
    """Tracked quantities of a frame.

    Args:
        start: time of symbol 0 in samples.
        period: distance of symbols in samples.
        phase: phase of each symbol in radians, float64 [symbols].
        phase_var: variance of the error of each phase, float64 [symbols].
        gain: mean amplitude of the equalized known symbols over what was sent.
        outputs: equalized known symbols without phase and gain, complex128 [known].
        fitted: expected reduction of the summed residual by the fit of the phases.
    """

    start: float
    period: float
    phase: NDArray[np.float64]
    phase_var: NDArray[np.float64]
    gain: float
    outputs: NDArray[np.complex128]
    fitted: float

    def times(self, positions: NDArray[np.int64]) -> Tensor:
        """Time of each symbol in samples, float64 [positions]."""
        return torch.from_numpy(self.start + self.period * positions)


def track(
    samples: Complex[Tensor, " samples"],
    table: Table,
    start: float,
    rate: int,
    positions: NDArray[np.int64],
    known: NDArray[np.complex128],
    noise_var: float,
    parameters: float,
) -> Track:
    """Follow phase and clock over a frame.

    The output y(t) of the equalizer at a known symbol p is p e^(j phase) + (t - t_0) y'(t) + noise, which gives phase
    and time error. Over a horizon that doubles in every step, so that no error grows beyond a fraction of a symbol or
    turn, Gauss-Newton steps fit start and period, and a Kalman smoother estimates the phase, a random walk with
    constant drift whose variance maximizes the likelihood.

    Args:
        samples: recording without frequency offset, complex64 [samples].
        table: pulse of the receiver, see `equalizer`.
        start: time of symbol 0 in samples.
        rate: samples per symbol.
        positions: increasing positions of known symbols, int64 [known].
        known: known symbols, complex128 [known].
        noise_var: noise variance of an equalized symbol.
        parameters: effective number of parameters of the equalizer, which was fitted to the first consecutive symbols.
    """
    beginning = _first_gap(positions)
    period, horizon = float(rate), 2 * beginning
    last = int(positions[-1])
    shift = drift = np.inf
    passes, parts, every = 0, split(samples), _grouped(positions)
    while True:
        inside = positions <= horizon
        here, symbols = positions[inside], known[inside]
        outputs, slope = _evaluate(parts, table, start + period * here.astype(float), rate)
        groups = every[every < len(here)]
        phase, spread, walk = _phases(outputs, symbols, groups, here, noise_var)
        turned = np.exp(-1j * _interpolate(groups, here, phase, here))
        noise_var = _group_noise(outputs, symbols, groups)
        gain = _gain((outputs * turned * symbols.conj()).real, np.abs(symbols) ** 2, beginning, noise_var, parameters)
        outputs, slope = outputs * turned / gain, slope * turned / gain
        passes += horizon >= last
        if passes > _PASSES or (passes > 1 and abs(shift) + abs(drift) * last < _CONVERGED):
            break
        error, weight = ((outputs - symbols) * slope.conj()).real, np.abs(slope) ** 2
        offset = here - here.mean()
        drift = (error * offset).sum() / max((weight * offset**2).sum(), 1e-12)
        shift = error.sum() / max(weight.sum(), 1e-12) - drift * here.mean()
        start, period = start - rate * shift, period - rate * drift
        horizon = min(2 * horizon, last)
    everywhere = np.arange(last + 1)
    energies = np.add.reduceat(np.abs(symbols) ** 2, groups)
    return Track(
        start=start,
        period=period,
        phase=_interpolate(groups, here, phase, everywhere),
        phase_var=_interpolated_variance(groups, here, spread, walk, everywhere),
        gain=gain,
        outputs=outputs,
        fitted=float((spread * energies).sum()),
    )


def _first_gap(positions: NDArray[np.int64]) -> int:
    """Number of consecutive known symbols at the beginning."""
    gaps = np.flatnonzero(np.diff(positions) > 1)
    return int(gaps[0]) + 1 if len(gaps) else len(positions)


def _group_noise(outputs: NDArray[np.complex128], symbols: NDArray[np.complex128], groups: NDArray[np.int64]) -> float:
    """Noise variance from the errors within groups of known symbols, each with its own phase; the gain is common."""
    totals = np.add.reduceat(outputs * symbols.conj(), groups)
    power, energy = float((np.abs(outputs) ** 2).sum()), float((np.abs(symbols) ** 2).sum())
    gain = float(np.abs(totals).sum()) / energy
    freedom = max(len(symbols) - 0.5 * len(groups) - 0.5, 1)
    return max((power - gain**2 * energy) / freedom, 1e-9 * power / len(symbols))


def _gain(
    products: NDArray[np.float64],
    energies: NDArray[np.float64],
    beginning: int,
    noise_var: float,
    parameters: float,
) -> float:
    """Amplitude of the outputs over the symbols; the beginning, to which the equalizer was fitted, counts less."""
    weight = min(1.0, _BEGINNING_WEIGHT / beginning)
    excess = (parameters + 1) * noise_var  # in the sum of the products, because of that fit
    total = weight * (products[:beginning].sum() - excess) + products[beginning:].sum()
    return max(float(total / (weight * energies[:beginning].sum() + energies[beginning:].sum())), 1e-3)


def _evaluate(
    parts: NDArray[np.float32], table: Table, times: NDArray[np.float64], rate: int
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Equalizer outputs at times in samples, and their derivatives per symbol duration."""
    step = _DERIVATIVE * rate
    outputs = evaluate(parts, np.concatenate([times - step, times, times + step]), table).astype(complex)
    before, here, after = outputs.reshape(3, -1)
    return here, (after - before) / (2 * _DERIVATIVE)


def _grouped(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the first known symbol of each group."""
    starts = np.flatnonzero(np.r_[True, np.diff(positions) > 1])
    lengths = np.diff(np.r_[starts, len(positions)])
    return np.flatnonzero((np.arange(len(positions)) - np.repeat(starts, lengths)) % _GROUP == 0)


def _centers(groups: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.float64]:
    counts = np.diff(np.r_[groups, len(positions)])
    return np.add.reduceat(positions, groups) / counts


def _phases(
    outputs: NDArray[np.complex128],
    symbols: NDArray[np.complex128],
    groups: NDArray[np.int64],
    positions: NDArray[np.int64],
    noise_var: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Smoothed phase of each group, its variance, and the variance of the phase noise per symbol."""
    from channels.waveform import kernels

    totals = np.add.reduceat(outputs * symbols.conj(), groups)
    energies = np.add.reduceat(np.abs(symbols) ** 2, groups)
    variance = noise_var / (2 * np.maximum(energies, 1e-3))
    distance = np.diff(_centers(groups, positions), prepend=0.0)
    prior = (np.pi / (2 * positions[groups[-1]] + 1)) ** 2 if len(groups) == 1 else (np.pi / (8 * _GROUP)) ** 2
    best = (-np.inf, np.empty(0), np.empty(0), 0.0)
    for walk in _WALKS:
        phase, spread = np.empty(len(groups)), np.empty(len(groups))
        likelihood = kernels.smooth_phase(np.angle(totals), variance, distance, walk, prior, phase, spread)
        if likelihood > best[0] + 1e-9:
            best = (likelihood, phase, spread, walk)
    return best[1:]


def _interpolate(
    groups: NDArray[np.int64], positions: NDArray[np.int64], phase: NDArray[np.float64], at: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Linear interpolation of the phases between group centers, and extrapolation with the end slopes."""
    centers = _centers(groups, positions)
    if len(centers) == 1:
        return np.full(len(at), phase[0])
    index = np.clip(np.searchsorted(centers, at), 1, len(centers) - 1)
    slope = (phase[index] - phase[index - 1]) / (centers[index] - centers[index - 1])
    return phase[index - 1] + slope * (at - centers[index - 1])


def _interpolated_variance(
    groups: NDArray[np.int64],
    positions: NDArray[np.int64],
    spread: NDArray[np.float64],
    walk: float,
    at: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Variance of interpolated phases: that of the groups, and that of a random walk between them."""
    centers = _centers(groups, positions)
    variance = np.interp(at, centers, spread)
    if len(centers) == 1:
        return variance
    index = np.clip(np.searchsorted(centers, at), 1, len(centers) - 1)
    left, right = np.maximum(at - centers[index - 1], 0), np.maximum(centers[index] - at, 0)
    return variance + walk * left * right / (left + right)
