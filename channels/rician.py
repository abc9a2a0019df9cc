"""Rician fading: y = h x + n, where h has a line-of-sight part and a scattered part."""

from typing import Literal

from channels.base import Channel
from channels.csit import Csit
from channels.propagation.flat import FlatFading, rician_k_factor
from channels.propagation.impairments import Impairments

TITLE = "Rician fading"


def build(
    k_factor_db: float = 6.0,
    coherence_uses: int | None = None,
    csi_error_variance: float = 0.0,
    phase_error_deg: float = 0.0,
    clipping_db: float | None = None,
    adc_bits: int | None = None,
    csit: Literal["average", "perfect", "delayed"] = "average",
    csit_correlation: float = 0.9,
) -> Channel:
    """Rician block fading, y = h x + n with a line of sight in h, independent for each image and user.

    Args:
        k_factor_db: Rician K-factor in dB, -100 to 100: power of the line of sight over power of the scattered paths
            (default 6).
        coherence_uses: coherence time in channel uses: 1 is fast fading, a new gain for every use (default null:
            one gain for the whole transmission of an image).
        csi_error_variance: variance of the receiver's channel estimation error, as a share of the mean power gain
            E|h|^2 = 1, 0 or more and below 1 (default 0: perfect channel knowledge).
        phase_error_deg: standard deviation of the residual carrier phase in degrees, 0 to 60, constant within a row
            (default 0).
        clipping_db: clipping level of the power amplifier in dB above the mean power, -10 to 30, applied to the
            waveform at 4 samples per use (default null: linear amplifier).
        adc_bits: resolution of the receiver's analog-to-digital converter in bits per real dimension, 1 to 24
            (default null: ideal converter).
        csit: channel knowledge of the transmitter: "average" (default; average SNR), "perfect" (SNR of an AWGN channel
            with the capacity of the coming channel uses of each image) or "delayed" (the same from outdated gains).
        csit_correlation: correlation of the outdated with the actual gains, 0 to 1, for csit: delayed: scattered gains
            rho h + sqrt(1 - rho^2) w with independent w (default 0.9); ignored otherwise.
    """
    impairments = Impairments(csi_error_variance, phase_error_deg, clipping_db, adc_bits)
    return FlatFading(rician_k_factor(k_factor_db), coherence_uses, impairments, Csit(csit, csit_correlation))
