"""Random numbers with names: every row has a seed of its own, every stage a stream of its own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

# torch fills normal variates sixteen at a time: with multiples of it a short draw is a prefix of a long one.
_FILL = 16


def seed_for(*names: str | int | float) -> int:
    """Return the seed in [0, 2^63) that belongs to a tuple of names: the head of its SHA-256.

    >>> seed_for("noise", 3) == seed_for("noise", 3) != seed_for("noise", "3")
    True
    """
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Rng:
    """One named stream of random numbers for each row, drawn on the CPU.

    A row's draws depend on its seed alone: not on the batch around it, the order of the rows, or torch's global state.
    The first dimension of a draw may grow: a longer draw begins with the numbers of a shorter one. torch's CPU
    generator keeps the low 32 bits of a seed.

    Args:
        seeds: one integer a row, from `seed_for`.

    >>> short, long = Rng([7]).normal(20), Rng([1, 7]).normal(500)
    >>> bool((short[0] == long[1, :20]).all())
    True
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = tuple(int(seed) for seed in seeds)

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, rows: slice) -> Rng:
        """The streams of some of the rows, from their beginning."""
        return Rng(self.seeds[rows])

    def derive(self, name: str) -> Rng:
        """Independent streams for a stage called `name`, from their beginning."""
        return Rng([seed_for(seed, name) for seed in self.seeds])

    @cached_property
    def generators(self) -> list[torch.Generator]:
        """The rows' torch generators, as diffusers pipelines take them."""
        return [torch.Generator().manual_seed(seed) for seed in self.seeds]

    def normal(self, *shape: int) -> Float[Tensor, "rows *shape"]:
        """Draw N(0, 1), float32 [rows, *shape]."""
        return self._draw("normal_", shape)

    def complex_normal(self, *shape: int) -> Complex[Tensor, "rows *shape"]:
        """Draw CN(0, 1), complex64 [rows, *shape]: variance 1/2 in each real dimension."""
        return torch.view_as_complex(self.normal(*shape, 2) * math.sqrt(0.5))

    def uniform(self, *shape: int) -> Float[Tensor, "rows *shape"]:
        """Draw uniformly from [0, 1), float32 [rows, *shape]."""
        return self._draw("uniform_", shape)

    def _draw(self, fill: str, shape: tuple[int, ...]) -> Tensor:
        count = math.prod(shape)
        drawn = torch.empty(len(self), -(-count // _FILL) * _FILL)
        for row, generator in zip(drawn, self.generators, strict=True):
            getattr(row, fill)(generator=generator)
        return drawn[:, :count].reshape(len(self), *shape)
