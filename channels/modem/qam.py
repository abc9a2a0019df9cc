"""Gray-mapped QAM with a soft demapper (3GPP TS 38.211, clause 5.1)."""

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from channels.arguments import one_of
from channels.errors import UsageError

ORDERS = (1, 2, 4, 6, 8)
"""Bits per symbol of BPSK, QPSK, 16QAM, 64QAM and 256QAM."""

_SMALLEST_SUM = 1e-30


def map_bits(bits: Tensor, bits_per_symbol: int) -> Tensor:
    """Map bits onto constellation points of unit expected energy.

    Even bits select the in-phase level and odd bits the quadrature level; BPSK lies on the diagonal.

    Args:
        bits: bits, 0 or 1, uint8 [..., uses * bits_per_symbol].
        bits_per_symbol: bits of a constellation symbol: 1, 2, 4, 6 or 8.

    Returns:
        Symbols, complex64 [..., uses].

    Raises:
        UsageError: bits_per_symbol is not one of these, or the bits do not fill whole symbols.

    Source: 3GPP TS 38.211, clauses 5.1.2 to 5.1.6.

    >>> map_bits(torch.tensor([0, 0, 1, 1], dtype=torch.uint8), 2)
    tensor([ 0.7071+0.7071j, -0.7071-0.7071j])
    """
    one_of("bits_per_symbol", bits_per_symbol, ORDERS)
    if bits.shape[-1] % bits_per_symbol:
        raise UsageError(f"{bits.shape[-1]} bits do not fill symbols of {bits_per_symbol} bits: pad them first")
    if bits_per_symbol == 1:
        level = (1.0 - 2.0 * bits) / math.sqrt(2.0)
        return torch.complex(level, level)
    levels = torch.tensor(_levels(bits_per_symbol // 2), device=bits.device)
    width = bits_per_symbol // 2
    grouped = bits.reshape(*bits.shape[:-1], -1, width, 2)
    # labels of at most 4 bits stay in uint8, which is twice as fast as `bits_to_integers`
    labels = grouped[..., 0, :]
    for position in range(1, width):
        labels = labels << 1 | grouped[..., position, :]
    in_phase, quadrature = levels[labels.int()].unbind(-1)
    return torch.complex(in_phase, quadrature)


def demap(
    symbols: Tensor, noise_var: Tensor | float, bits_per_symbol: int, method: Literal["exact", "max_log"] = "exact"
) -> Tensor:
    """Compute the log-likelihood ratios (LLRs) of the bits from received symbols; differentiable in the symbols.

    LLR = ln p(y | b = 0) / p(y | b = 1), so a positive value means a zero. The two dimensions of square Gray QAM are
    independent and are demapped separately, with sqrt(2^bits) levels instead of 2^bits points.

    Args:
        symbols: received symbols, equalized without bias, complex64 [..., uses].
        noise_var: noise variance N0 of both real dimensions together, linear, float32, broadcastable to [..., uses].
        bits_per_symbol: bits of a constellation symbol: 1, 2, 4, 6 or 8.
        method: "exact" sums over all levels; "max_log" uses the nearest level of each hypothesis.

    Returns:
        LLRs in natural logarithms, float32 [..., uses * bits_per_symbol].

    Raises:
        UsageError: bits_per_symbol or method is not one of these.

    >>> demap(torch.tensor([1 + 0.5j]), 0.5, 2)
    tensor([5.6569, 2.8284])
    """
    one_of("bits_per_symbol", bits_per_symbol, ORDERS)
    one_of("method", method, ("exact", "max_log"))
    # the lower bound keeps the LLRs of a noiseless channel finite
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
        # the first axis is the label: split off its leading bit, compute its LLR, and sum over it
        pair = exponents.unflatten(0, (2, -1))
        best = pair.amax(1)
        ratio = best[0] - best[1]
        if weights is not None:
            pairs = weights.unflatten(0, (2, -1))
            sums = pairs.sum(1)
            exact = sums.clamp(min=_SMALLEST_SUM).log()
            # where the sum of one hypothesis underflows, the nearest levels determine the LLR
            ratio = torch.where(sums.amin(0) > _SMALLEST_SUM, exact[0] - exact[1], ratio)
            weights = pairs.sum(0)
        exponents = pair.amax(0)
        ratios.append(ratio)
    return torch.stack(ratios, -2).flatten(-3)


def soft_symbols(symbols: Tensor, noise_var: Tensor, bits_per_symbol: int) -> tuple[Tensor, Tensor]:
    """Conditional mean E[x | y] of equally likely constellation points x, and its remaining variance.

    Args:
        symbols: received symbols y, equalized without bias, complex64 [..., uses].
        noise_var: noise variance of both real dimensions together, linear, float32 [..., uses].
        bits_per_symbol: bits of a constellation symbol: 1, 2, 4, 6 or 8.

    Returns:
        Means, complex64 [..., uses], and E[|x - mean|^2 | y], float32 [..., uses].

    >>> mean, variance = soft_symbols(torch.tensor([0.9 + 0.8j]), torch.tensor([1e-3]), 2)
    >>> mean, variance
    (tensor([0.7071+0.7071j]), tensor([0.]))
    """
    one_of("bits_per_symbol", bits_per_symbol, ORDERS)
    noise = noise_var.clamp(min=1e-9)
    if bits_per_symbol == 1:
        sign = torch.tanh(math.sqrt(2.0) * (symbols.real + symbols.imag) / noise)
        mean = sign * math.sqrt(0.5)
        return torch.complex(mean, mean), 1 - sign.square()
    parts = torch.view_as_real(symbols)[..., None]
    levels = torch.tensor(_levels(bits_per_symbol // 2), device=symbols.device)
    weights = torch.softmax(-(parts - levels).square() / noise[..., None, None], -1)
    mean = (weights * levels).sum(-1)
    variance = (weights * (levels - mean[..., None]).square()).sum((-2, -1))
    return torch.view_as_complex(mean), variance


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
