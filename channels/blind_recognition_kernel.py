"""Compiled loops of the blind likelihood: sum over the symbols of a frame, and its average over phase and SNR.

Import this module late, because it imports numba.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types

import math
from typing import no_type_check

import numpy as np

from channels.compiled import compiled

SNR_STEPS = 8  # fine steps of the tables in one coarse step of the average
STEP, REACH = 1 / 1024, 4.0  # of the tables of ln p(x), in units of the root mean square of a frame
_HALVINGS = 10  # of the step between angles, around the most likely one
_NEGLIGIBLE = 30.0  # nats under the peak
_FAST = {"reassoc", "contract", "arcp", "nsz"}  # infinities remain


@compiled(nogil=True, fastmath=_FAST)
@no_type_check
def _sum(frame, angle, first, second, points, noise):
    """Log-likelihood of a frame of mean energy 1 at an angle and a noise variance."""
    cosine, sine = np.float32(math.cos(angle)), np.float32(-math.sin(angle))
    total = np.float64(0.0)
    gain = np.float32(math.sqrt(1 - noise))
    inverse = np.float32(1 / noise)
    last = np.float32(2 * REACH / STEP)
    for use in range(len(frame)):
        x = frame[use].real * cosine - frame[use].imag * sine
        y = frame[use].real * sine + frame[use].imag * cosine
        if len(points):
            least = np.float32(1e30)
            for point in points:
                distance = ((x - gain * point.real) ** 2 + (y - gain * point.imag) ** 2) * inverse
                least = min(least, distance)
            part = np.float32(0.0)
            for point in points:
                distance = ((x - gain * point.real) ** 2 + (y - gain * point.imag) ** 2) * inverse
                part += np.exp(least - distance)
            total += math.log(part / len(points)) - least
        else:
            column = min(max((x + np.float32(REACH)) * np.float32(1 / STEP), np.float32(0)), last)
            row = min(max((y + np.float32(REACH)) * np.float32(1 / STEP), np.float32(0)), last)
            i, j = int(column), int(row)
            total += first[i] + (column - i) * (first[i + 1] - first[i])
            total += second[j] + (row - j) * (second[j + 1] - second[j])
    return total - len(frame) * math.log(math.pi * noise)


@compiled(nogil=True, fastmath=_FAST)
@no_type_check
def _near(count, coarse, place):
    """Indices of SNRs: every `coarse`-th one, both ends, and those at distances 0, 1, 2, 4 ... of the peak."""
    chosen = np.zeros(count, np.bool_)
    chosen[::coarse] = True
    chosen[0] = chosen[count - 1] = chosen[place] = True
    distance = 1
    while distance < coarse:
        chosen[max(place - distance, 0)] = True
        chosen[min(place + distance, count - 1)] = True
        distance *= 2
    return np.flatnonzero(chosen)


@compiled(nogil=True, fastmath=_FAST)
@no_type_check
def _log_add(first, second):
    most = max(first, second)
    if most == -np.inf:
        return most
    return most + math.log(math.exp(first - most) + math.exp(second - most))


@compiled(nogil=True, fastmath=_FAST)
@no_type_check
def average(frames, first, second, points, noise, snrs, period, angles, results) -> None:
    """Search of the peak on a coarse grid, then the trapezoidal rule over nodes that are dense around it."""
    coarse = SNR_STEPS
    count = len(snrs)
    for row in range(len(frames)):
        frame = frames[row]
        best, place, angle = -np.inf, 0, 0.0
        for index in range(0, count, 4 * coarse):
            for number in range(angles):
                value = _sum(frame, number * period / angles, first[index], second[index], points, noise[index])
                if value > best:
                    best, place, angle = value, index, number * period / angles
        step, jump = period / angles, 2 * coarse
        for _ in range(_HALVINGS + 2):  # ascend: both coordinates, steps that halve
            for move in range(4):
                index = min(max(place + (jump if move == 0 else -jump if move == 1 else 0), 0), count - 1)
                turned = angle + (step if move == 2 else -step if move == 3 else 0.0)
                value = _sum(frame, turned, first[index], second[index], points, noise[index])
                if value > best:
                    best, place, angle = value, index, turned
            step, jump = step / 2, max(1, jump // 2)
        nodes = np.empty(angles + 2 * _HALVINGS)
        for number in range(angles):
            nodes[number] = angle + number * period / angles
        for number in range(_HALVINGS):
            offset = period / angles / 2 ** (number + 1)
            nodes[angles + 2 * number], nodes[angles + 2 * number + 1] = angle + offset, angle + period - offset
        nodes.sort()
        weights = np.empty(len(nodes))
        for number in range(len(nodes)):
            left = nodes[number - 1] if number else nodes[-1] - period
            right = nodes[number + 1] if number + 1 < len(nodes) else nodes[0] + period
            value = _sum(frame, nodes[number], first[place], second[place], points, noise[place])
            weights[number] = math.log((right - left) / 2 / period) if value > best - _NEGLIGIBLE else -np.inf
        total, mean = -np.inf, 0.0
        chosen = _near(count, coarse, place)
        for position in range(len(chosen)):
            index = chosen[position]
            if _sum(frame, angle, first[index], second[index], points, noise[index]) < best - _NEGLIGIBLE:
                continue
            width = snrs[chosen[min(position + 1, len(chosen) - 1)]] - snrs[chosen[max(position - 1, 0)]]
            weighted = math.log(width / 2 / (snrs[-1] - snrs[0]))
            inner = -np.inf
            for number in range(len(nodes)):
                if weights[number] > -np.inf:
                    value = _sum(frame, nodes[number], first[index], second[index], points, noise[index])
                    inner = _log_add(inner, value + weights[number])
            merged = _log_add(total, weighted + inner)
            mean += (snrs[index] - mean) * math.exp(weighted + inner - merged)
            total = merged
        results[0, row], results[1, row], results[2, row] = total, mean, angle % period
