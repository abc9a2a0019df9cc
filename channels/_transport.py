"""Transport blocks: what a payload costs and how it is cut into code blocks (3GPP TS 38.212, clauses 5.2.2, 7.2)."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels import _crc
from channels._errors import UsageError
from channels._ldpc_code import MAX_BLOCK_BITS, LdpcCode, choose_base_graph, code
from channels._qam import ORDERS

HIGHEST_RATE = 0.95
"""Above it the code does not work (38.214, clause 5.1.3)."""


@dataclass(frozen=True)
class Mcs:
    """Modulation and coding scheme: bits per symbol (1, 2, 4, 6, 8) and code rate (0 < rate <= 0.95).

    The rate counts payload and CRCs against coded bits. Rates below the code's own are reached by repetition.

    >>> Mcs(4, 0.5).efficiency
    2.0
    """

    bits_per_symbol: int
    code_rate: float

    def __post_init__(self) -> None:
        if self.bits_per_symbol not in ORDERS:
            raise UsageError(f"{self.bits_per_symbol} bits per symbol are not on offer: use one of {ORDERS}")
        if not 0.0 < self.code_rate <= HIGHEST_RATE:
            raise UsageError(f"code rate {self.code_rate} is outside (0, {HIGHEST_RATE}]")

    @property
    def efficiency(self) -> float:
        """Bits per channel use, CRCs included."""
        return self.bits_per_symbol * self.code_rate


@dataclass(frozen=True)
class Segmentation:
    """How a payload of `info_bits` becomes `blocks` code blocks: zeros are appended until they are equally long."""

    info_bits: int
    padding: int
    blocks: int
    transport_crc: _crc.CrcName
    code: LdpcCode

    @property
    def total_bits(self) -> int:
        """Payload, padding and all CRCs."""
        return self.blocks * self.code.info_bits

    def cut(self, payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Payloads [rows, info_bits] to blocks with their CRCs, uint8 [rows, blocks, code.info_bits]."""
        padded = np.pad(payload, ((0, 0), (0, self.padding)))
        pieces = _crc.attach(padded, self.transport_crc).reshape(len(payload), self.blocks, -1)
        return _crc.attach(pieces, "24B") if self.blocks > 1 else pieces

    def join(self, blocks: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
        """Decoded blocks to payloads [rows, info_bits], transport CRC met [rows], block CRC met [rows, blocks]."""
        pieces = blocks[..., : -_crc.crc_bits("24B")] if self.blocks > 1 else blocks
        padded = pieces.reshape(len(blocks), -1)
        ok = _crc.check(padded, self.transport_crc)
        block_ok = _crc.check(blocks, "24B") if self.blocks > 1 else ok[:, None]
        return padded[:, : self.info_bits], ok & block_ok.all(1), block_ok


@lru_cache(maxsize=1024)
def segment(info_bits: int, mcs: Mcs) -> Segmentation:
    """Segmentation of a payload: CRC-11 up to 64 bits (as NR control messages), CRC-16 up to 3824, CRC-24A beyond.

    Source: 3GPP TS 38.212, clauses 5.2.2, 7.2.1 and 7.2.2.
    """
    if info_bits < 1:
        raise UsageError(f"a payload has at least one bit, not {info_bits}")
    transport_crc: _crc.CrcName = "11" if info_bits <= 64 else "16" if info_bits <= 3824 else "24A"
    base_graph = choose_base_graph(info_bits, mcs.code_rate)
    bits, limit = info_bits + _crc.crc_bits(transport_crc), MAX_BLOCK_BITS[base_graph]
    block_crc = _crc.crc_bits("24B") if bits > limit else 0
    blocks = math.ceil(bits / (limit - block_crc))
    padding = -bits % blocks
    return Segmentation(
        info_bits, padding, blocks, transport_crc, code(base_graph, (bits + padding) // blocks + block_crc)
    )


def transport_uses(info_bits: int, mcs: Mcs) -> int:
    """Channel uses that a payload costs at an MCS, all CRCs counted: ceil(total bits / (bits per symbol * rate)).

    Args:
        info_bits: payload, bits.
        mcs: modulation and coding scheme.

    Returns:
        Channel uses.

    >>> transport_uses(8000, Mcs(4, 0.5))
    4012
    """
    return _uses(segment(info_bits, mcs).total_bits, mcs)


def transport_bits(uses: int, mcs: Mcs) -> int:
    """Largest payload, in bits and a multiple of 8, that costs no more than `uses`; 0 if not even one byte fits.

    >>> transport_bits(4012, Mcs(4, 0.5))
    8000
    """
    payload = int(uses * mcs.efficiency) // 8 * 8
    while payload > 0 and transport_uses(payload, mcs) > uses:
        payload -= 8
    return payload


def _uses(total_bits: int, mcs: Mcs) -> int:
    # the subtraction forgives the rounding of a rate such as 0.1
    return math.ceil(total_bits / mcs.efficiency - 1e-9)
