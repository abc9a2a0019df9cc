"""Parts that the measurements share: random streams, QPSK symbols, transmission of rows, z statistic."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from channels.base import Channel, Received
from channels.rng import Rng, seed_for


def streams(label: str, rows: int) -> Rng:
    """Random streams of a measurement, one per row; the same in every run."""
    return Rng([seed_for("certificate", label, row) for row in range(rows)])


def sample_count(full: int, scale: float, least: int = 32) -> int:
    """Number of samples of a measurement: `full` at scale 1, and never fewer than `least`."""
    return max(least, round(full * scale))


def qpsk_symbols(rows: int, length: int, rng: Rng) -> Tensor:
    """Random QPSK symbols of unit energy, complex64 [rows, length]."""
    signs = torch.where(rng.derive("symbols").uniform(length, 2) < 0.5, -math.sqrt(0.5), math.sqrt(0.5))
    return torch.view_as_complex(signs.contiguous())


def transmit(channel: Channel, symbols: Tensor, snr_db: Tensor | float, rng: Rng, users: int = 1) -> Received:
    """Transmit full rows [rows, uses], `users` rows at a time, and fold the result."""
    rows, length = symbols.shape
    snr = torch.as_tensor(snr_db, dtype=torch.float32).expand(rows)
    uses = torch.full((rows // users, users), length)
    return channel.carry(symbols.unflatten(0, (-1, users)), uses, snr.reshape(-1, users), rng).fold()


def z_score(values: Tensor, expected: float) -> float:
    """(mean - expected) / standard error of independent values; 0 if both are equal without any deviation."""
    mean, error = float(values.double().mean()), float(values.double().std()) / math.sqrt(values.numel())
    return (mean - expected) / error if error else (0.0 if math.isclose(mean, expected, rel_tol=1e-6) else math.inf)
