"""Received features: values and the noise variance of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class NoisyFeatures:
    """Received features y = x + n; the features x that were sent have unit mean square in each row.

    Args:
        values: float32 [rows, reals], the received features y.
        noise_var: float32 [rows, reals], variance of the noise on each value; infinite where nothing was received.
    """

    values: Float[Tensor, "rows reals"]
    noise_var: Float[Tensor, "rows reals"]

    @classmethod
    def missing(cls, rows: int, reals: int, device: torch.device | None = None) -> NoisyFeatures:
        """Features of which nothing was received."""
        return cls(torch.zeros(rows, reals, device=device), torch.full((rows, reals), torch.inf, device=device))

    @classmethod
    def exact(cls, values: Float[Tensor, "rows reals"]) -> NoisyFeatures:
        """Features without noise."""
        return cls(values, torch.zeros_like(values))

    @property
    def reliability(self) -> Float[Tensor, "rows reals"]:
        """The linear MMSE weight 1 / (1 + noise variance) of each value: 0 where nothing was received."""
        return 1 / (1 + self.noise_var)

    def __getitem__(self, rows: slice) -> NoisyFeatures:
        return NoisyFeatures(self.values[rows], self.noise_var[rows])
