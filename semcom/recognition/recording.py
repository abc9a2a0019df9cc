"""Modulations of a recording: segments of its symbols, each with the posterior of every modulation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from channels.arguments import within
from channels.blind_recognition import blind_log_likelihoods
from channels.errors import UsageError
from channels.recognition import MODULATIONS, log_likelihoods, posterior
from channels.waveform.symbol_recovery import recover
from semcom.radio.recording import Recording
from semcom.radio.shared import Shared

CANDIDATES = ("bpsk", "qpsk", "8psk", "16qam", "64qam", "256qam", "gaussian")
SNR_DB = (-6.0, 30.0)  # of the prior
_HEADER_USES = 64  # at the start of a transmission, whose modulation is that of the headers
_LARGEST_SNR_DB = (
    25.0  # of a likelihood: QPSK symbols of a header among others, and residual distortion, count as noise
)
_SHORTEST = 16  # symbols of a segment that is examined, unless the whole transmission is shorter
_SMOOTHING = 64  # symbols over which the power is averaged to find transmissions
_THRESHOLD = 0.1  # of the power of transmissions


@dataclass(frozen=True)
class Segment:
    """Consecutive symbols of a recording.

    Args:
        title: recording or frame that the segment is part of.
        start: time of the first symbol in samples.
        uses: number of symbols.
        frequency: carrier frequency offset in cycles per sample.
        log_likelihood: log-likelihood of each modulation, float64 [modulations].
        snr_db: Es/N0 in dB, float64 [modulations]: that of the frame's receiver, else the posterior mean under each
            modulation.
    """

    title: str
    start: float
    uses: int
    frequency: float
    log_likelihood: Tensor
    snr_db: Tensor


@dataclass(frozen=True)
class Decision:
    """A modulation with its posterior.

    Args:
        name: most probable modulation.
        probability: its posterior.
        second: second most probable modulation.
        second_probability: its posterior.
        decided: whether the posterior of the first reaches the one that was asked for.
    """

    name: str
    probability: float
    second: str
    second_probability: float
    decided: bool


def decide(log_likelihood: Tensor, modulations: Sequence[str], least: float) -> Decision:
    """The most probable modulation for a log-likelihood [modulations] and equal priors.

    >>> from torch import tensor
    >>> decide(tensor([-10.0, -11.0]), ["qpsk", "16qam"], 0.9).decided
    False
    """
    found = posterior(log_likelihood)
    first, second = found.argsort(descending=True)[:2].tolist()
    probability = float(found[first])
    return Decision(modulations[first], probability, modulations[second], float(found[second]), probability >= least)


def check(modulations: Sequence[str], uses: int) -> None:
    """Check the modulations and the length of a segment.

    Raises:
        UsageError: fewer than two modulations, an unknown one, or a length out of range.
    """
    for name in modulations:
        if name not in MODULATIONS:
            raise UsageError(f"--modulations: no modulation {name!r}; there are {', '.join(MODULATIONS)}")
    if len(set(modulations)) < 2 or len(set(modulations)) < len(modulations):
        raise UsageError("--modulations must name two or more different modulations")
    within("--segment", uses, 1, 1 << 16)


def segments(
    recording: Recording,
    modulations: Sequence[str] = CANDIDATES,
    uses: int = 1024,
    samples_per_symbol: int | None = None,
    roll_off: float = 0.25,
) -> list[Segment]:
    """Segments of all transmissions of a recording.

    The payloads of frames of `semcom transmit`, found by their preambles, if the metadata hold their shared
    configuration: their receiver estimates gain and noise, and the likelihoods are those for this gain and noise and an
    unknown phase. Otherwise all bursts of power, with blind recovery of symbol rate, timing and frequency; nothing is
    then known of gain and noise.

    Args:
        recording: samples with their metadata.
        modulations: candidates, names in `channels.recognition.MODULATIONS`.
        uses: symbols of each segment.
        samples_per_symbol: nominal symbol duration in samples: 2, 4, 6 or 8; None finds it.
        roll_off: roll-off factor of the pulse.

    Raises:
        UsageError: there are no samples, there is no signal, or no symbol rate is found.
    """
    check(modulations, uses)
    if not len(recording.samples) or not recording.samples.abs().max():
        raise UsageError("the recording is empty or silent; record a transmission")
    parts = _frames(recording) if recording.shared is not None else _bursts(recording, samples_per_symbol, roll_off)
    found = []
    for title, symbols, noise_var, times, frequency in parts:
        for first in range(0, len(symbols), uses):
            part = symbols[first : first + uses]
            if len(part) < min(_SHORTEST, len(symbols)):
                continue
            known = None if noise_var is None else float(noise_var[first : first + uses].double().mean())
            values = _likelihoods(part, modulations, known)
            found.append(Segment(title, float(times[first]), len(part), frequency, *values))
    if not found:
        raise UsageError("no transmission was found in the recording")
    return found


def _likelihoods(symbols: Tensor, modulations: Sequence[str], noise_var: float | None) -> tuple[Tensor, Tensor]:
    """Log-likelihood and SNR in dB of each modulation for symbols [uses]; of unit gain if their noise is known."""
    if noise_var is None:
        blind = blind_log_likelihoods(symbols[None], modulations, SNR_DB)
        return blind.log_likelihood[0], blind.snr_db[0]
    noise = max(noise_var, 10 ** (-_LARGEST_SNR_DB / 10))
    found = log_likelihoods(symbols[None], modulations, noise_variance=noise, gain=1.0, phase="unknown")[0]
    return found, torch.full_like(found, -10 * math.log10(noise_var))


def _frames(recording: Recording) -> Iterator[tuple[str, Tensor, Tensor | None, np.ndarray, float]]:
    """Payload of each frame of `semcom transmit`: title, symbols, noise variances, times in samples, frequency."""
    from channels.waveform.receiver import Receiver

    shared = Shared.read(recording.shared)
    layout = shared.channel().layout
    frames, _ = Receiver(layout, shared.configuration).receive(recording.samples)
    for frame in sorted(frames, key=lambda frame: frame.start):
        times = np.linspace(frame.start, frame.end, len(frame.symbols))
        first = _HEADER_USES if frame.header.part == 0 and len(frame.symbols) > 2 * _HEADER_USES else 0
        title = f"image {frame.header.number + 1}, frame {frame.header.part + 1}"
        yield title, frame.symbols[first:], frame.noise_var[first:], times[first:], frame.frequency


def _bursts(
    recording: Recording, samples_per_symbol: int | None, roll_off: float
) -> Iterator[tuple[str, Tensor, Tensor | None, np.ndarray, float]]:
    """Symbols of each span of power, likewise, without noise variances."""
    power = recording.samples.abs().square().double().numpy()
    width = min(len(power), _SMOOTHING * (samples_per_symbol or 4))
    smooth = np.convolve(power, np.full(width, 1 / width), "same")
    active = smooth > _THRESHOLD * np.quantile(smooth, 0.95)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(int), [0]])))
    spans = [(start, end) for start, end in edges.reshape(-1, 2) if end - start >= min(width, len(power))]
    for number, (start, end) in enumerate(spans):
        found = recover(recording.samples[start:end], samples_per_symbol, roll_off)
        yield f"burst {number + 1}", found.symbols, None, start + found.times, found.frequency
