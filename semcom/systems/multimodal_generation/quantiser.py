"""Numbers of unit variance to a few bits each and back: the uniform quantiser that suits a normal law best."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from semcom.systems.multimodal_generation.air import Heard

MOST_BITS = 6  # of a number: 30 dB of signal over distortion, which no receiver asks more of
_STEPS = [0.01 * step for step in range(1, 201)]


@dataclass(frozen=True)
class Quantiser:
    """Cells of equal width around zero, the outermost without end; each stands for the mean of what falls in it.

    Args:
        thresholds: between the cells, rising.
        levels: the mean of a standard normal number in each cell.
        distortion: mean squared error of the levels.
    """

    thresholds: tuple[float, ...]
    levels: tuple[float, ...]
    distortion: float


@lru_cache
def quantiser(bits: int) -> Quantiser:
    """The quantiser of so many bits with the least distortion of a standard normal number.

    Source: Max, "Quantizing for minimum distortion", IRE Trans. Information Theory 6(1), 1960.

    >>> round(quantiser(1).distortion, 3), round(quantiser(2).distortion, 3)
    (0.363, 0.117)
    """
    return min((_uniform(bits, step) for step in _STEPS), key=lambda found: found.distortion)


def to_bits(values: Float[Tensor, " reals"], room: int) -> UInt8[Tensor, " room"]:
    """Numbers as bits that fill a payload of `room` bits: equally many of each, `MOST_BITS` at most, zeros after them.

    Where there is less than a bit for each, the first numbers have one and the others none.
    """
    count, bits = _plan(len(values), room)
    cells = torch.bucketize(values[:count].cpu(), torch.tensor(quantiser(bits).thresholds))
    written = (cells[:, None] >> torch.arange(bits - 1, -1, -1) & 1).flatten().to(torch.uint8)
    return torch.nn.functional.pad(written, (0, room - len(written)))


def from_bits(payload: UInt8[Tensor, "rows room"], reals: int) -> Heard:
    """Numbers as a channel with noise would hand them on.

    A level l with distortion D is the mean of the number given the cell; y = l / (1 - D) has E[y x] = E[x^2] = 1 and an
    error of variance D / (1 - D). The variance is infinite where nothing was sent.

    >>> numbers = torch.tensor([0.5, -2.0])
    >>> heard = from_bits(to_bits(numbers, 16)[None], 2)
    >>> bool((heard.values - numbers).abs().max() < 0.15), bool(heard.noise.max() < 0.01)
    (True, True)
    """
    rows, room = payload.shape
    count, bits = _plan(reals, room)
    found = quantiser(bits)
    places = torch.arange(bits - 1, -1, -1)
    cells = (payload[:, : count * bits].long().view(rows, count, bits) << places).sum(2)
    heard = Heard.nothing(rows, reals)
    heard.values[:, :count] = torch.tensor(found.levels)[cells] / (1 - found.distortion)
    heard.noise[:, :count] = found.distortion / (1 - found.distortion)
    return heard


def _plan(reals: int, room: int) -> tuple[int, int]:
    """How many numbers are sent, with how many bits each."""
    return min(reals, room), min(MOST_BITS, max(1, room // reals))


def _uniform(bits: int, step: float) -> Quantiser:
    law = NormalDist()
    half = 2 ** (bits - 1)
    thresholds = [step * cell for cell in range(1 - half, half)]
    below = [0.0, *map(law.cdf, thresholds), 1.0]
    density = [0.0, *map(law.pdf, thresholds), 0.0]
    shares = [high - low for low, high in pairwise(below)]
    slopes = [low - high for low, high in pairwise(density)]
    levels = [slope / max(share, 1e-12) for slope, share in zip(slopes, shares, strict=True)]
    explained = sum(share * level**2 for share, level in zip(shares, levels, strict=True))
    return Quantiser(tuple(thresholds), tuple(levels), 1 - explained)
