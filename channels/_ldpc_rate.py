"""Rate matching: circular buffer, redundancy versions, bit interleaver (3GPP TS 38.212, clause 5.4.2)."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from channels._ldpc_code import LdpcCode


def coded_bits(total: int, blocks: int, bits_per_symbol: int) -> list[int]:
    """Coded bits E_r of each block when `blocks` share `total`, whole symbols each (clause 5.4.2.1).

    >>> coded_bits(20, 3, 2)
    [6, 6, 8]
    """
    symbols, larger = divmod(total // bits_per_symbol, blocks)
    return [bits_per_symbol * (symbols + (block >= blocks - larger)) for block in range(blocks)]


def match(buffer: NDArray[np.uint8], code: LdpcCode, length: int, bits_per_symbol: int, rv: int) -> NDArray[np.uint8]:
    """Read `length` bits from each circular buffer, from where `rv` starts and round again as often as needed.

    The interleaver then puts early (systematic) bits on the well-protected bits of a symbol.

    Args:
        buffer: uint8 [blocks, buffer_bits].

    Returns:
        uint8 [blocks, length].
    """
    order = (code.start(rv) + np.arange(length)) % code.buffer_bits
    return np.take(buffer, order.reshape(bits_per_symbol, -1).T.reshape(-1), axis=1)


def recover(llr: Tensor, code: LdpcCode, bits_per_symbol: int, rv: int) -> Tensor:
    """Undo `match`: LLRs of the circular buffer, repeated bits added up, zero where nothing was received.

    Buffers of several redundancy versions of the same block may be added.

    Args:
        llr: float32 [blocks, length].

    Returns:
        float32 [blocks, buffer_bits].
    """
    blocks, length = llr.shape
    in_order = llr.reshape(blocks, -1, bits_per_symbol).transpose(1, 2).reshape(blocks, length)
    buffer = llr.new_zeros(blocks, code.buffer_bits)
    position, taken = code.start(rv), 0
    while taken < length:
        piece = min(length - taken, code.buffer_bits - position)
        buffer[:, position : position + piece] += in_order[:, taken : taken + piece]
        position, taken = 0, taken + piece
    return buffer


def last_position(code: LdpcCode, length: int, rv: int) -> int:
    """Highest position of the circular buffer that `length` bits of redundancy version `rv` reach."""
    return min(code.start(rv) + length, code.buffer_bits) - 1
