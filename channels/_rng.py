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

# 64-bit words turned into normal variates at a time: what the arithmetic touches stays in the cache.
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
        return Rng([int.from_bytes(digest[:8], "big") >> 1 for digest in self._hashes(f"str:{name}")])

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
        spread = np.ones(len(self), np.float32) if variance is None else variance.detach().cpu().numpy()
        return self._complex_normal(math.prod(shape), spread).reshape(len(self), *shape)

    def uniform(self, *shape: int) -> Float[Tensor, rows * shape]:
        """Draw uniformly from [0, 1), float32 [rows, *shape]."""
        count = math.prod(shape)
        words = np.empty((len(self), -(-count // 2)), np.uint64)
        _fill(words, self._states(), np.random.SFC64(0))
        drawn = (words.view(np.uint32) >> 8).astype(np.float32) * np.float32(2**-24)
        return torch.from_numpy(drawn[:, :count]).reshape(len(self), *shape)

    def _complex_normal(self, count: int, variance: np.ndarray) -> Complex[Tensor, "rows count"]:
        drawn = torch.empty(len(self), count, dtype=torch.complex64)
        target = drawn.numpy()
        states = self._states()
        generator = np.random.SFC64(0)
        rows = max(1, _BLOCK // max(count, 1))
        words = np.empty((min(rows, len(self)), count), np.uint64)
        for first in range(0, len(self), rows):
            part = slice(first, first + rows)
            filled = words[: len(self) - first]
            _fill(filled, states[part], generator)
            for column in range(0, count, _BLOCK):
                cut = (slice(None), slice(column, column + _BLOCK))
                _box_muller(target[part][cut], filled[cut], variance[part, None])
        return drawn

    def _states(self) -> np.ndarray:
        """The states of the next draw's generators, uint64 [rows, 4]."""
        self._draws += 1
        return np.frombuffer(b"".join(self._hashes(f"draw:{self._draws}")), "<u8").reshape(len(self), 4)

    def _hashes(self, tail: str) -> list[bytes]:
        """SHA-256 of each seed and what it is for; the texts are those of `seed_for`."""
        end = f"\x1f{tail}".encode()
        return [hashlib.sha256(b"int:%d%b" % (seed, end)).digest() for seed in self.seeds]


def _fill(words: np.ndarray, states: np.ndarray, generator: np.random.SFC64) -> None:
    """Fill each row of 64-bit words from an SFC64 generator in its own state; `generator` is put into each in turn."""
    state = generator.state
    for row, start in zip(words, states, strict=True):
        state["state"]["state"] = start
        generator.state = state
        row[:] = generator.random_raw(len(row))


def _box_muller(drawn: np.ndarray, words: np.ndarray, variance: np.ndarray) -> None:
    """Write sqrt(-variance ln u) e^(j v): half a word is u in (0, 1], the other the phase v in [-pi, pi)."""
    halves = words.view(np.int32).astype(np.float32)
    radius = np.abs(halves[..., 0::2])
    radius += 1
    radius *= np.float32(2**-31)
    np.log(radius, out=radius)
    np.minimum(radius, np.float32(-(2**-26)), out=radius)  # float32 rounds u to 1 now and then: no fade is exactly zero
    radius *= -variance
    np.sqrt(radius, out=radius)
    phase = halves[..., 1::2] * np.float32(math.pi * 2**-31)
    np.multiply(np.cos(phase), radius, out=drawn.real)
    np.multiply(np.sin(phase, out=phase), radius, out=drawn.imag)
