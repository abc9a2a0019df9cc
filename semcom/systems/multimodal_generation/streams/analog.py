"""Analog transmission of features: two real numbers per channel use, repeated to fill the channel uses."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures


def to_symbols(values: Float[Tensor, "rows reals"]) -> Complex[Tensor, "rows uses"]:
    """Pair numbers of unit mean square to symbols (a + jb) / sqrt(2); an odd count is padded with a zero."""
    even = functional.pad(values.float(), (0, values.shape[1] % 2)) / math.sqrt(2)
    return torch.view_as_complex(even.unflatten(1, (-1, 2)).contiguous())


def from_symbols(
    symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"], reals: int
) -> NoisyFeatures:
    """Return the `reals` numbers of each row; inverse of `to_symbols`.

    >>> values = torch.tensor([[1.0, -1.0, 2.0]])
    >>> received = from_symbols(to_symbols(values), torch.full((1, 2), 0.5), 3)
    >>> bool((received.values - values).abs().max() < 1e-6), received.noise_var
    (True, tensor([[0.5000, 0.5000, 0.5000]]))
    """
    values = math.sqrt(2) * torch.view_as_real(symbols).flatten(1)[:, :reals]
    return NoisyFeatures(values, noise_var.where(noise_var > 0, torch.inf).repeat_interleave(2, 1)[:, :reals])


def repeat_to_fill(values: Float[Tensor, "rows reals"], uses: int) -> Complex[Tensor, "rows uses"]:
    """Map numbers of unit mean square to `uses` symbols of mean energy 1.

    All numbers are repeated as often as they fit; if they do not fit once, only the first 2 * uses numbers are sent,
    normalized to unit mean square.

    >>> repeat_to_fill(torch.tensor([[1.0, -1.0, 2.0, 0.0]]), 1).abs().tolist()
    [[1.0]]
    """
    first = values[:, : 2 * uses].float()
    first = first * first.square().mean(1, keepdim=True).clamp(min=1e-12).rsqrt()
    symbols = to_symbols(first)
    return symbols.repeat(1, uses // symbols.shape[1])


def combine_repeats(
    symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"], reals: int
) -> NoisyFeatures:
    """Return the `reals` numbers of each row; inverse of `repeat_to_fill`.

    Repetitions are combined by maximum-ratio combining: y = sum(y_i / v_i) / sum(1 / v_i), with noise variance
    1 / sum(1 / v_i). Numbers that were not sent have infinite noise variance.

    >>> symbols = repeat_to_fill(torch.tensor([[1.0, -1.0]]), 2)
    >>> received = combine_repeats(symbols, torch.tensor([[0.5, 0.5]]), 2)
    >>> received.values.round(decimals=4).tolist(), received.noise_var.tolist()
    ([[1.0, -1.0]], [[0.25, 0.25]])
    """
    uses, once = symbols.shape[1], reals // 2
    if uses >= once:
        weight = torch.where(noise_var > 0, 1 / noise_var.where(noise_var > 0, 1), 0).unflatten(1, (-1, once))
        total = weight.sum(1)
        symbols = (symbols.unflatten(1, (-1, once)) * weight).sum(1) / total.where(total > 0, 1)
        noise_var = torch.where(total > 0, 1 / total.where(total > 0, 1), 0)
    received = from_symbols(symbols, noise_var, min(reals, 2 * uses))
    missing = NoisyFeatures.missing(len(symbols), reals - received.values.shape[1], symbols.device)
    return NoisyFeatures(
        torch.cat([received.values, missing.values], 1), torch.cat([received.noise_var, missing.noise_var], 1)
    )
