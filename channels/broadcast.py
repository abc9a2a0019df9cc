"""Broadcast: one transmission to users with fades, noise and SNR of their own."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._base import Channel, Medium, Received
from channels._errors import UsageError
from channels._flat import FlatFading
from channels._rng import Rng
from channels.awgn import Awgn


class Broadcast(Channel):
    """y_u = g_u x + n_u: every user hears the same symbols through an independent channel.

    Args:
        air: what stands between the sender and each user.

    Raises:
        UsageError: users whose rows carry different symbols.
    """

    medium = Medium(access="common")

    def __init__(self, air: Channel) -> None:
        self.air = air

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        if not torch.equal(symbols, symbols[:, :1].expand_as(symbols)) or bool((uses != uses[:, :1]).any()):
            raise UsageError("broadcast sends one row of symbols to all users: give every user of a medium the same")
        return self.air.carry(symbols, uses, snr_db, rng)


def build(
    fading: Literal["none", "rayleigh", "rician"] = "none",
    k_factor_db: float = 6.0,
    coherence_uses: int | None = None,
) -> Channel:
    """One transmission to several users.

    Args:
        fading: "none" (only noise), "rayleigh" or "rician", independent for each user.
        k_factor_db: line of sight over scattered power for Rician fading, in dB.
        coherence_uses: uses that share one fade; null is one fade a transmission.
    """
    if fading not in ("none", "rayleigh", "rician"):
        raise UsageError(f"fading must be none, rayleigh or rician, not {fading!r}")
    if fading == "none":
        return Broadcast(Awgn())
    if not math.isfinite(k_factor_db):
        raise UsageError(f"k_factor_db must be finite, not {k_factor_db}")
    return Broadcast(FlatFading(0.0 if fading == "rayleigh" else 10 ** (k_factor_db / 10), coherence_uses))
