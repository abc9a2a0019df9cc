"""The arithmetic of the label-map codec: contexts, mixing and binary arithmetic coding, in integers alone.

Import it late: it brings numba. Integers make it the same on every machine: an encoder's and a decoder's probabilities
must agree to the last bit.

A pixel is coded as answers to at most `_QUESTIONS` yes-or-no questions, "is it the label of this neighbour?", likeliest
neighbour first and no label asked twice, and then, rarely, as the bits of its class. Each answer's probability is mixed
from adaptive counters, each of which sees the surroundings differently: p = squash(sum_i w_i stretch(p_i)), where the
weights follow the coding cost's gradient.

Source of the mixing: Mahoney, "Adaptive weighing of context models for lossless data compression", 2005. Of the coder:
Witten, Neal, Cleary, Communications of the ACM 30(6), 1987, for two symbols.
"""

from __future__ import annotations

from decimal import Decimal

import numba as nb  # noqa: TID253 - this module is itself imported late
import numpy as np
from numpy.typing import NDArray

_QUESTIONS = 4
_INPUTS = 7  # six contexts and a bias
_SLOTS = 16  # bits of a hashed context's slot number
_TOP, _SIDE = 3, 4  # rows above and columns beside a slice that contexts may look at
_LIMIT = 255  # observations after which a counter forgets
_RATE = 7
_EARLY = 16  # bytes beyond the end at which a damaged slice is given up


def _squash_table() -> NDArray[np.int32]:
    """65536 / (1 + exp(-x / 256)) for x = -2047 .. 2047, at index x + 2048; the ends are kept off 0 and 65536."""
    nodes = [Decimal(65536) / (1 + (-Decimal(x) / 256).exp()) for x in range(-2048, 2049, 16)]
    table = np.empty(4096, np.int32)
    for index in range(4096):
        low, part = divmod(index, 16)
        table[index] = int((nodes[low] * (16 - part) + nodes[low + 1] * part) / 16)
    return np.clip(table, 24, 65536 - 24)


SQUASH = _squash_table()
STRETCH = np.searchsorted(SQUASH, np.arange(4096) * 16 + 8).clip(1, 4095).astype(np.int32) - 2048
RECIPROCAL = np.array([65536 * 2 // (2 * n + 3) for n in range(_LIMIT + 1)], np.int32)


@nb.njit(cache=True, inline="always")
def _slot(number, question, first, second, third):
    mixed = nb.uint64(first) * nb.uint64(0x9E3779B97F4A7C15) ^ nb.uint64(second) * nb.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= nb.uint64(third) * nb.uint64(0x165667B19E3779F9) ^ nb.uint64(number * 8 + question) << nb.uint64(40)
    mixed ^= mixed >> nb.uint64(29)
    mixed *= nb.uint64(0xBF58476D1CE4E5B9)
    return nb.int64(mixed >> nb.uint64(64 - _SLOTS))


@nb.njit(cache=True)
def _probability(slots, chance, weights, group, inputs, squash, stretch):
    """Mix the counters in `slots`; keep what the update needs in `inputs`."""
    dot = nb.int64(0)
    for i in range(_INPUTS - 1):
        inputs[i] = stretch[chance[i, slots[i]] >> 4]
        dot += nb.int64(inputs[i]) * weights[group, i]
    inputs[_INPUTS - 1] = 256
    dot += 256 * nb.int64(weights[group, _INPUTS - 1])
    at = dot >> 16
    return squash[min(max(at, -2047), 2047) + 2048]


@nb.njit(cache=True)
def _learn(bit, mixed, slots, chance, seen, weights, group, inputs, reciprocal):
    error = (bit << 16) - mixed
    for i in range(_INPUTS):
        weights[group, i] += (inputs[i] * error + (1 << (_RATE + 3))) >> (_RATE + 4)
    for i in range(_INPUTS - 1):
        s = slots[i]
        p, n = nb.int64(chance[i, s]), seen[i, s]
        p += (((bit << 16) - bit - p) * reciprocal[n]) >> 16
        chance[i, s] = min(max(p, 16), 65519)
        if n < _LIMIT:
            seen[i, s] = n + 1


@nb.njit(cache=True)
def code(rows, data, classes, encoding, squash, stretch, reciprocal, first_chance, first_seen, weights):
    """Encode `rows` into `data`, or decode `data` into `rows`; return how many bytes it took, -1 for damaged data."""
    height, width = rows.shape
    chance = np.full((_INPUTS - 1, 1 << _SLOTS), 32768, np.uint16)
    seen = np.zeros((_INPUTS - 1, 1 << _SLOTS), np.uint8)
    chance[0, : len(first_chance)] = first_chance
    seen[0, : len(first_chance)] = first_seen
    inputs, slots = np.zeros(_INPUTS, np.int32), np.zeros(_INPUTS - 1, np.int64)
    candidates = np.zeros(_QUESTIONS, np.int64)
    depth = 0
    while (1 << depth) < classes:
        depth += 1
    map_ = np.zeros((height + _TOP, width + 2 * _SIDE), np.int16)
    low, high, value, at = nb.uint64(0), nb.uint64(0xFFFFFFFF), nb.uint64(0), 0
    if not encoding:
        for _ in range(4):
            value = (value << nb.uint64(8)) | nb.uint64(data[at] if at < len(data) else 0)
            at += 1
    for y in range(_TOP, height + _TOP):
        for k in range(_SIDE):
            map_[y, k] = map_[y - 1, _SIDE]
        for x in range(_SIDE, width + _SIDE):
            w, n, nw, ne = map_[y, x - 1], map_[y - 1, x], map_[y - 1, x - 1], map_[y - 1, x + 1]
            ww, nn = map_[y, x - 2], map_[y - 2, x]
            first = n if nw == w else w  # the edge goes on
            if nw == w and w == n and ne != n and map_[y - 2, x + 2] != map_[y - 2, x + 1]:
                first = n
            count = 0
            for k in range(8):
                c = first
                if k == 1:
                    c = w
                elif k == 2:
                    c = n
                elif k == 3:
                    c = ne
                elif k == 4:
                    c = nw
                elif k == 5:
                    c = map_[y - 1, x + 2]
                elif k == 6:
                    c = ww
                elif k == 7:
                    c = nn
                new = count < _QUESTIONS
                for j in range(count):
                    if candidates[j] == c:
                        new = False
                if new:
                    candidates[count] = c
                    count += 1
            label = nb.int64(rows[y - _TOP, x - _SIDE]) if encoding else 0
            # distance back to the last change in this row, and where the row above changes next
            back = 1
            while back < 15 and x - back - 1 >= _SIDE and map_[y, x - back - 1] == w:
                back += 1
            ahead = 0
            while ahead < 3 and map_[y - 1, x + ahead] == map_[y - 1, x + ahead + 1]:
                ahead += 1
            found = False
            for question in range(count + depth):
                if question < count:
                    c = candidates[question]
                    if question == 0:
                        near = (w == c) | (n == c) << 1 | (nw == c) << 2 | (ne == c) << 3 | (ww == c) << 4 | (nn == c) << 5
                        near |= (map_[y - 1, x + 2] == c) << 6 | (map_[y - 1, x - 2] == c) << 7
                        near |= (map_[y - 2, x - 1] == c) << 8 | (map_[y - 2, x + 1] == c) << 9
                        near |= (map_[y, x - 3] == c) << 10 | (map_[y - 2, x + 2] == c) << 11
                        far = near | (map_[y - 2, x - 2] == c) << 12 | (map_[y - 1, x + 3] == c) << 13
                        far |= (map_[y - 1, x - 3] == c) << 14 | (map_[y - 3, x] == c) << 15
                        far |= (map_[y - 3, x + 1] == c) << 16 | (map_[y - 3, x - 1] == c) << 17
                        far |= (map_[y - 2, x + 3] == c) << 18 | (map_[y - 3, x + 2] == c) << 19
                        far |= (map_[y - 2, x - 3] == c) << 20 | (map_[y, x - 4] == c) << 21
                    else:
                        near = (w == c) | (n == c) << 1 | (nw == c) << 2 | (ne == c) << 3 | (ww == c) << 4 | (nn == c) << 5
                        near |= (w == n) << 6 | (map_[y - 1, x + 2] == c) << 7 | (map_[y - 2, x + 1] == c) << 8
                        far = near | count << 9
                    slots[0] = (near << 2 | min(question, 3)) & 0xFFFF
                    slots[1] = _slot(1, question, far, 0, 0)
                    slots[2] = _slot(2, question, w << 8 | n, ne << 8 | nw, c)
                    slots[3] = _slot(3, question, near & 0x3F, min(back, 15) << 4 | ahead, c)
                    slots[4] = _slot(4, question, c << 8 | candidates[min(question + 1, count - 1)], near & 0x3FF, 0)
                    slots[5] = _slot(5, question, near & 0x0F, (y - _TOP) >> 3, c)
                    group = question * 16 + (near & 0x0F)
                    bit = nb.int64(label == c)
                else:
                    if question == count:
                        node = 1
                    slots[0] = node
                    slots[1] = _slot(1, 5, node, 0, 0)
                    slots[2] = _slot(2, 5, node, w, 0)
                    slots[3] = _slot(3, 5, node, w, n)
                    slots[4] = _slot(4, 5, node, (y - _TOP) >> 4, 0)
                    slots[5] = _slot(5, 5, node, n, nn)
                    group = _QUESTIONS * 16
                    bit = (label >> (depth - 1 - (question - count))) & 1
                mixed = nb.int64(_probability(slots, chance, weights, group, inputs, squash, stretch))
                middle = low + ((high - low) >> nb.uint64(16)) * nb.uint64(mixed)
                if not encoding:
                    bit = nb.int64(value <= middle)
                if bit:
                    high = middle
                else:
                    low = middle + nb.uint64(1)
                while (low ^ high) >> nb.uint64(24) == 0:
                    if encoding:
                        data[at] = high >> nb.uint64(24)
                    else:
                        value = ((value << nb.uint64(8)) & nb.uint64(0xFFFFFFFF)) | nb.uint64(
                            data[at] if at < len(data) else 0
                        )
                    at += 1
                    low = (low << nb.uint64(8)) & nb.uint64(0xFFFFFFFF)
                    high = ((high << nb.uint64(8)) & nb.uint64(0xFFFFFFFF)) | nb.uint64(255)
                _learn(bit, mixed, slots, chance, seen, weights, group, inputs, reciprocal)
                if question < count:
                    if bit:
                        label = c
                        found = True
                        break
                else:
                    node = node << 1 | bit
            if not found and not encoding:
                label = node - (1 << depth)
                if label >= classes:
                    return -1
            if not encoding:
                rows[y - _TOP, x - _SIDE] = label
                if at > len(data) + _EARLY:
                    return -1
            map_[y, x] = label
        for k in range(_SIDE):
            map_[y, width + _SIDE + k] = map_[y, width + _SIDE - 1]
    if encoding:
        # the fewest bytes that, with zeros after them, lie between low and high
        for length in range(5):
            mask = nb.uint64(0xFFFFFFFF) >> nb.uint64(8 * length) if length < 4 else nb.uint64(0)
            tail = (low + mask) & ~mask
            if tail <= high:
                for k in range(length):
                    data[at] = (tail >> nb.uint64(24 - 8 * k)) & nb.uint64(255)
                    at += 1
                break
        while at > 0 and data[at - 1] == 0:
            at -= 1  # a decoder reads zeros past the end
    first_chance[:] = chance[0, : len(first_chance)]
    first_seen[:] = seen[0, : len(first_chance)]
    return at
