"""Hybrid automatic repeat request: rounds of redundancy, decoded one after the other until the CRC is met.

Every round crosses the channel, because what a receiver needs is known only after decoding; those that it did not need
are not charged. Acknowledgements are one bit a round, arrive without error, and are not charged either.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Int, UInt8
from torch import Tensor

from channels import modem
from channels._errors import UsageError
from semcom.systems._interleaver import interleaver

MOST_ROUNDS = 16
_VERSIONS = {"none": (0,), "chase": (0,), "incremental": (0, 2, 3, 1)}  # NR's order


@dataclass(frozen=True)
class Rounds:
    """How granted uses are divided: the header and an equal share each round, what is left over is not sent.

    Each round is interleaved in itself: it ends before the next begins, and later rounds meet later fades.

    Args:
        versions: redundancy version of each round.
        header_uses: in front of the data of the first round.

    >>> rounds = Rounds((0, 2, 3, 1), header_uses=64)
    >>> rounds.share(1003), rounds.first(1003), rounds.spent(1003)
    (234, 298, 1000)
    """

    versions: tuple[int, ...]
    header_uses: int = 0

    def share(self, granted: int) -> int:
        """Uses of the data of each round."""
        return max(0, granted - self.header_uses) // len(self.versions)

    def first(self, granted: int) -> int:
        """Uses of the first round, its header included: what a scheme is chosen for."""
        return min(granted, self.header_uses + self.share(granted))

    def spent(self, granted: int) -> int:
        """Uses of all rounds."""
        return self.first(granted) + (len(self.versions) - 1) * self.share(granted)

    def order(self, granted: int) -> Int[Tensor, " uses"]:
        """Position on the air of each symbol of header and rounds, in the order in which they were coded."""
        first, share = self.first(granted), self.share(granted)
        later = [first + number * share + interleaver(share) for number in range(len(self.versions) - 1)]
        return torch.cat([interleaver(first), *later])


@dataclass(frozen=True)
class Combined:
    """What the rounds came to.

    Args:
        bits: payload after the last round that was needed, uint8 [rows, info_bits], right where `ok`.
        ok: transport CRC met, bool [rows].
        block_ok: CRC of each code block met after the last round that was needed, bool [rows, blocks].
        rounds: int64 [rows], rounds that were needed; all of them where the CRC was never met.
    """

    bits: UInt8[Tensor, "rows info_bits"]
    ok: Bool[Tensor, " rows"]
    block_ok: Bool[Tensor, "rows blocks"]
    rounds: Int[Tensor, " rows"]


def versions(harq: str, rounds: int) -> tuple[int, ...]:
    """Redundancy version of each round: 0 again and again, or NR's 0, 2, 3, 1.

    Args:
        harq: "none", "chase" or "incremental"; none has one round, whatever `rounds` says.
        rounds: how many may be sent.

    Source: 3GPP TS 38.214, clause 5.1.2.1; TS 38.212, clause 5.4.2.1.

    >>> versions("incremental", 6)
    (0, 2, 3, 1, 0, 2)
    """
    if harq not in _VERSIONS:
        raise UsageError(f"harq must be none, chase or incremental, not {harq!r}")
    if not 1 <= rounds <= MOST_ROUNDS:
        raise UsageError(f"rounds must be 1 to {MOST_ROUNDS}, not {rounds}")
    cycle = _VERSIONS[harq]
    return tuple(cycle[number % len(cycle)] for number in range(1 if harq == "none" else rounds))


def encode(
    payloads: UInt8[Tensor, "rows info_bits"], mcs: modem.Mcs, share: int, versions: tuple[int, ...]
) -> Complex[Tensor, "rows uses"]:
    """The symbols of all rounds, one after the other, `share` uses each."""
    return torch.cat([modem.encode(payloads, mcs, share, rv) for rv in versions], 1)


def decode(
    symbols: Complex[Tensor, "rows uses"],
    noise_var: Float[Tensor, "rows uses"],
    mcs: modem.Mcs,
    info_bits: int,
    versions: tuple[int, ...],
) -> Combined:
    """Decode round after round, the LLRs of earlier rounds added, and stop each row where its CRC is met.

    Chase combining of n equal rounds is a gain of 10 log10(n) dB; rounds of other versions also lower the code rate.

    Args:
        symbols: of all rounds, unbiased, complex64.
        noise_var: complex noise variance of each symbol.
        mcs: modulation and coding scheme of a round.
        info_bits: payload, bits.
        versions: redundancy version of each round.

    Source: D. Chase, "Code combining", IEEE Trans. Commun. 33(5), 1985; Frenger, Parkvall and Dahlman, "Performance
        comparison of HARQ with Chase combining and incremental redundancy for HSDPA", VTC Fall 2001.

    >>> sent = encode(modem.bytes_to_bits(b"hello, world")[None], modem.Mcs(2, 0.5), 112, (0, 2))
    >>> decode(sent, torch.full((1, 224), 0.1), modem.Mcs(2, 0.5), 96, (0, 2)).rounds.tolist()
    [1]
    """
    shares = list(zip(symbols.chunk(len(versions), 1), noise_var.chunk(len(versions), 1), versions, strict=True))
    found = modem.decode(*shares[0][:2], mcs, info_bits, versions[0])
    bits, block_ok, ok = found.bits.clone(), found.block_ok.clone(), found.ok.clone()
    rounds = torch.ones(len(symbols), dtype=torch.int64)
    missing, soft = torch.arange(len(symbols)), found.soft
    for heard, noise, rv in shares[1:]:
        failed = ~ok[missing]
        missing = missing[failed]
        if not len(missing):
            break
        found = modem.decode(heard[missing], noise[missing], mcs, info_bits, rv, _rows(soft, failed))
        bits[missing], block_ok[missing], ok[missing] = found.bits, found.block_ok, found.ok
        rounds[missing] += 1
        soft = found.soft
    return Combined(bits, ok, block_ok, rounds)


def _rows(soft: modem.SoftBits, kept: Bool[Tensor, " rows"]) -> modem.SoftBits:
    """The soft bits of those rows that go on."""
    return modem.SoftBits(soft.llr.unflatten(0, (len(kept), -1))[kept].flatten(0, 1), soft.last)
