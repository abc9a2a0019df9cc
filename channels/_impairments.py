"""What real links suffer beside noise: unknown gain, phase error, a clipping amplifier, a coarse converter.

They are offered on awgn, rayleigh and rician. The other channels (tdl, cdl, uplink, broadcast) have an ideal amplifier,
oscillator and converter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._base import Received, held, noise_variance, sent_energy, sent_mask, sent_only
from channels._errors import UsageError
from channels._rng import Rng, seed_for

_OVERSAMPLING = 4
_CLIP_SAMPLES = 1 << 15
# Where the converter saturates, in deviations of its input: automatic gain control leaves 12 dB of headroom.
_CONVERTER_RANGE = 4.0


@dataclass(frozen=True)
class Impairments:
    """Impairments of a flat link; all of them off by default.

    Each is split, after Bussgang, into a gain that the receiver removes and an error that does not depend on the
    symbol. The error's variance is part of the noise variance that is returned, in expectation over Gaussian symbols
    and draws; amplifier and converter disturb QPSK up to a tenth less. What an unknown gain adds is right for
    every known gain where the gain is Gaussian (rayleigh). Where it is not (awgn, rician) it is right on average over
    rows only, and a single row's noise variance is too high or too low for the gain that its receiver happens to know.

    Args:
        csi_error_variance: part of the unit mean gain |h|^2 that the receiver does not know, 0 to below 1.
        phase_error_deg: standard deviation of the carrier phase that is left after synchronisation, one draw a row.
        clipping_db: amplitude at which the amplifier clips the waveform over its root mean square, dB; None is linear.
        adc_bits: bits of the receiver's converter in each dimension; None is ideal.

    Source: Bussgang, Crosscorrelation functions of amplitude-distorted Gaussian signals, 1952; Hassibi and Hochwald,
    2003 (unknown gains as noise).

    >>> Impairments().active, Impairments(adc_bits=6).active
    (False, True)
    """

    csi_error_variance: float = 0.0
    phase_error_deg: float = 0.0
    clipping_db: float | None = None
    adc_bits: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.csi_error_variance < 1:
            raise UsageError(f"csi_error_variance must be 0 or more and below 1, not {self.csi_error_variance}")
        if not 0 <= self.phase_error_deg <= 60:
            raise UsageError(f"phase_error_deg must be 0 to 60 degrees, not {self.phase_error_deg}")
        if self.clipping_db is not None and not -10 <= self.clipping_db <= 30:
            raise UsageError(f"clipping_db must be -10 to 30, or null for a linear amplifier, not {self.clipping_db}")
        if self.adc_bits is not None and not 1 <= self.adc_bits <= 24:
            raise UsageError(f"adc_bits must be 1 to 24, or null for an ideal converter, not {self.adc_bits}")

    @property
    def active(self) -> bool:
        """Whether anything is impaired."""
        return self != Impairments()


def carry_impaired(
    impairments: Impairments,
    symbols: Complex[Tensor, "batch users uses"],
    uses: Int[Tensor, "batch users"],
    snr_db: Float[Tensor, "batch users"],
    gains: Complex[Tensor, "batch users fades"],
    coherence: int,
    rng: Rng,
) -> Received:
    """Send symbols over flat gains with impairments: clip, fade, turn, add noise, quantise, equalise.

    The law of fades and noise is that of `zero_forced`, and each of the `fades` gains holds for `coherence` uses. With
    part of the gain unknown, a row's noise variance is right given its known gain for Rayleigh fades; for others it
    is right on average over rows.
    """
    batch, users, length = symbols.shape
    n0 = noise_variance(snr_db)[..., None]
    sent = symbols * sent_mask(uses, length)
    papr_db, passed, distortion = None, 1.0, 0.0
    if impairments.clipping_db is not None:
        sent, papr_db = amplified(sent, uses, impairments.clipping_db)
        passed, distortion = _clipping(impairments.clipping_db)

    lost = impairments.csi_error_variance
    spread = math.radians(impairments.phase_error_deg)
    known = gains
    if lost:
        draw = rng.derive("csi error").complex_normal(gains.shape[-1]).to(gains.device).view(gains.shape)
        # g - known has variance `lost` and is uncorrelated with known, whatever the law of g, as E|g|^2 = 1. Only of a
        # Gaussian g it is independent too, E[g | known] = known; of others `lost` is right on average over draws.
        known = (1 - lost) * gains + math.sqrt(lost * (1 - lost)) * draw
    turn = spread * rng.derive("phase error").normal(1).to(symbols.device).view(batch, users, 1)
    noise = rng.derive("noise").complex_normal(length, variance=n0.flatten()).to(symbols.device).view(symbols.shape)
    heard = held(gains, coherence, length) * torch.polar(torch.ones_like(turn), turn) * sent + noise

    # heard = known passed steady x + what phase, gain, amplifier and noise left
    steady = math.exp(-(spread**2) / 2)
    power = torch.view_as_real(known).square().sum(-1)
    error = power * passed**2 * (1 - steady**2) + lost * passed**2 + (power + lost) * distortion + n0
    scale = passed * steady
    wanted = power * scale**2
    if impairments.adc_bits is not None:
        level = (power + lost) * (passed**2 + distortion) + n0
        heard = quantised(heard, held(level, coherence, length), impairments.adc_bits)
        kept, coarse = _conversion(impairments.adc_bits)
        error = error + coarse / kept**2 * level
        scale = scale * kept
    return sent_only(
        Received(
            symbols=heard * held(known.conj() / (power * scale), coherence, length),
            noise_var=held(error / wanted, coherence, length),
            uses=uses,
            energy=sent_energy(sent, uses),
            gains=held(known, coherence, length)[:, :, None],
            papr_db=papr_db,
        )
    )


def amplified(
    symbols: Complex[Tensor, "*rows uses"], uses: Int[Tensor, "*rows"], clipping_db: float
) -> tuple[Complex[Tensor, "*rows uses"], Float[Tensor, "*rows"]]:
    """Clip each row's band-limited waveform, 4 samples a use, and keep what falls into its band.

    A row's waveform is the periodic interpolation of its symbols; the amplitude limit is relative to unit power.

    Returns:
        The symbols that leave the transmitter's band, and the peak over mean power of the waveform before clipping, dB.
    """
    limit = 10 ** (clipping_db / 20)
    rows, lengths = symbols.flatten(0, -2), uses.flatten().tolist()
    clipped, papr = torch.zeros_like(rows), torch.zeros(len(rows), device=rows.device)
    for index, length in enumerate(lengths):
        if length:
            wave = _oversampled(rows[index, :length])
            power = torch.view_as_real(wave.detach()).square().sum(-1)
            papr[index] = 10 * torch.log10(power.amax() / power.mean().clamp(min=1e-12))
            clipped[index, :length] = _band(_limited(wave, limit), length)
    return clipped.view(symbols.shape), papr.view(uses.shape)


def quantised(
    heard: Complex[Tensor, "batch users uses"], power: Float[Tensor, "batch users uses"], bits: int
) -> Complex[Tensor, "batch users uses"]:
    """Round each dimension to 2^bits levels, mid-rise, over +-4 deviations of a signal of the given mean power."""
    deviation = (power / 2).sqrt()[..., None]
    parts = torch.view_as_real(heard) / deviation
    return torch.view_as_complex(_rounded(parts, bits) * deviation)


def _rounded(values: Tensor, bits: int) -> Tensor:
    step = 2 * _CONVERTER_RANGE / 2**bits
    top = 2 ** (bits - 1)
    rounded = ((values.detach() / step).floor().clamp(-top, top - 1) + 0.5) * step
    # the gradient passes a staircase as it passes the line that the staircase follows
    return values + (rounded - values.detach())


def _oversampled(symbols: Complex[Tensor, " uses"]) -> Complex[Tensor, " samples"]:
    spectrum = torch.fft.fftshift(torch.fft.fft(symbols))
    length = len(symbols)
    before = (_OVERSAMPLING * length) // 2 - length // 2
    after = (_OVERSAMPLING - 1) * length - before
    padded = torch.nn.functional.pad(spectrum, (before, after))
    return torch.fft.ifft(torch.fft.ifftshift(padded)) * _OVERSAMPLING


def _band(wave: Complex[Tensor, " samples"], length: int) -> Complex[Tensor, " uses"]:
    spectrum = torch.fft.fftshift(torch.fft.fft(wave))
    before = len(wave) // 2 - length // 2
    return torch.fft.ifft(torch.fft.ifftshift(spectrum[before : before + length])) / _OVERSAMPLING


def _limited(wave: Complex[Tensor, " samples"], limit: float) -> Complex[Tensor, " samples"]:
    amplitude = wave.abs().clamp(min=1e-12)
    return wave * (limit / amplitude).clamp(max=1.0)


def _clipping(clipping_db: float) -> tuple[float, float]:
    """Bussgang gain of the amplifier and variance of its in-band distortion, for Gaussian symbols of unit energy."""
    symbols = Rng([seed_for("clipping")]).complex_normal(_CLIP_SAMPLES)[0]
    clipped = _band(_limited(_oversampled(symbols), 10 ** (clipping_db / 20)), len(symbols))
    power = float(symbols.abs().square().mean())
    gain = float((clipped * symbols.conj()).mean().real) / power
    return gain, float((clipped - gain * symbols).abs().square().mean()) / power


def _conversion(bits: int) -> tuple[float, float]:
    """Bussgang gain of the converter and variance of its distortion, for Gaussian input of unit power."""
    values = torch.linspace(-8, 8, 400_001, dtype=torch.float64)
    density = torch.exp(-values.square() / 2)
    density = density / density.sum()
    rounded = _rounded(values, bits)
    gain = float((density * rounded * values).sum())
    return gain, float((density * rounded.square()).sum()) - gain**2
