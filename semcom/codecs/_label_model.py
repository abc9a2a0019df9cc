"""Entropy coder of label maps: contexts, mixing and binary arithmetic coding in integer arithmetic.

The module imports numba, so it is imported on first use. Encoder and decoder must compute the same probabilities to the
last bit on every machine; hence integers.

A pixel is coded as answers to at most `_QUESTIONS` yes-or-no questions, "is it the label of this neighbor?", most
probable neighbor first and each label once, and then, if all answers are no, as the bits of its class. The probability
of an answer is mixed from adaptive counters of several contexts: p = squash(sum_i w_i stretch(p_i)), with weights
adapted by gradient descent on the code length.

Source: mixing: Mahoney, "Adaptive weighing of context models for lossless data compression", 2005; arithmetic coder:
Witten, Neal, Cleary, Communications of the ACM 30(6), 1987, for two symbols.
"""

# ruff: noqa: ANN001, ANN202, TID253 - numba infers its types, and this module is imported on first use

from __future__ import annotations

from decimal import Decimal
from typing import no_type_check

import numba as nb
import numpy as np
from numpy.typing import NDArray

from channels.compiled import compiled

_QUESTIONS = 4
_CONTEXTS = 6
_INPUTS = _CONTEXTS + 1  # contexts and a bias
_SLOTS = 16  # bits of the slot number of a hashed context
_TOP, _SIDE = 3, 4  # padding of a slice, rows above and columns on each side, for contexts
_LIMIT = 255  # largest count of a counter
_RATE = 11  # adaptation of the weights; larger is slower
_WEIGHT = 18000  # initial weight, in 1/65536
_AHEAD = 4  # bytes that the decoder reads ahead
_MOST_ZEROS = 12  # trailing zero bytes that are not sent; a slice that requires more is damaged
_DAMAGED, _FULL = -1, -2


def _squash_table() -> NDArray[np.int32]:
    """65536 / (1 + exp(-x / 256)) for x = -2047 .. 2047, at index x + 2048; clipped away from 0 and 65536."""
    nodes = [Decimal(65536) / (1 + (-Decimal(x) / 256).exp()) for x in range(-2048, 2049, 16)]
    table = np.empty(4096, np.int32)
    for index in range(4096):
        low, part = divmod(index, 16)
        table[index] = int((nodes[low] * (16 - part) + nodes[low + 1] * part) / 16)
    return np.clip(table, 24, 65536 - 24)


_SQUASH = _squash_table()
_STRETCH = np.searchsorted(_SQUASH, np.arange(4096) * 16 + 8).clip(1, 4095).astype(np.int32) - 2048
_RECIPROCAL = np.array([65536 * 2 // (2 * n + 3) for n in range(_LIMIT + 1)], np.int32)


def run(rows: NDArray[np.int64], data: NDArray[np.uint8], classes: int, encoding: bool) -> int:
    """Encode `rows` [h, w] into `data`, or decode `data` into `rows`.

    Returns:
        Number of bytes of `data` used; negative if the data are damaged (decoding) or too short (encoding).
    """
    return int(_code(rows, data, classes, encoding, _SQUASH, _STRETCH, _RECIPROCAL))


@compiled()
@no_type_check
def _slot(number, question, first, second, third):
    """Slot number of the counter of context `number`: hash of its values to _SLOTS bits."""
    mixed = nb.uint64(first) * nb.uint64(0x9E3779B97F4A7C15) ^ nb.uint64(second) * nb.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= nb.uint64(third) * nb.uint64(0x165667B19E3779F9) ^ nb.uint64(number * 8 + question) << nb.uint64(40)
    mixed ^= mixed >> nb.uint64(29)
    mixed *= nb.uint64(0xBF58476D1CE4E5B9)
    return nb.int64(mixed >> nb.uint64(64 - _SLOTS))


@compiled()
@no_type_check
def _ask(plane, y, x, candidates):
    """Write the candidate labels, most probable first, each once; return their number."""
    w, n, nw, ne = plane[y, x - 1], plane[y - 1, x], plane[y - 1, x - 1], plane[y - 1, x + 1]
    first = n if nw == w else w  # continuation of an edge
    offered = (first, w, n, ne, nw, plane[y - 1, x + 2], plane[y, x - 2], plane[y - 2, x])
    count = 0
    for c in offered:
        new = count < _QUESTIONS
        for j in range(count):
            new &= candidates[j] != c
        if new:
            candidates[count] = c
            count += 1
    return count


@compiled()
@no_type_check
def _see(plane, y, x, top, question, candidates, count, slots):
    """Select the counters of the question whether the pixel is candidates[question]; return the weight group."""
    c = candidates[question]
    w, n, nw, ne = plane[y, x - 1], plane[y - 1, x], plane[y - 1, x - 1], plane[y - 1, x + 1]
    near = (w == c) | (n == c) << 1 | (nw == c) << 2 | (ne == c) << 3
    near |= (plane[y, x - 2] == c) << 4 | (plane[y - 2, x] == c) << 5
    six = near
    if question == 0:
        near |= (plane[y - 1, x + 2] == c) << 6 | (plane[y - 1, x - 2] == c) << 7
        near |= (plane[y - 2, x - 1] == c) << 8 | (plane[y - 2, x + 1] == c) << 9
        near |= (plane[y, x - 3] == c) << 10 | (plane[y - 2, x + 2] == c) << 11
        far = near | (plane[y - 2, x - 2] == c) << 12 | (plane[y - 1, x + 3] == c) << 13
        far |= (plane[y - 1, x - 3] == c) << 14 | (plane[y - 3, x] == c) << 15
        far |= (plane[y - 3, x + 1] == c) << 16 | (plane[y - 3, x - 1] == c) << 17
        far |= (plane[y - 2, x + 3] == c) << 18 | (plane[y - 3, x + 2] == c) << 19
        far |= (plane[y - 2, x - 3] == c) << 20 | (plane[y, x - 4] == c) << 21
    else:
        near |= (w == n) << 6 | (plane[y - 1, x + 2] == c) << 7 | (plane[y - 2, x + 1] == c) << 8
        far = near | count << 9
    back = 1  # pixels since the last change in this row
    while back < 15 and x - back - 1 >= _SIDE and plane[y, x - back - 1] == w:
        back += 1
    ahead = 0  # pixels until the next change in the row above
    while ahead < 3 and plane[y - 1, x + ahead] == plane[y - 1, x + ahead + 1]:
        ahead += 1
    slots[0] = near << 2 | question
    slots[1] = _slot(1, question, far, 0, 0)
    slots[2] = _slot(2, question, w << 8 | n, ne << 8 | nw, c)
    slots[3] = _slot(3, question, six, back << 4 | ahead, c)
    slots[4] = _slot(4, question, c << 8 | candidates[min(question + 1, count - 1)], near & 0x3FF, 0)
    slots[5] = _slot(5, question, near & 15, top >> 3, c)
    return question * 16 + (near & 15)


@compiled()
@no_type_check
def _see_class(plane, y, x, top, node, slots):
    """Select the counters of the next bit of a class that no neighbor has; `node` is a 1 and the bits so far."""
    w, n = plane[y, x - 1], plane[y - 1, x]
    slots[0] = node
    slots[1] = _slot(1, 5, node, 0, 0)
    slots[2] = _slot(2, 5, node, w, 0)
    slots[3] = _slot(3, 5, node, w, n)
    slots[4] = _slot(4, 5, node, top >> 4, 0)
    slots[5] = _slot(5, 5, node, n, plane[y - 2, x])
    return _QUESTIONS * 16


@compiled()
@no_type_check
def _mix(slots, probability, weights, group, inputs, squash, stretch):
    """Probability of a yes, in 1/65536, mixed from all counters; `inputs` is filled for the update."""
    inputs[_CONTEXTS] = 256
    dot = nb.int64(256) * weights[group, _CONTEXTS]
    for i in range(_CONTEXTS):
        inputs[i] = stretch[probability[i, slots[i]] >> 4]
        dot += nb.int64(inputs[i]) * weights[group, i]
    return nb.int64(squash[min(max(dot >> 16, -2047), 2047) + 2048])


@compiled()
@no_type_check
def _learn(bit, mixed, slots, probability, seen, weights, group, inputs, reciprocal):
    """Update the weights by gradient descent and the counters towards the answer."""
    error = (bit << 16) - mixed
    for i in range(_INPUTS):
        weights[group, i] += (inputs[i] * error + (1 << (_RATE + 3))) >> (_RATE + 4)
    for i in range(_CONTEXTS):
        s = slots[i]
        p, n = nb.int64(probability[i, s]), seen[i, s]
        p += (((bit << 16) - bit - p) * reciprocal[n]) >> 16
        probability[i, s] = min(max(p, 16), 65519)
        if n < _LIMIT:
            seen[i, s] = n + 1


@compiled()
@no_type_check
def _code(rows, data, classes, encoding, squash, stretch, reciprocal):
    height, width = rows.shape
    probability = np.full((_CONTEXTS, 1 << _SLOTS), 32768, np.uint16)
    seen = np.zeros((_CONTEXTS, 1 << _SLOTS), np.uint8)
    weights = np.full((_QUESTIONS * 16 + 1, _INPUTS), _WEIGHT, np.int32)
    weights[:, _CONTEXTS] = 0
    inputs, slots = np.zeros(_INPUTS, np.int64), np.zeros(_CONTEXTS, np.int64)
    candidates = np.zeros(_QUESTIONS, np.int64)
    plane = np.zeros((height + _TOP, width + 2 * _SIDE), np.int64)
    depth = 1
    while (1 << depth) < classes:
        depth += 1
    whole, byte = nb.uint64(0xFFFFFFFF), nb.uint64(8)
    low, high, value, at = nb.uint64(0), whole, nb.uint64(0), 0
    if not encoding:
        for at in range(_AHEAD):
            value = value << byte | nb.uint64(data[at] if at < len(data) else 0)
        at = _AHEAD
    for top in range(height):
        y = top + _TOP
        plane[y, :_SIDE] = plane[y - 1, _SIDE]
        for x in range(_SIDE, width + _SIDE):
            label = rows[top, x - _SIDE] if encoding else 0
            count = _ask(plane, y, x, candidates)
            node = 1
            for question in range(count + depth):
                if question < count:
                    group = _see(plane, y, x, top, question, candidates, count, slots)
                    bit = nb.int64(label == candidates[question])
                else:
                    group = _see_class(plane, y, x, top, node, slots)
                    bit = label >> (depth - 1 - (question - count)) & 1
                mixed = _mix(slots, probability, weights, group, inputs, squash, stretch)
                middle = low + ((high - low) * nb.uint64(mixed) >> nb.uint64(16))
                if not encoding:
                    bit = nb.int64(value <= middle)
                if bit:
                    high = middle
                else:
                    low = middle + nb.uint64(1)
                while (low ^ high) >> nb.uint64(24) == 0:
                    if not encoding:
                        value = (value << byte & whole) | nb.uint64(data[at] if at < len(data) else 0)
                    elif at + 8 > len(data):
                        return _FULL
                    else:
                        data[at] = high >> nb.uint64(24)
                    at += 1
                    low, high = low << byte & whole, (high << byte & whole) | nb.uint64(255)
                _learn(bit, mixed, slots, probability, seen, weights, group, inputs, reciprocal)
                if question >= count:
                    node = node << 1 | bit
                elif bit:
                    label = candidates[question]
                    node = 0
                    break
            if not encoding:
                if node:
                    label = node - (1 << depth)
                if label >= classes or at > len(data) + _AHEAD + _MOST_ZEROS:
                    return _DAMAGED
                rows[top, x - _SIDE] = label
            plane[y, x] = label
        plane[y, width + _SIDE :] = plane[y, width + _SIDE - 1]
    return _finish(data, at, low, high) if encoding else at


@compiled()
@no_type_check
def _finish(data, at, low, high):
    """Write the shortest code between low and high, and remove up to _MOST_ZEROS trailing zero bytes.

    `at` is the number of bytes written so far.
    """
    least = max(0, at - _MOST_ZEROS)
    for length in range(5):
        rest = nb.uint64(0xFFFFFFFF) >> nb.uint64(8 * length)
        tail = (low + rest) & ~rest
        if tail <= high:
            for k in range(length):
                data[at] = (tail >> nb.uint64(24 - 8 * k)) & nb.uint64(255)
                at += 1
            break
    while at > least and data[at - 1] == 0:
        at -= 1
    return at
