"""Precoding: how the symbols of a slot are sent by several antennas, at a total power that their number leaves alone.

A slot is the smallest group of channel uses that a scheme fills: `span` uses with `streams` symbols. Its received
samples are linear in its symbols, y = A x + n. A scheme computes A from the gains of the slot, and from those that the
transmitter knows. The total power of a channel use is 1 for symbols of unit energy.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels.precision import in_double

PowerAllocation = Literal["water-filling", "equal"]

_LEAST_POWER = 1e-3
"""Share of the power that is divided equally, so that streams without power by water-filling are received unbiased."""


class Precoding(ABC):
    """A scheme of the transmitter.

    Attributes:
        span: number of channel uses of a slot.
        streams: number of symbols of a slot.
    """

    span: int = 1
    streams: int

    @abstractmethod
    def effective(
        self,
        gains: Complex[Tensor, "rows blocks span receive transmit"],
        known: Complex[Tensor, "rows blocks span receive transmit"],
        n0: Float[Tensor, " rows"],
    ) -> tuple[Complex[Tensor, "rows blocks samples streams"], Float[Tensor, "rows blocks streams"]]:
        """Matrix A of each block of slots, with span * receive samples, and the energy of each symbol of a slot.

        Args:
            gains: gains of the channel uses of a slot.
            known: gains that the transmitter knows.
            n0: noise variance that the transmitter assumes.
        """


@dataclass(frozen=True)
class Alamouti(Precoding):
    """Space-time block code of Alamouti: two symbols in two uses, each sent by both antennas.

    Use 1 sends (x1, x2) / sqrt(2), use 2 sends (-x2*, x1*) / sqrt(2). With the conjugate of the second use,
    A = [[h1, h2], [h2*, -h1*]] / sqrt(2) for each receive antenna, whose columns are orthogonal for equal gains.

    Source: Alamouti, A simple transmit diversity technique for wireless communications, 1998.
    """

    span: int = 2
    streams: int = 2

    def effective(self, gains: Tensor, known: Tensor, n0: Tensor) -> tuple[Tensor, Tensor]:
        (first_1, first_2), (second_1, second_2) = (gains[:, :, use].unbind(-1) for use in range(2))
        upper = torch.stack([first_1, first_2], -1)
        lower = torch.stack([second_2.conj(), -second_1.conj()], -1)
        matrix = torch.cat([upper, lower], -2) / math.sqrt(2)
        return matrix, matrix.real.new_ones(*matrix.shape[:2], 2)


@dataclass(frozen=True)
class Multiplexing(Precoding):
    """Spatial multiplexing without channel knowledge: antenna t sends symbol t with power 1 / Nt, A = H / sqrt(Nt).

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 8.1.
    """

    streams: int

    def effective(self, gains: Tensor, known: Tensor, n0: Tensor) -> tuple[Tensor, Tensor]:
        matrix = gains[:, :, 0] / math.sqrt(self.streams)
        return matrix, matrix.real.new_full((*matrix.shape[:2], self.streams), 1 / self.streams)


@dataclass(frozen=True)
class Svd(Precoding):
    """Closed loop: the strongest eigenmodes of the known gains, A = H V sqrt(P) with H' = U S V^H known.

    Water-filling maximizes the sum rate: p_s = max(0, mu - N0 / s^2) with sum p = 1 in each channel use. Of each
    power 0.1 % is divided equally, so that the symbols of a stream without power are received without bias, at a high
    noise variance.

    Source: Telatar, Capacity of multi-antenna Gaussian channels, 1999; Tse and Viswanath, section 7.1.
    """

    streams: int
    power_allocation: PowerAllocation

    def effective(self, gains: Tensor, known: Tensor, n0: Tensor) -> tuple[Tensor, Tensor]:
        _, values, basis = torch.linalg.svd(in_double(known[:, :, 0]), full_matrices=False)
        values, basis = values[..., : self.streams], basis.mH[..., : self.streams]
        power = torch.full_like(values, 1 / self.streams)
        if self.power_allocation == "water-filling":
            filled = water_filling(values.square(), in_double(n0)[:, None])
            power = _LEAST_POWER * power + (1 - _LEAST_POWER) * filled
        precoder = (basis * power.sqrt()[..., None, :]).to(gains.dtype).to(gains.device)
        return gains[:, :, 0] @ precoder, power.float().to(gains.device)


def water_filling(
    gain: Float[Tensor, "*blocks streams"], n0: Float[Tensor, "*#blocks"]
) -> Float[Tensor, "*blocks streams"]:
    """Powers with sum 1 that maximize sum log2(1 + p g / N0): p = max(0, mu - N0 / g).

    Args:
        gain: power gain g of each stream, in descending order.
        n0: noise variance N0.

    Source: Cover and Thomas, Elements of Information Theory, 2nd ed., section 9.4.

    >>> water_filling(torch.tensor([[1.0, 0.5]]), torch.tensor([0.5])).tolist()
    [[0.75, 0.25]]
    >>> water_filling(torch.tensor([[1.0, 0.1]]), torch.tensor([0.5])).tolist()
    [[1.0, 0.0]]
    """
    floor = n0[..., None] / gain
    count = torch.arange(1, gain.shape[-1] + 1, device=gain.device)
    level = (1 + floor.cumsum(-1)) / count  # mu if the first 1, 2, ... streams have power
    active = (level > floor).sum(-1, keepdim=True)
    return (level.gather(-1, active - 1) - floor).clamp(min=0)
