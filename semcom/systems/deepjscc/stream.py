"""Latent to channel uses and back: which numbers are sent, in which order, and how reliable each came in."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels._base import Received
from channels._rng import seed_for


def sent_entries(channels: int, positions: int, reals: int) -> Tensor:
    """The entries of a flattened [channels, positions] latent that are sent, in the order of sending, int64 [reals].

    Whole channels go first, the most important ones; the last may be sent for some positions only. The order on the
    air is a fixed shuffle, so that a fade hits a little of everything.

    >>> sorted(sent_entries(4, 6, 12).tolist()) == list(range(12))
    True
    """
    return _sent_entries(channels, positions, reals)


@lru_cache(maxsize=16)
def _sent_entries(channels: int, positions: int, reals: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed_for("deepjscc", channels, positions, reals))
    whole = reals // positions
    part = torch.randperm(positions, generator=generator)[: reals - whole * positions]
    entries = torch.cat([torch.arange(whole * positions), whole * positions + part])
    return entries[torch.randperm(reals, generator=generator)]


def to_symbols(latent: Float[Tensor, "rows channels h w"], uses: int) -> Complex[Tensor, "rows uses"]:
    """Pair the sent entries to complex symbols of mean energy 1 in each row."""
    rows, channels, height, width = latent.shape
    entries = sent_entries(channels, height * width, 2 * uses).to(latent.device)
    reals = latent.flatten(1)[:, entries].view(rows, uses, 2)
    power = reals.square().sum((1, 2)) / uses
    return torch.view_as_complex(reals / power.clamp(min=1e-12).sqrt()[:, None, None])


def from_symbols(
    received: Received, shape: tuple[int, int, int]
) -> tuple[Float[Tensor, "rows channels h w"], Float[Tensor, "rows channels h w"]]:
    """Put symbols back in their places, scaled to variance 1; also the SNR of each, 0 where nothing was sent."""
    rows, uses = received.symbols.shape
    channels, height, width = shape
    positions = height * width
    entries = sent_entries(channels, positions, 2 * uses).to(received.symbols.device)
    empty = received.noise_var.new_zeros(rows, channels * positions)
    values = math.sqrt(2) * torch.view_as_real(received.symbols).flatten(1)
    latent = empty.index_copy(1, entries, values)
    snr = empty.index_copy(1, entries, symbol_snr(received).repeat_interleave(2, 1))
    return latent.view(rows, *shape), snr.view(rows, *shape)


def symbol_snr(received: Received) -> Float[Tensor, "rows uses"]:
    """1 / noise_var, 0 where nothing came in."""
    return torch.where(received.noise_var > 0, 1 / received.noise_var, 0)
