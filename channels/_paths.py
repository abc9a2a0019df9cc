"""Multipath: taps that turn with the receiver's motion, as sums of plane waves."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels._rng import Rng

SPEED_OF_LIGHT_M_S = 299_792_458.0


@dataclass(frozen=True)
class Waves:
    """One draw of a row's waves: path p at antenna a is sum_n amplitude[a, p, n] e^(j 2 pi doppler_hz[a, p, n] t).

    Args:
        amplitude: complex64 [antennas, paths, waves].
        doppler_hz: float32, the same shape.
    """

    amplitude: Complex[Tensor, "antennas paths waves"]
    doppler_hz: Float[Tensor, "antennas paths waves"]

    def taps(
        self, starts_s: Float[Tensor, " frames"], offsets_s: Float[Tensor, " symbols"]
    ) -> Complex[Tensor, "antennas paths frames symbols"]:
        """Gains of the paths at the times start + offset, complex64."""
        # e^(j w (s + o)) = e^(j w s) e^(j w o): frames + symbols exponentials instead of frames * symbols
        turned = self.amplitude[:, :, None] * _turn(self.doppler_hz[:, :, None] * starts_s[:, None])
        return turned @ _turn(self.doppler_hz[..., None] * offsets_s)


class Paths(ABC):
    """A random multipath channel of unit mean power.

    Attributes:
        delays_s: float64 [paths].
        powers: float64 [paths], mean power of each path; they add up to 1.
        doppler_hz: largest Doppler shift.
    """

    delays_s: Tensor
    powers: Tensor
    doppler_hz: float

    @abstractmethod
    def draw(self, antennas: int, rng: Rng) -> list[Waves]:
        """Draw the waves of each row."""

    @abstractmethod
    def autocorrelation(self, lag_s: Float[Tensor, " lags"]) -> Complex[Tensor, "paths lags"]:
        """E[h(t + lag) h*(t)] of each path, complex128."""


def doppler(speed_m_s: float, carrier_hz: float) -> float:
    """Largest Doppler shift, f_D = v f_c / c, in Hz.

    >>> round(doppler(30.0, 3.5e9), 1)
    350.2
    """
    return speed_m_s * carrier_hz / SPEED_OF_LIGHT_M_S


def _turn(cycles: Tensor) -> Complex[Tensor, "..."]:
    """e^(j 2 pi cycles); whole turns are dropped before single precision could lose the fraction."""
    angle = 2 * math.pi * torch.frac(cycles).float()
    return torch.complex(angle.cos(), angle.sin())
