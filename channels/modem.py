"""Bits to symbols and back: CRC, segmentation, 5G LDPC, rate matching, scrambling, QAM (3GPP TS 38.211, 38.212).

A digital transmitter calls `encode`, its receiver `decode`; `transport_uses` and `transport_bits` say what fits, and
`choose` picks a modulation and coding scheme for an SNR.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from channels import _crc, ldpc
from channels import _ldpc_rate as rate
from channels._errors import UsageError
from channels._mcs import NR_TABLE_2, Waterfall, choose, waterfalls
from channels._qam import demap, map_bits
from channels._scrambling import scrambling_bits
from channels._transport import HIGHEST_RATE, Mcs, Segmentation, segment, transport_bits, transport_uses

__all__ = [
    "NR_TABLE_2",
    "Decoded",
    "Mcs",
    "SoftBits",
    "Waterfall",
    "bits_to_bytes",
    "bytes_to_bits",
    "choose",
    "decode",
    "demap",
    "encode",
    "map_bits",
    "transport_bits",
    "transport_uses",
    "waterfalls",
]


@dataclass(frozen=True)
class SoftBits:
    """What earlier transmissions left behind: LLRs [rows * blocks, buffer_bits] and the last position received."""

    llr: Tensor
    last: int


@dataclass(frozen=True)
class Decoded:
    """A decoded transport block (leading axes as those of the symbols).

    bits: payload, uint8 [..., info_bits], right where `ok`.
    ok: transport CRC (and every block's) met, bool [...].
    block_ok: CRC of each code block met, by a word that the LLRs speak for, bool [..., blocks].
    iterations: sweeps each block took, int64 [..., blocks].
    soft: hand it to the `decode` of a retransmission.
    """

    bits: Tensor
    ok: Tensor
    block_ok: Tensor
    iterations: Tensor
    soft: SoftBits


def bytes_to_bits(data: bytes) -> Tensor:
    """Bits of a byte string, most significant first, uint8 [8 * bytes].

    >>> bytes_to_bits(b"A").tolist()
    [0, 1, 0, 0, 0, 0, 0, 1]
    """
    return torch.from_numpy(np.unpackbits(np.frombuffer(data, np.uint8)))


def bits_to_bytes(bits: Tensor) -> bytes:
    """Inverse of `bytes_to_bits`; the number of bits [n] must be a multiple of 8.

    >>> bits_to_bytes(bytes_to_bits(b"semcom"))
    b'semcom'
    """
    if bits.ndim != 1 or bits.shape[0] % 8:
        raise UsageError(f"bits of shape {tuple(bits.shape)} are not whole bytes: give [8 * bytes]")
    return np.packbits(bits.cpu().numpy()).tobytes()


def encode(bits: Tensor, mcs: Mcs, uses: int, rv: int = 0) -> Tensor:
    """Turn payloads into symbols of unit expected energy that fill exactly `uses` channel uses.

    CRC, segmentation, LDPC code, rate matching, fixed scrambling, QAM.

    Args:
        bits: payloads, 0 or 1, uint8 [..., info_bits].
        mcs: modulation and coding scheme; its rate chooses the base graph, `uses` the rate that is really sent.
        uses: channel uses, normally `transport_uses(info_bits, mcs)`; more are filled with redundancy.
        rv: redundancy version, 0 for the first transmission; for incremental redundancy NR sends 0, 2, 3, 1.

    Returns:
        Symbols, complex64 [..., uses], on the device of the bits.

    Raises:
        UsageError: the payload does not fit.

    Source: 3GPP TS 38.212, clause 7.2; TS 38.211, clauses 7.3.1.1 and 7.3.1.2.

    >>> payload = bytes_to_bits(b"hello, world")
    >>> mcs = Mcs(2, 0.3)
    >>> symbols = encode(payload, mcs, transport_uses(96, mcs))
    >>> bits_to_bytes(decode(symbols, 0.1, mcs, info_bits=96).bits)
    b'hello, world'
    """
    if bits.ndim < 1 or bits.dtype != torch.uint8:
        raise UsageError(f"payload bits are uint8 [..., info_bits], not {bits.dtype} {tuple(bits.shape)}")
    plan = _plan(bits.shape[-1], mcs, uses, rv)
    payload = bits.reshape(-1, bits.shape[-1]).cpu().numpy()
    blocks = plan.cut(payload).reshape(-1, plan.code.info_bits)
    buffer = plan.code.to_buffer(plan.code.encode(blocks))
    parts = [
        rate.match(buffer[block :: plan.blocks], plan.code, length, mcs.bits_per_symbol, rv)
        for block, length in enumerate(rate.coded_bits(uses * mcs.bits_per_symbol, plan.blocks, mcs.bits_per_symbol))
    ]
    coded = np.concatenate(parts, axis=1) ^ scrambling_bits(uses * mcs.bits_per_symbol)
    return map_bits(torch.from_numpy(coded), mcs.bits_per_symbol).reshape(*bits.shape[:-1], uses).to(bits.device)


def decode(
    symbols: Tensor,
    noise_var: Tensor | float,
    mcs: Mcs,
    info_bits: int,
    rv: int = 0,
    soft: SoftBits | None = None,
    method: Literal["exact", "max_log"] = "exact",
    decoder: ldpc.DecoderName = "layered",
    iterations: int = ldpc.ITERATIONS,
) -> Decoded:
    """Turn received symbols back into payloads, all code blocks of all rows in one call of the decoder.

    Zeros are a code word with a valid CRC, and what a decoder makes of silence. A block of zeros therefore counts as
    decoded only if the LLRs hold as many bits of evidence for it as its CRC has: sum log2(2 / (1 + e^-LLR)) >= L. Noise
    alone reaches that with probability 2^-L at most, as it meets the CRC of any other word.

    Args:
        symbols: unbiased received symbols, complex64 [..., uses].
        noise_var: complex noise variance of each symbol (linear), float32, broadcastable to [..., uses].
        mcs: modulation and coding scheme, as sent.
        info_bits: payload, bits.
        rv: redundancy version of this transmission.
        soft: `Decoded.soft` of earlier transmissions of the same payloads; its LLRs are added.
        method: "exact" or "max_log" demapping.
        decoder: "layered" (ours) or "sionna" (reference).
        iterations: most decoder sweeps; a block stops when its checks are met.

    Returns:
        Payloads with their checks.

    Raises:
        UsageError: the shapes do not belong together.

    Source: 3GPP TS 38.212, clause 7.2, run backwards.
    """
    if symbols.ndim < 1:
        raise UsageError("received symbols are [..., uses], not one number")
    uses, shape = symbols.shape[-1], symbols.shape[:-1]
    plan = _plan(info_bits, mcs, uses, rv)
    llr = demap(symbols, noise_var, mcs.bits_per_symbol, method).reshape(-1, uses * mcs.bits_per_symbol)
    flips = torch.from_numpy(scrambling_bits(llr.shape[1])).to(llr.device)
    llr = torch.where(flips.bool(), -llr, llr)
    lengths = rate.coded_bits(llr.shape[1], plan.blocks, mcs.bits_per_symbol)
    parts = [rate.recover(part, plan.code, mcs.bits_per_symbol, rv) for part in llr.split(lengths, 1)]
    buffer = torch.stack(parts, 1).flatten(0, 1)
    last = rate.last_position(plan.code, max(lengths), rv)
    if soft is not None:
        if soft.llr.shape != buffer.shape:
            raise UsageError(
                f"soft bits of shape {tuple(soft.llr.shape)} belong to other payloads, not {tuple(buffer.shape)}"
            )
        buffer, last = buffer + soft.llr, max(last, soft.last)
    found = ldpc.decode(buffer, plan.code, plan.code.rows_needed(last), iterations, decoder)
    blocks = found.bits.reshape(-1, plan.blocks, plan.code.info_bits).cpu().numpy()
    payload, ok, block_ok = (torch.from_numpy(part).to(symbols.device) for part in plan.join(blocks))
    check_bits = _crc.crc_bits("24B" if plan.blocks > 1 else plan.transport_crc)
    heard = _heard(found.bits.to(buffer.device), buffer, check_bits).reshape(-1, plan.blocks).to(symbols.device)
    return Decoded(
        payload.reshape(*shape, info_bits),
        (ok & heard.all(1)).reshape(shape),
        (block_ok & heard).reshape(*shape, plan.blocks),
        found.iterations.reshape(*shape, plan.blocks),
        SoftBits(buffer, last),
    )


def _heard(bits: Tensor, llr: Tensor, evidence_bits: int) -> Tensor:
    """Blocks that are not zeros made of nothing, bool [blocks].

    The likelihood ratio of the zero word to coin flips, prod 2 / (1 + e^-LLR), has mean 1 under noise alone, whose LLRs
    are symmetric; so it exceeds 2^L with probability 2^-L at most (Markov's inequality). For a word that was sent there
    are as many bits of evidence as information bits, or it could not be told from the others.

    Args:
        bits: decoded information bits, uint8 [blocks, info_bits].
        llr: of the circular buffers, float32 [blocks, buffer_bits].
        evidence_bits: L.
    """
    heard = torch.ones(len(bits), dtype=torch.bool, device=bits.device)
    zeros = (bits == 0).all(1)
    evidence = (1 - functional.softplus(-llr[zeros].double()) / math.log(2)).sum(1)
    heard[zeros] = evidence >= evidence_bits
    return heard


def _plan(info_bits: int, mcs: Mcs, uses: int, rv: int) -> Segmentation:
    plan = segment(info_bits, mcs)
    room = HIGHEST_RATE * uses * mcs.bits_per_symbol
    if (rv == 0 and plan.total_bits > room + 1) or uses < plan.blocks:
        raise UsageError(
            f"{info_bits} bits do not fit in {uses} uses of {mcs.bits_per_symbol} bits: at this code rate they need "
            f"{transport_uses(info_bits, mcs)} (transport_uses)"
        )
    return plan
