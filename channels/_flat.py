"""Flat fading in blocks, with the gain known to the receiver."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._base import Channel, Medium, Received, zero_forced
from channels._errors import UsageError
from channels._impairments import Impairments, carry_impaired
from channels._rng import Rng


class FlatFading(Channel):
    """y = g x + n, g = sqrt(K/(K+1)) e^(j phi) + sqrt(1/(K+1)) h, h ~ CN(0, 1), phi uniform; E|g|^2 = 1.

    h is drawn anew every `coherence_uses` uses, phi once a transmission. The receiver knows g and divides by it.

    Args:
        k_factor: power of the line of sight over that of the scattered paths, linear; 0 is Rayleigh fading.
        coherence_uses: uses that share one fade; None is one fade a transmission, 1 a new fade every use.
        impairments: of amplifier, oscillator, converter and channel knowledge.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 2.4.2.
    """

    medium = Medium()

    def __init__(self, k_factor: float, coherence_uses: int | None, impairments: Impairments | None = None) -> None:
        if not 0 <= k_factor < math.inf:
            raise UsageError(f"k_factor must be 0 or more and finite, not {k_factor}")
        if coherence_uses is not None and coherence_uses < 1:
            raise UsageError(
                f"coherence_uses must be 1 or more, or null for one fade a transmission, not {coherence_uses}"
            )
        self.k_factor = k_factor
        self.coherence_uses = coherence_uses
        self.impairments = impairments or Impairments()

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        length = symbols.shape[-1]
        gains = self.draw_fades(length, rng).to(symbols.device).unflatten(0, symbols.shape[:2])
        coherence = self.coherence_uses or max(length, 1)
        if self.impairments.active:
            return carry_impaired(self.impairments, symbols, uses, snr_db, gains, coherence, rng)
        return zero_forced(symbols, uses, snr_db, gains, coherence, rng)

    def draw_fades(self, length: int, rng: Rng) -> Complex[Tensor, "rows fades"]:
        """The gains that `length` uses go through, one for each `coherence_uses` of them, complex64."""
        fades = 1 if self.coherence_uses is None else -(-length // self.coherence_uses)
        gains = rng.derive("fading").complex_normal(fades)
        if self.k_factor == 0:
            return gains
        phase = 2 * math.pi * rng.derive("line of sight").uniform(1)
        line_of_sight = torch.polar(torch.tensor(math.sqrt(self.k_factor)).expand_as(phase), phase)
        return gains.add_(line_of_sight).div_(math.sqrt(self.k_factor + 1))
