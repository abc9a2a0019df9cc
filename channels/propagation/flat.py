"""Flat block fading, Rayleigh or Rician."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.arguments import within
from channels.base import Channel, Medium, Received, carry_flat, hold_blocks
from channels.csit import Csit, equal_capacity_snr_db, outdated
from channels.propagation.impairments import Impairments, carry_impaired
from channels.rng import Rng


def rician_k_factor(k_factor_db: float) -> float:
    """Linear Rician K-factor of one in dB, -100 (Rayleigh fading) to 100 (a constant gain).

    Raises:
        UsageError: the number is out of range.

    >>> rician_k_factor(20.0)
    100.0
    """
    within("k_factor_db", k_factor_db, -100, 100)
    return float(10 ** (k_factor_db / 10))


class FlatFading(Channel):
    """Flat fading channel, y = g x + n; the receiver knows g (see `Impairments`) and divides by it.

    g = sqrt(K/(K+1)) e^(j phi) + sqrt(1/(K+1)) h with h ~ CN(0, 1), phi uniform and E|g|^2 = 1. A new h is generated
    every `coherence_uses` uses, phi once per row.

    Args:
        k_factor: power of the line of sight over power of the scattered paths, linear; 0 is Rayleigh fading.
        coherence_uses: coherence time in uses; 1 is a new gain for every use, None one gain for the whole row.
        impairments: impairments of amplifier, oscillator, converter and channel knowledge; None for an ideal link.
        csit: channel knowledge of the transmitter; None for the average SNR.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 2.4.2.
    """

    medium = Medium()

    def __init__(
        self,
        k_factor: float,
        coherence_uses: int | None,
        impairments: Impairments | None = None,
        csit: Csit | None = None,
    ) -> None:
        within("k_factor", k_factor, 0)
        within("coherence_uses", coherence_uses, 1, null="one gain for the whole transmission")
        self.k_factor = k_factor
        self.coherence_uses = coherence_uses
        self.impairments = impairments or Impairments()
        self.csit = csit or Csit()

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        length = symbols.shape[-1]
        gains = self.draw_gains(length, rng).to(symbols.device).unflatten(0, symbols.shape[:2])
        coherence = self.coherence_uses or max(length, 1)
        if self.impairments.active:
            return carry_impaired(self.impairments, symbols, uses, snr_db, gains, coherence, rng)
        return carry_flat(symbols, uses, snr_db, gains, coherence, rng)

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        if self.csit.is_average:
            return snr_db
        length = max(int(uses.max()), 1)
        power = self.draw_gains(length, rng, self.csit.rho).abs().square().unflatten(0, uses.shape)
        return equal_capacity_snr_db(hold_blocks(power, self.coherence_uses or length, length), uses, snr_db)

    def draw_gains(self, length: int, rng: Rng, rho: float = 1.0) -> Complex[Tensor, "rows blocks"]:
        """Draw the gains of `length` uses, one for each block of `coherence_uses` uses, complex64 [rows, blocks].

        With `rho` below 1 they are outdated: their scattered part has this correlation with that of the actual gains.
        """
        blocks = 1 if self.coherence_uses is None else -(-length // self.coherence_uses)
        gains = rng.derive("fading").complex_normal(blocks)
        if rho < 1:
            gains = outdated(gains, rng.derive("csit").complex_normal(blocks), rho)
        if self.k_factor == 0:
            return gains
        phase = 2 * math.pi * rng.derive("line of sight").uniform(1)
        line_of_sight = torch.polar(torch.tensor(math.sqrt(self.k_factor)).expand_as(phase), phase)
        return gains.add_(line_of_sight).div_(math.sqrt(self.k_factor + 1))
