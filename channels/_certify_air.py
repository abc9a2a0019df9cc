"""Noise, SNR and gain of every channel: the certificate's measurements of what the air does to symbols."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from channels._base import Channel, Received
from channels._rng import Rng, seed_for
from channels._sionna import table
from channels.certificate import Line, Modem

FLAT = {"awgn": math.inf, "rayleigh": 0.0, "rayleigh block": 0.0, "rician": 10**0.6, "rician block": 10**0.6}
"""Flat channels and their line of sight over scattered power."""

_RAYS = 20  # of a cluster: TR 38.901, table 7.5-3


def known(channels: Mapping[str, Channel]) -> list[str]:
    """Channels whose receiver knows the gains: noise variance times |h|^2 is N0 on every use."""
    return [name for name in channels if not name.endswith(("ls", "lmmse"))]


def on_grid(name: str) -> bool:
    """Whether the uses of a channel are subcarriers over multipath."""
    return name.startswith(("tdl ", "cdl "))


def line_of_sight(name: str) -> float:
    """Share of the line of sight in the mean power of a channel of `tdl.MODELS` or `cdl.MODELS`."""
    kind, model = name.split()
    parameters = table(f"{kind.upper()}-{model}")
    powers = 10 ** (torch.tensor(parameters["powers"], dtype=torch.float64) / 10)
    return float(powers[0] / powers.sum()) if parameters["los"] else 0.0


def _steady(name: str) -> float:
    """Sum of the squared powers of those parts of h that have a constant modulus; the others are Gaussian."""
    if name == "uplink":
        return 0.0
    if not on_grid(name):
        k_factor = FLAT.get(name, math.inf)
        return 1.0 if math.isinf(k_factor) else (k_factor / (k_factor + 1)) ** 2
    seen = line_of_sight(name)
    if name.startswith("tdl"):
        return seen**2
    parameters = table(f"CDL-{name.split()[1]}")
    powers = 10 ** (torch.tensor(parameters["powers"], dtype=torch.float64) / 10)
    scattered = (powers / powers.sum())[int(parameters["los"]) :]
    return seen**2 + float(scattered.square().sum()) / _RAYS


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
    """Noise of each dimension, and the configured N0 in a batch of weak and strong rows at different SNR.

    Four rows of one amplitude are the users of a broadcast; an uplink carries each alone, where its filter combines
    antennas by maximum ratio.
    """
    del modem
    for name in known(channels):
        length = count(20_000, scale, 400)
        snr = torch.tensor([-5.0, 0.0, 10.0, 30.0] * 4)
        amplitude = torch.tensor([0.1, 1.0, 1.0, 10.0]).repeat_interleave(4)
        rng = streams(f"noise {name}", 16)
        sent = quaternary(16, length, rng) * amplitude[:, None]
        users = 4 if channels[name].medium.access == "common" else 1
        if users > 1:
            sent = sent[::users].repeat_interleave(users, 0)
        heard = carried(channels[name], sent, snr, rng, users)
        n0 = 10 ** (-snr.double() / 10)
        power = heard.gains.abs().double().square().sum(1)
        told = heard.noise_var.double() * power / n0[:, None]
        worst = float((told - 1).abs().max())
        # single precision leaves few digits of 1 - a in the uplink's (1 - a) / a at 30 dB
        limit = 1e-2 if channels[name].medium.access == "superposed" else 1e-4
        yield Line(f"{name}: told noise x |h|^2 / N0, worst symbol", 1 + worst, 1.0, worst, "tolerance", limit)
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
    for name in known(channels):
        rows, length = count(1000 if on_grid(name) else 4000, scale, 400), 256
        rng = streams(f"realised SNR {name}", rows)
        sent = quaternary(rows, length, rng)
        heard = carried(channels[name], sent, 7.0, rng)
        weight = heard.gains.abs().square().sum(1)
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
    """E|h|^2 = 1, E|h|^4 = 2 - sum of p^2 over the parts of h with constant modulus, and h without a preferred phase.

    Line of sight: p = K / (K + 1). Rays of a cdl: p = P / 20 each, of independent phases.
    """
    del modem
    for name in known(channels):
        rows, length = count(4000 if on_grid(name) else 20_000, scale, 400), 4
        sent = torch.ones(rows, length, dtype=torch.complex64)
        heard = carried(channels[name], sent, 10.0, streams(f"gain {name}", rows))
        power = heard.gains[:, 0].abs().double().square()
        expected, fourth = 2 - _steady(name), power.square().mean(1)
        yield Line(f"{name}: E|h|^2", float(power.mean()), 1.0, deviation(power.mean(1), 1.0))
        yield Line(f"{name}: E|h|^4", float(fourth.mean()), expected, deviation(fourth, expected))
        if name not in ("awgn", "broadcast"):
            mean = heard.gains[:, 0].real.mean(1)
            yield Line(f"{name}: E Re h", float(mean.mean()), 0.0, deviation(mean, 0.0))
