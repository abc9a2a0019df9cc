"""Additive white Gaussian noise: y = x + n, n ~ CN(0, N0)."""

from __future__ import annotations

from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._base import Channel, Medium, Received, zero_forced
from channels._impairments import Impairments, carry_impaired
from channels._rng import Rng


class Awgn(Channel):
    """y = x + n with n ~ CN(0, N0), N0 = 10^(-snr_db / 10) whatever the symbols' energy.

    Args:
        impairments: of amplifier, oscillator, converter and channel knowledge.

    Source: Proakis and Salehi, Digital Communications, 5th ed., section 4.2.

    >>> import torch
    >>> sent = torch.ones(1, 1, 64, dtype=torch.complex64)
    >>> heard = Awgn().carry(sent, torch.tensor([[64]]), torch.tensor([[10.0]]), Rng([1]))
    >>> heard.noise_var[0, 0, 0].item()
    0.10000000149011612
    """

    medium = Medium()

    def __init__(self, impairments: Impairments | None = None) -> None:
        self.impairments = impairments or Impairments()

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        batch, users, length = symbols.shape
        gains = symbols.new_ones(batch, users, 1)
        if self.impairments.active:
            return carry_impaired(self.impairments, symbols, uses, snr_db, gains, max(length, 1), rng)
        return zero_forced(symbols, uses, snr_db, gains, max(length, 1), rng)


def build(
    csi_error_variance: float = 0.0,
    phase_error_deg: float = 0.0,
    clipping_db: float | None = None,
    adc_bits: int | None = None,
) -> Channel:
    """Additive white Gaussian noise.

    Args:
        csi_error_variance: part of the unit mean gain |h|^2 that the receiver does not know, 0 to below 1.
        phase_error_deg: standard deviation of the residual carrier phase, degrees, one draw a row.
        clipping_db: where the amplifier clips the 4x oversampled waveform, dB over its mean power; null is linear.
        adc_bits: bits of the receiver's converter in each dimension; null is ideal.
    """
    return Awgn(Impairments(csi_error_variance, phase_error_deg, clipping_db, adc_bits))
