"""Modulation and coding schemes (MCS) with their measured block error rates on AWGN."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

from channels.arguments import within
from channels.errors import UsageError
from channels.modem.transport import Mcs

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

TABLE_FILE = Path(__file__).with_name("mcs_awgn.json")


@dataclass(frozen=True)
class Waterfall:
    """Block error rate (BLER) of a scheme on AWGN for long blocks: BLER = Q((snr_db - middle_db) / width_db).

    Finite-length theory predicts the Q function; both numbers are fitted to simulated error rates.

    Args:
        mcs: modulation and coding scheme.
        middle_db: Es/N0 in dB at BLER 0.5.
        width_db: width of the transition in dB.
    """

    mcs: Mcs
    middle_db: float
    width_db: float

    def threshold_db(self, block_error: float) -> float:
        """Es/N0 in dB at which the block error rate is `block_error`."""
        return self.middle_db - self.width_db * NormalDist().inv_cdf(block_error)


@lru_cache
def waterfalls() -> tuple[Waterfall, ...]:
    """Measured schemes in the order of their efficiency; `python benchmarks/mcs.py` writes the table."""
    rows = json.loads(TABLE_FILE.read_text())["schemes"]
    return tuple(
        Waterfall(Mcs(row["bits_per_symbol"], row["code_rate"]), row["middle_db"], row["width_db"]) for row in rows
    )


def choose(snr_db: float, block_error: float = 1e-3) -> Mcs:
    """The most efficient scheme whose block error rate on AWGN is at most `block_error`.

    A payload of C blocks fails with probability 1 - (1 - block_error)^C. The thresholds hold for blocks of several
    thousand bits; short payloads need a margin.

    Args:
        snr_db: Es/N0 per channel use in dB.
        block_error: largest block error rate, 1e-5 to 0.5 (default 1e-3).

    Returns:
        Modulation and coding scheme.

    Raises:
        UsageError: no scheme of the table is robust enough, or the block error rate is out of range.

    >>> round(choose(10.0).efficiency, 2), choose(30.0).bits_per_symbol
    (2.95, 8)
    """
    within("block_error", block_error, 1e-5, 0.5)
    usable = [row.mcs for row in waterfalls() if row.threshold_db(block_error) <= snr_db]
    if not usable:
        raise UsageError(
            f"no scheme of the table works at {snr_db:g} dB: use one of lower rate, for example Mcs(2, 0.05)"
        )
    return max(usable, key=lambda mcs: mcs.efficiency)
