"""Additive white Gaussian noise: y = x + n, n ~ CN(0, N0)."""

from __future__ import annotations

from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.base import Channel, Medium, Received, carry_flat
from channels.propagation.impairments import Impairments, carry_impaired
from channels.rng import Rng

TITLE = "AWGN"


class Awgn(Channel):
    """AWGN channel, y = x + n with n ~ CN(0, N0); N0 = 10^(-snr_db / 10), whatever the energy of the symbols.

    Args:
        impairments: impairments of amplifier, oscillator, converter and channel knowledge; None for an ideal link.

    Source: Proakis and Salehi, Digital Communications, 5th ed., section 4.2.

    >>> import torch
    >>> sent = torch.ones(1, 1, 64, dtype=torch.complex64)
    >>> received = Awgn().carry(sent, torch.tensor([[64]]), torch.tensor([[10.0]]), Rng([1]))
    >>> received.noise_var[0, 0, 0].item()
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
        return carry_flat(symbols, uses, snr_db, gains, max(length, 1), rng)


def build(
    csi_error_variance: float = 0.0,
    phase_error_deg: float = 0.0,
    clipping_db: float | None = None,
    adc_bits: int | None = None,
) -> Channel:
    """Additive white Gaussian noise, y = x + n with n ~ CN(0, N0). The transmitter knows the SNR.

    Args:
        csi_error_variance: variance of the receiver's channel estimation error, as a share of the mean power gain
            E|h|^2 = 1, 0 or more and below 1 (default 0: perfect channel knowledge).
        phase_error_deg: standard deviation of the residual carrier phase in degrees, 0 to 60, constant within a row
            (default 0).
        clipping_db: clipping level of the power amplifier in dB above the mean power, -10 to 30, applied to the
            waveform at 4 samples per use (default null: linear amplifier).
        adc_bits: resolution of the receiver's analog-to-digital converter in bits per real dimension, 1 to 24
            (default null: ideal converter).
    """
    return Awgn(Impairments(csi_error_variance, phase_error_deg, clipping_db, adc_bits))
