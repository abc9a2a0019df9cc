"""Rate matching: circular buffer, redundancy versions and bit interleaver (3GPP TS 38.212, clause 5.4.2)."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from channels.modem.ldpc_code import LdpcCode


def coded_bits(total: int, blocks: int, bits_per_symbol: int) -> list[int]:
    """Number of coded bits E_r of each of `blocks` blocks that share `total` bits, in whole symbols (clause 5.4.2.1).

    >>> coded_bits(20, 3, 2)
    [6, 6, 8]
    """
    symbols, larger = divmod(total // bits_per_symbol, blocks)
    return [bits_per_symbol * (symbols + (block >= blocks - larger)) for block in range(blocks)]


def match(buffer: NDArray[np.uint8], code: LdpcCode, length: int, bits_per_symbol: int, rv: int) -> NDArray[np.uint8]:
    """Read `length` bits from each circular buffer, starting at redundancy version `rv`, and interleave them.

    The interleaver puts the first (systematic) bits on the best protected bits of a symbol.

    Args:
        buffer: circular buffers, uint8 [blocks, buffer_bits].
        code: LDPC code of the blocks.
        length: number of coded bits of a block; more than the buffer holds are repeated.
        bits_per_symbol: bits of a constellation symbol.
        rv: redundancy version, 0 to 3.

    Returns:
        Coded bits, uint8 [blocks, length].
    """
    order = (code.start(rv) + np.arange(length)) % code.buffer_bits
    return np.take(buffer, order.reshape(bits_per_symbol, -1).T.reshape(-1), axis=1)


def recover(llr: Tensor, code: LdpcCode, bits_per_symbol: int, rv: int) -> Tensor:
    """Inverse of `match`: LLRs of the circular buffer, summed over repeated bits, zero where nothing was received.

    The buffers of several redundancy versions of a block may be added.

    Args:
        llr: LLRs of the coded bits, float32 [blocks, length].
        code: LDPC code of the blocks.
        bits_per_symbol: bits of a constellation symbol.
        rv: redundancy version, 0 to 3.

    Returns:
        LLRs of the circular buffers, float32 [blocks, buffer_bits].
    """
    blocks, length = llr.shape
    in_order = llr.reshape(blocks, -1, bits_per_symbol).transpose(1, 2).reshape(blocks, length)
    buffer = llr.new_zeros(blocks, code.buffer_bits)
    position, done = code.start(rv), 0
    while done < length:
        piece = min(length - done, code.buffer_bits - position)
        buffer[:, position : position + piece] += in_order[:, done : done + piece]
        position, done = 0, done + piece
    return buffer


def last_position(code: LdpcCode, length: int, rv: int) -> int:
    """Last position of the circular buffer that `length` bits of redundancy version `rv` reach."""
    return min(code.start(rv) + length, code.buffer_bits) - 1
