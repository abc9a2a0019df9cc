"""Clustered delay lines of 3GPP TR 38.901 under OFDM, between two omnidirectional antennas."""

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

# Ray offsets within a cluster of unit angular spread, degrees: TR 38.901, table 7.5-3.
_OFFSETS = (0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551)


class ClusteredDelayLine(Paths):
    """Clusters of rays, h(t) = sqrt(P / 20) sum_m e^(j (phi_m + 2 pi f_D sin(theta_m) cos(azimuth_m - travel) t)).

    Rays' azimuths and zeniths of arrival are coupled at random within their cluster, phases are uniform, and the
    receiver travels in the horizontal plane in a random direction. Both antennas are vertical and isotropic, so the
    cross-polarised parts of the model do not reach the receiver. D and E have a line of sight of random phase.

    Args:
        model: "A" to "E".
        delay_spread_s: root-mean-square delay spread, seconds.
        doppler_hz: largest Doppler shift.

    Source: 3GPP TR 38.901 v19.2, section 7.7.1 (steps 8 to 11 of section 7.5).
    """

    def __init__(self, model: str, delay_spread_s: float, doppler_hz: float) -> None:
        found = profile("CDL", model, delay_spread_s)
        parameters, seen = found.parameters, int(found.parameters["los"])
        offsets = torch.tensor([sign * offset for offset in _OFFSETS for sign in (1, -1)], dtype=torch.float64)
        azimuth = torch.tensor(parameters["aoa"], dtype=torch.float64)[:, None] + parameters["cASA"] * offsets
        zenith = torch.tensor(parameters["zoa"], dtype=torch.float64)[:, None] + parameters["cZSA"] * offsets
        self.azimuth = torch.deg2rad(azimuth)[seen:]
        self.zenith = torch.deg2rad(zenith)[seen:]
        self.line_of_sight_azimuth = math.radians(parameters["aoa"][0])
        self.line_of_sight_zenith = math.radians(parameters["zoa"][0])
        self.line_of_sight, self.delays_s = found.line_of_sight, found.delays_s
        self.scattered, self.powers = found.scattered, found.powers
        self.doppler_hz = doppler_hz

    def draw(self, antennas: int, rng: Rng) -> list[Waves]:
        rows, (paths, rays) = len(rng), self.azimuth.shape
        travel = 2 * math.pi * rng.derive("travel").uniform(1, 1)
        coupling = rng.derive("coupling").uniform(paths, rays).argsort(-1)
        zenith = self.zenith.float().expand(rows, -1, -1).gather(-1, coupling)
        phase = 2 * math.pi * rng.derive("phases").uniform(paths, rays)
        amplitude = torch.polar((self.scattered / rays).sqrt().float()[:, None].expand_as(phase).contiguous(), phase)
        shift = self.doppler_hz * zenith.sin() * torch.cos(self.azimuth.float() - travel)
        if self.line_of_sight:
            phase = 2 * math.pi * rng.derive("line of sight").uniform(1, 1)
            seen = torch.zeros(rows, paths, 1, dtype=torch.complex64)
            seen[:, :1] = torch.polar(torch.full_like(phase, math.sqrt(self.line_of_sight)), phase)
            direction = math.sin(self.line_of_sight_zenith) * torch.cos(self.line_of_sight_azimuth - travel)
            amplitude = torch.cat([amplitude, seen], -1)
            shift = torch.cat([shift, (self.doppler_hz * direction).expand(rows, paths, 1)], -1)
        return [Waves(*row) for row in zip(amplitude[:, None], shift[:, None], strict=True)]

    def autocorrelation(self, lag_s: Float[Tensor, " lags"]) -> Complex[Tensor, "paths lags"]:
        """E over all directions of travel turns each ray into J0(2 pi f_D sin(theta) tau)."""
        cycles = 2 * math.pi * self.doppler_hz * lag_s.double()
        rays = torch.special.bessel_j0(self.zenith.sin()[..., None] * cycles).mean(1)
        correlation = (self.scattered[:, None] * rays).to(torch.complex128)
        correlation[0] += self.line_of_sight * torch.special.bessel_j0(math.sin(self.line_of_sight_zenith) * cycles)
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
) -> Channel:
    """OFDM over a clustered delay line of TR 38.901, one antenna each side.

    Args:
        model: "A", "B", "C" (no line of sight), "D" or "E" (with one).
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
    """
    grid = Grid(subcarriers, guard_subcarriers, subcarrier_spacing_hz, pilot_symbols, pilot_comb, cyclic_prefix)
    line = partial(ClusteredDelayLine, model, delay_spread_s)
    return moving(grid, line, speed_m_s, carrier_hz, csi, antennas=1)
