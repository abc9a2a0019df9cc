"""Receiver of a waveform: finds the frames of a recording and returns their payload symbols, from the samples alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from numpy.typing import NDArray
from torch import Tensor

from channels.propagation.ofdm import SYMBOLS
from channels.waveform import header as headers
from channels.waveform import ofdm, sequences
from channels.waveform.acquisition import Timing, acquire, phasor
from channels.waveform.channel_tracking import follow
from channels.waveform.detection import Candidate, Detector
from channels.waveform.equalizer import ChannelEstimate, estimate
from channels.waveform.frame import Layout
from channels.waveform.header import Header
from channels.waveform.pulse import Table, gather
from channels.waveform.tracking import Track, track

_BEFORE, _AFTER = 4, 16  # half symbols of delay of the estimated channel before and after the strongest path
_PART = 32  # pilots that are examined together
_DISTURBED, _DISTURBED_RATIO = 0.5, 5.0  # error of a part, absolute and over the median, that is refused
_MARGIN = 3.0  # log-likelihood ratio of unrelated pilots that is refused
_PREAMBLE_WEIGHT = 128  # known symbols of constant modulus count at most this often in the noise variance


@dataclass(frozen=True)
class ReceivedFrame:
    """A frame that was found, with what the receiver measured.

    Args:
        header: decoded header.
        symbols: payload symbols, equalized without bias, complex64 [payload].
        noise_var: estimated variance of their errors, float32 [payload].
        start: time of the first symbol in samples.
        end: time of the last symbol in samples.
        frequency: carrier frequency offset in cycles per sample.
        clock_ppm: sampling-clock offset of the transmitter relative to the receiver in parts per million.
        phase: carrier phase of each payload symbol in radians, float32 [payload].
        gain: amplitude of the received symbols in units of the recording.
        snr_db: Es/N0 before equalization in dB.
        statistic: detection statistic of the preamble, 0 to 1.
        estimate: channel estimate.
    """

    header: Header
    symbols: Complex[Tensor, " payload"]
    noise_var: Float[Tensor, " payload"]
    start: float
    end: float
    frequency: float
    clock_ppm: float
    phase: Float[Tensor, " payload"]
    gain: float
    snr_db: float
    statistic: float
    estimate: ChannelEstimate


@dataclass(frozen=True)
class Rejected:
    """A preamble without a frame that can be used.

    Args:
        start: time of the preamble in samples.
        reason: why there is no frame.
    """

    start: float
    reason: str


class Receiver:
    """Receiver of frames of one layout.

    Detection, time and frequency from the preamble, channel estimate and MMSE equalizer from preamble and header,
    phase and clock from all known symbols; the scattered pilots of OFDM update the channel estimate. The noise variance
    is the mean squared error of the known symbols plus that of the interpolated phase.

    Args:
        layout: layout of the frames.
        configuration: 16 bits that both ends share; frames with others are rejected.
        false_alarms: probability of a false alarm per half symbol of a recording.
    """

    def __init__(self, layout: Layout, configuration: int, false_alarms: float = 1e-9) -> None:
        self.layout, self.configuration = layout, configuration
        self.detector = Detector(layout.preamble, false_alarms)

    def receive(self, recording: Complex[Tensor, " samples"]) -> tuple[list[ReceivedFrame], list[Rejected]]:
        """All frames of a recording in the order of their times, and the preambles without a frame.

        Args:
            recording: complex64 [samples], of any amplitude; the payload symbols are differentiable in it.
        """
        found: list[ReceivedFrame] = []
        rejected: list[Rejected] = []
        for candidate in self.detect(recording):
            frame = self._frame(recording, candidate)
            if isinstance(frame, Rejected):
                rejected.append(frame)
            else:
                found.append(frame)
        return found, rejected

    def detect(self, recording: Complex[Tensor, " samples"]) -> list[Candidate]:
        """Places of preambles in the order of their times."""
        samples = recording.detach()
        pulse = self.layout.pulse
        halves = torch.arange(2 * len(samples) // pulse.samples_per_symbol, dtype=torch.float64)
        if len(halves) < 2 * self.layout.preamble:
            return []
        return self.detector.candidates(gather(samples, halves * (pulse.samples_per_symbol / 2), pulse.table))

    def locate(self, recording: Complex[Tensor, " samples"], candidate: Candidate) -> Timing:
        """Time and frequency of a detected preamble, see `acquisition.acquire`."""
        return acquire(recording, candidate, sequences.preamble(self.layout.preamble), self.layout.pulse)

    def _frame(self, recording: Tensor, candidate: Candidate) -> ReceivedFrame | Rejected:
        layout, pulse = self.layout, self.layout.pulse
        rate = pulse.samples_per_symbol
        preamble = sequences.preamble(layout.preamble)
        timing = self.locate(recording, candidate)
        samples, first = _region(recording, timing, layout.start, layout)
        channel = _estimated(samples, timing.start - first, preamble, layout)
        table = channel.equalizer(pulse)
        positions = np.arange(layout.preamble, layout.start)
        outputs = gather(samples, torch.from_numpy(timing.start - first + rate * positions), table)
        header = headers.decode(outputs, _output_noise(channel))
        if header is None:
            return Rejected(timing.start, "the header cannot be decoded")
        if header.configuration != self.configuration:
            return Rejected(timing.start, "the frame is of another configuration")
        parts = layout.parts(header.uses)
        if header.part >= len(parts):
            return Rejected(timing.start, "the header contradicts itself")
        count = parts[header.part]
        if timing.start + layout.symbols(count) * rate > len(recording) + rate:
            return Rejected(timing.start, "the recording ends before the frame")
        return self._payload(recording, candidate, timing, header, count)

    def _payload(
        self, recording: Tensor, candidate: Candidate, timing: Timing, header: Header, count: int
    ) -> ReceivedFrame | Rejected:
        """Demodulate the payload, with the header as a part of the known symbols."""
        layout, pulse = self.layout, self.layout.pulse
        rate = pulse.samples_per_symbol
        frame = layout.skeleton(count, headers.encode(header, layout.header))
        beginning = frame[: layout.start]
        coarse = Candidate(round(2 * timing.start / rate), timing.frequency, candidate.statistic)
        timing = acquire(recording, coarse, beginning, pulse)
        samples, first = _region(recording, timing, len(frame), layout)
        channel = _estimated(samples, timing.start - first, beginning, layout)
        table = channel.equalizer(pulse)
        positions = np.r_[np.arange(layout.start), layout.known(count)]
        followed = track(
            samples.detach(),
            table,
            timing.start - first,
            rate,
            positions,
            frame[positions],
            _output_noise(channel),
            channel.parameters,
        )
        leak, outputs = _constant_offset(followed, frame[positions], positions, timing.frequency)
        residual = np.abs(outputs - frame[positions]) ** 2
        error = _noise_variance(residual, followed.fitted, layout.start, channel.parameters)
        if not _coherent(residual, outputs, layout.start, error):
            return Rejected(timing.start, "the payload is disturbed")
        symbols, noise_var, phase = self._demodulated(samples, followed, channel, table, timing, leak, error, count)
        offset = np.arange(len(followed.phase)) - (len(followed.phase) - 1) / 2
        drift = float(offset @ followed.phase / (offset @ offset)) / (2 * np.pi)
        energy = max(channel.energy - channel.noise_var * channel.parameters / layout.start, 1e-12)
        return ReceivedFrame(
            header=header,
            symbols=symbols,
            noise_var=torch.from_numpy(noise_var).float(),
            start=followed.start + first,
            end=followed.start + first + followed.period * (len(frame) - 1),
            frequency=(timing.frequency + drift) / rate,
            clock_ppm=(rate / followed.period - 1) * 1e6,
            phase=torch.from_numpy(phase).float(),
            gain=float(np.sqrt(energy)) * followed.gain,
            snr_db=float(10 * np.log10(energy / channel.noise_var)),
            statistic=candidate.statistic,
            estimate=channel,
        )

    def _demodulated(
        self,
        samples: Tensor,
        followed: Track,
        channel: ChannelEstimate,
        table: Table,
        timing: Timing,
        leak: complex,
        error: float,
        count: int,
    ) -> tuple[Tensor, NDArray[np.float64], NDArray[np.float64]]:
        """Payload symbols, the variances of their errors, and the carrier phases.

        Args:
            samples: recording without frequency offset.
            followed: phase and clock.
            channel: channel estimate.
            table: its equalizer.
            timing: time and frequency of the frame.
            leak: constant offset of the receiver in equalized symbols.
            error: noise variance of an equalized known symbol.
            count: number of payload symbols.
        """
        layout, pulse = self.layout, self.layout.pulse
        data = layout.data(count)
        tone = leak * _tone(followed, data, timing.frequency)
        if layout.grid is None:
            symbols = _derotated(samples, followed, table, data) - torch.from_numpy(tone).to(samples)
            return symbols, error + followed.phase_var[data], followed.phase[data]
        # OFDM: matched filter, DFT, and division by the channel of each subcarrier
        cycles = timing.frequency / pulse.samples_per_symbol
        tone *= _at_frequency(pulse.table, cycles) / _at_frequency(table, cycles)
        values = _derotated(samples, followed, pulse.table, data) - torch.from_numpy(tone).to(samples)
        noise_var = channel.noise_var * error / _output_noise(channel)
        elements = ofdm.elements(values, layout)
        followed_channel = follow(elements.detach(), channel, layout, noise_var)
        gains = followed_channel.gains
        of_symbol = [x[data].reshape(-1, SYMBOLS, layout.section).mean(2) for x in (followed.phase_var, followed.phase)]
        phase_var = followed_channel.without_phase * of_symbol[0]
        noise = followed_channel.error_var / np.abs(gains) ** 2 + phase_var[:, :, None]
        phase = of_symbol[1][:, :, None] + np.angle(gains)
        equalized = elements / torch.from_numpy(gains).to(elements)
        symbols, noise, phase = (
            ofdm.of_data(x, layout)[:count] for x in (equalized, torch.from_numpy(noise), torch.from_numpy(phase))
        )
        return symbols, noise.numpy(), phase.numpy()


def _region(recording: Tensor, timing: Timing, symbols: int, layout: Layout) -> tuple[Tensor, int]:
    """The samples of a frame without frequency offset, and the index of the first one."""
    rate, reach = layout.pulse.samples_per_symbol, 64 * layout.pulse.samples_per_symbol
    first = max(0, int(timing.start) - reach)
    last = int(timing.start + symbols * rate * 1.001) + reach
    samples = recording[first:last]
    return samples * phasor(-timing.frequency / rate, len(samples), first - timing.start), first


def _estimated(samples: Tensor, start: float, known: NDArray[np.complex128], layout: Layout) -> ChannelEstimate:
    half = layout.pulse.samples_per_symbol / 2
    times = start + half * torch.arange(-_BEFORE, 2 * len(known) - 1 + _AFTER, dtype=torch.float64)
    halves = gather(samples.detach(), times, layout.pulse.table).numpy().astype(complex)
    return estimate(halves, known, layout.pulse, _BEFORE, _AFTER)


def _output_noise(channel: ChannelEstimate) -> float:
    """Noise variance of an equalized symbol, (1 - mu) / mu."""
    gain = float((channel.spectrum / (channel.spectrum + channel.noise_var)).mean())
    return max((1 - gain) / max(gain, 1e-6), 1e-9)


def _derotated(samples: Tensor, followed: Track, table: Table, data: NDArray[np.int64]) -> Tensor:
    phase = torch.from_numpy(np.remainder(followed.phase[data], 2 * np.pi).astype(np.float32))
    turn = torch.polar(torch.full_like(phase, 1 / followed.gain), -phase)
    return gather(samples, followed.times(data), table) * turn.to(samples.device)


def _at_frequency(table: Table, cycles: float) -> complex:
    """Response of a pulse to a constant in a recording from which `cycles` per sample were removed."""
    taps = table.real[0] + (1j * table.imag[0] if table.imag.size else 0)
    return complex((taps * np.exp(-2j * np.pi * cycles * (np.arange(len(taps)) - table.center))).sum())


def _tone(followed: Track, positions: NDArray[np.int64], frequency: float) -> NDArray[np.complex128]:
    """A constant in the recording as it appears in the outputs at symbols: with the opposite frequency and phase."""
    return np.exp(-1j * (2 * np.pi * frequency * positions + followed.phase[positions])) / followed.gain


def _constant_offset(
    followed: Track, known: NDArray[np.complex128], positions: NDArray[np.int64], frequency: float
) -> tuple[complex, NDArray[np.complex128]]:
    """Amplitude of a constant offset of the receiver (DC), from the errors of known symbols; the outputs without it."""
    tone = _tone(followed, positions, frequency)
    leak = complex((tone.conj() @ (followed.outputs - known)) / (np.abs(tone) ** 2).sum())
    return leak, followed.outputs - leak * tone


def _noise_variance(residual: NDArray[np.float64], reduction: float, beginning: int, parameters: float) -> float:
    """Noise variance from the errors of the known symbols, corrected for the parameters that were fitted to them.

    The preamble has constant modulus and shows less of an amplifier's compression than Gaussian symbols: its weight is
    limited, and zero if the errors of the pilots are significantly larger.
    """
    learned = 1 + parameters / beginning  # error of the channel estimate, in symbols that it was not fitted to
    inner = residual[:beginning].mean() * beginning / max(beginning - parameters, 1) * learned
    pilots = residual[beginning:]
    deviation = inner * (1 / beginning + 1 / len(pilots)) ** 0.5
    weight = min(beginning, _PREAMBLE_WEIGHT) if pilots.mean() < inner + 4 * deviation else 0
    mean = (weight * inner + pilots.sum()) / (weight + len(pilots)) + reduction / len(residual)
    freedom = weight + len(pilots)
    return float(mean * freedom / max(freedom - 1, 1))  # so that 1 / variance is right on average


def _coherent(residual: NDArray[np.float64], outputs: NDArray[np.complex128], beginning: int, noise_var: float) -> bool:
    """Whether all parts of a frame hold its known symbols.

    A recording that was cut, or another frame that begins in the middle, leaves a header without its payload. The
    pilots must be more likely than unrelated samples of the same power, and no part may have much larger errors than
    the other parts.
    """
    pilots = residual[beginning:]
    related = pilots / noise_var + np.log(noise_var)
    unrelated = np.abs(outputs[beginning:]) ** 2 / (1 + noise_var) + np.log(1 + noise_var)
    parts = [
        part.mean()
        for section in (residual[:beginning], pilots)
        for part in np.array_split(section, max(1, len(section) // _PART))
    ]
    limit = max(_DISTURBED, _DISTURBED_RATIO * float(np.median(parts)))
    return bool((unrelated - related).sum() > -_MARGIN and max(parts) < limit)
