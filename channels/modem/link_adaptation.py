"""Link adaptation: choice of the modulation and coding scheme (MCS) from the SNR, and its payload size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from channels import modem
from channels.modem import scheme_header
from channels.modem.ldpc_code import MAX_BLOCK_BITS, choose_base_graph
from channels.modem.transport import segment

# Largest probability of a decoding failure of an image on AWGN. A failure costs about 20 dB of PSNR, an SNR margin of
# 0.1 dB about 0.04 dB.
_IMAGE_ERROR_RATE = 1e-3


@dataclass(frozen=True)
class Frame:
    """Division of channel uses between header and payload; transmitter and receiver derive the same division.

    Args:
        schemes: MCS of each index that the header can convey; a single scheme needs no header.
        blind: whether there is no header, so that the receiver must find the scheme itself.

    >>> frame = Frame((modem.Mcs(4, 0.5),))
    >>> frame.header_uses, frame.payload_bytes(4012, 0)
    (0, 1000)
    """

    schemes: tuple[modem.Mcs, ...]
    blind: bool = False

    @property
    def header_uses(self) -> int:
        """Number of channel uses of the header."""
        return scheme_header.USES if len(self.schemes) > 1 and not self.blind else 0

    def payload_bytes(self, uses: int, index: int) -> int:
        """Largest payload in bytes with scheme `index` in `uses` channel uses, header included; 0 if none fits."""
        payload_uses = uses - self.header_uses
        return modem.transport_bits(payload_uses, self.schemes[index]) // 8 if payload_uses > 0 else 0


@lru_cache(maxsize=1)
def adaptive() -> Frame:
    """Frame with all schemes of the measured table, in the order of their efficiency."""
    return Frame(tuple(row.mcs for row in modem.waterfalls())[: scheme_header.INDICES])


def best(uses: int, snr_db: float) -> int:
    """Index in `adaptive().schemes` of the highest MCS whose image error rate on AWGN is at most 1e-3.

    If no scheme is robust enough, the index of the most robust one is returned.

    Args:
        uses: number of channel uses, header included.
        snr_db: Es/N0 in dB.
    """
    usable = [index for index, threshold_db in enumerate(thresholds_db(uses)) if threshold_db <= snr_db]
    return max(usable, default=0)


@lru_cache(maxsize=256)
def thresholds_db(uses: int) -> tuple[float, ...]:
    """Smallest Es/N0 in dB at which each scheme has an image error rate of at most 1e-3 on AWGN; inf if nothing fits.

    The error rates were measured with the longest blocks of each base graph. By the normal approximation, the curve of
    a block of n bits is wider by sqrt(n_longest / n).

    Args:
        uses: number of channel uses, header included.

    Source: Polyanskiy, Poor and Verdu, IEEE Trans. Inf. Theory 56(5), 2010.
    """
    thresholds = []
    for index, waterfall in enumerate(modem.waterfalls()[: scheme_header.INDICES]):
        size = adaptive().payload_bytes(uses, index)
        if not size:
            thresholds.append(math.inf)
            continue
        plan = segment(8 * size, waterfall.mcs)
        block_error = 1 - (1 - _IMAGE_ERROR_RATE) ** (1 / plan.blocks)
        measured_bits = MAX_BLOCK_BITS[choose_base_graph(MAX_BLOCK_BITS[1], waterfall.mcs.code_rate)]
        wider = math.sqrt(measured_bits / plan.code.info_bits)
        distance_db = waterfall.threshold_db(block_error) - waterfall.middle_db
        thresholds.append(waterfall.middle_db + wider * distance_db)
    return tuple(thresholds)
