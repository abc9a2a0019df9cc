"""Recognition of modulations by likelihood: error rates against integration, Chernoff's bound and a reference table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from channels import recognition
from channels.base import Channel
from channels.certificate import theory
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import sample_count, streams, transmit, z_score

# Pairs, at the SNRs in dB at which link adaptation changes from one to the other.
PAIRS = (("bpsk", "qpsk", 0.0), ("qpsk", "16qam", 3.5), ("16qam", "64qam", 11.2), ("64qam", "256qam", 17.5))
FIVE = ("bpsk", "qpsk", "16qam", "64qam", "256qam")

# Share of correct decisions of two independent programs, and its standard error, by SNR in dB, for frames of 128 uses
# of five equally likely modulations with known gain and noise.
ACCURACY_128 = {
    -2.0: (0.438, 0.005),
    2.0: (0.558, 0.005),
    6.0: (0.670, 0.005),
    10.0: (0.787, 0.004),
    14.0: (0.874, 0.003),
}


def modulations(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Energy of the modulations; decisions between two after 1 and 64 uses over AWGN, and between five after 128."""
    del modem
    for name, modulation in recognition.MODULATIONS.items():
        energy = modulation.draw(sample_count(20_000, scale), streams(f"energy of {name}", 1)).abs().square()
        energy = energy.double().round(decimals=6)  # points of equal energy differ by rounding
        yield Line(f"recognition: energy of {name}", float(energy.mean()), 1.0, z_score(energy, 1.0))
    if "awgn" in channels:
        for first, second, snr_db in PAIRS:
            yield from _pair(channels["awgn"], first, second, snr_db, scale)
        for snr_db, (expected, error) in ACCURACY_128.items():
            right = _correct(channels["awgn"], FIVE, 128, snr_db, sample_count(1000, scale), "five")
            share = float(right.double().mean())
            deviation = math.hypot(error, math.sqrt(max(share * (1 - share), 0.01) / right.numel()))
            name = f"recognition awgn: 5 modulations, 128 uses, {snr_db:g} dB"
            yield Line(name, share, expected, (share - expected) / deviation)


def _pair(channel: Channel, first: str, second: str, snr_db: float, scale: float) -> Iterator[Line]:
    frames = sample_count(400, scale, 100)
    name = f"recognition awgn: {first} or {second}, {snr_db:g} dB"
    expected = theory.pair_error(_points(first), _points(second), 10 ** (snr_db / 10))
    wrong = 1 - _correct(channel, (first, second), 1, snr_db, 20 * frames, "one use").double()
    error = math.sqrt(expected * (1 - expected) / wrong.numel())
    yield Line(f"{name}, error after 1 use", float(wrong.mean()), expected, (float(wrong.mean()) - expected) / error)
    bound = math.exp(-64 * recognition.chernoff(first, second, snr_db)) / 2
    measured = float(1 - _correct(channel, (first, second), 64, snr_db, frames, "64 uses").double().mean())
    above = (measured - bound) / math.sqrt(bound * (1 - bound) / (2 * frames))
    yield Line(f"{name}, error after 64 uses, bound", measured, bound, max(0.0, above))


def _correct(channel: Channel, names: Sequence[str], uses: int, snr_db: float, frames: int, label: str) -> Tensor:
    """Whether each frame is recognized, `frames` of each modulation, bool [modulations * frames]."""
    right = []
    noise = 10 ** (-snr_db / 10)
    for index, name in enumerate(names):
        rng = streams(f"recognition {label} {name} {snr_db}", frames)
        sent = recognition.MODULATIONS[name].draw(uses, rng)
        received = transmit(channel, sent, snr_db, rng).symbols
        found = recognition.log_likelihoods(received, names, noise_variance=noise, gain=1.0)
        decided = recognition.posterior(found).argmax(1)
        if uses == 1:  # equal likelihoods are a coin, not the first modulation
            decided = torch.where(found[:, 0] == found[:, 1], torch.arange(frames) % 2, decided)
        right.append(decided == index)
    return torch.cat(right)


def _points(name: str) -> Tensor:
    """Points of a square QAM or of BPSK from its definition, complex128."""
    if name == "bpsk":
        return torch.tensor([1 + 1j, -1 - 1j], dtype=torch.complex128) / math.sqrt(2)
    side = {"qpsk": 2, "16qam": 4, "64qam": 8, "256qam": 16}[name]
    odd = torch.arange(1 - side, side, 2, dtype=torch.float64)
    points = torch.complex(*torch.meshgrid(odd, odd, indexing="ij")).flatten()
    return points / points.abs().square().mean().sqrt()
