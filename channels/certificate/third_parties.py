"""Relay and co-channel interference against theory: noise variance, distribution of the SNR, bit error rate, energy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from channels.base import Channel
from channels.certificate import theory
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import sample_count, streams, transmit, z_score
from channels.certificate.modem import random_bits
from channels.certificate.noise import errors

_SNR_DB = 10.0
_SIR, _SECOND_HOP, _DIRECT = 10**0.6, 10**0.3, 10**-0.3  # of the variants in `subjects`


def relays(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """The relay without and with direct path: SNR s1 s2 / (s1 + s2 + 1), plus that of the direct path."""
    snr = 10 ** (_SNR_DB / 10)
    for name in [name for name in channels if name in ("relay", "relay direct")]:
        direct = _DIRECT * snr if name.endswith("direct") else 0.0

        def outage(x: np.ndarray, direct: float = direct) -> np.ndarray:
            return theory.relay_outage(x, snr, _SECOND_HOP * snr, direct)

        yield from _measurements(name, channels[name], modem, scale, outage)
        lines, received, uses = errors(name, channels[name], 0.0, scale)
        yield from lines
        power = received.gains[..., 0].abs().double().square()  # N0 is 1
        first, second = power[:, 0], power[:, 1] * _SECOND_HOP
        expected = first * second / (first + second + 1) + (power[:, 2] * _DIRECT if direct else 0)
        worst = float((1 / received.noise_var[:, 0].double() / expected - 1).abs().max())
        yield Line(f"{name}: SNR from the gains, worst row", 1 + worst, 1.0, worst, "tolerance", 1e-4)
        worst = float((received.energy / (2 * uses) - 1).abs().max())
        title = f"{name}: energy of two channel uses / 2, worst row"
        yield Line(title, 1 + worst, 1.0, worst, "tolerance", 1e-4)


def interference(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """One interferer: distribution of the SINR, and power of noise and interference."""
    name, snr = "interference", 10 ** (_SNR_DB / 10)
    if name not in channels:
        return
    yield from _measurements(name, channels[name], modem, scale, lambda x: theory.interference_outage(x, snr, _SIR))
    lines, received, _ = errors(name, channels[name], 0.0, scale)
    yield from lines
    level = (received.noise_var * received.gains[:, 0].abs().square())[:, 0].double()
    z = z_score(level, 1 + 1 / _SIR)
    yield Line(f"{name}: noise and interference, N0 = 1", float(level.mean()), 1 + 1 / _SIR, z)


def _measurements(
    name: str, channel: Channel, modem: Modem, scale: float, outage: Callable[[np.ndarray], np.ndarray]
) -> Iterator[Line]:
    """P(SNR < x), bit error rate of QPSK, and E|h|^2."""
    rows, length = sample_count(8000, scale, 800), 12
    rng = streams(f"{name} BER", rows)
    bits = random_bits(rows, 2 * length, rng)
    received = transmit(channel, modem.map_bits(bits, 2), _SNR_DB, rng)
    for point in (0.3, 1.0, 3.0, 10.0):
        expected = float(outage(np.array([point]))[0])
        below = float((1 / received.noise_var[:, 0].double() < point).double().mean())
        z = (below - expected) / math.sqrt(expected * (1 - expected) / rows)
        yield Line(f"{name}: P(SNR < {point:g}) {_SNR_DB:g} dB", below, expected, z)
    wrong = modem.demap(received.symbols, received.noise_var, 2) < 0
    rates = (wrong != bits.bool()).double().mean(1)
    expected = theory.ber_from_outage(outage)
    yield Line(f"{name}: BER QPSK {_SNR_DB:g} dB", float(rates.mean()), expected, z_score(rates, expected))
    power = received.gains[..., 0].abs().double().square().mean(1)
    yield Line(f"{name}: E|h|^2", float(power.mean()), 1.0, z_score(power, 1.0))
