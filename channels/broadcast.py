"""Broadcast: one transmission to several users, each with its own fading, noise and SNR."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.arguments import one_of
from channels.awgn import Awgn
from channels.base import Channel, Medium, Received
from channels.csit import Csit
from channels.errors import UsageError
from channels.propagation.flat import FlatFading, rician_k_factor
from channels.rng import Rng

TITLE = "Broadcast"


class Broadcast(Channel):
    """Every user receives the same symbols through an independent channel: y_u = g_u x + n_u.

    Args:
        user_channel: channel between the sender and each user; the sender's channel knowledge is its `csit`.

    Raises:
        UsageError: the rows of the users hold different symbols.
    """

    medium = Medium(access="common")

    def __init__(self, user_channel: Channel) -> None:
        self.user_channel, self.csit = user_channel, user_channel.csit

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        if not torch.equal(symbols, symbols[:, :1].expand_as(symbols)) or bool((uses != uses[:, :1]).any()):
            raise UsageError(
                "broadcast sends the same symbols to all users: give every user the same symbols and the same uses"
            )
        return self.user_channel.carry(symbols, uses, snr_db, rng)

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        return self.user_channel.transmitter_snr_db(uses, snr_db, rng)


def build(
    fading: Literal["none", "rayleigh", "rician"] = "none",
    k_factor_db: float = 6.0,
    coherence_uses: int | None = None,
    csit: Literal["average", "perfect", "delayed"] = "average",
    csit_correlation: float = 0.9,
) -> Channel:
    """One transmission to all users, y_u = h_u x + n_u with independent noise for each user.

    Args:
        fading: fading of each user, independent of the others: "none" (AWGN only, default), "rayleigh" or "rician".
        k_factor_db: Rician K-factor in dB, -100 to 100, for fading: rician (default 6).
        coherence_uses: coherence time in channel uses: 1 is fast fading, a new gain for every use (default null:
            one gain for the whole transmission of an image).
        csit: channel knowledge of the transmitter: "average" (default; average SNR), "perfect" (SNR of an AWGN channel
            with the capacity of each user's coming channel uses; the transmission is encoded for the user with the
            lowest) or "delayed" (the same from outdated gains). Without fading all are the average SNR.
        csit_correlation: correlation of the outdated with the actual gains, 0 to 1, for csit: delayed: scattered gains
            rho h + sqrt(1 - rho^2) w with independent w (default 0.9); ignored otherwise.
    """
    one_of("fading", fading, ("none", "rayleigh", "rician"))
    knowledge = Csit(csit, csit_correlation)
    if fading == "none":
        return Broadcast(Awgn())
    k_factor = 0.0 if fading == "rayleigh" else rician_k_factor(k_factor_db)
    return Broadcast(FlatFading(k_factor, coherence_uses, csit=knowledge))
