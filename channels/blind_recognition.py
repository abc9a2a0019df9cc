"""Likelihoods of modulations for a receiver that knows neither gain, phase nor noise: averages over a prior.

The averaged likelihood decides with the fewest errors over frames whose SNR and phase follow the prior. The test of the
largest likelihood (`channels.recognition` with an unknown noise variance) errs more often, because a modulation with
more points fits almost every frame at some SNR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from channels.arguments import one_of
from channels.errors import UsageError
from channels.recognition import MODULATIONS, Modulation

_ANGLES = 96  # of the whole circle
_SNR_STEP_DB = 1.0  # of the average; finer around the most likely SNR


@dataclass(frozen=True)
class BlindLikelihood:
    """What a receiver finds in frames of which it knows nothing.

    Args:
        log_likelihood: averaged log-likelihood of each modulation, float64 [rows, modulations].
        snr_db: posterior mean of Es/N0 under each modulation, dB, float64 [rows, modulations].
        phase: most likely phase of the gain under each modulation in radians, up to the symmetry of the points,
            float64 [rows, modulations].
    """

    log_likelihood: Tensor
    snr_db: Tensor
    phase: Tensor


def blind_log_likelihoods(
    symbols: Tensor, modulations: Sequence[str] = tuple(MODULATIONS), snr_db: tuple[float, float] = (-6.0, 22.0)
) -> BlindLikelihood:
    """Log-likelihoods averaged over a uniform phase and an SNR that is uniform in dB.

    L_i = ln mean over theta, N0 of prod_n mean over a of exp(-|y_n - h a|^2 / N0) / (pi N0), h = |h| e^(j theta), where
    |h|^2 = mean |y|^2 - N0.

    Args:
        symbols: received symbols before equalization, complex64 [rows, uses].
        modulations: names in `channels.recognition.MODULATIONS`.
        snr_db: lowest and highest Es/N0 of the prior in dB, within -20 and 40 dB.

    Raises:
        UsageError: a modulation is not known, the range is not ascending or too wide, or the symbols are not complex
            [rows, uses].

    Source: A. Polydoros, K. Kim, On the detection and classification of quadrature digital modulations in broad-band
    noise, IEEE Transactions on Communications, 1990.

    >>> from channels.rng import Rng
    >>> found = blind_log_likelihoods(3j * MODULATIONS["16qam"].draw(256, Rng([1])), ["qpsk", "16qam", "64qam"])
    >>> found.log_likelihood.argmax(1), round(found.snr_db[0, 1].item())
    (tensor([1]), 22)
    """
    for name in modulations:
        one_of("modulation", name, tuple(MODULATIONS))
    low, high = snr_db
    if not -20 <= low < high <= 40:
        raise UsageError(f"the SNR range must ascend within -20 and 40 dB, not {low:g} to {high:g}")
    if symbols.ndim != 2 or not symbols.is_complex() or not symbols.numel():
        raise UsageError(f"received symbols must be complex [rows, uses] with one use or more, not {symbols.shape}")
    power = symbols.abs().square().mean(1, keepdim=True).clamp(min=1e-30)
    frames = (symbols / power.sqrt()).to(torch.complex64).cpu().numpy()
    scale = -symbols.shape[1] * power[:, 0].double().log().cpu()
    snrs = _snrs(low, high)
    columns = [_averaged(frames, MODULATIONS[name], snrs) for name in modulations]
    values, levels, phases = (torch.from_numpy(np.stack(part, 1)) for part in zip(*columns, strict=True))
    return BlindLikelihood(values + scale[:, None], levels, phases)


def _snrs(low: float, high: float) -> np.ndarray:
    """All SNRs at which tables are made, ascending, dB: fine steps of which a frame uses those near its peak."""
    from channels.blind_recognition_kernel import SNR_STEPS

    fine = _SNR_STEP_DB / SNR_STEPS
    return low + (high - low) * np.linspace(0, 1, math.ceil((high - low) / fine) + 1)


def _averaged(frames: np.ndarray, modulation: Modulation, snrs: np.ndarray) -> tuple[np.ndarray, ...]:
    """Log-likelihood, mean SNR and phase of each frame."""
    from channels.blind_recognition_kernel import average

    rows, uses = frames.shape
    if not (modulation.in_phase or modulation.points):  # Gaussian symbols: z has variance 1 at every SNR
        energy = np.square(np.abs(frames)).sum(1, dtype=np.float64)
        nothing = np.full(rows, np.nan)
        return -energy - uses * math.log(math.pi), nothing, nothing
    turn = modulation.turn + modulation.alternating * (np.arange(uses) % 2)
    turned = (frames * np.exp(-1j * turn)).astype(np.complex64)
    period = 2 * math.pi / modulation.symmetry
    angles = max(6, _ANGLES // modulation.symmetry)
    points = np.array(modulation.points, np.complex64)
    noise = (1 / (1 + 10 ** (snrs / 10))).astype(np.float64)
    tables = [_table(levels, tuple(snrs.tolist())) for levels in (modulation.in_phase, modulation.quadrature)]
    results = np.empty((3, rows))
    average(turned, tables[0], tables[1], points, noise, snrs, period, angles, results)
    return results[0], results[1], results[2]


@lru_cache(maxsize=32)
def _table(levels: tuple[float, ...], snrs: tuple[float, ...]) -> np.ndarray:
    """ln mean over levels of exp(-(x - g l)^2 / n), float32 [SNRs, positions]; empty without levels."""
    from channels.blind_recognition_kernel import REACH, STEP

    noise = 1 / (1 + 10 ** (np.array(snrs) / 10))
    if not levels:
        return np.zeros((len(noise), 1), np.float32)
    position = np.arange(-REACH, REACH + 2 * STEP, STEP)
    found = np.empty((len(noise), len(position)), np.float32)
    for index, variance in enumerate(noise):
        exponents = -((position - np.sqrt(1 - variance) * np.array(levels)[:, None]) ** 2) / variance
        most = exponents.max(0)
        found[index] = most + np.log(np.exp(exponents - most).mean(0))
    return found
