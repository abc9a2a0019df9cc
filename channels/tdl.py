"""Tapped delay lines of 3GPP TR 38.901 under OFDM."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels._base import Channel
from channels._ofdm import Grid, moving
from channels._paths import Paths, Waves
from channels._rng import Rng
from channels._sionna import MODELS as MODELS
from channels._sionna import profile

# Enough waves for the classical Doppler spectrum of each realisation; the ensemble is exact with any number.
_WAVES = 20
_LINE_OF_SIGHT_COSINE = 0.7  # TR 38.901, section 7.7.2: the peak of the line of sight stands at 0.7 f_D


class TappedDelayLine(Paths):
    """Taps h(t) = sqrt(P / N) sum_n a_n e^(j 2 pi f_D cos(alpha_n) t), a_n ~ CN(0, 1), alpha_n = 2 pi (n + u_n) / N.

    The gains are exactly Gaussian and their autocorrelation is exactly P J0(2 pi f_D tau); models D and E add a line
    of sight of random phase to the first tap. Antennas fade independently.

    Args:
        model: "A" to "E".
        delay_spread_s: the profile's root-mean-square delay spread, seconds.
        doppler_hz: largest Doppler shift.

    Source: 3GPP TR 38.901 v19.2, section 7.7.2; Xiao, Zheng and Beaulieu, Novel sum-of-sinusoids simulation models
    for Rayleigh and Rician fading channels, 2006.

    >>> line = TappedDelayLine("A", 100e-9, 50.0)
    >>> line.powers.sum().item()
    1.0
    """

    def __init__(self, model: str, delay_spread_s: float, doppler_hz: float) -> None:
        found = profile("TDL", model, delay_spread_s)
        self.line_of_sight, self.delays_s = found.line_of_sight, found.delays_s
        self.scattered, self.powers = found.scattered, found.powers
        self.doppler_hz = doppler_hz

    def draw(self, antennas: int, rng: Rng) -> list[Waves]:
        paths = len(self.delays_s)
        shape = (antennas, paths, _WAVES)
        amplitude = rng.derive("amplitudes").complex_normal(*shape) * (self.scattered / _WAVES).sqrt()[:, None].float()
        angle = 2 * math.pi / _WAVES * (torch.arange(_WAVES) + rng.derive("angles").uniform(*shape))
        shift = self.doppler_hz * torch.cos(angle)
        if self.line_of_sight:
            phase = 2 * math.pi * rng.derive("line of sight").uniform(antennas, 1, 1)
            seen = torch.zeros(len(rng), antennas, paths, 1, dtype=torch.complex64)
            seen[:, :, :1] = torch.polar(torch.full_like(phase, math.sqrt(self.line_of_sight)), phase)
            amplitude = torch.cat([amplitude, seen], -1)
            shift = torch.cat([shift, torch.full_like(seen.real, _LINE_OF_SIGHT_COSINE * self.doppler_hz)], -1)
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
) -> Channel:
    """OFDM over a tapped delay line of TR 38.901.

    Args:
        model: "A", "B", "C" (Rayleigh taps), "D" or "E" (with a line of sight).
        delay_spread_s: root-mean-square delay spread, seconds; 100e-9 is TR 38.901's nominal one.
        speed_m_s: speed of the receiver, metres a second.
        carrier_hz: carrier frequency.
        subcarrier_spacing_hz: spacing of the subcarriers.
        subcarriers: of one frame, pilots included.
        guard_subcarriers: empty ones beside them, paid for.
        pilot_symbols: of a frame's 14 OFDM symbols, those that carry pilots.
        pilot_comb: every how many subcarriers a pilot stands.
        cyclic_prefix: over the useful length of an OFDM symbol.
        csi: "perfect", "ls" (least squares, linear interpolation) or "lmmse" (Wiener filter over the frame).
        antennas: at the receiver, combined by maximum ratio.
    """
    grid = Grid(subcarriers, guard_subcarriers, subcarrier_spacing_hz, pilot_symbols, pilot_comb, cyclic_prefix)
    line = partial(TappedDelayLine, model, delay_spread_s)
    return moving(grid, line, speed_m_s, carrier_hz, csi, antennas)
