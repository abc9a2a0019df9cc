"""MIMO against theory: noise, gains, capacity, diversity order, and the SNR distribution of zero-forcing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from channels.base import Channel, Received
from channels.certificate import theory
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import qpsk_symbols, sample_count, streams, transmit, z_score
from channels.certificate.modem import random_bits
from channels.certificate.noise import errors

ANTENNAS = {
    "mimo 1x2": (1, 2),
    "mimo 2x1 alamouti": (2, 1),
    "mimo 2x2 alamouti": (2, 2),
    "mimo 2x2 zf": (2, 2),
    "mimo 2x2 mmse": (2, 2),
    "mimo 2x2 sic": (2, 2),
    "mimo 4x4 mmse": (4, 4),
    "mimo 2x3 tdl zf": (2, 3),
    "mimo 2x2 svd": (2, 2),
    "mimo 4x4 svd equal": (4, 4),
}
"""Number of transmit and receive antennas of each measured variant."""

# variant: order of diversity, and the two Es/N0 in dB between which the slope of the bit error rate is measured
_DIVERSITY = {
    "mimo 1x2": (2, (5, 15)),
    "mimo 2x1 alamouti": (2, (5, 15)),
    "mimo 2x2 alamouti": (4, (0, 8)),
    "mimo 2x2 zf": (1, (5, 15)),
}


def antennas(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """All measurements of the channels whose names begin with "mimo"."""
    for name in [name for name in channels if name in ANTENNAS]:
        yield from _noise(name, channels[name], scale)
        yield from _gains(name, channels[name], scale)
        if name.endswith("sic"):
            yield from _cancellation(name, channels[name], modem, scale)
        if name in _DIVERSITY:
            yield from _diversity(name, channels[name], modem, scale)


def _noise(name: str, channel: Channel, scale: float) -> Iterator[Line]:
    """Error over noise variance, noise variance from the gains, and energy of a channel use."""
    for snr_db in (5.0, 15.0):
        lines, received, uses = errors(name, channel, snr_db, scale)
        yield from lines
        expected, known = _variance(name, received, snr_db)
        inside = torch.arange(received.symbols.shape[1]) < uses[:, None]
        worst = float((received.noise_var.double() / expected - 1).abs().where(inside & known, 0).max())
        yield Line(f"{name}: noise variance {snr_db:g} dB, worst symbol", 1 + worst, 1.0, worst, "tolerance", 2e-3)
        pilots = dict(channel.medium.overhead).get("pilots", 0)
        energy = (received.energy.double() - pilots) / (uses * (1 if "alamouti" in name else 1 / ANTENNAS[name][0]))
        title, worst = f"{name}: energy of a channel use {snr_db:g} dB", float((energy - 1).abs().max())
        yield Line(f"{title}, worst row", 1 + worst, 1.0, worst, "tolerance", 1e-4)


def _matrices(name: str, received: Received) -> np.ndarray:
    """H of each symbol, complex128 [rows, symbols, receive, transmit]."""
    transmit_antennas, receive = ANTENNAS[name]
    gains = received.gains.mT.to(torch.complex128).numpy()
    return gains.reshape(*gains.shape[:2], receive, transmit_antennas)


def _variance(name: str, received: Received, snr_db: float) -> tuple[Tensor, Tensor]:
    """Noise variance of each symbol from the gains, float64 [rows, symbols], and whether theory states it."""
    matrices, n0 = _matrices(name, received), 10 ** (-snr_db / 10)
    transmit_antennas = matrices.shape[-1]
    gram = matrices.conj().swapaxes(-1, -2) @ matrices / transmit_antennas
    stream = np.arange(matrices.shape[1]) % transmit_antennas
    known = np.ones(matrices.shape[:2], bool)
    if "alamouti" in name:
        expected = n0 / (gram.trace(axis1=-2, axis2=-1).real)
    elif "svd" in name:
        values = np.linalg.svd(matrices, compute_uv=False) ** 2
        power = np.full(values.shape, 1 / transmit_antennas)
        if not name.endswith("equal"):  # two streams: water level from both, or all power for the first
            difference = (n0 / values[..., 1] - n0 / values[..., 0]) / 2
            first = np.minimum(0.5 + difference, 1.0)
            power = 0.999 * np.stack([first, 1 - first], -1) + 0.001 * power
        expected = n0 / np.take_along_axis(values * power, stream[None, :, None], -1)[..., 0]
    elif "mmse" in name:
        inverse = np.linalg.inv(n0 * np.eye(transmit_antennas) + gram)
        left = n0 * inverse.diagonal(axis1=-2, axis2=-1).real[:, np.arange(len(stream)), stream]
        expected = left / (1 - left)
    else:
        inverse = np.linalg.inv(gram).diagonal(axis1=-2, axis2=-1).real
        expected = n0 * inverse[:, np.arange(len(stream)), stream]
        if name.endswith("sic"):  # the stronger stream is detected first, without cancellation
            power = gram.diagonal(axis1=-2, axis2=-1).real
            known = power[:, np.arange(len(stream)), stream] == power.max(-1)
    return torch.from_numpy(expected), torch.from_numpy(known)


def _gains(name: str, channel: Channel, scale: float) -> Iterator[Line]:
    """E|h|^2 = 1, E|h|^4 = 2, independent pairs of antennas, and the ergodic capacity."""
    rows, snr_db = sample_count(2000, scale, 400), 10.0
    sent = qpsk_symbols(rows, 4, streams(f"{name} symbols", rows))
    received = transmit(channel, sent, snr_db, streams(f"{name} gains", rows))
    if name.endswith("zf"):
        yield from _zero_forcing(name, received, snr_db)
    matrices = torch.from_numpy(_matrices(name, received)[:, 0])
    power = matrices.abs().square().flatten(1)
    yield Line(f"{name}: E|h|^2", float(power.mean()), 1.0, z_score(power.mean(1), 1.0))
    fourth = power.square().mean(1)
    yield Line(f"{name}: E|h|^4", float(fourth.mean()), 2.0, z_score(fourth, 2.0))
    pairs = matrices.flatten(1)
    both = (pairs[:, :1] * pairs[:, 1:].conj()).real.mean(1)
    yield Line(f"{name}: correlation of two pairs of antennas", float(both.mean()), 0.0, z_score(both, 0.0))
    snr, (transmit_antennas, receive) = 10 ** (snr_db / 10), ANTENNAS[name]
    if "svd" in name:  # the sum rate of the streams, from their noise variances
        rate = torch.log2(1 + 1 / received.noise_var[:, :transmit_antennas].double()).sum(1)
        equal = name.endswith("equal")
        expected = theory.telatar_capacity(4, 4, snr) if equal else theory.water_filling_capacity(snr)
        title = "sum rate"
    else:
        gram = torch.eye(receive) + snr / transmit_antennas * (matrices @ matrices.mH)
        rate, expected = torch.logdet(gram).real / math.log(2), theory.telatar_capacity(*ANTENNAS[name], snr)
        title = "capacity of the gains"
    yield Line(f"{name}: {title} {snr_db:g} dB", float(rate.mean()), expected, z_score(rate, expected))


def _cancellation(name: str, channel: Channel, modem: Modem, scale: float) -> Iterator[Line]:
    """Error over noise variance of 16QAM to 256QAM, on which the receiver decides."""
    rows, length = sample_count(1000, scale, 400), 24
    for bits_per_symbol, snr_db in ((4, 15.0), (6, 20.0), (8, 25.0)):
        rng = streams(f"{name} {bits_per_symbol} bits per symbol", rows)
        sent = modem.map_bits(random_bits(rows, bits_per_symbol * length, rng), bits_per_symbol)
        known = channel.with_constellation(torch.full((rows, 1, length), bits_per_symbol))
        received = transmit(known, sent, snr_db, rng)
        ratio = ((received.symbols - sent).abs().square() / received.noise_var).double().mean(1)
        title = f"{name}: error / noise variance {2**bits_per_symbol}QAM {snr_db:g} dB"
        yield Line(title, float(ratio.mean()), 1.0, z_score(ratio, 1.0))


def _diversity(name: str, channel: Channel, modem: Modem, scale: float) -> Iterator[Line]:
    """Bit error rate of QPSK at two SNRs, and its slope: the decades per decade of SNR tend to the diversity order."""
    order, snrs_db = _DIVERSITY[name]
    rows, length, measured, errors, exact = sample_count(8000, scale, 1000), 8, [], [], []
    for snr_db in snrs_db:
        rng = streams(f"{name} BER {snr_db}", rows)
        bits = random_bits(rows, 2 * length, rng)
        received = transmit(channel, modem.map_bits(bits, 2), float(snr_db), rng)
        wrong = modem.demap(received.symbols, received.noise_var, 2) < 0
        rates = (wrong != bits.bool()).double().mean(1)
        branch = 10 ** (snr_db / 10) / ANTENNAS[name][0]
        expected = theory.ber_diversity(branch, order)
        measured.append(float(rates.mean()))
        errors.append(float(rates.std()) / math.sqrt(rows))
        exact.append(expected)
        yield Line(f"{name}: BER QPSK {snr_db} dB", measured[-1], expected, z_score(rates, expected))
    decades = (snrs_db[1] - snrs_db[0]) / 10
    slope, expected = (-math.log10(max(b, 1e-12) / max(a, 1e-12)) / decades for a, b in (measured, exact))
    relative = [error / max(rate, 1e-12) for error, rate in zip(errors, measured, strict=True)]
    deviation = math.hypot(*relative) / math.log(10) / decades
    title = f"{name}: BER slope {snrs_db[0]} to {snrs_db[1]} dB, order {order}"
    yield Line(title, slope, expected, (slope - expected) / max(deviation, 1e-12))


def _zero_forcing(name: str, received: Received, snr_db: float) -> Iterator[Line]:
    """SNR of a stream after zero-forcing: SNR / Nt times a gamma variable of shape Nr - Nt + 1.

    Source: Winters, Salz and Gitlin, The impact of antenna diversity on the capacity of wireless communication
    systems, 1994.
    """
    transmit_antennas, receive = ANTENNAS[name]
    ratio = transmit_antennas / 10 ** (snr_db / 10) / received.noise_var[:, 0].double()
    shape = receive - transmit_antennas + 1
    for point in (0.1, 0.5, 1.0, 2.0):
        terms = [point**k / math.factorial(k) for k in range(shape)]
        expected = 1 - math.exp(-point) * sum(terms)
        below = float((ratio < point).double().mean())
        z = (below - expected) / math.sqrt(expected * (1 - expected) / len(ratio))
        yield Line(f"{name}: P(SNR < {point:g} SNR / Nt)", below, expected, z)
