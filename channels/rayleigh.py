"""Rayleigh fading: no line of sight, gains CN(0, 1)."""

from channels._base import Channel
from channels._flat import FlatFading
from channels._impairments import Impairments


def build(
    coherence_uses: int | None = None,
    csi_error_variance: float = 0.0,
    phase_error_deg: float = 0.0,
    clipping_db: float | None = None,
    adc_bits: int | None = None,
) -> Channel:
    """Rayleigh block fading with perfect channel knowledge.

    Args:
        coherence_uses: uses that share one fade; null is one fade a transmission.
        csi_error_variance: part of the unit mean gain |h|^2 that the receiver does not know, 0 to below 1.
        phase_error_deg: standard deviation of the residual carrier phase, degrees, one draw a row.
        clipping_db: where the amplifier clips the 4x oversampled waveform, dB over its mean power; null is linear.
        adc_bits: bits of the receiver's converter in each dimension; null is ideal.
    """
    impairments = Impairments(csi_error_variance, phase_error_deg, clipping_db, adc_bits)
    return FlatFading(k_factor=0.0, coherence_uses=coherence_uses, impairments=impairments)
