"""Features to symbols and back: numbers of unit mean square, two to a channel use."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional


def to_symbols(values: Float[Tensor, "rows reals"]) -> Complex[Tensor, "rows uses"]:
    """Pair numbers of unit mean square to symbols (a + jb) / sqrt(2); the last of an odd count goes with a zero."""
    even = functional.pad(values.float(), (0, values.shape[1] % 2)) / math.sqrt(2)
    return torch.view_as_complex(even.unflatten(1, (-1, 2)).contiguous())


def from_symbols(
    symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"], reals: int
) -> tuple[Float[Tensor, "rows reals"], Float[Tensor, "rows reals"]]:
    """The numbers as they came in and the variance of the noise on each; infinite where nothing came in.

    >>> values = torch.tensor([[1.0, -1.0, 2.0]])
    >>> symbols = to_symbols(values)
    >>> heard, noise = from_symbols(symbols, torch.full((1, 2), 0.5), 3)
    >>> bool((heard - values).abs().max() < 1e-6), noise
    (True, tensor([[0.5000, 0.5000, 0.5000]]))
    """
    values = math.sqrt(2) * torch.view_as_real(symbols).flatten(1)[:, :reals]
    noise = noise_var.where(noise_var > 0, torch.inf).repeat_interleave(2, 1)[:, :reals]
    return values, noise


def reliability(noise: Float[Tensor, "rows reals"]) -> Float[Tensor, "rows reals"]:
    """The least-squares weight 1 / (1 + noise variance) of a number of variance 1: 0 where nothing came in."""
    return 1 / (1 + noise)
