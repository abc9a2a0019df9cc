"""Transport blocks: CRC, segmentation, 5G LDPC, rate matching, scrambling and QAM (3GPP TS 38.211, 38.212).

A digital transmitter calls `encode`, its receiver `decode`. `transport_uses` is the number of channel uses of a
payload, `transport_bits` the largest payload of a number of uses, and `choose` selects a scheme for an SNR.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from channels.errors import UsageError
from channels.modem import crc, ldpc, ldpc_rate
from channels.modem.bits import bits_to_bytes, bytes_to_bits
from channels.modem.mcs import NR_TABLE_2, Waterfall, choose, waterfalls
from channels.modem.qam import demap, map_bits
from channels.modem.scrambling import scrambling_bits
from channels.modem.transport import HIGHEST_RATE, Mcs, Segmentation, segment, transport_bits, transport_uses
from channels.precision import in_double

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
    """Received soft information of earlier transmissions.

    Args:
        llr: LLRs of the circular buffers, float32 [rows * blocks, buffer_bits].
        last: last position of the buffer that was received.
    """

    llr: Tensor
    last: int


@dataclass(frozen=True)
class Decoded:
    """Decoded transport blocks; the leading dimensions are those of the symbols.

    Args:
        bits: decoded payload, uint8 [..., info_bits]; correct where `ok` is true.
        ok: whether the CRCs of the transport block and of all its code blocks are met, bool [...].
        block_ok: whether the CRC of each code block is met and the LLRs support the decoded word, bool [..., blocks].
        iterations: number of decoder iterations of each block, int64 [..., blocks].
        soft: soft information for the `decode` of a retransmission.
    """

    bits: Tensor
    ok: Tensor
    block_ok: Tensor
    iterations: Tensor
    soft: SoftBits


def encode(bits: Tensor, mcs: Mcs, uses: int, rv: int = 0) -> Tensor:
    """Encode payloads into symbols of unit expected energy that fill exactly `uses` channel uses.

    Steps: CRC, segmentation, LDPC code, rate matching, fixed scrambling, QAM.

    Args:
        bits: payload bits, 0 or 1, uint8 [..., info_bits].
        mcs: modulation and coding scheme; its rate selects the base graph, `uses` determines the transmitted rate.
        uses: number of channel uses, normally `transport_uses(info_bits, mcs)`; more are filled with redundancy.
        rv: redundancy version, 0 for the first transmission; the NR order for incremental redundancy is 0, 2, 3, 1.

    Returns:
        Symbols, complex64 [..., uses], on the device of the bits.

    Raises:
        UsageError: the payload does not fit, or has the wrong type.

    Source: 3GPP TS 38.212, clause 7.2; TS 38.211, clauses 7.3.1.1 and 7.3.1.2.

    >>> payload = bytes_to_bits(b"hello, world")
    >>> mcs = Mcs(2, 0.3)
    >>> symbols = encode(payload, mcs, transport_uses(96, mcs))
    >>> bits_to_bytes(decode(symbols, 0.1, mcs, info_bits=96).bits)
    b'hello, world'
    """
    if bits.ndim < 1 or bits.dtype != torch.uint8:
        raise UsageError(f"payload bits must be uint8 [..., info_bits], not {bits.dtype} {tuple(bits.shape)}")
    plan = _plan(bits.shape[-1], mcs, uses, rv)
    payload = bits.reshape(-1, bits.shape[-1]).cpu().numpy()
    blocks = plan.cut(payload).reshape(-1, plan.code.info_bits)
    buffer = plan.code.to_buffer(plan.code.encode(blocks))
    parts = [
        ldpc_rate.match(buffer[block :: plan.blocks], plan.code, length, mcs.bits_per_symbol, rv)
        for block, length in enumerate(
            ldpc_rate.coded_bits(uses * mcs.bits_per_symbol, plan.blocks, mcs.bits_per_symbol)
        )
    ]
    coded = np.concatenate(parts, axis=1) ^ scrambling_bits(uses * mcs.bits_per_symbol)
    return map_bits(torch.from_numpy(coded).to(bits.device), mcs.bits_per_symbol).reshape(*bits.shape[:-1], uses)


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
    """Decode received symbols into payloads; all code blocks of all rows are decoded in one call.

    The all-zero word is a code word with a valid CRC, and it is also the result of decoding LLRs near zero. A block of
    zeros therefore counts as decoded only if the LLRs support it with at least as many bits as its CRC has,
    sum log2(2 / (1 + e^-LLR)) >= L. For noise alone this has a probability of at most 2^-L, like a valid CRC of any
    other word.

    Args:
        symbols: received symbols, equalized without bias, complex64 [..., uses].
        noise_var: noise variance of each symbol, linear, float32, broadcastable to [..., uses].
        mcs: modulation and coding scheme of the transmission.
        info_bits: number of payload bits.
        rv: redundancy version of this transmission.
        soft: `Decoded.soft` of earlier transmissions of the same payloads; their LLRs are added.
        method: demapping method, "exact" or "max_log".
        decoder: "layered" (default), "torch" (the same in PyTorch) or "sionna" (reference).
        iterations: largest number of decoder iterations; a block stops when its checks are met.

    Returns:
        Payloads with the results of their CRCs.

    Raises:
        UsageError: the shapes do not fit together.

    Source: 3GPP TS 38.212, clause 7.2, in reverse order.
    """
    if symbols.ndim < 1:
        raise UsageError("received symbols must have the shape [..., uses], not a single number")
    uses, shape = symbols.shape[-1], symbols.shape[:-1]
    plan = _plan(info_bits, mcs, uses, rv)
    llr = demap(symbols, noise_var, mcs.bits_per_symbol, method).reshape(-1, uses * mcs.bits_per_symbol)
    flips = torch.from_numpy(scrambling_bits(llr.shape[1])).to(llr.device)
    llr = torch.where(flips.bool(), -llr, llr)
    lengths = ldpc_rate.coded_bits(llr.shape[1], plan.blocks, mcs.bits_per_symbol)
    parts = [ldpc_rate.recover(part, plan.code, mcs.bits_per_symbol, rv) for part in llr.split(lengths, 1)]
    buffer = torch.stack(parts, 1).flatten(0, 1)
    last = ldpc_rate.last_position(plan.code, max(lengths), rv)
    if soft is not None:
        if soft.llr.shape != buffer.shape:
            raise UsageError(
                f"soft bits must have the shape {tuple(buffer.shape)} of these payloads, not {tuple(soft.llr.shape)}"
            )
        buffer, last = buffer + soft.llr, max(last, soft.last)
    decoded = ldpc.decode(buffer, plan.code, plan.code.rows_needed(last), iterations, decoder)
    blocks = decoded.bits.reshape(-1, plan.blocks, plan.code.info_bits).cpu().numpy()
    payload, ok, block_ok = (torch.from_numpy(part).to(symbols.device) for part in plan.join(blocks))
    check_bits = crc.crc_bits("24B" if plan.blocks > 1 else plan.transport_crc)
    supported = _supported(decoded.bits, buffer, check_bits).reshape(-1, plan.blocks)
    return Decoded(
        payload.reshape(*shape, info_bits),
        (ok & supported.all(1)).reshape(shape),
        (block_ok & supported).reshape(*shape, plan.blocks),
        decoded.iterations.reshape(*shape, plan.blocks),
        SoftBits(buffer, last),
    )


def _supported(bits: Tensor, llr: Tensor, evidence_bits: int) -> Tensor:
    """Whether the LLRs support each block: false for all-zero blocks decoded from noise alone, bool [blocks].

    The likelihood ratio of the zero word to random bits, prod 2 / (1 + e^-LLR), has mean 1 under noise alone, whose
    LLRs are symmetric; by Markov's inequality it exceeds 2^L with probability 2^-L at most. A zero word that was sent
    has about as many bits of evidence as information bits, because otherwise it could not be decoded.

    Args:
        bits: decoded information bits, uint8 [blocks, info_bits].
        llr: LLRs of the circular buffers, float32 [blocks, buffer_bits].
        evidence_bits: required evidence L in bits.
    """
    supported = torch.ones(len(bits), dtype=torch.bool, device=bits.device)
    zeros = (bits == 0).all(1)
    evidence = (1 - functional.softplus(-in_double(llr[zeros])) / math.log(2)).sum(1)
    supported[zeros] = (evidence >= evidence_bits).to(supported.device)
    return supported


def _plan(info_bits: int, mcs: Mcs, uses: int, rv: int) -> Segmentation:
    plan = segment(info_bits, mcs)
    room = HIGHEST_RATE * uses * mcs.bits_per_symbol
    if (rv == 0 and plan.total_bits > room + 1) or uses < plan.blocks:
        raise UsageError(
            f"{info_bits} bits do not fit in {uses} channel uses of {mcs.bits_per_symbol} bits: use "
            f"{transport_uses(info_bits, mcs)} or more"
        )
    return plan
