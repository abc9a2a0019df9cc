"""Mapping of latents to complex symbols and back: selection, order and SNR of the latents."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels.base import Received
from channels.rng import seed_for


def sent_entries(channels: int, positions: int, reals: int) -> Tensor:
    """Indices into a flattened [channels, positions] latent in transmission order, int64 [reals].

    The first channels, which are the most important, are selected; the last selected channel may be sent for some
    positions only. A fixed random permutation spreads each fade over all channels and positions.

    >>> sorted(sent_entries(4, 6, 12).tolist()) == list(range(12))
    True
    """
    return torch.from_numpy(_sent_entries(channels, positions, reals))


@lru_cache(maxsize=16)
def _sent_entries(channels: int, positions: int, reals: int) -> np.ndarray:
    # An array, not a tensor: a tensor cached under torch.inference_mode could never be used in training.
    generator = torch.Generator().manual_seed(seed_for("deepjscc", channels, positions, reals))
    whole = reals // positions
    part = torch.randperm(positions, generator=generator)[: reals - whole * positions]
    entries = torch.cat([torch.arange(whole * positions), whole * positions + part])
    return entries[torch.randperm(reals, generator=generator)].numpy().copy()


def to_symbols(latent: Float[Tensor, "rows channels h w"], uses: int) -> Complex[Tensor, "rows uses"]:
    """Pair the selected latents to complex symbols with mean energy 1 in each row."""
    rows, channels, height, width = latent.shape
    entries = sent_entries(channels, height * width, 2 * uses).to(latent.device)
    reals = latent.flatten(1)[:, entries].view(rows, uses, 2)
    power = reals.square().sum((1, 2)) / uses
    return torch.view_as_complex(reals / power.clamp(min=1e-12).sqrt()[:, None, None])


def from_symbols(
    received: Received, shape: tuple[int, int, int]
) -> tuple[Float[Tensor, "rows channels h w"], Float[Tensor, "rows channels h w"]]:
    """Inverse of `to_symbols`: latents scaled to variance 1, and the SNR of each, 0 where none was sent."""
    rows, uses = received.symbols.shape
    channels, height, width = shape
    positions = height * width
    entries = sent_entries(channels, positions, 2 * uses).to(received.symbols.device)
    empty = received.noise_var.new_zeros(rows, channels * positions)
    reals = math.sqrt(2) * torch.view_as_real(received.symbols).flatten(1)
    latent = empty.index_copy(1, entries, reals)
    snr = empty.index_copy(1, entries, symbol_snr(received).repeat_interleave(2, 1))
    return latent.view(rows, *shape), snr.view(rows, *shape)


def symbol_snr(received: Received) -> Float[Tensor, "rows uses"]:
    """SNR of each symbol, 1 / noise_var; 0 past the end of a row."""
    return torch.where(received.noise_var > 0, 1 / received.noise_var, 0)
