"""Transport blocks: channel uses and segmentation of a payload (3GPP TS 38.212, clauses 5.2.2 and 7.2)."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.arguments import one_of, positive, within
from channels.modem import crc
from channels.modem.ldpc_code import MAX_BLOCK_BITS, LdpcCode, choose_base_graph, code
from channels.modem.qam import ORDERS

HIGHEST_RATE = 0.95
"""Highest code rate that can be decoded (3GPP TS 38.214, clause 5.1.3)."""


@dataclass(frozen=True)
class Mcs:
    """Modulation and coding scheme.

    Args:
        bits_per_symbol: bits of a constellation symbol: 1, 2, 4, 6 or 8.
        code_rate: bits of payload and CRCs over coded bits, above 0 and up to 0.95; rates below that of the code repeat
            bits.

    Raises:
        UsageError: one of them is out of range.

    >>> Mcs(4, 0.5).efficiency
    2.0
    """

    bits_per_symbol: int
    code_rate: float

    def __post_init__(self) -> None:
        one_of("bits_per_symbol", self.bits_per_symbol, ORDERS)
        within("code_rate", positive("code_rate", self.code_rate), 0, HIGHEST_RATE)

    @property
    def efficiency(self) -> float:
        """Bits per channel use, CRCs included."""
        return self.bits_per_symbol * self.code_rate

    def __str__(self) -> str:
        modulation = {1: "BPSK", 2: "QPSK"}.get(self.bits_per_symbol, f"{2**self.bits_per_symbol}QAM")
        return f"{modulation}, code rate {self.code_rate:.2f}"


@dataclass(frozen=True)
class Segmentation:
    """Segmentation of a payload into code blocks of equal length.

    Args:
        info_bits: number of payload bits.
        padding: number of zeros appended to the payload.
        blocks: number of code blocks.
        transport_crc: CRC of the transport block.
        code: LDPC code of each block.
    """

    info_bits: int
    padding: int
    blocks: int
    transport_crc: crc.CrcName
    code: LdpcCode

    @property
    def total_bits(self) -> int:
        """Number of bits of payload, padding and all CRCs."""
        return self.blocks * self.code.info_bits

    def cut(self, payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut payloads [rows, info_bits] into blocks with CRCs, uint8 [rows, blocks, code.info_bits]."""
        padded = np.pad(payload, ((0, 0), (0, self.padding)))
        pieces = crc.attach(padded, self.transport_crc).reshape(len(payload), self.blocks, -1)
        return crc.attach(pieces, "24B") if self.blocks > 1 else pieces

    def join(self, blocks: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
        """Join decoded blocks; return payloads [rows, info_bits], their CRC checks [rows] and those of blocks."""
        pieces = blocks[..., : -crc.crc_bits("24B")] if self.blocks > 1 else blocks
        padded = pieces.reshape(len(blocks), -1)
        ok = crc.check(padded, self.transport_crc)
        block_ok = crc.check(blocks, "24B") if self.blocks > 1 else ok[:, None]
        return padded[:, : self.info_bits], ok & block_ok.all(1), block_ok


@lru_cache(maxsize=1024)
def segment(info_bits: int, mcs: Mcs) -> Segmentation:
    """Segmentation of a payload: CRC-11 up to 64 bits (as in NR control messages), CRC-16 up to 3824, CRC-24A above.

    Source: 3GPP TS 38.212, clauses 5.2.2, 7.2.1 and 7.2.2.
    """
    within("info_bits", info_bits, 1)
    transport_crc: crc.CrcName = "11" if info_bits <= 64 else "16" if info_bits <= 3824 else "24A"
    base_graph = choose_base_graph(info_bits, mcs.code_rate)
    bits, limit = info_bits + crc.crc_bits(transport_crc), MAX_BLOCK_BITS[base_graph]
    block_crc = crc.crc_bits("24B") if bits > limit else 0
    blocks = math.ceil(bits / (limit - block_crc))
    padding = -bits % blocks
    return Segmentation(
        info_bits, padding, blocks, transport_crc, code(base_graph, (bits + padding) // blocks + block_crc)
    )


def transport_uses(info_bits: int, mcs: Mcs) -> int:
    """Number of channel uses of a payload, all CRCs counted: ceil(total bits / (bits per symbol * code rate)).

    Args:
        info_bits: number of payload bits.
        mcs: modulation and coding scheme.

    >>> transport_uses(8000, Mcs(4, 0.5))
    4012
    """
    return _uses(segment(info_bits, mcs).total_bits, mcs)


@lru_cache(maxsize=4096)
def transport_bits(uses: int, mcs: Mcs) -> int:
    """Largest payload that fits in `uses` channel uses, in bits, a multiple of 8; 0 if no byte fits.

    >>> transport_bits(4012, Mcs(4, 0.5))
    8000
    """
    payload = int(uses * mcs.efficiency) // 8 * 8
    while payload > 0 and transport_uses(payload, mcs) > uses:
        payload -= 8
    return payload


def _uses(total_bits: int, mcs: Mcs) -> int:
    # the subtraction allows for the rounding error of a rate such as 0.1
    return math.ceil(total_bits / mcs.efficiency - 1e-9)
