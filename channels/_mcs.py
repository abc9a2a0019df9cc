"""Adaptive modulation and coding: which scheme to use at which SNR on AWGN."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

from channels._errors import UsageError
from channels._transport import Mcs

NR_TABLE_2 = tuple(
    Mcs(bits_per_symbol, rate / 1024)
    for bits_per_symbol, rates in (
        (2, (120, 193, 308, 449, 602)),
        (4, (378, 434, 490, 553, 616, 658)),
        (6, (466, 517, 567, 616, 666, 719, 772, 822, 873)),
        (8, (682.5, 711, 754, 797, 841, 885, 916.5, 948)),
    )
    for rate in rates
)
"""MCS 0 to 27 of 3GPP TS 38.214, Table 5.1.3.1-2."""

_TABLE = Path(__file__).with_name("mcs_awgn.json")


@dataclass(frozen=True)
class Waterfall:
    """Block error rate of a scheme on AWGN, long blocks: BLER(snr) = Q((snr_db - middle_db) / width_db).

    The normal law is what finite-length theory predicts; both numbers are fitted to simulated error rates.
    """

    mcs: Mcs
    middle_db: float
    width_db: float

    def threshold_db(self, block_error: float) -> float:
        """Es/N0, in dB, at which code blocks fail with probability `block_error`."""
        return self.middle_db - self.width_db * NormalDist().inv_cdf(block_error)


@lru_cache
def waterfalls() -> tuple[Waterfall, ...]:
    """All measured schemes that are worth using, by efficiency (table made by `python benchmarks/mcs.py`)."""
    rows = json.loads(_TABLE.read_text())["schemes"]
    return tuple(
        Waterfall(Mcs(row["bits_per_symbol"], row["code_rate"]), row["middle_db"], row["width_db"]) for row in rows
    )


def choose(snr_db: float, block_error: float = 1e-3) -> Mcs:
    """The most efficient scheme whose code blocks fail less often than `block_error` on AWGN at this SNR.

    An image of C blocks is lost with probability 1 - (1 - block_error)^C. The thresholds hold for blocks of some
    thousand bits; short payloads want a margin.

    Args:
        snr_db: Es/N0 per channel use, dB.
        block_error: accepted error rate of a code block, between 1e-5 and 0.5.

    Returns:
        The scheme.

    Raises:
        UsageError: even the most robust scheme of the table fails; build a lower `Mcs` by hand.

    >>> round(choose(10.0).efficiency, 2), choose(30.0).bits_per_symbol
    (2.95, 8)
    """
    if not 1e-5 <= block_error <= 0.5:
        raise UsageError(f"block error rate {block_error} is outside the measured range, 1e-5 to 0.5")
    usable = [row.mcs for row in waterfalls() if row.threshold_db(block_error) <= snr_db]
    if not usable:
        raise UsageError(f"no scheme of the table works at {snr_db:g} dB: build one of lower rate, Mcs(2, 0.05) say")
    return max(usable, key=lambda mcs: mcs.efficiency)
