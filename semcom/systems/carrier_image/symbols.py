"""Mapping of latents to complex symbols and back."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels import modem

SCALE_BITS = 10
_STEPS = 64  # quantization steps per doubling of the scale; half a step is an error 45 dB below the latents
_LOWEST = -10  # log2 of the smallest scale


def analog_uses(uses: int, tokens: int, latents: int) -> int:
    """Channel uses of the latents: two real numbers per use, at most `uses` uses."""
    return max(min(uses, tokens * latents // 2), 0)


def to_symbols(
    latents: Float[Tensor, "rows tokens latents"], uses: int
) -> tuple[Complex[Tensor, "rows uses"], Float[Tensor, " rows"]]:
    """Pair latents to complex symbols: the first latent of every token, then the second, ..., until `uses` are full.

    Returns:
        Symbols with mean energy 1 in each row, and the latent scale: root mean square of the latents that are sent.

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
    """Inverse of `to_symbols`: latents (0 where not sent) and their error variances (infinite where not sent)."""
    rows, uses = symbols.shape
    unsent = tokens * latents - 2 * uses
    reals = torch.view_as_real(symbols).flatten(1) * (scale[:, None] * math.sqrt(2))
    variance = (scale[:, None].square() * noise_var).repeat_interleave(2, 1)
    reals = torch.cat([reals, reals.new_zeros(rows, unsent)], 1)
    variance = torch.cat([variance, variance.new_full((rows, unsent), math.inf)], 1)
    return tuple(part.unflatten(1, (latents, tokens)).transpose(1, 2) for part in (reals, variance))  # type: ignore[return-value]


def scale_to_bits(scale: float) -> list[int]:
    """Quantize a scale on a logarithmic grid of 1/64 octave; bits, most significant first.

    >>> scale_of_bits(scale_to_bits(1.0))
    1.0
    """
    level = min(max(round((math.log2(scale) - _LOWEST) * _STEPS), 0), 2**SCALE_BITS - 1)
    return modem.integers_to_bits(torch.tensor(level), SCALE_BITS).tolist()


def scale_of_bits(bits: list[int]) -> float:
    """Inverse of `scale_to_bits`."""
    level = int(modem.bits_to_integers(torch.tensor(bits, dtype=torch.uint8)))
    return 2.0 ** (level / _STEPS + _LOWEST)
