"""Decoders for 5G NR LDPC blocks: a fast layered decoder, and Sionna's belief propagation as the reference.

The layered decoder works in 8-bit integers, so its result does not depend on the machine or the batch. It exists
compiled for the CPU ("layered") and in PyTorch for any device ("torch"; "layered" selects it for tensors off the CPU).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from channels.arguments import one_of, within
from channels.errors import UsageError
from channels.extras import extra
from channels.modem import ldpc_torch
from channels.modem.ldpc_code import LdpcCode
from channels.modem.ldpc_rule import LIMIT, SCALE

DecoderName = Literal["layered", "torch", "sionna"]

ITERATIONS = 50
"""Default for the largest number of decoder iterations. The thresholds of `mcs_awgn.json` hold for this number. Because
of the early stop, only blocks that nearly fail need so many."""

_SIONNA_KNOWN_ZERO = 20
_BLOCKS_PER_TASK = 64


@dataclass(frozen=True)
class DecodedBlocks:
    """Result of the decoder.

    Args:
        bits: information bits, uint8 [blocks, info_bits].
        ok: whether all parity checks are met, bool [blocks].
        iterations: number of iterations used, int64 [blocks].
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
    """Decode code blocks from the log-likelihood ratios (LLRs) of their circular buffers.

    Layered belief propagation with the A-min* rule: the message to the least reliable bit of a check is the box-plus
    sum of the other bits, the message to every other bit is the box-plus sum of all bits. A block stops as soon as all
    its checks are met.

    Args:
        llr: LLRs ln p(0)/p(1), zero where nothing was received, float32 [blocks, buffer_bits]. They must be finite and
            of correct scale: unlike plain min-sum, the result depends on the scale.
        code: LDPC code of the blocks.
        rows: number of rows of the base graph to use (`code.rows_needed`); None for all. Rows beyond the last received
            bit change nothing but the run time.
        iterations: largest number of iterations; one iteration updates all checks once.
        decoder: "layered", "torch" or "sionna" (flooding boxplus-phi, always all iterations).

    Returns:
        Information bits, parity checks and iterations of each block.

    Raises:
        UsageError: the shape does not fit the code, an argument is out of range, or the decoder is unknown.

    Source: C. Jones et al., "Approximate-MIN* constraint node updating for LDPC code decoding", MILCOM 2003;
        M. M. Mansour and N. R. Shanbhag, "High-throughput LDPC decoders", IEEE Trans. VLSI Systems 11 (2003).

    >>> code = LdpcCode(2, 100)
    >>> word = code.to_buffer(code.encode(np.ones((1, 100), np.uint8)))
    >>> decoded = decode(torch.from_numpy(4.0 - 8.0 * word.astype(np.float32)), code)
    >>> bool(decoded.bits.all()), bool(decoded.ok)
    (True, True)
    """
    if llr.ndim != 2 or llr.shape[1] != code.buffer_bits:
        raise UsageError(f"llr must have the shape [blocks, {code.buffer_bits}], not {tuple(llr.shape)}")
    rows = code.rows if rows is None else rows
    within("rows", rows, 4, code.rows)
    within("iterations", iterations, 1)
    one_of("decoder", decoder, ("layered", "torch", "sionna"))
    if decoder == "sionna":
        return _decode_sionna(llr, code, rows, iterations)
    if decoder == "layered" and llr.device.type == "cpu":
        return _decode_compiled(llr, code, rows, iterations)
    return _decode_torch(llr, code, rows, iterations)


def _decode_compiled(llr: Tensor, code: LdpcCode, rows: int, iterations: int) -> DecodedBlocks:
    from channels.modem.ldpc_kernel import decode_blocks

    source = np.ascontiguousarray(llr.detach().numpy(), np.float32)
    bits = np.empty((len(source), code.info_bits), np.uint8)
    counts = np.empty(len(source), np.int64)
    shape = (code.info_bits - 2 * code.lifting, code.info_bits, code.info_columns)
    tables = _memory_plan(code, rows)

    def run(part: slice) -> None:
        decode_blocks(source[part], shape, code.lifting, *tables, iterations, bits[part], counts[part])

    parts = [slice(start, start + _BLOCKS_PER_TASK) for start in range(0, len(source), _BLOCKS_PER_TASK)]
    threads = min(torch.get_num_threads(), len(parts))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, parts))
    else:
        for part in parts:
            run(part)
    used = torch.from_numpy(counts)
    return DecodedBlocks(torch.from_numpy(bits), used <= iterations, used.clamp(max=iterations))


@lru_cache(maxsize=64)
def _memory_plan(code: LdpcCode, rows: int) -> tuple[NDArray[np.int64], ...]:
    """Row starts, memory addresses of every edge and rotations between iterations: arguments of `decode_blocks`.

    A column is not rotated back after a row has used it: the next row reads it from a start address that includes the
    difference of the rotations. Between iterations a column has the rotation of the last row that used it.
    """
    from channels.modem.ldpc_kernel import column_stride

    z, stride = code.lifting, column_stride(code.lifting)
    rotations = {column: shift for row in code.shifts[:rows] for column, shift in row}
    current = dict(rotations)
    row_start, read_at, write_at, check_at = [0], [], [], []
    for row in code.shifts[:rows]:
        for column, shift in row:
            read_at.append(column * stride + (shift - current[column]) % z)
            write_at.append(column * stride)
            check_at.append(column * stride + (shift - rotations[column]) % z)
            current[column] = shift
        row_start.append(len(read_at))
    resting = [rotations[column] for column in range(code.info_columns + rows)]
    return tuple(np.array(table, np.int64) for table in (row_start, read_at, write_at, check_at, resting))


def _decode_torch(llr: Tensor, code: LdpcCode, rows: int, iterations: int) -> DecodedBlocks:
    quantized = (llr.detach() * SCALE).clamp(-LIMIT, LIMIT).round().to(torch.int16)
    words = _whole_words(quantized, code, LIMIT).reshape(llr.shape[0], code.columns, code.lifting)
    posterior, used = ldpc_torch.decode(words, code, rows, iterations)
    bits = (posterior[:, : code.info_columns].flatten(1)[:, : code.info_bits] < 0).to(torch.uint8)
    return DecodedBlocks(bits, used <= iterations, used.clamp(max=iterations))


def _decode_sionna(llr: Tensor, code: LdpcCode, rows: int, iterations: int) -> DecodedBlocks:
    columns = code.info_columns + rows
    words = _whole_words(llr.detach(), code, _SIONNA_KNOWN_ZERO)[:, : columns * code.lifting]
    # the logits of Sionna are ln p(1)/p(0)
    bits = _sionna_decoder(code, rows, iterations)(-words.cpu()).to(torch.uint8).to(llr.device)
    met = ldpc_torch.checks_met(bits.bool().reshape(-1, columns, code.lifting), code, rows)
    return DecodedBlocks(bits[:, : code.info_bits], met, torch.full_like(met, iterations, dtype=torch.int64))


def _whole_words(buffer: Tensor, code: LdpcCode, known_zero: int) -> Tensor:
    """Insert the bits that are never sent: the punctured columns (unknown, LLR 0) and the fillers (known zeros)."""
    sent = code.info_bits - 2 * code.lifting
    punctured = buffer.new_zeros(buffer.shape[0], 2 * code.lifting)
    fillers = buffer.new_full((buffer.shape[0], code.fillers), known_zero)
    return torch.cat([punctured, buffer[:, :sent], fillers, buffer[:, sent:]], 1)


@lru_cache(maxsize=8)
def _sionna_decoder(code: LdpcCode, rows: int, iterations: int):  # noqa: ANN202 - its type would import Sionna
    from scipy.sparse import csr_matrix

    with extra("sionna"):
        from sionna.phy.fec.ldpc import LDPCBPDecoder

    z, lanes = code.lifting, np.arange(code.lifting)
    edges = [(row, column, shift) for row in range(rows) for column, shift in code.shifts[row]]
    checks = np.concatenate([row * z + lanes for row, _, _ in edges])
    variables = np.concatenate([column * z + (lanes + shift) % z for _, column, shift in edges])
    shape = (rows * z, (code.info_columns + rows) * z)
    matrix = csr_matrix((np.ones(len(checks)), (checks, variables)), shape=shape)
    return LDPCBPDecoder(matrix, cn_update="boxplus-phi", num_iter=iterations, hard_out=True, device="cpu")
