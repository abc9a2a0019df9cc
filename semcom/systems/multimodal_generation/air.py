"""Features to symbols and back: numbers of unit mean square, two to a channel use."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Heard:
    """Numbers as they came in, of unit mean square among those of a row that were sent.

    Args:
        values: float32.
        noise: variance of the noise on each; infinite where nothing came in.
    """

    values: Float[Tensor, "rows reals"]
    noise: Float[Tensor, "rows reals"]

    @classmethod
    def nothing(cls, rows: int, reals: int) -> Heard:
        """What comes in where nothing was sent."""
        return cls(torch.zeros(rows, reals), torch.full((rows, reals), torch.inf))

    @classmethod
    def exact(cls, values: Float[Tensor, "rows reals"]) -> Heard:
        """What comes in without noise."""
        return cls(values, torch.zeros_like(values))

    @property
    def reliability(self) -> Float[Tensor, "rows reals"]:
        """The least-squares weight 1 / (1 + noise variance) of a number of variance 1: 0 where nothing came in."""
        return 1 / (1 + self.noise)

    def __getitem__(self, part: slice) -> Heard:
        return Heard(self.values[part], self.noise[part])


def to_symbols(values: Float[Tensor, "rows reals"]) -> Complex[Tensor, "rows uses"]:
    """Pair numbers of unit mean square to symbols (a + jb) / sqrt(2); the last of an odd count goes with a zero."""
    even = functional.pad(values.float(), (0, values.shape[1] % 2)) / math.sqrt(2)
    return torch.view_as_complex(even.unflatten(1, (-1, 2)).contiguous())


def from_symbols(symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"], reals: int) -> Heard:
    """The numbers of a row, of which there are `reals`.

    >>> values = torch.tensor([[1.0, -1.0, 2.0]])
    >>> heard = from_symbols(to_symbols(values), torch.full((1, 2), 0.5), 3)
    >>> bool((heard.values - values).abs().max() < 1e-6), heard.noise
    (True, tensor([[0.5000, 0.5000, 0.5000]]))
    """
    values = math.sqrt(2) * torch.view_as_real(symbols).flatten(1)[:, :reals]
    return Heard(values, noise_var.where(noise_var > 0, torch.inf).repeat_interleave(2, 1)[:, :reals])
