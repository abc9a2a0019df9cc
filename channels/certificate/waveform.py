"""The waveform channel against theory: losses, interference, estimation errors, detection, noise variance, spectrum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from channels.base import Channel
from channels.certificate import theory, waveform_paths
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import qpsk_symbols, sample_count, streams, transmit, z_score
from channels.certificate.modem import ORDERS, random_bits
from channels.rng import Rng
from channels.waveform import ofdm, sequences
from channels.waveform.channel import WaveformChannel
from channels.waveform.detection import Candidate, Detector, false_alarm_probability, miss_probability
from channels.waveform.header import Header
from channels.waveform.modulator import modulate
from channels.waveform.pulse import Pulse, gather, rrc, scatter

_SNRS_DB = {2: 5.0, 4: 12.0, 6: 17.0}  # bits per symbol: Es/N0 of the measured bit error rate
_USES = 6000
_ARRIVAL = 100.3  # symbol durations before a preamble


def waveforms(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """All measurements of the channels whose names begin with "waveform"."""
    for name in [name for name in channels if name.startswith("waveform")]:
        yield from _losses(name, channels[name], modem, scale)
        yield from _noise(name, channels[name], scale)
        channel = channels[name]
        if not isinstance(channel, WaveformChannel):
            yield Line(f"{name}: waveform can be read", 0.0, 1.0, math.inf)
            continue
        yield from waveform_paths.losses(name, channel, scale)
        yield from _spectrum(name, channel, scale)
        if channel.layout.grid is not None:  # pulse and preamble are those of a single carrier
            continue
        yield from _pulse(name, channel.layout.pulse)
        yield from _estimates(name, channel, scale)
        yield from _detection(name, channel, scale)


def _losses(name: str, channel: Channel, modem: Modem, scale: float) -> Iterator[Line]:
    """Loss in dB: distance from Es/N0 to the Es/N0 at which AWGN has the measured bit error rate."""
    for bits_per_symbol, snr_db in _SNRS_DB.items():
        rows = sample_count(12, scale, 4)
        rng = streams(f"{name} loss {bits_per_symbol}", rows)
        bits = random_bits(rows, _USES * bits_per_symbol, rng)
        symbols = modem.map_bits(bits, bits_per_symbol)
        title = f"{name}: loss {ORDERS[bits_per_symbol]} {snr_db:g} dB"
        received = transmit(channel, symbols, snr_db, rng)
        llr = modem.demap(received.symbols, received.noise_var, bits_per_symbol)
        yield _loss(f"{title}, estimated, dB", llr, bits, bits_per_symbol, snr_db, 0.5)
        if isinstance(channel, WaveformChannel):
            matched = torch.stack([_matched(channel, row, snr_db, rng[i : i + 1]) for i, row in enumerate(symbols)])
            llr = modem.demap(matched, 10 ** (-snr_db / 10), bits_per_symbol)
            yield _loss(f"{title}, synchronized, dB", llr, bits, bits_per_symbol, snr_db, 0.2)


def _matched(channel: WaveformChannel, symbols: Tensor, snr_db: float, rng: Rng) -> Tensor:
    """Matched filter outputs of the payload at known times, in white noise."""
    layout = channel.layout
    waveform = modulate(symbols, layout, Header(channel.receiver.configuration, len(symbols)))
    noise = rng.derive("matched").complex_normal(len(waveform), variance=torch.tensor([10 ** (-snr_db / 10)]))[0]
    times = layout.pulse.reach + layout.pulse.samples_per_symbol * torch.from_numpy(layout.data(len(symbols))).double()
    values = gather(waveform + noise, times, layout.pulse.table)
    if layout.grid is None:
        return values
    return ofdm.demodulate(values, layout)[: len(symbols)]


def _loss(title: str, llr: Tensor, bits: Tensor, bits_per_symbol: int, snr_db: float, limit: float) -> Line:
    measured = float(((llr < 0) != bits.bool()).double().mean())
    low, high = snr_db - 20, snr_db + 20
    for _ in range(40):
        middle = (low + high) / 2
        worse = float(theory.ber_awgn(bits_per_symbol, 10 ** (middle / 10))) > measured
        low, high = (middle, high) if worse else (low, middle)
    return Line(title, snr_db - low, 0.0, snr_db - low, "tolerance", limit)


def _noise(name: str, channel: Channel, scale: float) -> Iterator[Line]:
    """Mean |error|^2 / noise_var in a batch of two amplitudes; noise / N0 of each dimension; bias of the equalizer."""
    rows, length = sample_count(48, scale, 16), 1200
    snr = torch.tensor([0.0, 5.0, 10.0, 15.0]).repeat(rows // 4)
    amplitude = torch.tensor([0.7, 1.0]).repeat_interleave(4).repeat(rows)[: len(snr)]
    rng = streams(f"{name} noise", len(snr))
    sent = qpsk_symbols(len(snr), length, rng) * amplitude[:, None]
    received = transmit(channel, sent, snr, rng)
    error, n0 = (received.symbols - sent).to(torch.complex128), 10 ** (-snr.double() / 10)
    ratio = float((error.abs().square().mean(1) / n0).mean() / (received.noise_var.double().mean(1) / n0).mean())
    yield Line(f"{name}: |error|^2 over noise variance", ratio, 1.0, ratio - 1, "tolerance", 0.05)
    for part, dimension in ((error.real, "in phase"), (error.imag, "quadrature")):
        power = float((2 * part.square().mean(1) / n0).mean())
        yield Line(f"{name}: noise / N0 {dimension}", power, 1.0, power - 1, "tolerance", 0.12)
    share = ((error * sent.conj()).real.mean(1) / amplitude.square() / n0.sqrt()).double()
    yield Line(f"{name}: error in the direction of the symbol", float(share.mean()), 0.0, z_score(share, 0.0))


def _pulse(name: str, pulse: Pulse) -> Iterator[Line]:
    """Energy of a single symbol behind the matched filter, and its interference with other symbols."""
    rate, center = pulse.samples_per_symbol, 2 * pulse.span * pulse.samples_per_symbol
    one = torch.ones(1, dtype=torch.complex64)
    sent = scatter(one, torch.tensor([float(center)], dtype=torch.float64), pulse.table, 2 * center + 1)
    lags = torch.arange(-pulse.span, pulse.span + 1, dtype=torch.float64)
    outputs = gather(sent, center + rate * lags, pulse.table).abs().double().square()
    peak = float(outputs[pulse.span])
    yield Line(f"{name}: energy of a symbol", peak, 1.0, peak - 1, "tolerance", 1e-3)
    others = float(outputs.sum() - peak) / peak
    yield Line(f"{name}: intersymbol interference, power ratio", others, 0.0, others, "tolerance", 1e-4)


def _spectrum(name: str, channel: WaveformChannel, scale: float) -> Iterator[Line]:
    """Bandwidth with 99 % of the power, and power beyond (1 + roll-off) / 2 symbol rates, of random symbols."""
    pulse, layout = channel.layout.pulse, channel.layout
    rows, length, size = sample_count(24, scale, 8), _USES, 1 << 14
    total = torch.zeros(size, dtype=torch.float64)
    for symbols in qpsk_symbols(rows, length, streams(f"{name} spectrum", rows)):
        waveform = modulate(symbols, layout, Header(0, length))
        first = layout.start * pulse.samples_per_symbol
        section = waveform[first : first + size] * torch.hann_window(size)
        total += torch.fft.fftshift(torch.fft.fft(section)).abs().square()
    frequency = (np.arange(size) / size - 0.5) * pulse.samples_per_symbol
    share = (total / total.sum()).numpy()
    widths = np.arange(0.5, 1.5, 0.002)
    inside = np.array([share[np.abs(frequency) <= width / 2].sum() for width in widths])
    measured = float(widths[np.argmax(inside >= 0.99)])
    expected = _raised_cosine_bandwidth(pulse.roll_off)
    yield Line(f"{name}: 99 % bandwidth, symbol rates", measured, expected, measured - expected, "tolerance", 0.02)
    leakage = float(share[np.abs(frequency) > (1 + pulse.roll_off) / 2].sum())
    yield Line(f"{name}: power in adjacent channels", leakage, 0.0, leakage, "tolerance", 1e-4)


def _raised_cosine_bandwidth(roll_off: float) -> float:
    """Bandwidth in symbol rates with 99 % of the power of a pulse whose |G(f)|^2 is a raised cosine."""
    frequency = np.linspace(0, (1 + roll_off) / 2, 100_001)
    ramp = 0.5 * (1 + np.cos(np.pi / roll_off * np.maximum(frequency - (1 - roll_off) / 2, 0)))
    return float(2 * frequency[np.argmax(np.cumsum(ramp) >= 0.99 * ramp.sum())])


def _preambles(
    channel: WaveformChannel, count: int, snr_db: float, label: str, frequency: float = 0.0
) -> Iterator[Tensor]:
    """Recordings of a preamble alone in noise, with a frequency offset in cycles per symbol."""
    pulse, size = channel.layout.pulse, channel.layout.preamble
    rate = pulse.samples_per_symbol
    symbols = torch.from_numpy(sequences.preamble(size).astype(np.complex64))
    times = rate * (_ARRIVAL + torch.arange(size, dtype=torch.float64))
    length = int(rate * (size + 2 * _ARRIVAL))
    turn = torch.polar(torch.ones(length), 2 * math.pi * frequency / rate * torch.arange(length))
    sent = scatter(symbols, times, pulse.table, length) * turn
    rng = streams(label, count)
    for row in range(count):
        phase = complex(np.exp(2j * np.pi * float(rng[row : row + 1].derive("phase").uniform(1))))
        noise = rng[row : row + 1].complex_normal(length, variance=torch.tensor([10 ** (-snr_db / 10)]))[0]
        yield phase * sent + noise


def _estimates(name: str, channel: WaveformChannel, scale: float) -> Iterator[Line]:
    """Mean squared errors of time and frequency over their Cramer-Rao bounds, at 5 dB and an offset of 0.004."""
    pulse, size, snr_db, frequency = channel.layout.pulse, channel.layout.preamble, 5.0, 0.004
    rate, count = pulse.samples_per_symbol, sample_count(300, scale)
    hypotheses = channel.receiver.detector.frequencies
    nearest = float(hypotheses[(hypotheses - frequency).abs().argmin()])
    coarse = Candidate(round(2 * _ARRIVAL), nearest, 1.0)
    found = [
        channel.receiver.locate(r, coarse) for r in _preambles(channel, count, snr_db, f"{name} located", frequency)
    ]
    errors = np.array([[timing.start / rate - _ARRIVAL, timing.frequency - frequency] for timing in found])
    for quantity, values, bound in zip(("time", "frequency"), errors.T, cramer_rao(pulse, size, snr_db), strict=True):
        ratio = torch.from_numpy(values**2 / bound)
        yield Line(f"{name}: {quantity} error^2 / bound {snr_db:g} dB", float(ratio.mean()), 1.0, z_score(ratio, 1.0))
        mean = torch.from_numpy(values / math.sqrt(bound))
        yield Line(f"{name}: mean {quantity} error / deviation", float(mean.mean()), 0.0, z_score(mean, 0.0))


def cramer_rao(pulse: Pulse, preamble: int, snr_db: float) -> tuple[float, float]:
    """Cramer-Rao bounds of time in symbols^2 and frequency in cycles^2 per symbol^2; amplitude and phase unknown.

    Source: Kay, Fundamentals of Statistical Signal Processing: Estimation Theory, section 15.7.
    """
    rate = pulse.samples_per_symbol
    grid = np.arange(-pulse.reach, (preamble - 1) * rate + pulse.reach + 1)
    symbols, step = sequences.preamble(preamble), 1e-3

    def waveform(shift: float) -> np.ndarray:  # of the whole pulse, whose ends are not cut off
        pulses = (rrc(grid / rate - k - shift, pulse.roll_off) for k in range(preamble))
        return sum((symbol * g for symbol, g in zip(symbols, pulses, strict=True)), np.zeros(len(grid), complex))

    signal = waveform(0.0)
    slopes = [
        (waveform(step) - waveform(-step)) / (2 * step),
        2j * np.pi * (grid / rate) * signal,
        1j * signal,
        signal,
    ]
    information = 2 * 10 ** (snr_db / 10) / rate * np.array([[(a.conj() @ b).real for b in slopes] for a in slopes])
    return tuple(np.linalg.inv(information).diagonal()[:2].tolist())


def _detection(name: str, channel: WaveformChannel, scale: float) -> Iterator[Line]:
    """False alarms of noise per position, and misses of a preamble, both against theory."""
    detector, pulse = channel.receiver.detector, channel.layout.pulse
    rate, blocks, length = pulse.samples_per_symbol, sample_count(60, scale, 16), 4000
    frequent = Detector(detector.preamble, 1e-2)
    rng = streams(f"{name} false alarms", blocks)
    halves = rate / 2 * torch.arange(2 * length // rate, dtype=torch.float64)
    terms, alarms = [], []
    for noise in rng.complex_normal(length):
        correlations = frequent.correlations(gather(noise, halves, pulse.table)[2 * pulse.span : -2 * pulse.span])
        above = correlations > frequent.threshold
        terms.append(above.double().mean())
        alarms.append(above.any(1).double().mean())
    expected = false_alarm_probability(frequent.threshold, frequent.preamble)
    rate_of_terms = torch.stack(terms)
    z = z_score(rate_of_terms, expected)
    yield Line(f"{name}: false alarms per position and frequency", float(rate_of_terms.mean()), expected, z)
    found = float(torch.stack(alarms).mean())
    excess = max(0.0, z_score(torch.stack(alarms), 1e-2))
    yield Line(f"{name}: false alarms per position, at most", found, 1e-2, excess)

    snr_db = 10 * math.log10(_half_missed(detector))
    count = sample_count(500, scale)
    position = torch.arange(2 * detector.preamble - 1, dtype=torch.float64)
    missed = []
    for recording in _preambles(channel, count, snr_db, f"{name} missed"):
        outputs = gather(recording, rate * (_ARRIVAL + position / 2), pulse.table)
        missed.append(float(detector.correlations(outputs)[0, 0] <= detector.threshold))
    expected = miss_probability(detector.threshold, detector.preamble, 10 ** (snr_db / 10))
    measured = float(np.mean(missed))
    z = (measured - expected) / math.sqrt(expected * (1 - expected) / count)
    yield Line(f"{name}: missed preambles {snr_db:.1f} dB", measured, expected, z)


def _half_missed(detector: Detector) -> float:
    """Es/N0, linear, at which the theory has half of the preambles missed."""
    low, high = 1e-4, 1e2
    for _ in range(40):
        middle = math.sqrt(low * high)
        missed = miss_probability(detector.threshold, detector.preamble, middle) > 0.5
        low, high = (middle, high) if missed else (low, middle)
    return low
