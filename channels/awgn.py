"""Additive white Gaussian noise: y = x + n, n ~ CN(0, N0)."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._base import Channel, Medium, Received, zero_forced
from channels._rng import Rng


class Awgn(Channel):
    """y = x + n with n ~ CN(0, N0), N0 = 10^(-snr_db / 10) whatever the symbols' energy.

    Source: Proakis and Salehi, Digital Communications, 5th ed., section 4.2.

    >>> sent = torch.ones(1, 1, 64, dtype=torch.complex64)
    >>> heard = Awgn().carry(sent, torch.tensor([[64]]), torch.tensor([[10.0]]), Rng([1]))
    >>> heard.noise_var[0, 0, 0].item()
    0.10000000149011612
    """

    medium = Medium()

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        return zero_forced(symbols, uses, snr_db, torch.ones_like(symbols), rng)


def build() -> Channel:
    """Additive white Gaussian noise."""
    return Awgn()
