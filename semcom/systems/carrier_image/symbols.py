"""Latents to channel uses and back."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

SCALE_BITS = 10
_STEPS = 64  # a doubling of the scale; the error of half a step is 45 dB below the latents
_LOWEST = -10  # log2 of the least scale


def analog_uses(uses: int, tokens: int, latents: int) -> int:
    """Of the channel uses that are left, how many `tokens` x `latents` real numbers can fill, two in each."""
    return max(min(uses, tokens * latents // 2), 0)


def to_symbols(
    latents: Float[Tensor, "rows tokens latents"], uses: int
) -> tuple[Complex[Tensor, "rows uses"], Float[Tensor, " rows"]]:
    """Send the first latent of every token, then the second, ... until the uses are full; two reals a symbol.

    Returns:
        Symbols of mean energy 1 in each row, and what one real unit of them stands for: the root mean square of the
        latents that were sent.

    >>> symbols, scale = to_symbols(torch.tensor([[[3.0, 4.0], [-3.0, 4.0]]]), uses=1)
    >>> scale.tolist(), symbols.abs().tolist()
    ([3.0], [[1.0]])
    """
    reals = latents.float().transpose(1, 2).flatten(1)[:, : 2 * uses]
    scale = reals.square().mean(1).sqrt() if uses else reals.new_ones(len(reals))
    scale = scale.clamp(min=2.0**_LOWEST)
    unit = torch.where(reals.abs().amax(1, keepdim=True) > 0, reals / scale[:, None], 1) if uses else reals
    unit = unit / unit.square().mean(1, keepdim=True).sqrt()
    return torch.view_as_complex(unit.unflatten(1, (-1, 2)) * math.sqrt(0.5)), scale


def from_symbols(
    symbols: Complex[Tensor, "rows uses"],
    noise_var: Float[Tensor, "rows uses"],
    scale: Float[Tensor, " rows"],
    tokens: int,
    latents: int,
) -> tuple[Float[Tensor, "rows tokens latents"], Float[Tensor, "rows tokens latents"]]:
    """Latents in their places and the variance of each one's error, infinite where none was sent."""
    rows, uses = symbols.shape
    unsent = tokens * latents - 2 * uses
    reals = torch.view_as_real(symbols).flatten(1) * (scale[:, None] * math.sqrt(2))
    variance = (scale[:, None].square() * noise_var).repeat_interleave(2, 1)
    reals = torch.cat([reals, reals.new_zeros(rows, unsent)], 1)
    variance = torch.cat([variance, variance.new_full((rows, unsent), math.inf)], 1)
    return tuple(part.unflatten(1, (latents, tokens)).transpose(1, 2) for part in (reals, variance))  # type: ignore[return-value]


def scale_to_bits(scale: float) -> list[int]:
    """A scale on a logarithmic grid of 1 / 64 octave, most significant bit first.

    >>> scale_of_bits(scale_to_bits(1.0))
    1.0
    """
    level = min(max(round((math.log2(scale) - _LOWEST) * _STEPS), 0), 2**SCALE_BITS - 1)
    return [level >> place & 1 for place in reversed(range(SCALE_BITS))]


def scale_of_bits(bits: list[int]) -> float:
    """Inverse of `scale_to_bits`."""
    level = sum(bit << place for bit, place in zip(bits, reversed(range(SCALE_BITS)), strict=True))
    return 2.0 ** (level / _STEPS + _LOWEST)
