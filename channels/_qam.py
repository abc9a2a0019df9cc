"""Gray-mapped QAM and its soft demapper (3GPP TS 38.211, clause 5.1)."""

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from channels._errors import UsageError

ORDERS = (1, 2, 4, 6, 8)
"""Bits per symbol on offer: BPSK, QPSK, 16QAM, 64QAM, 256QAM."""

_SMALLEST_SUM = 1e-30


def map_bits(bits: Tensor, bits_per_symbol: int) -> Tensor:
    """Map bits onto constellation points of unit expected energy.

    Even bits choose the in-phase level and odd bits the quadrature level; BPSK lies on the diagonal.

    Args:
        bits: 0 or 1, uint8 [..., uses * bits_per_symbol].
        bits_per_symbol: 1, 2, 4, 6 or 8.

    Returns:
        Symbols, complex64 [..., uses].

    Raises:
        UsageError: the order is not on offer, or the bits do not fill whole symbols.

    Source: 3GPP TS 38.211, clauses 5.1.2 to 5.1.6.

    >>> map_bits(torch.tensor([0, 0, 1, 1], dtype=torch.uint8), 2)
    tensor([ 0.7071+0.7071j, -0.7071-0.7071j])
    """
    _check_order(bits_per_symbol)
    if bits.shape[-1] % bits_per_symbol:
        raise UsageError(f"{bits.shape[-1]} bits do not fill symbols of {bits_per_symbol} bits: pad them first")
    if bits_per_symbol == 1:
        level = (1.0 - 2.0 * bits) / math.sqrt(2.0)
        return torch.complex(level, level)
    levels = torch.tensor(_levels(bits_per_symbol // 2), device=bits.device)
    width = bits_per_symbol // 2
    grouped = bits.reshape(*bits.shape[:-1], -1, width, 2)
    labels = grouped[..., 0, :]
    for position in range(1, width):
        labels = labels << 1 | grouped[..., position, :]
    in_phase, quadrature = levels[labels.int()].unbind(-1)
    return torch.complex(in_phase, quadrature)


def demap(
    symbols: Tensor, noise_var: Tensor | float, bits_per_symbol: int, method: Literal["exact", "max_log"] = "exact"
) -> Tensor:
    """Turn received symbols into log-likelihood ratios of the bits; differentiable in the symbols.

    LLR = ln p(y | b = 0) / p(y | b = 1), so a positive value means a zero. Square Gray QAM separates, so each dimension
    is demapped alone, against sqrt(2^bits) levels instead of 2^bits points.

    Args:
        symbols: unbiased received symbols, complex64 [..., uses].
        noise_var: complex noise variance N0 (both dimensions together, linear), float32, broadcastable to [..., uses].
        bits_per_symbol: 1, 2, 4, 6 or 8.
        method: "exact" sums over all levels; "max_log" keeps the nearest of each hypothesis.

    Returns:
        Natural-log LLRs, float32 [..., uses * bits_per_symbol].

    Raises:
        UsageError: the order or the method is not on offer.

    >>> demap(torch.tensor([1 + 0.5j]), 0.5, 2)
    tensor([5.6569, 2.8284])
    """
    _check_order(bits_per_symbol)
    if method not in ("exact", "max_log"):
        raise UsageError(f'demapping method {method!r} is unknown: use "exact" or "max_log"')
    # the bound keeps a noiseless channel finite
    noise = torch.as_tensor(noise_var, dtype=torch.float32, device=symbols.device).clamp(min=1e-9)
    if bits_per_symbol <= 2:
        scale = 2.0 * math.sqrt(2.0) / noise
        if bits_per_symbol == 1:
            return scale * (symbols.real + symbols.imag)
        return (scale[..., None] * torch.view_as_real(symbols)).flatten(-2)
    parts = torch.view_as_real(symbols)
    levels = torch.tensor(_levels(bits_per_symbol // 2), device=symbols.device)
    exponents = -((parts - levels.reshape(-1, *[1] * parts.ndim)) ** 2) / noise[..., None]
    weights = torch.exp(exponents - exponents.amax(0)) if method == "exact" else None
    ratios = []
    for _ in range(bits_per_symbol // 2):
        # the first axis is the label: its leading bit is split off, judged, and summed away
        pair = exponents.unflatten(0, (2, -1))
        best = pair.amax(1)
        ratio = best[0] - best[1]
        if weights is not None:
            pairs = weights.unflatten(0, (2, -1))
            sums = pairs.sum(1)
            exact = sums.clamp(min=_SMALLEST_SUM).log()
            # where one hypothesis underflows, the nearest levels say it all
            ratio = torch.where(sums.amin(0) > _SMALLEST_SUM, exact[0] - exact[1], ratio)
            weights = pairs.sum(0)
        exponents = pair.amax(0)
        ratios.append(ratio)
    return torch.stack(ratios, -2).flatten(-3)


@lru_cache
def _levels(width: int) -> tuple[float, ...]:
    """Amplitude of each label of `width` bits: (1-2b0)(2^(w-1) - (1-2b1)(2^(w-2) - ...)), scaled to energy 1/2."""
    levels = []
    for label in range(2**width):
        value = 0
        for position in range(width):
            sign = 1 - 2 * (label >> position & 1)
            value = sign * (2**position - value) if position else sign
        levels.append(value)
    scale = math.sqrt(2.0 * sum(level**2 for level in levels) / len(levels))
    return tuple(level / scale for level in levels)


def _check_order(bits_per_symbol: int) -> None:
    if bits_per_symbol not in ORDERS:
        raise UsageError(f"{bits_per_symbol} bits per symbol are not on offer: use one of {ORDERS}")
