"""OFDM over the tapped delay lines (TDL) of 3GPP TR 38.901."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels.base import Channel
from channels.csit import Csit
from channels.propagation.ofdm import Grid, build_ofdm
from channels.propagation.paths import Paths, Waves
from channels.propagation.profiles import MODELS as MODELS
from channels.propagation.profiles import profile
from channels.rng import Rng

TITLE = "TDL channel, OFDM"

# Plane waves per tap: enough for the classical Doppler spectrum of each realization; the mean is exact with any number.
_WAVES = 20
_LINE_OF_SIGHT_COSINE = 0.7  # TR 38.901, section 7.7.2: Doppler shift of the line of sight over f_D


class TappedDelayLine(Paths):
    """Tapped delay line with Rayleigh taps; the first tap of models D and E has a line of sight of random phase.

    h(t) = sqrt(P / N) sum_n a_n e^(j 2 pi f_D cos(alpha_n) t) with a_n ~ CN(0, 1), alpha_n = 2 pi (n + u_n) / N. The
    gains are exactly Gaussian, their autocorrelation is exactly P J0(2 pi f_D tau), and antennas fade independently.

    Args:
        model: name of the model, "A" to "E".
        delay_spread_s: root-mean-square delay spread in seconds.
        doppler_hz: maximum Doppler shift f_D in Hz.

    Source: 3GPP TR 38.901 v19.2, section 7.7.2; Xiao, Zheng and Beaulieu, Novel sum-of-sinusoids simulation models
    for Rayleigh and Rician fading channels, 2006.

    >>> line = TappedDelayLine("A", 100e-9, 50.0)
    >>> line.powers.sum().item()
    1.0
    """

    def __init__(self, model: str, delay_spread_s: float, doppler_hz: float) -> None:
        delay_profile = profile("TDL", model, delay_spread_s)
        self.line_of_sight, self.delays_s = delay_profile.line_of_sight, delay_profile.delays_s
        self.scattered, self.powers = delay_profile.scattered, delay_profile.powers
        self.doppler_hz = doppler_hz

    def draw(self, antennas: int, rng: Rng) -> list[Waves]:
        paths = len(self.delays_s)
        shape = (antennas, paths, _WAVES)
        amplitude = rng.derive("amplitudes").complex_normal(*shape) * (self.scattered / _WAVES).sqrt()[:, None].float()
        angle = 2 * math.pi / _WAVES * (torch.arange(_WAVES) + rng.derive("angles").uniform(*shape))
        shift = self.doppler_hz * torch.cos(angle)
        if self.line_of_sight:
            phase = 2 * math.pi * rng.derive("line of sight").uniform(antennas, 1, 1)
            direct = torch.zeros(len(rng), antennas, paths, 1, dtype=torch.complex64)
            direct[:, :, :1] = torch.polar(torch.full_like(phase, math.sqrt(self.line_of_sight)), phase)
            amplitude = torch.cat([amplitude, direct], -1)
            shift = torch.cat([shift, torch.full_like(direct.real, _LINE_OF_SIGHT_COSINE * self.doppler_hz)], -1)
        return [Waves(*row) for row in zip(amplitude, shift, strict=True)]

    def autocorrelation(self, lag_s: Float[Tensor, " lags"]) -> Complex[Tensor, "paths lags"]:
        cycles = 2 * math.pi * self.doppler_hz * lag_s.double()
        correlation = (self.scattered[:, None] * torch.special.bessel_j0(cycles)).to(torch.complex128)
        correlation[0] += self.line_of_sight * torch.exp(1j * _LINE_OF_SIGHT_COSINE * cycles)
        return correlation


def build(
    model: Literal["A", "B", "C", "D", "E"] = "A",
    delay_spread_s: float = 100e-9,
    speed_m_s: float = 3.0,
    carrier_hz: float = 3.5e9,
    subcarrier_spacing_hz: float = 30e3,
    subcarriers: int = 24,
    guard_subcarriers: int = 0,
    pilot_symbols: int = 2,
    pilot_comb: int = 2,
    cyclic_prefix: float = 9 / 128,
    csi: Literal["perfect", "ls", "lmmse"] = "perfect",
    antennas: int = 1,
    csit: Literal["average", "perfect", "delayed"] = "average",
    csit_correlation: float = 0.9,
) -> Channel:
    """OFDM over a tapped delay line (TDL) of 3GPP TR 38.901, with pilots, cyclic prefix and Doppler.

    Args:
        model: delay profile of TR 38.901: "A" (default), "B" or "C" (Rayleigh taps), "D" or "E" (line of sight).
        delay_spread_s: root-mean-square delay spread in seconds (default 100e-9, the nominal value of TR 38.901).
        speed_m_s: speed of the receiver in m/s; it sets the Doppler shift (default 3, a pedestrian).
        carrier_hz: carrier frequency in Hz (default 3.5e9).
        subcarrier_spacing_hz: subcarrier spacing in Hz (default 30e3).
        subcarriers: number of subcarriers, pilots included, 1 to 3300 (default 24: two resource blocks).
        guard_subcarriers: number of empty guard subcarriers, counted in medium_cbr (default 0).
        pilot_symbols: number of OFDM symbols with pilots among the 14 of a frame, 1 to 14 (default 2).
        pilot_comb: distance of the pilots in subcarriers; 1 is a pilot on every subcarrier (default 2).
        cyclic_prefix: length of the cyclic prefix over the useful length of an OFDM symbol, 0 to 1 (default 9/128).
        csi: channel knowledge of the receiver: "perfect" (default), "ls" (least squares with linear interpolation)
            or "lmmse" (linear MMSE estimation over the frame).
        antennas: number of receive antennas, 1 to 64, combined by maximum ratio (default 1).
        csit: channel knowledge of the transmitter: "average" (default; average SNR), "perfect" (SNR of an AWGN channel
            with the capacity of the coming channel uses of each image) or "delayed" (the same from outdated gains).
        csit_correlation: correlation of the outdated with the actual gains, 0 to 1, for csit: delayed: scattered gains
            rho h + sqrt(1 - rho^2) w with independent w (default 0.9); ignored otherwise.
    """
    grid = Grid(subcarriers, guard_subcarriers, subcarrier_spacing_hz, pilot_symbols, pilot_comb, cyclic_prefix)
    line = partial(TappedDelayLine, model, delay_spread_s)
    return build_ofdm(grid, line, speed_m_s, carrier_hz, csi, antennas, Csit(csit, csit_correlation))
