"""Decoding of 5G NR LDPC blocks: a fast layered decoder, and Sionna's belief propagation as the reference.

The layered decoder works in 8-bit integers, so its result is the same on every machine and in any batch, whether it is
compiled ("layered", on processors) or in PyTorch ("torch", on any device, and what "layered" means off the processor).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from channels import _ldpc_torch
from channels._errors import UsageError
from channels._ldpc_code import LdpcCode
from channels._ldpc_rule import LIMIT, SCALE

DecoderName = Literal["layered", "torch", "sionna"]

ITERATIONS = 50
"""Most sweeps, unless told otherwise. The thresholds of `mcs_awgn.json` hold for this number; with the early stop only
blocks that are about to fail take so many."""

_SIONNA_KNOWN_ZERO = 20
_BLOCKS_PER_TASK = 64


@dataclass(frozen=True)
class DecodedBlocks:
    """What the decoder found.

    bits: information bits, uint8 [blocks, info_bits].
    ok: all parity checks met, bool [blocks].
    iterations: sweeps taken, int64 [blocks].
    """

    bits: Tensor
    ok: Tensor
    iterations: Tensor


def decode(
    llr: Tensor,
    code: LdpcCode,
    rows: int | None = None,
    iterations: int = ITERATIONS,
    decoder: DecoderName = "layered",
) -> DecodedBlocks:
    """Decode code blocks from the LLRs of their circular buffers.

    Layered belief propagation with the A-min* check rule: the least reliable bit of a check hears the box-plus sum of
    the others, every other bit the box-plus sum of all. A block stops as soon as its checks are met.

    Args:
        llr: ln p(0)/p(1), zero where nothing was received, float32 [blocks, buffer_bits]. Finite and in natural units:
            unlike plain min-sum the rule is not indifferent to scale.
        code: the code.
        rows: rows of the base graph to use (`code.rows_needed`); all by default. Rows beyond the last received bit only
            cost time.
        iterations: most sweeps over the checks.
        decoder: "layered", "torch" or "sionna" (flooding boxplus-phi, always all iterations).

    Returns:
        Bits, checks and sweeps.

    Raises:
        UsageError: the shape does not fit the code, or the decoder is unknown.

    Source: C. Jones et al., "Approximate-MIN* constraint node updating for LDPC code decoding", MILCOM 2003;
        M. M. Mansour and N. R. Shanbhag, "High-throughput LDPC decoders", IEEE Trans. VLSI Systems 11 (2003).

    >>> code = LdpcCode(2, 100)
    >>> word = code.to_buffer(code.encode(np.ones((1, 100), np.uint8)))
    >>> found = decode(torch.from_numpy(4.0 - 8.0 * word.astype(np.float32)), code)
    >>> bool(found.bits.all()), bool(found.ok)
    (True, True)
    """
    if llr.ndim != 2 or llr.shape[1] != code.buffer_bits:
        raise UsageError(f"the decoder wants [blocks, {code.buffer_bits}] LLRs, not {tuple(llr.shape)}")
    rows = code.rows if rows is None else rows
    if not 4 <= rows <= code.rows:
        raise UsageError(f"base graph {code.base_graph} has 4 to {code.rows} usable rows, not {rows}")
    if iterations < 1:
        raise UsageError(f"the decoder needs at least one iteration, not {iterations}")
    if decoder == "sionna":
        return _decode_sionna(llr, code, rows, iterations)
    if decoder not in ("layered", "torch"):
        raise UsageError(f'decoder {decoder!r} is unknown: use "layered", "torch" or "sionna"')
    if decoder == "layered" and llr.device.type == "cpu":
        return _decode_compiled(llr, code, rows, iterations)
    return _decode_torch(llr, code, rows, iterations)


def _decode_compiled(llr: Tensor, code: LdpcCode, rows: int, iterations: int) -> DecodedBlocks:
    from channels._ldpc_kernel import decode_blocks

    source = np.ascontiguousarray(llr.detach().numpy(), np.float32)
    bits = np.empty((len(source), code.info_bits), np.uint8)
    sweeps = np.empty(len(source), np.int64)
    shape = (code.info_bits - 2 * code.lifting, code.info_bits, code.info_columns)
    tables = _memory_plan(code, rows)

    def run(part: slice) -> None:
        decode_blocks(source[part], shape, code.lifting, *tables, iterations, bits[part], sweeps[part])

    parts = [slice(start, start + _BLOCKS_PER_TASK) for start in range(0, len(source), _BLOCKS_PER_TASK)]
    threads = min(torch.get_num_threads(), len(parts))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, parts))
    else:
        for part in parts:
            run(part)
    found = torch.from_numpy(sweeps)
    return DecodedBlocks(torch.from_numpy(bits), found <= iterations, found.clamp(max=iterations))


@lru_cache(maxsize=64)
def _memory_plan(code: LdpcCode, rows: int) -> tuple[NDArray[np.int64], ...]:
    """Row starts, addresses of every edge and resting rotations: the arguments of `decode_blocks` of these names.

    A column is never turned back after a row has used it: the next row reads it from a start that makes up the
    difference. So a column always rests in the rotation of the last row that used it.
    """
    from channels._ldpc_kernel import column_stride

    z, stride = code.lifting, column_stride(code.lifting)
    turns = {column: shift for row in code.shifts[:rows] for column, shift in row}
    current = dict(turns)
    row_start, read_at, write_at, check_at = [0], [], [], []
    for row in code.shifts[:rows]:
        for column, shift in row:
            read_at.append(column * stride + (shift - current[column]) % z)
            write_at.append(column * stride)
            check_at.append(column * stride + (shift - turns[column]) % z)
            current[column] = shift
        row_start.append(len(read_at))
    resting = [turns[column] for column in range(code.info_columns + rows)]
    return tuple(np.array(table, np.int64) for table in (row_start, read_at, write_at, check_at, resting))


def _decode_torch(llr: Tensor, code: LdpcCode, rows: int, iterations: int) -> DecodedBlocks:
    quantised = (llr.detach() * SCALE).clamp(-LIMIT, LIMIT).round().to(torch.int16)
    words = _whole_words(quantised, code, LIMIT).reshape(llr.shape[0], code.columns, code.lifting)
    posterior, sweeps = _ldpc_torch.decode(words, code, rows, iterations)
    bits = (posterior[:, : code.info_columns].flatten(1)[:, : code.info_bits] < 0).to(torch.uint8)
    return DecodedBlocks(bits, sweeps <= iterations, sweeps.clamp(max=iterations))


def _decode_sionna(llr: Tensor, code: LdpcCode, rows: int, iterations: int) -> DecodedBlocks:
    columns = code.info_columns + rows
    words = _whole_words(llr.detach(), code, _SIONNA_KNOWN_ZERO)[:, : columns * code.lifting]
    # Sionna's logits are ln p(1)/p(0).
    bits = _sionna_decoder(code, rows, iterations)(-words).to(torch.uint8)
    met = _ldpc_torch.checks_met(bits.bool().reshape(-1, columns, code.lifting), code, rows)
    return DecodedBlocks(bits[:, : code.info_bits], met, torch.full(met.shape, iterations))


def _whole_words(buffer: Tensor, code: LdpcCode, known_zero: int) -> Tensor:
    """Put back what is never sent: the punctured columns (unknown) and the fillers (known zeros)."""
    sent = code.info_bits - 2 * code.lifting
    punctured = buffer.new_zeros(buffer.shape[0], 2 * code.lifting)
    fillers = buffer.new_full((buffer.shape[0], code.fillers), known_zero)
    return torch.cat([punctured, buffer[:, :sent], fillers, buffer[:, sent:]], 1)


@lru_cache(maxsize=8)
def _sionna_decoder(code: LdpcCode, rows: int, iterations: int):  # noqa: ANN202 - its type would import Sionna
    from scipy.sparse import csr_matrix
    from sionna.phy.fec.ldpc import LDPCBPDecoder

    z, lanes = code.lifting, np.arange(code.lifting)
    edges = [(row, column, shift) for row in range(rows) for column, shift in code.shifts[row]]
    checks = np.concatenate([row * z + lanes for row, _, _ in edges])
    variables = np.concatenate([column * z + (lanes + shift) % z for _, column, shift in edges])
    shape = (rows * z, (code.info_columns + rows) * z)
    matrix = csr_matrix((np.ones(len(checks)), (checks, variables)), shape=shape)
    return LDPCBPDecoder(matrix, cn_update="boxplus-phi", num_iter=iterations, hard_out=True, device="cpu")
