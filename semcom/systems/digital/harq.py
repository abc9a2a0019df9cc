"""Hybrid automatic repeat request (HARQ): redundancy versions are decoded one by one until the CRC passes.

All rounds are simulated, because the number of required rounds is known only after decoding; only the channel uses of
the required rounds are counted. Acknowledgements (one bit per round) are error-free and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Int, UInt8
from torch import Tensor

from channels import modem
from channels.arguments import one_of, within
from channels.modem.interleaver import interleaver

MOST_ROUNDS = 16
_VERSIONS = {"none": (0,), "chase": (0,), "incremental": (0, 2, 3, 1)}  # order of 5G NR


@dataclass(frozen=True)
class Rounds:
    """Division of a channel-use budget into a header and equal rounds; the remainder is not sent.

    Each round has its own interleaver and ends before the next one starts.

    Args:
        versions: redundancy version of each round.
        header_uses: channel uses of the header, in front of the first round.

    >>> rounds = Rounds((0, 2, 3, 1), header_uses=64)
    >>> rounds.share(1003), rounds.first(1003), rounds.total(1003)
    (234, 298, 1000)
    """

    versions: tuple[int, ...]
    header_uses: int = 0

    def share(self, budget: int) -> int:
        """Channel uses of each round without the header."""
        return max(0, budget - self.header_uses) // len(self.versions)

    def first(self, budget: int) -> int:
        """Channel uses of header and first round, for which the scheme is selected."""
        return min(budget, self.header_uses + self.share(budget))

    def total(self, budget: int) -> int:
        """Channel uses of header and all rounds."""
        return self.first(budget) + (len(self.versions) - 1) * self.share(budget)

    def order(self, budget: int) -> Int[Tensor, " uses"]:
        """Transmission position of each coded symbol of header and rounds."""
        first, share = self.first(budget), self.share(budget)
        later = [first + number * share + interleaver(share) for number in range(len(self.versions) - 1)]
        return torch.cat([interleaver(first), *later])


@dataclass(frozen=True)
class Combined:
    """Result of HARQ decoding.

    Args:
        bits: payload after the last required round, uint8 [rows, info_bits]; correct where `ok`.
        ok: whether the transport-block CRC passed, bool [rows].
        block_ok: whether the CRC of each code block passed after the last required round, bool [rows, blocks].
        rounds: number of required rounds, int64 [rows]; all rounds where the CRC never passed.
    """

    bits: UInt8[Tensor, "rows info_bits"]
    ok: Bool[Tensor, " rows"]
    block_ok: Bool[Tensor, "rows blocks"]
    rounds: Int[Tensor, " rows"]


def versions(harq: str, rounds: int) -> tuple[int, ...]:
    """Redundancy version of each round: always 0 (Chase combining), or 0, 2, 3, 1 as in 5G NR (incremental).

    Args:
        harq: HARQ scheme: "none" (one round, `rounds` is ignored), "chase" or "incremental".
        rounds: maximum number of rounds, 1 to 16.

    Source: 3GPP TS 38.214, clause 5.1.2.1; TS 38.212, clause 5.4.2.1.

    >>> versions("incremental", 6)
    (0, 2, 3, 1, 0, 2)
    """
    one_of("harq", harq, tuple(_VERSIONS))
    within("rounds", rounds, 1, MOST_ROUNDS)
    cycle = _VERSIONS[harq]
    return tuple(cycle[number % len(cycle)] for number in range(1 if harq == "none" else rounds))


def encode(
    payloads: UInt8[Tensor, "rows info_bits"], mcs: modem.Mcs, share: int, versions: tuple[int, ...]
) -> Complex[Tensor, "rows uses"]:
    """Symbols of all rounds, concatenated, `share` channel uses each."""
    return torch.cat([modem.encode(payloads, mcs, share, rv) for rv in versions], 1)


def decode(
    symbols: Complex[Tensor, "rows uses"],
    noise_var: Float[Tensor, "rows uses"],
    mcs: modem.Mcs,
    info_bits: int,
    versions: tuple[int, ...],
) -> Combined:
    """Decode round by round with the sum of the LLRs of all rounds so far, until the CRC of a row passes.

    Chase combining of n rounds is a gain of 10 log10(n) dB; other redundancy versions also lower the code rate.

    Args:
        symbols: received symbols of all rounds, equalized without bias, complex64.
        noise_var: noise variance of each complex symbol.
        mcs: modulation and coding scheme of a round.
        info_bits: payload length, bits.
        versions: redundancy version of each round.

    Source: D. Chase, "Code combining", IEEE Trans. Commun. 33(5), 1985; Frenger, Parkvall and Dahlman, "Performance
        comparison of HARQ with Chase combining and incremental redundancy for HSDPA", VTC Fall 2001.

    >>> symbols = encode(modem.bytes_to_bits(b"hello, world")[None], modem.Mcs(2, 0.5), 112, (0, 2))
    >>> decode(symbols, torch.full((1, 224), 0.1), modem.Mcs(2, 0.5), 96, (0, 2)).rounds.tolist()
    [1]
    """
    shares = list(zip(symbols.chunk(len(versions), 1), noise_var.chunk(len(versions), 1), versions, strict=True))
    found = modem.decode(*shares[0][:2], mcs, info_bits, versions[0])
    bits, block_ok, ok = found.bits.clone(), found.block_ok.clone(), found.ok.clone()
    rounds = torch.ones(len(symbols), dtype=torch.int64, device=symbols.device)
    missing, soft = torch.arange(len(symbols), device=symbols.device), found.soft
    for round_symbols, round_noise, rv in shares[1:]:
        failed = ~ok[missing]
        missing = missing[failed]
        if not len(missing):
            break
        found = modem.decode(round_symbols[missing], round_noise[missing], mcs, info_bits, rv, _rows(soft, failed))
        bits[missing], block_ok[missing], ok[missing] = found.bits, found.block_ok, found.ok
        rounds[missing] += 1
        soft = found.soft
    return Combined(bits, ok, block_ok, rounds)


def _rows(soft: modem.SoftBits, selected: Bool[Tensor, " rows"]) -> modem.SoftBits:
    """Soft bits of the selected rows."""
    return modem.SoftBits(soft.llr.unflatten(0, (len(selected), -1))[selected].flatten(0, 1), soft.last)
