"""Multipath channels: each path is a sum of plane waves with Doppler shifts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels.rng import Rng

SPEED_OF_LIGHT_M_S = 299_792_458.0


@dataclass(frozen=True)
class Waves:
    """Plane waves of one row: path p at antenna a is sum_n amplitude[a, p, n] e^(j 2 pi doppler_hz[a, p, n] t).

    Args:
        amplitude: complex amplitude of each wave, complex64 [antennas, paths, waves].
        doppler_hz: Doppler shift of each wave in Hz, float32 [antennas, paths, waves].
    """

    amplitude: Complex[Tensor, "antennas paths waves"]
    doppler_hz: Float[Tensor, "antennas paths waves"]

    def taps(
        self, starts_s: Float[Tensor, " frames"], offsets_s: Float[Tensor, " symbols"]
    ) -> Complex[Tensor, "antennas paths frames symbols"]:
        """Gains of the paths at the times start + offset, complex64 [antennas, paths, frames, symbols]."""
        # e^(j w (s + o)) = e^(j w s) e^(j w o): frames + symbols exponentials instead of frames * symbols
        at_starts = self.amplitude[:, :, None] * _phasor(self.doppler_hz[:, :, None] * starts_s[:, None])
        return at_starts @ _phasor(self.doppler_hz[..., None] * offsets_s)

    def outdated(self, independent: Waves, rho: float, scattered: int) -> Waves:
        """Outdated gains, as in `channels.csit.Csit`; the first `scattered` waves of each path are scattered."""
        shares = (rho * self.amplitude[..., :scattered], math.sqrt(1 - rho**2) * independent.amplitude[..., :scattered])
        shifts = (self.doppler_hz[..., :scattered], independent.doppler_hz[..., :scattered])
        return Waves(
            torch.cat([*shares, self.amplitude[..., scattered:]], -1),
            torch.cat([*shifts, self.doppler_hz[..., scattered:]], -1),
        )


class Paths(ABC):
    """A random multipath channel of unit mean power.

    Attributes:
        delays_s: delay of each path in seconds, float64 [paths].
        powers: mean power of each path, float64 [paths]; the sum is 1.
        line_of_sight: power of the line of sight, the last wave of each path; 0 if there is none.
        doppler_hz: maximum Doppler shift in Hz.
    """

    delays_s: Tensor
    powers: Tensor
    line_of_sight: float
    doppler_hz: float

    @abstractmethod
    def draw(self, antennas: int, rng: Rng) -> list[Waves]:
        """Draw the plane waves of each row."""

    @abstractmethod
    def autocorrelation(self, lag_s: Float[Tensor, " lags"]) -> Complex[Tensor, "paths lags"]:
        """E[h(t + lag) h*(t)] of each path, complex128."""


def doppler(speed_m_s: float, carrier_hz: float) -> float:
    """Maximum Doppler shift in Hz, f_D = v f_c / c.

    >>> round(doppler(30.0, 3.5e9), 1)
    350.2
    """
    return speed_m_s * carrier_hz / SPEED_OF_LIGHT_M_S


def _phasor(cycles: Tensor) -> Complex[Tensor, "..."]:
    """e^(j 2 pi cycles); whole cycles are removed first, because single precision would lose the fraction."""
    angle = 2 * math.pi * torch.frac(cycles).float()
    return torch.complex(angle.cos(), angle.sin())
