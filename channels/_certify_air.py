"""Noise, SNR and gain of flat channels: the certificate's measurements of what the air does to symbols."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from channels._base import Channel, Received
from channels._rng import Rng, seed_for
from channels.certificate import Line, Modem

FLAT = {"awgn": math.inf, "rayleigh": 0.0, "rayleigh block": 0.0, "rician": 10**0.6, "rician block": 10**0.6}
"""Flat channels and their line of sight over scattered power."""


def streams(label: str, rows: int) -> Rng:
    """The certificate's fixed streams for a measurement."""
    return Rng([seed_for("certificate", label, row) for row in range(rows)])


def count(full: int, scale: float, least: int = 32) -> int:
    """`full` measurements at scale 1, never fewer than `least`."""
    return max(least, round(full * scale))


def quaternary(rows: int, length: int, rng: Rng) -> Tensor:
    """QPSK symbols, complex64 [rows, length]: energy 1 each."""
    signs = torch.where(rng.derive("symbols").uniform(length, 2) < 0.5, -math.sqrt(0.5), math.sqrt(0.5))
    return torch.view_as_complex(signs.contiguous())


def carried(channel: Channel, symbols: Tensor, snr_db: Tensor | float, rng: Rng, users: int = 1) -> Received:
    """Carry full rows [rows, uses] and fold what arrives."""
    rows, length = symbols.shape
    snr = torch.as_tensor(snr_db, dtype=torch.float32).expand(rows)
    uses = torch.full((rows // users, users), length)
    air = channel.carry(symbols.unflatten(0, (-1, users)), uses, snr.reshape(-1, users), rng)
    return air.fold()


def deviation(values: Tensor, expected: float) -> float:
    """(mean - expected) / standard error of independent values; 0 when both agree exactly."""
    mean, error = float(values.double().mean()), float(values.double().std()) / math.sqrt(values.numel())
    return (mean - expected) / error if error else (0.0 if math.isclose(mean, expected, rel_tol=1e-6) else math.inf)


def noise(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Noise of each dimension, and the configured N0 in a batch of weak and strong rows at different SNR."""
    del modem
    for name in [name for name in FLAT if name in channels]:
        length = count(20_000, scale, 400)
        snr = torch.tensor([-5.0, 0.0, 10.0, 30.0] * 4)
        amplitude = torch.tensor([0.1, 1.0, 1.0, 10.0]).repeat_interleave(4)
        rng = streams(f"noise {name}", 16)
        sent = quaternary(16, length, rng) * amplitude[:, None]
        heard = carried(channels[name], sent, snr, rng)
        n0 = 10 ** (-snr.double() / 10)
        power = heard.gains[:, 0].abs().double().square()
        told = heard.noise_var.double() * power / n0[:, None]
        worst = float((told - 1).abs().max())
        yield Line(f"{name}: told noise x |h|^2 / N0, worst symbol", 1 + worst, 1.0, worst, "tolerance", 1e-4)
        # the noise of the antenna, whatever the gain that it was divided by
        error = (
            torch.view_as_real((heard.symbols - sent).to(torch.complex128) * power.sqrt()).square() / n0[:, None, None]
        )
        for part, dimension in enumerate(("in phase", "quadrature")):
            worst_row = max(
                ((2 * error[row, :, part].mean() - 1) * math.sqrt(length / 2) for row in range(16)), key=abs
            )
            measured = 1 + float(worst_row) / math.sqrt(length / 2)
            yield Line(f"{name}: noise / N0 {dimension}, worst of 16 mixed rows", measured, 1.0, float(worst_row))
            pooled = error[..., part].flatten() * 2
            yield Line(f"{name}: noise / N0 {dimension}, all rows", float(pooled.mean()), 1.0, deviation(pooled, 1.0))


def realised_snr(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """The realised SNR of a row scatters by 10 / ln 10 / sqrt(uses) = 4.34 / sqrt(uses) dB about the configured one."""
    del modem
    for name in [name for name in FLAT if name in channels]:
        rows, length = count(4000, scale, 400), 256
        rng = streams(f"realised SNR {name}", rows)
        sent = quaternary(rows, length, rng)
        heard = carried(channels[name], sent, 7.0, rng)
        weight = heard.gains[:, 0].abs().square()
        error = (heard.symbols - sent).abs().square()
        realised = 10 * torch.log10(length / (weight * error).sum(1))
        expected = 10 / math.log(10) / math.sqrt(length)
        spread = float(realised.std())
        z = (spread / expected - 1) * math.sqrt(2 * (rows - 1))
        yield Line(f"{name}: spread of realised SNR over rows, dB", spread, expected, z)
        # E[-10 log10 of a mean of n exponential variables] = 10 / ln 10 (ln n - digamma(n))
        bias = 10 / math.log(10) * (math.log(length) - float(torch.digamma(torch.tensor(float(length)))))
        z = deviation(realised, 7 + bias)
        yield Line(f"{name}: mean of realised SNR over rows, dB", float(realised.mean()), 7 + bias, z)


def gain(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """E|h|^2 = 1, E|h|^4 = 2 - (K / (K + 1))^2, and h without a preferred phase."""
    del modem
    for name, k_factor in FLAT.items():
        if name not in channels:
            continue
        rows, length = count(20_000, scale, 400), 4
        heard = carried(
            channels[name], torch.ones(rows, length, dtype=torch.complex64), 10.0, streams(f"gain {name}", rows)
        )
        power = heard.gains[:, 0].abs().double().square()
        share = 1.0 if math.isinf(k_factor) else k_factor / (k_factor + 1)
        fourth = power.square().mean(1)
        yield Line(f"{name}: E|h|^2", float(power.mean()), 1.0, deviation(power.mean(1), 1.0))
        yield Line(f"{name}: E|h|^4", float(fourth.mean()), 2 - share**2, deviation(fourth, 2 - share**2))
        if k_factor < math.inf:
            mean = heard.gains[:, 0].real.mean(1)
            yield Line(f"{name}: E Re h", float(mean.mean()), 0.0, deviation(mean, 0.0))
