"""Fixed interleaver of channel uses: it spreads each part of a stream over the whole transmission."""

from __future__ import annotations

import math

import torch
from jaxtyping import Int
from torch import Tensor


def interleaver(uses: int) -> Int[Tensor, " uses"]:
    """Position in the transmission of each symbol of a stream: i -> i s mod uses, s near the golden section of uses.

    Consecutive symbols are spread evenly over the transmission, so that each part of the stream has all fading gains.
    Interleave with `transmission[..., interleaver(uses)] = stream`, deinterleave with
    `transmission[..., interleaver(uses)]`.

    Args:
        uses: length of the stream in channel uses.

    >>> interleaver(8).tolist()
    [0, 5, 2, 7, 4, 1, 6, 3]
    """
    step = max(1, round(uses * (math.sqrt(5) - 1) / 2))
    while math.gcd(step, max(uses, 1)) != 1:
        step += 1
    return torch.arange(uses) * step % max(uses, 1)
