"""Impairments of flat channels: imperfect channel knowledge, phase error, amplifier clipping, converter resolution.

The channels awgn, rayleigh and rician accept them. The other channels (tdl, cdl, uplink, broadcast) have an ideal
amplifier, oscillator and converter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.arguments import within
from channels.base import Received, clear_unsent, hold_blocks, noise_variance, sent_energy, sent_mask
from channels.rng import Rng, seed_for

_OVERSAMPLING = 4
_CLIP_SAMPLES = 1 << 15
# Saturation level of the converter in standard deviations of its input: 12 dB of headroom.
_CONVERTER_RANGE = 4.0


@dataclass(frozen=True)
class Impairments:
    """Impairments of a flat link; all of them are off by default.

    By the Bussgang decomposition each impairment is a gain, which the receiver removes, and an error uncorrelated with
    the symbol. The variance of the error is part of the returned noise variance, in expectation over Gaussian symbols
    and over draws; for QPSK the error of amplifier and converter is up to a tenth smaller. The contribution of
    imperfect channel knowledge is exact for every estimated gain if the gain is Gaussian (rayleigh). Otherwise (awgn,
    rician) it is exact on average over rows only.

    Args:
        csi_error_variance: variance of the channel estimation error, as a share of the mean power gain E|h|^2 = 1, 0
            to below 1.
        phase_error_deg: standard deviation of the residual carrier phase in degrees, 0 to 60, constant within a row.
        clipping_db: clipping level of the amplifier in dB above the mean power, -10 to 30; None for a linear amplifier.
        adc_bits: resolution of the receiver's converter in bits per real dimension, 1 to 24; None for an ideal one.

    Source: Bussgang, Crosscorrelation functions of amplitude-distorted Gaussian signals, 1952; Hassibi and Hochwald,
    2003 (estimation error as noise).

    >>> Impairments().active, Impairments(adc_bits=6).active
    (False, True)
    """

    csi_error_variance: float = 0.0
    phase_error_deg: float = 0.0
    clipping_db: float | None = None
    adc_bits: int | None = None

    def __post_init__(self) -> None:
        within("csi_error_variance", self.csi_error_variance, 0, 1, excluded="most")
        within("phase_error_deg", self.phase_error_deg, 0, 60)
        within("clipping_db", self.clipping_db, -10, 30, null="a linear amplifier")
        within("adc_bits", self.adc_bits, 1, 24, null="an ideal converter")

    @property
    def active(self) -> bool:
        """Whether any impairment is on."""
        return self != Impairments()


def carry_impaired(
    impairments: Impairments,
    symbols: Complex[Tensor, "batch users uses"],
    uses: Int[Tensor, "batch users"],
    snr_db: Float[Tensor, "batch users"],
    gains: Complex[Tensor, "batch users blocks"],
    coherence: int,
    rng: Rng,
) -> Received:
    """Transmit symbols over flat gains with impairments: clip, fade, rotate, add noise, quantize, equalize.

    Gains, noise and arguments are those of `carry_flat`.
    """
    batch, users, length = symbols.shape
    n0 = noise_variance(snr_db)[..., None]
    sent = symbols * sent_mask(uses, length)
    papr_db, amplifier_gain, distortion = None, 1.0, 0.0
    if impairments.clipping_db is not None:
        sent, papr_db = amplify(sent, uses, impairments.clipping_db)
        amplifier_gain, distortion = _clipping(impairments.clipping_db)

    csi_error = impairments.csi_error_variance
    spread = math.radians(impairments.phase_error_deg)
    known = gains
    if csi_error:
        draw = rng.derive("csi error").complex_normal(gains.shape[-1]).to(gains.device).view(gains.shape)
        # g - known has variance csi_error and is uncorrelated with known for any g with E|g|^2 = 1. If g is Gaussian,
        # both are independent and E[g | known] = known; otherwise csi_error is exact on average over draws only.
        known = (1 - csi_error) * gains + math.sqrt(csi_error * (1 - csi_error)) * draw
    phase = spread * rng.derive("phase error").normal(1).to(symbols.device).view(batch, users, 1)
    noise = rng.derive("noise").complex_normal(length, variance=n0.flatten()).to(symbols.device).view(symbols.shape)
    antenna = hold_blocks(gains, coherence, length) * torch.polar(torch.ones_like(phase), phase) * sent + noise

    # antenna = known amplifier_gain phase_gain x + error of phase, channel knowledge, amplifier and noise
    phase_gain = math.exp(-(spread**2) / 2)
    power = torch.view_as_real(known).square().sum(-1)
    phase_error = power * amplifier_gain**2 * (1 - phase_gain**2)
    error = phase_error + csi_error * amplifier_gain**2 + (power + csi_error) * distortion + n0
    scale = amplifier_gain * phase_gain
    signal = power * scale**2
    if impairments.adc_bits is not None:
        level = (power + csi_error) * (amplifier_gain**2 + distortion) + n0
        antenna = quantize(antenna, hold_blocks(level, coherence, length), impairments.adc_bits)
        converter_gain, rounding = _conversion(impairments.adc_bits)
        error = error + rounding / converter_gain**2 * level
        scale = scale * converter_gain
    return clear_unsent(
        Received(
            symbols=antenna * hold_blocks(known.conj() / (power * scale), coherence, length),
            noise_var=hold_blocks(error / signal, coherence, length),
            uses=uses,
            energy=sent_energy(sent, uses),
            gains=hold_blocks(known, coherence, length)[:, :, None],
            papr_db=papr_db,
        )
    )


def amplify(
    symbols: Complex[Tensor, "*rows uses"], uses: Int[Tensor, "*rows"], clipping_db: float
) -> tuple[Complex[Tensor, "*rows uses"], Float[Tensor, "*rows"]]:
    """Clip the band-limited waveform of each row, at 4 samples per use, and filter it to its band.

    The waveform of a row is the periodic interpolation of its symbols.

    Args:
        symbols: symbols before the amplifier, complex64 [..., uses], unit mean power.
        uses: number of uses of each row, int64 [...].
        clipping_db: largest amplitude in dB above unit power.

    Returns:
        Transmitted symbols, complex64 [..., uses], and the PAPR of the waveform before clipping in dB, float32 [...].
    """
    limit = 10 ** (clipping_db / 20)
    rows, lengths = symbols.flatten(0, -2), uses.flatten().tolist()
    clipped, papr = torch.zeros_like(rows), torch.zeros(len(rows), device=rows.device)
    for index, length in enumerate(lengths):
        if length:
            waveform = _oversample(rows[index, :length])
            power = torch.view_as_real(waveform.detach()).square().sum(-1)
            papr[index] = 10 * torch.log10(power.amax() / power.mean().clamp(min=1e-12))
            clipped[index, :length] = _band_filter(_clip(waveform, limit), length)
    return clipped.view(symbols.shape), papr.view(uses.shape)


def quantize(
    symbols: Complex[Tensor, "batch users uses"], power: Float[Tensor, "batch users uses"], bits: int
) -> Complex[Tensor, "batch users uses"]:
    """Round each real dimension to 2^bits mid-rise levels over +-4 standard deviations of a signal of this power."""
    deviation = (power / 2).sqrt()[..., None]
    parts = torch.view_as_real(symbols) / deviation
    return torch.view_as_complex(_round_to_levels(parts, bits) * deviation)


def _round_to_levels(values: Tensor, bits: int) -> Tensor:
    step = 2 * _CONVERTER_RANGE / 2**bits
    top = 2 ** (bits - 1)
    rounded = ((values.detach() / step).floor().clamp(-top, top - 1) + 0.5) * step
    # straight-through gradient: that of the identity
    return values + (rounded - values.detach())


def _oversample(symbols: Complex[Tensor, " uses"]) -> Complex[Tensor, " samples"]:
    spectrum = torch.fft.fftshift(torch.fft.fft(symbols))
    length = len(symbols)
    before = (_OVERSAMPLING * length) // 2 - length // 2
    after = (_OVERSAMPLING - 1) * length - before
    padded = torch.nn.functional.pad(spectrum, (before, after))
    return torch.fft.ifft(torch.fft.ifftshift(padded)) * _OVERSAMPLING


def _band_filter(waveform: Complex[Tensor, " samples"], length: int) -> Complex[Tensor, " uses"]:
    spectrum = torch.fft.fftshift(torch.fft.fft(waveform))
    before = len(waveform) // 2 - length // 2
    return torch.fft.ifft(torch.fft.ifftshift(spectrum[before : before + length])) / _OVERSAMPLING


def _clip(waveform: Complex[Tensor, " samples"], limit: float) -> Complex[Tensor, " samples"]:
    amplitude = waveform.abs().clamp(min=1e-12)
    return waveform * (limit / amplitude).clamp(max=1.0)


def _clipping(clipping_db: float) -> tuple[float, float]:
    """Bussgang gain of the amplifier and variance of its in-band distortion for Gaussian symbols of unit energy."""
    symbols = Rng([seed_for("clipping")]).complex_normal(_CLIP_SAMPLES)[0]
    clipped = _band_filter(_clip(_oversample(symbols), 10 ** (clipping_db / 20)), len(symbols))
    power = float(symbols.abs().square().mean())
    gain = float((clipped * symbols.conj()).mean().real) / power
    return gain, float((clipped - gain * symbols).abs().square().mean()) / power


def _conversion(bits: int) -> tuple[float, float]:
    """Bussgang gain of the converter and variance of its distortion for Gaussian input of unit power."""
    values = torch.linspace(-8, 8, 400_001, dtype=torch.float64)
    density = torch.exp(-values.square() / 2)
    density = density / density.sum()
    rounded = _round_to_levels(values, bits)
    gain = float((density * rounded * values).sum())
    return gain, float((density * rounded.square()).sum()) - gain**2
