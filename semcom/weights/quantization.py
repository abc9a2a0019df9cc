"""Weights of a few bits: symmetric integers with one scale per output channel, packed as they are stored."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Float16, Int, UInt8
from torch import Tensor, nn

from channels import modem
from channels.errors import UsageError

MIN_BITS, MAX_BITS = 2, 8
_SHARES = [0.6 + 0.05 * i for i in range(9)]  # of the largest magnitude, tried as the largest level


def check_bits(name: str, bits: object) -> None:
    """Raise a `UsageError` unless `bits` is a whole number from 2 to 8."""
    if not isinstance(bits, int) or isinstance(bits, bool) or not MIN_BITS <= bits <= MAX_BITS:
        raise UsageError(f"{name} must be a whole number from {MIN_BITS} to {MAX_BITS}, not {bits!r}")


def is_quantized(value: Tensor) -> bool:
    """Whether a parameter is stored in a few bits: matrices and convolutions are, biases and scales are not."""
    return value.is_floating_point() and value.ndim > 1


def quantize(value: Tensor, bits: int) -> tuple[Int[Tensor, "channels each"], Float16[Tensor, "channels 1"]]:
    """Integers q and scales s with the smallest squared error of s q, q from -(2^(bits-1) - 1) to 2^(bits-1) - 1.

    Args:
        value: weights; the first dimension that is not 1 has the channels.
        bits: number of bits of each weight, 2 to 8.

    >>> levels, scale = quantize(torch.tensor([[0.5, -1.0], [0.0, 0.25]]), 4)
    >>> levels.tolist()
    [[4, -7], [0, 7]]
    """
    rows = _rows(value).float()
    highest = 2 ** (bits - 1) - 1
    largest = rows.abs().amax(1, keepdim=True)
    best = torch.full_like(largest, math.inf)
    found = torch.zeros_like(largest)
    for share in _SHARES:
        scale = (share * largest / highest).half().float().clamp(min=2.0**-24)  # smallest positive float16
        error = (scale * (rows / scale).round().clamp(-highest, highest) - rows).square().sum(1, keepdim=True)
        better = error < best
        best, found = torch.where(better, error, best), torch.where(better, scale, found)
    return (rows / found).round().clamp(-highest, highest).to(torch.int8), found.half()


def dequantize(
    levels: Int[Tensor, "channels each"], scale: Float16[Tensor, "channels 1"], shape: tuple[int, ...]
) -> Tensor:
    """The weights s q in float32, of a shape."""
    return (levels.float() * scale.float()).view(shape)


def rounded(value: Tensor, bits: int) -> Tensor:
    """Weights as they are after storage in a few bits.

    >>> value = torch.linspace(-1, 1, 12).view(3, 4)
    >>> once = rounded(value, 4)
    >>> torch.equal(rounded(once, 4), once), bool(((once - value).abs() <= 1 / 7).all())
    (True, True)
    """
    return dequantize(*quantize(value, bits), tuple(value.shape)).to(value.dtype)


def pack(levels: Int[Tensor, "channels each"], bits: int) -> UInt8[Tensor, " bytes"]:
    """Integers in two's complement of `bits` bits, one after the other, the last byte filled with zeros.

    >>> pack(torch.tensor([[1, -1, 7]]), 4).tolist()
    [31, 112]
    """
    codes = levels.flatten().to(torch.int64) & (2**bits - 1)
    digits = modem.integers_to_bits(codes, bits).flatten()
    padded = nn.functional.pad(digits, (0, -digits.numel() % 8))
    return modem.bits_to_integers(padded.view(-1, 8)).to(torch.uint8)


def unpack(packed: UInt8[Tensor, " bytes"], bits: int, count: int) -> Int[Tensor, " count"]:
    """The integers of `pack`.

    >>> unpack(torch.tensor([31, 112], dtype=torch.uint8), 4, 3).tolist()
    [1, -1, 7]
    """
    digits = modem.integers_to_bits(packed, 8).flatten()
    codes = modem.bits_to_integers(digits[: count * bits].view(-1, bits))
    return torch.where(codes >= 2 ** (bits - 1), codes - 2**bits, codes).to(torch.int8)


def stored_bytes(value: Tensor, bits: int) -> int:
    """Bytes of packed weights and their scales in float16."""
    return -(-value.numel() * bits // 8) + 2 * len(_rows(value))


@contextmanager
def with_rounded_weights(network: nn.Module, bits: int) -> Iterator[None]:
    """Inside the context the matrices and convolutions are rounded; afterwards they have their former values.

    Gradients that are computed inside are those of the rounded weights, applied to the former ones: the
    straight-through estimator (Bengio, Leonard and Courville, arXiv:1308.3432).
    """
    former = {parameter: parameter.detach().clone() for parameter in network.parameters() if is_quantized(parameter)}
    with torch.no_grad():
        for parameter in former:
            parameter.copy_(rounded(parameter, bits))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in former.items():
                parameter.copy_(value)


def _rows(value: Tensor) -> Float[Tensor, "channels each"]:
    first = next((i for i, side in enumerate(value.shape) if side > 1), 0)
    return value.reshape(math.prod(value.shape[: first + 1]), -1)
