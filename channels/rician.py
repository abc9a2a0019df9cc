"""Rician fading: a line of sight among scattered paths."""

import math

from channels._base import Channel
from channels._errors import UsageError
from channels._flat import FlatFading
from channels._impairments import Impairments


def build(
    k_factor_db: float = 6.0,
    coherence_uses: int | None = None,
    csi_error_variance: float = 0.0,
    phase_error_deg: float = 0.0,
    clipping_db: float | None = None,
    adc_bits: int | None = None,
) -> Channel:
    """Rician block fading with perfect channel knowledge.

    Args:
        k_factor_db: power of the line of sight over that of the scattered paths, in dB.
        coherence_uses: uses that share one fade; null is one fade a transmission.
        csi_error_variance: part of the unit mean gain |h|^2 that the receiver does not know, 0 to below 1.
        phase_error_deg: standard deviation of the residual carrier phase, degrees, one draw a row.
        clipping_db: where the amplifier clips the 4x oversampled waveform, dB over its mean power; null is linear.
        adc_bits: bits of the receiver's converter in each dimension; null is ideal.
    """
    if not math.isfinite(k_factor_db):
        raise UsageError(f"k_factor_db must be finite, not {k_factor_db}: use the rayleigh or awgn channel")
    impairments = Impairments(csi_error_variance, phase_error_deg, clipping_db, adc_bits)
    return FlatFading(10 ** (k_factor_db / 10), coherence_uses, impairments)
