"""OFDM over the clustered delay lines (CDL) of 3GPP TR 38.901, between two omnidirectional antennas."""

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

TITLE = "CDL channel, OFDM"

# Ray offsets within a cluster of unit angular spread, degrees: TR 38.901, table 7.5-3.
_OFFSETS = (0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551)


class ClusteredDelayLine(Paths):
    """Clusters of 20 rays, each ray with its own angles of arrival.

    h(t) = sqrt(P / 20) sum_m e^(j (phi_m + 2 pi f_D sin(theta_m) cos(azimuth_m - travel) t)). Azimuths and zeniths of
    arrival are paired at random within a cluster, phases are uniform, and the receiver moves in the horizontal plane
    in a random direction. Both antennas are vertical and isotropic, so the cross-polarized components are not
    received. Models D and E have a line of sight of random phase.

    Args:
        model: name of the model, "A" to "E".
        delay_spread_s: root-mean-square delay spread in seconds.
        doppler_hz: maximum Doppler shift f_D in Hz.

    Source: 3GPP TR 38.901 v19.2, section 7.7.1 (steps 8 to 11 of section 7.5).
    """

    def __init__(self, model: str, delay_spread_s: float, doppler_hz: float) -> None:
        delay_profile = profile("CDL", model, delay_spread_s)
        parameters, first = delay_profile.parameters, int(delay_profile.parameters["los"])
        offsets = torch.tensor([sign * offset for offset in _OFFSETS for sign in (1, -1)], dtype=torch.float64)
        azimuth = torch.tensor(parameters["aoa"], dtype=torch.float64)[:, None] + parameters["cASA"] * offsets
        zenith = torch.tensor(parameters["zoa"], dtype=torch.float64)[:, None] + parameters["cZSA"] * offsets
        self.azimuth = torch.deg2rad(azimuth)[first:]
        self.zenith = torch.deg2rad(zenith)[first:]
        self.line_of_sight_azimuth = math.radians(parameters["aoa"][0])
        self.line_of_sight_zenith = math.radians(parameters["zoa"][0])
        self.line_of_sight, self.delays_s = delay_profile.line_of_sight, delay_profile.delays_s
        self.scattered, self.powers = delay_profile.scattered, delay_profile.powers
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
            direct = torch.zeros(rows, paths, 1, dtype=torch.complex64)
            direct[:, :1] = torch.polar(torch.full_like(phase, math.sqrt(self.line_of_sight)), phase)
            direction = math.sin(self.line_of_sight_zenith) * torch.cos(self.line_of_sight_azimuth - travel)
            amplitude = torch.cat([amplitude, direct], -1)
            shift = torch.cat([shift, (self.doppler_hz * direction).expand(rows, paths, 1)], -1)
        return [Waves(*row) for row in zip(amplitude[:, None], shift[:, None], strict=True)]

    def autocorrelation(self, lag_s: Float[Tensor, " lags"]) -> Complex[Tensor, "paths lags"]:
        """Autocorrelation of each path: the mean over all directions of travel, J0(2 pi f_D sin(theta) tau) per ray."""
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
    csit: Literal["average", "perfect", "delayed"] = "average",
    csit_correlation: float = 0.9,
) -> Channel:
    """OFDM over a clustered delay line (CDL) of 3GPP TR 38.901, one antenna on each side.

    Args:
        model: delay profile of TR 38.901: "A" (default), "B" or "C" (no line of sight), "D" or "E" (line of sight).
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
        csit: channel knowledge of the transmitter: "average" (default; average SNR), "perfect" (SNR of an AWGN channel
            with the capacity of the coming channel uses of each image) or "delayed" (the same from outdated gains).
        csit_correlation: correlation of the outdated with the actual gains, 0 to 1, for csit: delayed: scattered gains
            rho h + sqrt(1 - rho^2) w with independent w (default 0.9); ignored otherwise.
    """
    grid = Grid(subcarriers, guard_subcarriers, subcarrier_spacing_hz, pilot_symbols, pilot_comb, cyclic_prefix)
    line = partial(ClusteredDelayLine, model, delay_spread_s)
    return build_ofdm(grid, line, speed_m_s, carrier_hz, csi, 1, Csit(csit, csit_correlation))
