"""Cyclic redundancy checks (CRC) of 5G NR, 3GPP TS 38.212, clause 5.1."""

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from channels.modem.bits import integers_to_bits

CrcName = Literal["24A", "24B", "16", "11"]

_GENERATORS = {"24A": 0x864CFB, "24B": 0x800063, "16": 0x1021, "11": 0x621}
_WIDTHS = {"24A": 24, "24B": 24, "16": 16, "11": 11}


def crc_bits(name: CrcName) -> int:
    """Number of parity bits of a check.

    >>> crc_bits("24A")
    24
    """
    return _WIDTHS[name]


def crc(bits: NDArray[np.uint8], name: CrcName) -> NDArray[np.uint8]:
    """Parity bits of each row: the remainder of bits(D) * D^L divided by g(D), without preset or inversion.

    A CRC is linear, so it is the exclusive or of the remainders of the bits that are one.

    Args:
        bits: 0 or 1, uint8 [..., n], most significant first.
        name: "24A", "24B", "16" or "11".

    Returns:
        Parity bits, uint8 [..., L].

    Source: 3GPP TS 38.212, clause 5.1.

    >>> "".join(map(str, crc(np.array([1], np.uint8), "16")))
    '0001000000100001'
    """
    length, width = bits.shape[-1], _WIDTHS[name]
    remainders = _remainders(name, 1 << max(length - 1, 0).bit_length())[:length][::-1]
    total = np.bitwise_xor.reduce(np.where(bits.astype(bool), remainders, np.uint32(0)), axis=-1)
    return integers_to_bits(torch.from_numpy(np.asarray(total, np.int64)), width).numpy()


def attach(bits: NDArray[np.uint8], name: CrcName) -> NDArray[np.uint8]:
    """Append the parity bits to each row, uint8 [..., n + L]."""
    return np.concatenate([bits, crc(bits, name)], axis=-1)


def check(bits: NDArray[np.uint8], name: CrcName) -> NDArray[np.bool_]:
    """Check each row [..., n + L] against its parity bits, bool [...]."""
    width = _WIDTHS[name]
    return (crc(bits[..., :-width], name) == bits[..., -width:]).all(-1)


@lru_cache(maxsize=64)
def _remainders(name: CrcName, count: int) -> NDArray[np.uint32]:
    """D^(i + L) mod g for i = 0 .. count-1, count a power of two: the upper half is the lower one times D^(count/2)."""
    width, generator = _WIDTHS[name], _GENERATORS[name]
    if count == 1:
        return np.array([generator], np.uint32)
    lower = _remainders(name, count // 2)
    upper = np.zeros_like(lower)
    factor = _power(name, count // 2)
    for bit in range(width):
        upper ^= np.where(lower >> np.uint32(bit) & np.uint32(1), np.uint32(factor), np.uint32(0))
        factor = _times_d(factor, width, generator)
    return np.concatenate([lower, upper])


def _power(name: CrcName, exponent: int) -> int:
    """D^exponent mod g."""
    width = _WIDTHS[name]
    if exponent < width:
        return 1 << exponent
    return int(_remainders(name, 1 << (exponent - width).bit_length())[exponent - width])


def _times_d(value: int, width: int, generator: int) -> int:
    value <<= 1
    return value ^ generator ^ (1 << width) if value >> width else value
