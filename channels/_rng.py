"""Random numbers with names: every row has a seed of its own, every stage a stream of its own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

# Complex variates drawn at a time: what the arithmetic touches stays in the cache.
_BLOCK = 1 << 14


def seed_for(*names: str | int | float) -> int:
    """Return the seed in [0, 2^63) that belongs to a tuple of names: the head of its SHA-256.

    >>> seed_for("noise", 3) == seed_for("noise", 3) != seed_for("noise", "3")
    True
    """
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Rng:
    """One named stream of random numbers for each row, drawn on the CPU.

    A row's draws depend on its seed, and on how many draws were made before: not on the batch around it, the order
    of the rows, the shape of earlier draws, or any global state. The first dimension of a draw may grow: a longer draw
    begins with the numbers of a shorter one. Each draw of each row is an SFC64 generator whose whole state is a
    SHA-256, so no two streams meet by chance; normal variates come from them by the method of Box and Muller.

    Args:
        seeds: one integer a row, from `seed_for`.

    >>> short, long = Rng([7]).normal(20), Rng([1, 7]).normal(500)
    >>> bool((short[0] == long[1, :20]).all())
    True
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = tuple(map(int, seeds))
        self._draws = 0

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, rows: slice) -> Rng:
        """The streams of some of the rows, from their beginning."""
        return Rng(self.seeds[rows])

    def derive(self, name: str) -> Rng:
        """Independent streams for a stage called `name`, from their beginning."""
        heads = np.frombuffer(b"".join(self._hashes(f"str:{name}")), ">u8")[::4]
        return Rng((heads >> 1).tolist())

    @cached_property
    def generators(self) -> list[torch.Generator]:
        """The rows' torch generators, as diffusers pipelines take them; torch keeps the low 32 bits of a seed."""
        return [torch.Generator().manual_seed(seed) for seed in self.seeds]

    def normal(self, *shape: int) -> Float[Tensor, rows * shape]:
        """Draw N(0, 1), float32 [rows, *shape]."""
        count = math.prod(shape)
        pairs = torch.view_as_real(self._complex_normal(-(-count // 2), np.full(len(self), 2.0, np.float32)))
        return pairs.flatten(1)[:, :count].reshape(len(self), *shape)

    def complex_normal(
        self, *shape: int, variance: Float[Tensor, " rows"] | None = None
    ) -> Complex[Tensor, rows * shape]:
        """Draw CN(0, variance), complex64 [rows, *shape]: half of the variance in each real dimension.

        Args:
            shape: what a row draws.
            variance: linear, one a row; None is 1. It scales the same draws.
        """
        spread = np.ones(len(self), np.float32) if variance is None else variance.detach().cpu().float().numpy()
        return self._complex_normal(math.prod(shape), spread).reshape(len(self), *shape)

    def uniform(self, *shape: int) -> Float[Tensor, rows * shape]:
        """Draw uniformly from [0, 1), float32 [rows, *shape]."""
        from channels._rng_kernel import fill

        count = math.prod(shape)
        words = np.empty((len(self), -(-count // 2)), np.uint64)
        fill(self._states(), words)
        drawn = (words.view(np.uint32) >> 8).astype(np.float32) * np.float32(2**-24)
        return torch.from_numpy(drawn[:, :count]).reshape(len(self), *shape)

    def _complex_normal(self, count: int, variance: np.ndarray) -> Complex[Tensor, "rows count"]:
        from channels._rng_kernel import combine, fill_polar

        drawn = torch.empty(len(self), count, dtype=torch.complex64)
        target = drawn.numpy().view(np.float32)
        states = self._states()
        columns = min(max(count, 1), _BLOCK)
        rows = _BLOCK // columns
        scratch = np.empty((3, min(rows, len(self)), columns), np.float32)
        for first in range(0, len(self), rows):
            part = slice(first, first + rows)
            for column in range(0, count, columns):
                level, phase, cosine = scratch[:, : len(self) - first, : count - column]
                fill_polar(states[part], level, phase)
                np.log(level, out=level)
                np.cos(phase, out=cosine)
                np.sin(phase, out=phase)
                combine(target[part, 2 * column : 2 * (column + columns)], level, cosine, phase, variance[part])
        return drawn

    def _states(self) -> np.ndarray:
        """The states of the next draw's generators, uint64 [rows, 4]; writable, because generators move on."""
        self._draws += 1
        hashes = bytearray().join(self._hashes(f"draw:{self._draws}"))
        return np.frombuffer(hashes, "<u8").reshape(len(self), 4)

    def _hashes(self, tail: str) -> list[bytes]:
        """SHA-256 of each seed and what it is for; the texts are those of `seed_for`."""
        end = f"\x1f{tail}".encode()
        return [hashlib.sha256(b"int:%d%b" % (seed, end)).digest() for seed in self.seeds]
