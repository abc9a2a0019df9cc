"""The layered decoder compiled for the processor: 64 checks of a row at once, in saturating 8-bit integers.

Import it late: it brings numba. `_ldpc_torch` is the same algorithm, bit for bit, in plain sight.
"""

# ruff: noqa: ANN001, ANN202, TID253 - numba infers its types, and this module is imported late

from typing import no_type_check

import numba as nb
import numpy as np

from channels._ldpc_rule import CORRECTION, CORRECTION_SHIFT, LIMIT, MESSAGE_LIMIT, SCALE
from channels._ldpc_simd import (
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
    """Bytes that a column of Z posteriors takes: two copies in a row, the second one up to whole vectors."""
    return z + -(-z // LANES) * LANES


@nb.njit(inline="always")
@no_type_check
def _magnitude(value):
    return maximum(value, subtract(splat(0), value))


@nb.njit(inline="always")
@no_type_check
def _box_plus(a, b):
    """ln (1 + e^(a+b)) / (e^a + e^b) for magnitudes, as minimum + f(a + b) - f(|a - b|), f(x) = ln(1 + e^-x)."""
    correction, shift = splat(CORRECTION), splat(CORRECTION_SHIFT)
    least = minimum(a, b)
    gain = subtract_to_zero(correction, shift_right(add(a, b), shift))
    loss = subtract_to_zero(correction, shift_right(subtract(maximum(a, b), least), shift))
    return subtract_to_zero(add(least, gain), loss)


@nb.njit
@no_type_check
def _quantise(value):
    bound = np.float32(LIMIT)
    return np.int8(np.rint(min(max(value * np.float32(SCALE), -bound), bound)))


@nb.njit
@no_type_check
def _fill(posterior, word, llr, code, z, stride, turns):
    """Quantise one block and lay its columns down, each rotated by its turn and written twice in a row."""
    sent_info, info_bits, info_columns = code
    word[: 2 * z] = 0
    for i in range(sent_info):
        word[2 * z + i] = _quantise(llr[i])
    word[info_bits : info_columns * z] = LIMIT
    gap = info_columns * z - sent_info
    for i in range(info_columns * z, len(turns) * z):
        word[i] = _quantise(llr[i - gap])
    for column in range(len(turns)):
        place, source, turn = column * stride, column * z, turns[column]
        for j in range(z - turn):
            posterior[place + j] = word[source + turn + j]
        for j in range(turn):
            posterior[place + z - turn + j] = word[source + j]
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
def _sweep(posterior, messages, incoming, padded, z, row_start, read_at, write_at):
    """Update all rows once, one after the other (A-min* rule)."""
    lowest, message_limit = splat(-LIMIT), splat(MESSAGE_LIMIT)
    for row in range(len(row_start) - 1):
        first, stop = row_start[row], row_start[row + 1]
        # All columns of a row are read before one is written: the writing rotates them.
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
            everything = minimum(_box_plus(rest, least), message_limit)
            store(incoming, (stop - first) * padded + lane, least)
            store(incoming, (stop - first + 1) * padded + lane, minimum(rest, message_limit))
            store(incoming, (stop - first + 2) * padded + lane, everything)
            store(incoming, (stop - first + 3) * padded + lane, sign)
        # Last lanes first: what they spill beyond Z is overwritten by the second copy of the first lanes.
        for lane in range(padded - LANES, -1, -LANES):
            least = load(incoming, (stop - first) * padded + lane)
            rest = load(incoming, (stop - first + 1) * padded + lane)
            everything = load(incoming, (stop - first + 2) * padded + lane)
            sign = load(incoming, (stop - first + 3) * padded + lane)
            for edge in range(first, stop):
                value = load(incoming, (edge - first) * padded + lane)
                size = choose_equal(_magnitude(value), least, rest, everything)
                message = choose_negative(xor(sign, value), subtract(splat(0), size), size)
                store(messages, edge * padded + lane, message)
                value = add(value, message)
                store(posterior, write_at[edge] + lane, value)
                store(posterior, write_at[edge] + z + lane, value)


@nb.njit(nogil=True, cache=True)
@no_type_check
def decode_blocks(llr, code, z, row_start, read_at, write_at, check_at, turns, iterations, bits, sweeps):
    """Decode each row of `llr` into `bits` and `sweeps` (both written).

    Args:
        llr: LLRs of circular buffers, float32 [blocks, buffer_bits].
        code: information bits that are sent, information bits, information columns.
        z: lifting size.
        row_start: first edge of each row and the end of the last, int64 [rows + 1].
        read_at, write_at, check_at: where in the posterior memory each edge's column begins when its row reads it,
            writes it, and when all rows are checked at the end of a sweep, int64 [edges].
        turns: rotation in which each column rests between sweeps, int64 [columns].
        iterations: most sweeps.
        bits: uint8 [blocks, info_bits].
        sweeps: int64 [blocks]; iterations + 1 if the checks were never met.
    """
    padded = (z + LANES - 1) // LANES * LANES
    stride = z + padded
    word = np.zeros(len(turns) * z, np.int8)
    posterior = np.zeros(len(turns) * stride, np.int8)
    messages = np.zeros(row_start[-1] * padded, np.int8)
    incoming = np.zeros(24 * padded, np.int8)  # rows have at most 19 edges; four results come on top
    lanes = np.zeros(padded, np.int8)
    lanes[:z] = -1
    info_bits = code[1]
    for block in range(llr.shape[0]):
        _fill(posterior, word, llr[block], code, z, stride, turns)
        messages[:] = 0
        sweep = 0
        met = _checks_met(posterior, lanes, row_start, check_at)
        while not met and sweep < iterations:
            _sweep(posterior, messages, incoming, padded, z, row_start, read_at, write_at)
            met = _checks_met(posterior, lanes, row_start, check_at)
            sweep += 1
        sweeps[block] = sweep if met else iterations + 1
        for column in range(min(code[2], (info_bits + z - 1) // z)):
            place, target, turn = column * stride, column * z, turns[column]
            source = place + z - turn  # the second copy continues the first, so this is one straight run
            for j in range(min(z, info_bits - target)):
                bits[block, target + j] = posterior[source + j] < 0
