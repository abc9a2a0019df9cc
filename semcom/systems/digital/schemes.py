"""Which modulation and coding scheme a transmission is sent with, and what it carries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from channels import modem
from channels._ldpc_code import MAX_BLOCK_BITS, choose_base_graph
from channels._transport import segment
from semcom.systems.digital import header

# A lost picture costs some 20 dB, a tenth of a dB of SNR some 0.04 dB: rather one picture lost in a thousand.
_PICTURES_LOST = 1e-3


@dataclass(frozen=True)
class Frame:
    """How granted uses are divided between the header and the payload; transmitter and receiver derive the same.

    Args:
        schemes: what the header's index means; a single scheme needs no header.

    >>> frame = Frame((modem.Mcs(4, 0.5),))
    >>> frame.header_uses, frame.payload_bytes(4012, 0)
    (0, 1000)
    """

    schemes: tuple[modem.Mcs, ...]

    @property
    def header_uses(self) -> int:
        return header.USES if len(self.schemes) > 1 else 0

    def payload_bytes(self, granted: int, index: int) -> int:
        """Bytes that the payload holds with a scheme: none if not one fits."""
        uses = granted - self.header_uses
        return modem.transport_bits(uses, self.schemes[index]) // 8 if uses > 0 else 0


@lru_cache(maxsize=1)
def adaptive() -> Frame:
    """All schemes of the measured table, in the order of their efficiency."""
    return Frame(tuple(row.mcs for row in modem.waterfalls())[: header.INDICES])


def best(granted: int, snr_db: float) -> int:
    """The index in `adaptive().schemes` that carries most with at most one picture lost in a thousand on AWGN.

    The most robust scheme is the last resort.

    Args:
        granted: channel uses.
        snr_db: Es/N0 in dB.
    """
    usable = [index for index, threshold_db in enumerate(thresholds_db(granted)) if threshold_db <= snr_db]
    return max(usable, default=0)


@lru_cache(maxsize=256)
def thresholds_db(granted: int) -> tuple[float, ...]:
    """The Es/N0 on AWGN, in dB, from which each scheme loses at most one picture in a thousand; inf if nothing fits.

    The waterfalls were measured with the longest blocks of each base graph. That of a block of n bits is wider by
    sqrt(n_longest / n), as the normal approximation says.

    Args:
        granted: channel uses.

    Source: Polyanskiy, Poor and Verdu, IEEE Trans. Inf. Theory 56(5), 2010.
    """
    thresholds = []
    for index, waterfall in enumerate(modem.waterfalls()[: header.INDICES]):
        size = adaptive().payload_bytes(granted, index)
        if not size:
            thresholds.append(math.inf)
            continue
        plan = segment(8 * size, waterfall.mcs)
        block_error = 1 - (1 - _PICTURES_LOST) ** (1 / plan.blocks)
        measured_bits = MAX_BLOCK_BITS[choose_base_graph(MAX_BLOCK_BITS[1], waterfall.mcs.code_rate)]
        wider = math.sqrt(measured_bits / plan.code.info_bits)
        distance_db = waterfall.threshold_db(block_error) - waterfall.middle_db
        thresholds.append(waterfall.middle_db + wider * distance_db)
    return tuple(thresholds)
