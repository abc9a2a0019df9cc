"""Layered LDPC decoder compiled with numba: 64 checks of a row at once, in saturating 8-bit integers.

Import this module late, because it imports numba. `ldpc_torch` is the same algorithm, bit for bit, and easier to read.
"""

# ruff: noqa: ANN001, ANN202, TID253 - numba infers the types, and this module is imported late

from typing import no_type_check

import numba as nb
import numpy as np

from channels.compiled import compiled
from channels.modem.ldpc_rule import CORRECTION, CORRECTION_SHIFT, LIMIT, MESSAGE_LIMIT, SCALE
from channels.modem.ldpc_simd import (
    LANES,
    add,
    any_negative,
    both,
    choose_equal,
    choose_negative,
    load,
    maximum,
    minimum,
    shift_right,
    splat,
    store,
    subtract,
    subtract_to_zero,
    xor,
)


def column_stride(z: int) -> int:
    """Bytes of a column of Z posteriors in memory: two copies in a row, the second one padded to whole vectors."""
    return z + -(-z // LANES) * LANES


@nb.njit(inline="always")
@no_type_check
def _magnitude(value):
    return maximum(value, subtract(splat(0), value))


@nb.njit(inline="always")
@no_type_check
def _box_plus(a, b):
    """Box-plus of magnitudes, ln (1 + e^(a+b)) / (e^a + e^b) = min + f(a + b) - f(|a - b|) with f(x) = ln(1 + e^-x)."""
    correction, shift = splat(CORRECTION), splat(CORRECTION_SHIFT)
    least = minimum(a, b)
    gain = subtract_to_zero(correction, shift_right(add(a, b), shift))
    loss = subtract_to_zero(correction, shift_right(subtract(maximum(a, b), least), shift))
    return subtract_to_zero(add(least, gain), loss)


@nb.njit
@no_type_check
def _quantize(value):
    bound = np.float32(LIMIT)
    return np.int8(np.rint(min(max(value * np.float32(SCALE), -bound), bound)))


@nb.njit
@no_type_check
def _fill(posterior, word, llr, code, z, stride, rotations):
    """Quantize one block and store its columns, each rotated and written twice in a row."""
    sent_info, info_bits, info_columns = code
    word[: 2 * z] = 0
    for i in range(sent_info):
        word[2 * z + i] = _quantize(llr[i])
    word[info_bits : info_columns * z] = LIMIT
    gap = info_columns * z - sent_info
    for i in range(info_columns * z, len(rotations) * z):
        word[i] = _quantize(llr[i - gap])
    for column in range(len(rotations)):
        place, source, rotation = column * stride, column * z, rotations[column]
        for j in range(z - rotation):
            posterior[place + j] = word[source + rotation + j]
        for j in range(rotation):
            posterior[place + z - rotation + j] = word[source + j]
        for j in range(z):
            posterior[place + z + j] = posterior[place + j]


@nb.njit
@no_type_check
def _checks_met(posterior, lanes, row_start, check_at):
    """Whether the signs of all posteriors satisfy all checks."""
    for row in range(len(row_start) - 1):
        for lane in range(0, len(lanes), LANES):
            parity = splat(0)
            for edge in range(row_start[row], row_start[row + 1]):
                parity = xor(parity, load(posterior, check_at[edge] + lane))
            if any_negative(both(parity, load(lanes, lane))):
                return False
    return True


@nb.njit
@no_type_check
def _iterate(posterior, messages, incoming, padded, z, row_start, read_at, write_at):
    """One iteration: update all rows once, one after the other (A-min* rule)."""
    lowest, message_limit = splat(-LIMIT), splat(MESSAGE_LIMIT)
    for row in range(len(row_start) - 1):
        first, stop = row_start[row], row_start[row + 1]
        # read all columns of a row before writing one, because writing rotates them
        for lane in range(0, padded, LANES):
            least, rest, sign = splat(LIMIT), splat(LIMIT), splat(0)
            for edge in range(first, stop):
                value = subtract(load(posterior, read_at[edge] + lane), load(messages, edge * padded + lane))
                value = maximum(value, lowest)
                store(incoming, (edge - first) * padded + lane, value)
                magnitude = _magnitude(value)
                sign = xor(sign, value)
                rest = _box_plus(rest, maximum(least, magnitude))
                least = minimum(least, magnitude)
            total = minimum(_box_plus(rest, least), message_limit)
            store(incoming, (stop - first) * padded + lane, least)
            store(incoming, (stop - first + 1) * padded + lane, minimum(rest, message_limit))
            store(incoming, (stop - first + 2) * padded + lane, total)
            store(incoming, (stop - first + 3) * padded + lane, sign)
        # last lanes first: the second copy of the first lanes overwrites what they write beyond Z
        for lane in range(padded - LANES, -1, -LANES):
            least = load(incoming, (stop - first) * padded + lane)
            rest = load(incoming, (stop - first + 1) * padded + lane)
            total = load(incoming, (stop - first + 2) * padded + lane)
            sign = load(incoming, (stop - first + 3) * padded + lane)
            for edge in range(first, stop):
                value = load(incoming, (edge - first) * padded + lane)
                size = choose_equal(_magnitude(value), least, rest, total)
                message = choose_negative(xor(sign, value), subtract(splat(0), size), size)
                store(messages, edge * padded + lane, message)
                value = add(value, message)
                store(posterior, write_at[edge] + lane, value)
                store(posterior, write_at[edge] + z + lane, value)


@compiled(nogil=True)
@no_type_check
def decode_blocks(llr, code, z, row_start, read_at, write_at, check_at, rotations, limit, bits, iterations) -> None:
    """Decode each row of `llr`; write the results to `bits` and `iterations`.

    Args:
        llr: LLRs of circular buffers, float32 [blocks, buffer_bits].
        code: number of information bits that are sent, of information bits, and of information columns.
        z: lifting size.
        row_start: first edge of each row and the end of the last row, int64 [rows + 1].
        read_at, write_at, check_at: start address of each edge's column in the posterior memory when its row reads it,
            writes it, and when all rows are checked after an iteration, int64 [edges].
        rotations: rotation of each column between iterations, int64 [columns].
        limit: largest number of iterations.
        bits: decoded information bits, uint8 [blocks, info_bits].
        iterations: number of iterations used, int64 [blocks]; limit + 1 if the checks were never met.
    """
    padded = (z + LANES - 1) // LANES * LANES
    stride = z + padded
    word = np.zeros(len(rotations) * z, np.int8)
    posterior = np.zeros(len(rotations) * stride, np.int8)
    messages = np.zeros(row_start[-1] * padded, np.int8)
    incoming = np.zeros(24 * padded, np.int8)  # a row has at most 19 edges, and four results are stored after them
    lanes = np.zeros(padded, np.int8)
    lanes[:z] = -1
    info_bits = code[1]
    for block in range(llr.shape[0]):
        _fill(posterior, word, llr[block], code, z, stride, rotations)
        messages[:] = 0
        iteration = 0
        met = _checks_met(posterior, lanes, row_start, check_at)
        while not met and iteration < limit:
            _iterate(posterior, messages, incoming, padded, z, row_start, read_at, write_at)
            met = _checks_met(posterior, lanes, row_start, check_at)
            iteration += 1
        iterations[block] = iteration if met else limit + 1
        for column in range(min(code[2], (info_bits + z - 1) // z)):
            place, target, rotation = column * stride, column * z, rotations[column]
            source = place + z - rotation  # the second copy continues the first: one contiguous run
            for j in range(min(z, info_bits - target)):
                bits[block, target + j] = posterior[source + j] < 0
