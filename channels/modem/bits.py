"""Conversion between bits, integers and bytes; the most significant bit comes first."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int, Integer, UInt8
from torch import Tensor

from channels.errors import UsageError


def integers_to_bits(values: Integer[Tensor, "*shape"], width: int) -> UInt8[Tensor, "*shape width"]:
    """Write each integer as `width` bits, most significant first.

    Args:
        values: non-negative integers below 2^width, any integer dtype [...].
        width: number of bits of each integer, 0 to 63.

    Returns:
        Bits, uint8 [..., width], on the device of the values.

    >>> integers_to_bits(torch.tensor([5, 2]), 3).tolist()
    [[1, 0, 1], [0, 1, 0]]
    """
    places = torch.arange(width - 1, -1, -1, device=values.device)
    return (values[..., None] >> places & 1).to(torch.uint8)


def bits_to_integers(bits: UInt8[Tensor, "*shape width"]) -> Int[Tensor, "*shape"]:
    """Inverse of `integers_to_bits`.

    Args:
        bits: 0 or 1, uint8 [..., width], most significant first; at most 63 of them.

    Returns:
        Integers, int64 [...], on the device of the bits.

    >>> bits_to_integers(torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=torch.uint8)).tolist()
    [5, 2]
    """
    values = torch.zeros(bits.shape[:-1], dtype=torch.int64, device=bits.device)
    for place in bits.unbind(-1):
        values = values << 1 | place
    return values


def bytes_to_bits(data: bytes) -> UInt8[Tensor, " bits"]:
    """Write a byte string as bits, most significant first, uint8 [8 * bytes].

    >>> bytes_to_bits(b"A").tolist()
    [0, 1, 0, 0, 0, 0, 0, 1]
    """
    return torch.from_numpy(np.unpackbits(np.frombuffer(data, np.uint8)))


def bits_to_bytes(bits: UInt8[Tensor, " bits"]) -> bytes:
    """Inverse of `bytes_to_bits`.

    Args:
        bits: 0 or 1, uint8 [8 * bytes].

    Raises:
        UsageError: the number of bits is not a multiple of 8, or the bits have more than one dimension.

    >>> bits_to_bytes(bytes_to_bits(b"semcom"))
    b'semcom'
    """
    if bits.ndim != 1 or bits.shape[0] % 8:
        raise UsageError(f"bits of shape {tuple(bits.shape)} are not whole bytes: give one row of 8 * bytes bits")
    return np.packbits(bits.cpu().numpy()).tobytes()
