"""Noise, realized SNR and gain of every channel against theory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from channels.base import Channel, Received
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import qpsk_symbols, sample_count, streams, transmit, z_score
from channels.certificate.subjects import K_FACTORS, has_grid, known_gains, line_of_sight
from channels.propagation.profiles import table

_RAYS = 20  # rays of a cluster: TR 38.901, table 7.5-3


def errors(name: str, channel: Channel, snr_db: float, scale: float) -> tuple[list[Line], Received, Tensor]:
    """Error over noise variance of QPSK rows, of which every other one ends in the middle of the batch.

    Returns:
        Lines of both dimensions; the reception, folded; and the uses of each row.
    """
    rows, length = sample_count(500, scale, 200), 48
    rng = streams(f"{name} noise {snr_db:g}", rows)
    uses = torch.where(torch.arange(rows) % 2 > 0, length, length // 2)
    inside = torch.arange(length) < uses[:, None]
    sent = qpsk_symbols(rows, length, rng) * inside
    known = channel.with_constellation(torch.full((rows, 1, length), 2))
    received = known.carry(sent[:, None], uses[:, None], torch.full((rows, 1), snr_db), rng).fold()
    variance = received.noise_var.double().where(inside, 1)
    squares = torch.view_as_real(received.symbols - sent).double().square()
    lines = []
    for part, dimension in enumerate(("in phase", "quadrature")):
        ratio = (2 * squares[..., part] / variance).sum(1) / uses
        title = f"{name}: error / noise variance {dimension} {snr_db:g} dB"
        lines.append(Line(title, float(ratio.mean()), 1.0, z_score(ratio, 1.0)))
    return lines, received, uses


def noise(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Noise power of each real dimension over N0, in a batch of weak and strong rows at different SNRs.

    Four rows of one amplitude are the users of a broadcast. In an uplink each row is alone, so that the filter is
    maximum-ratio combining.
    """
    del modem
    for name in known_gains(channels):
        length = sample_count(20_000, scale, 400)
        snr = torch.tensor([-5.0, 0.0, 10.0, 30.0] * 4)
        amplitude = torch.tensor([0.1, 1.0, 1.0, 10.0]).repeat_interleave(4)
        rng = streams(f"noise {name}", 16)
        sent = qpsk_symbols(16, length, rng) * amplitude[:, None]
        users = 4 if channels[name].medium.access == "common" else 1
        if users > 1:
            sent = sent[::users].repeat_interleave(users, 0)
        received = transmit(channels[name], sent, snr, rng, users)
        n0 = 10 ** (-snr.double() / 10)
        power = received.gains.abs().double().square().sum(1)
        reported = received.noise_var.double() * power / n0[:, None]
        worst = float((reported - 1).abs().max())
        # the noise variance (1 - a) / a of the uplink has few digits in single precision at 30 dB
        limit = 1e-2 if channels[name].medium.access == "superposed" else 1e-4
        yield Line(f"{name}: noise variance x |h|^2 / N0, worst symbol", 1 + worst, 1.0, worst, "tolerance", limit)
        # noise at the antenna, before the division by the gain
        error = (
            torch.view_as_real((received.symbols - sent).to(torch.complex128) * power.sqrt()).square()
            / n0[:, None, None]
        )
        for part, dimension in enumerate(("in phase", "quadrature")):
            worst_row = max(
                ((2 * error[row, :, part].mean() - 1) * math.sqrt(length / 2) for row in range(16)), key=abs
            )
            measured = 1 + float(worst_row) / math.sqrt(length / 2)
            yield Line(f"{name}: noise / N0 {dimension}, worst of 16 mixed rows", measured, 1.0, float(worst_row))
            pooled = error[..., part].flatten() * 2
            yield Line(f"{name}: noise / N0 {dimension}, all rows", float(pooled.mean()), 1.0, z_score(pooled, 1.0))


def realized_snr(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Realized SNR of rows: its standard deviation is 10 / ln 10 / sqrt(uses) = 4.34 / sqrt(uses) dB."""
    del modem
    for name in known_gains(channels):
        rows, length = sample_count(1000 if has_grid(name) else 4000, scale, 400), 256
        rng = streams(f"realized SNR {name}", rows)
        sent = qpsk_symbols(rows, length, rng)
        received = transmit(channels[name], sent, 7.0, rng)
        weight = received.gains.abs().square().sum(1)
        error = (received.symbols - sent).abs().square()
        realized = 10 * torch.log10(length / (weight * error).sum(1))
        expected = 10 / math.log(10) / math.sqrt(length)
        spread = float(realized.std())
        z = (spread / expected - 1) * math.sqrt(2 * (rows - 1))
        yield Line(f"{name}: spread of realized SNR over rows, dB", spread, expected, z)
        # E[-10 log10 of a mean of n exponential variables] = 10 / ln 10 (ln n - digamma(n))
        bias = 10 / math.log(10) * (math.log(length) - float(torch.digamma(torch.tensor(float(length)))))
        z = z_score(realized, 7 + bias)
        yield Line(f"{name}: mean of realized SNR over rows, dB", float(realized.mean()), 7 + bias, z)


def gain(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """E|h|^2 = 1, E|h|^4 = 2 - sum of p^2 over the components of h with constant modulus, and E h = 0.

    The line of sight has p = K / (K + 1), each ray of a CDL cluster p = P / 20 and an independent phase.
    """
    del modem
    for name in known_gains(channels):
        rows, length = sample_count(4000 if has_grid(name) else 20_000, scale, 400), 4
        sent = torch.ones(rows, length, dtype=torch.complex64)
        received = transmit(channels[name], sent, 10.0, streams(f"gain {name}", rows))
        power = received.gains[:, 0].abs().double().square()
        expected, fourth = 2 - _constant_modulus_power(name), power.square().mean(1)
        yield Line(f"{name}: E|h|^2", float(power.mean()), 1.0, z_score(power.mean(1), 1.0))
        yield Line(f"{name}: E|h|^4", float(fourth.mean()), expected, z_score(fourth, expected))
        if name not in ("awgn", "broadcast"):
            mean = received.gains[:, 0].real.mean(1)
            yield Line(f"{name}: E Re h", float(mean.mean()), 0.0, z_score(mean, 0.0))


def _constant_modulus_power(name: str) -> float:
    """Sum of the squared powers of the components of h with constant modulus; the other components are Gaussian."""
    if name == "uplink":
        return 0.0
    if not has_grid(name):
        k_factor = K_FACTORS.get(name, math.inf)
        return 1.0 if math.isinf(k_factor) else (k_factor / (k_factor + 1)) ** 2
    direct = line_of_sight(name)
    if name.startswith("tdl"):
        return direct**2
    parameters = table(f"CDL-{name.split()[1]}")
    powers = 10 ** (torch.tensor(parameters["powers"], dtype=torch.float64) / 10)
    scattered = (powers / powers.sum())[int(parameters["los"]) :]
    return direct**2 + float(scattered.square().sum()) / _RAYS
