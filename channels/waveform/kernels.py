"""Compiled loops of the waveform: a pulse evaluated at arbitrary times, and the adjoint; the phase smoother.

Import this module late, because it imports numba.
"""

# ruff: noqa: ANN001 - numba infers the types, and this module is imported late

import math
from typing import no_type_check

import numpy as np

from channels.compiled import compiled


@compiled(nogil=True, fastmath=True)
@no_type_check
def gather(samples, times, real, imag, center, out) -> None:
    """out[k] = sum_n samples[n] h(times[k] - n), from the nearest of the tabulated phases of h.

    Args:
        samples: real and imaginary parts, float32 [2, samples]; zero outside.
        times: float64 [outputs], in samples.
        real: real part of the pulse, float32 [phases, taps]: row p, column j is h(p / phases + center - j).
        imag: imaginary part, of the same shape, or float32 [0, 0] for a real pulse.
        center: number of taps before the sample at or before the time.
        out: complex64 [outputs].
    """
    phases, taps = real.shape
    length = samples.shape[1]
    for k in range(len(times)):
        position = math.floor(times[k] * phases + 0.5)
        index = position // phases
        row = position - index * phases
        first = index - center
        begin, end = max(0, -first), min(taps, length - first)
        a, b = np.float32(0), np.float32(0)
        if begin < end:  # slices, because indices that might be negative prevent vector instructions
            x, y = samples[0, first + begin : first + end], samples[1, first + begin : first + end]
            g = real[row, begin:end]
            if len(imag):
                h = imag[row, begin:end]
                for j in range(len(g)):
                    a += x[j] * g[j] - y[j] * h[j]
                    b += x[j] * h[j] + y[j] * g[j]
            else:
                for j in range(len(g)):
                    a += x[j] * g[j]
                    b += y[j] * g[j]
        out[k] = complex(a, b)


@compiled(nogil=True, fastmath=True)
@no_type_check
def scatter(values, times, real, imag, center, out) -> None:
    """out[n] += sum_k conj(h(times[k] - n)) values[k]: the adjoint of `gather`.

    Args:
        values: complex64 [inputs].
        times: float64 [inputs], in samples.
        real: real part of the pulse, as for `gather`.
        imag: imaginary part, as for `gather`.
        center: number of taps before the sample at or before the time.
        out: real and imaginary parts, float32 [2, samples].
    """
    phases, taps = real.shape
    length = out.shape[1]
    for k in range(len(times)):
        position = math.floor(times[k] * phases + 0.5)
        index = position // phases
        row = position - index * phases
        first = index - center
        begin, end = max(0, -first), min(taps, length - first)
        x, y = np.float32(values[k].real), np.float32(values[k].imag)
        if begin < end:
            a, b = out[0, first + begin : first + end], out[1, first + begin : first + end]
            g = real[row, begin:end]
            if len(imag):
                h = imag[row, begin:end]
                for j in range(len(g)):
                    a[j] += x * g[j] + y * h[j]
                    b[j] += y * g[j] - x * h[j]
            else:
                for j in range(len(g)):
                    a[j] += x * g[j]
                    b[j] += y * g[j]


@compiled(nogil=True, fastmath=True)
@no_type_check
def correlate(halves, sequence, out) -> None:
    """out[n] = sum_k conj(sequence[k]) halves[n + 2 k], with halves and out as real and imaginary parts, float32."""
    for n in range(out.shape[1]):
        out[0, n] = 0
        out[1, n] = 0
    count = out.shape[1]
    a, b = out[0], out[1]
    for k in range(len(sequence)):
        g, h = np.float32(sequence[k].real), np.float32(sequence[k].imag)
        x, y = halves[0, 2 * k : 2 * k + count], halves[1, 2 * k : 2 * k + count]
        for n in range(count):
            a[n] += x[n] * g + y[n] * h
            b[n] += y[n] * g - x[n] * h


@compiled(nogil=True)
@no_type_check
def smooth_phase(measured, variance, distance, walk, prior, phase, spread) -> float:
    """Smooth phases of a random walk with constant drift (Rauch, Tung and Striebel); return the log-likelihood.

    Args:
        measured: phases modulo 2 pi, float64 [blocks].
        variance: variance of each measurement, float64 [blocks].
        distance: distance of each block from the one before, float64 [blocks]; the first one is not used.
        walk: variance of the random walk for a distance of 1.
        prior: variance of the drift before the first measurement; its mean is 0.
        phase: smoothed phases, unwrapped, float64 [blocks] (output).
        spread: variance of each smoothed phase, float64 [blocks] (output).
    """
    blocks = len(measured)
    state = np.zeros((blocks, 2))
    covariance = np.zeros((blocks, 3))  # phase, cross term, drift
    likelihood = 0.0
    x, drift, p, c, d = measured[0], 0.0, variance[0], 0.0, prior
    state[0, 0], state[0, 1] = x, drift
    covariance[0, 0], covariance[0, 1], covariance[0, 2] = p, c, d
    for i in range(1, blocks):
        s = distance[i]
        x += s * drift
        p, c = p + 2 * s * c + s * s * d + s * walk, c + s * d
        total = p + variance[i]
        innovation = measured[i] - x
        innovation -= 2 * math.pi * math.floor(innovation / (2 * math.pi) + 0.5)
        likelihood -= 0.5 * (innovation * innovation / total + math.log(total))
        g, h = p / total, c / total
        x += g * innovation
        drift += h * innovation
        p, c, d = p - g * p, c - g * c, d - h * c
        state[i, 0], state[i, 1] = x, drift
        covariance[i, 0], covariance[i, 1], covariance[i, 2] = p, c, d
    phase[blocks - 1], spread[blocks - 1] = x, p
    for i in range(blocks - 2, -1, -1):
        s = distance[i + 1]
        pf, cf, df = covariance[i, 0], covariance[i, 1], covariance[i, 2]
        pp, cp, dp = pf + 2 * s * cf + s * s * df + s * walk, cf + s * df, df
        # gain = filtered covariance x transition' x inverse of the predicted covariance
        det = pp * dp - cp * cp
        if det <= 1e-300:
            phase[i], spread[i] = state[i, 0], pf
            x, drift, p, c, d = state[i, 0], state[i, 1], pf, cf, df
            continue
        a, b, e, f = pf + s * cf, cf, cf + s * df, df
        g00, g01 = (a * dp - b * cp) / det, (b * pp - a * cp) / det
        g10, g11 = (e * dp - f * cp) / det, (f * pp - e * cp) / det
        dx, dd = x - (state[i, 0] + s * state[i, 1]), drift - state[i, 1]
        x, drift = state[i, 0] + g00 * dx + g01 * dd, state[i, 1] + g10 * dx + g11 * dd
        m, n, o = p - pp, c - cp, d - dp
        p, c, d = (
            pf + g00 * (g00 * m + g01 * n) + g01 * (g00 * n + g01 * o),
            cf + g10 * (g00 * m + g01 * n) + g11 * (g00 * n + g01 * o),
            df + g10 * (g10 * m + g11 * n) + g11 * (g10 * n + g11 * o),
        )
        phase[i], spread[i] = x, p
    return likelihood


@compiled(nogil=True)
@no_type_check
def smooth_walks(measured, variance, walk, prior, state, spread) -> float:
    """Smooth independent complex random walks from 0 (Rauch, Tung and Striebel); return the log-likelihood.

    Args:
        measured: complex128 [steps, walks].
        variance: variance of each measurement, infinite where there is none, float64 [steps, walks].
        walk: variance of the change in a step.
        prior: variance before the first step.
        state: smoothed values, complex128 [steps, walks] (output).
        spread: variance of each smoothed value, float64 [steps, walks] (output).
    """
    steps, walks = measured.shape
    likelihood = 0.0
    for i in range(walks):
        x, p = 0j, prior
        for t in range(steps):
            p += walk
            if variance[t, i] < np.inf:
                total = p + variance[t, i]
                innovation = measured[t, i] - x
                likelihood -= (innovation.real**2 + innovation.imag**2) / total + math.log(total)
                x += p / total * innovation
                p *= variance[t, i] / total
            state[t, i], spread[t, i] = x, p
        for t in range(steps - 2, -1, -1):
            gain = spread[t, i] / (spread[t, i] + walk) if walk > 0 else 1.0
            state[t, i] += gain * (state[t + 1, i] - state[t, i])
            spread[t, i] += gain * gain * (spread[t + 1, i] - spread[t, i] - walk)
    return likelihood
