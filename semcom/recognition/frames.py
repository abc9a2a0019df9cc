"""Endless frames of random symbols over memoryless channels, determined by a seed and a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from channels.recognition import MODULATIONS
from channels.rng import Rng, seed_for


@dataclass(frozen=True)
class Frames:
    """Received frames and how they were made.

    Args:
        symbols: received symbols before equalization, complex64 [rows, uses].
        truth: index of the modulation of each frame, int64 [rows].
        snr_db: Es/N0 of each frame, float32 [rows].
        phase: phase of the gain of each frame in radians, float32 [rows].
    """

    symbols: Tensor
    truth: Tensor
    snr_db: Tensor
    phase: Tensor


def draw(
    modulations: Sequence[str],
    uses: int,
    snr_db: tuple[float, float],
    rows: int,
    seed: int,
    step: int | str,
    taps: int = 1,
) -> Frames:
    """Frames y = h a + w with random modulation, SNR (uniform in dB), phase, gain |h| (0.1 to 10) and noise.

    With two taps or more, each tap has a Rayleigh gain of mean energy 1 / taps; the SNR is then the mean one.

    Args:
        modulations: names in `channels.recognition.MODULATIONS`, equally likely.
        uses: channel uses of each frame.
        snr_db: lowest and highest SNR.
        rows: number of frames.
        seed: seed of all steps.
        step: step, or name of another set of frames.
        taps: number of paths, each one use later than the one before; 1 is a flat channel without fading.

    >>> draw(["qpsk", "16qam"], 8, (0.0, 20.0), 3, seed=0, step=0).symbols.shape
    torch.Size([3, 8])
    """
    rng = Rng([seed_for(seed, "frames", step, row) for row in range(rows)])
    choice, level, turn, gain = rng.uniform(4).unbind(1)
    truth = (choice * len(modulations)).long()
    snr = snr_db[0] + (snr_db[1] - snr_db[0]) * level
    sent = torch.empty(rows, uses, dtype=torch.complex64)
    for index, name in enumerate(modulations):
        chosen = (truth == index).nonzero()[:, 0].tolist()
        if chosen:
            sent[chosen] = MODULATIONS[name].draw(uses, Rng([rng.seeds[row] for row in chosen]))
    if taps > 1:
        gains = rng.derive("taps").complex_normal(taps) / math.sqrt(taps)
        delayed = [functional.pad(sent, (tap, 0))[:, :uses] for tap in range(taps)]
        sent = torch.einsum("rt,tru->ru", gains, torch.stack(delayed))
    noise = rng.derive("noise").complex_normal(uses, variance=10 ** (-snr / 10))
    phase = 2 * math.pi * turn
    factor = torch.polar(10 ** (2 * gain - 1), phase)
    return Frames(factor[:, None] * (sent + noise), truth, snr, phase)
