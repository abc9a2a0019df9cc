"""A fixed order of channel uses, so that what was sent together does not fade together."""

from __future__ import annotations

import math

import torch
from jaxtyping import Int
from torch import Tensor


def interleaver(uses: int) -> Int[Tensor, " uses"]:
    """Position on the air of each symbol of a stream: i -> i s mod uses, s nearest to the golden section of uses.

    Any run of symbols lands evenly spread over the whole transmission, so each part of it sees every fade. Undo it with
    `symbols[..., interleaver(uses)]`, apply it with `on_air[..., interleaver(uses)] = symbols`.

    Args:
        uses: length of the stream.

    >>> interleaver(8).tolist()
    [0, 5, 2, 7, 4, 1, 6, 3]
    """
    step = max(1, round(uses * (math.sqrt(5) - 1) / 2))
    while math.gcd(step, max(uses, 1)) != 1:
        step += 1
    return torch.arange(uses) * step % max(uses, 1)
