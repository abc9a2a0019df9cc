"""Schemes that are decodable after all HARQ rounds, by the mutual information that the rounds accumulate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from channels.modem import link_adaptation
from channels.modem.ldpc_rate import coded_bits
from channels.modem.mutual_information import mutual_information
from channels.modem.transport import segment

_LARGEST_SHARE = 256  # channel uses of each round that are evaluated at most
# LLRs of bits are added, not received symbols, and the code is not ideal: simulated over AWGN with 2 to 4 rounds, seven
# schemes of all constellations require at most 1.9 dB more than the mutual information with incremental redundancy, and
# with Chase combining at most 0.5 dB, except for one scheme with 1.4 dB.
_CHASE_LOSS_DB, _INCREMENTAL_LOSS_DB = 1.0, 2.0


def decodable(snr_db: np.ndarray, thresholds_db: Sequence[float], uses: int, versions: tuple[int, ...]) -> np.ndarray:
    """Whether each scheme of `link_adaptation.adaptive` is decodable after all rounds, bool [rows, schemes].

    Repetitions of a bit add their SNRs, different bits of a code word add their mutual information. A code word is
    decodable if its first round is, or if

        sum_k I(sum_r c_kr SNR_r / L) >= sum_k I(c_k0 SNR_threshold)

    where c_kr is how often round r sends bit k of the circular buffer, and I the mutual information of the
    constellation, on the left side its mean over the channel uses of the rounds. The loss L is 1 dB with Chase
    combining, of which the LLRs of bits are added, not received symbols, and 2 dB with other redundancy versions.

    Args:
        snr_db: SNR of each channel use, dB, float64 [rows, rounds, uses of a round].
        thresholds_db: SNR from which one round of each scheme is decodable on AWGN, dB; inf for one that does not fit.
        uses: number of channel uses of header and first round.
        versions: redundancy version of each round.

    Source: Cheng, Coding performance of hybrid ARQ schemes, IEEE Trans. Commun. 54(6), 2006.
    """
    share = snr_db.shape[2]
    loss_db = _CHASE_LOSS_DB if len(set(versions)) == 1 else _INCREMENTAL_LOSS_DB
    snr = 10 ** (snr_db[:, :, np.linspace(0, share - 1, min(share, _LARGEST_SHARE)).astype(int)] / 10)

    @cache  # most schemes of a constellation have the same numbers of transmissions
    def information(order: int, count: tuple[int, ...], loss_db: float = 0.0) -> np.ndarray:
        total_db = 10 * np.log10(np.tensordot(snr, np.array(count, dtype=np.float64), (1, 0)))
        return mutual_information(order, total_db - loss_db).mean(1)

    result = np.zeros((len(snr), len(thresholds_db)), dtype=bool)
    for index in np.flatnonzero(np.isfinite(thresholds_db)).tolist():
        order = link_adaptation.adaptive().schemes[index].bits_per_symbol
        first, combined, required = np.zeros(len(snr)), np.zeros(len(snr)), 0.0
        for length, count in coverage(uses, index, versions):
            combined += length * information(order, count, loss_db)
            if count[0]:
                first += length * information(order, (count[0], *[0] * (len(count) - 1)))
                threshold_db = thresholds_db[index] + 10 * math.log10(count[0])
                required += length * float(mutual_information(order, np.array([threshold_db]))[0])
        result[:, index] = (first >= required) | (combined >= required)
    return result


def coverage(uses: int, index: int, versions: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
    """Parts of the circular buffer of the longest code block that are sent: lengths in bits, transmissions by round.

    Args:
        uses: number of channel uses of header and first round.
        index: index of the scheme in `link_adaptation.adaptive`.
        versions: redundancy version of each round.
    """
    frame = link_adaptation.adaptive()
    scheme = frame.schemes[index]
    plan = segment(8 * frame.payload_bytes(uses, index), scheme)
    sent = (uses - frame.header_uses) * scheme.bits_per_symbol
    size = plan.code.buffer_bits
    whole, rest = divmod(max(coded_bits(sent, plan.blocks, scheme.bits_per_symbol)), size)
    starts = [plan.code.start(version) for version in versions]
    edges = sorted({0, size, *starts, *((start + rest) % size for start in starts)})
    parts = []
    for left, right in pairwise(edges):
        count = tuple(whole + ((left - start) % size < rest) for start in starts)
        if any(count):
            parts.append((right - left, count))
    return parts
