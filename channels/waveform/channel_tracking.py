"""Update of the channel estimate of a frame by the scattered pilots of its OFDM symbols.

Preamble and header give the response H_k at the beginning of a frame. In the OFDM symbol t it is

    H_k(t) = H_k + sum_l d_l(t) e^(-j 2 pi k l / N),

where the changes d_l of the delays l within the cyclic prefix are independent complex random walks. They begin with the
variance of the first estimate's error, and the variance of their steps maximizes the likelihood of all pilots. In the
coordinates of the singular value decomposition of the pilots' exponentials the measurements of the changes are
independent, so that one scalar Kalman smoother for each is the estimate of least mean squared error.

Source: Kay, Fundamentals of Statistical Signal Processing: Estimation Theory, chapter 13; Rauch, Tung and Striebel,
Maximum likelihood estimates of linear dynamic systems, 1965.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex
from numpy.typing import NDArray
from torch import Tensor

from channels.propagation.ofdm import SYMBOLS
from channels.waveform import ofdm
from channels.waveform.equalizer import ChannelEstimate
from channels.waveform.frame import Layout

_WALKS = (0.0, *(10 ** (exponent / 2) for exponent in range(-12, 1)))  # variance of a step over the noise variance
_CHANGE = 4.0  # log-likelihood ratio above which the channel is not constant
_WEAKEST = 1e-3  # squared singular value over the largest one
_OTHERS = 64  # weight in the noise variance of the known symbols outside of OFDM symbols, in scattered pilots
_DEVIATIONS = 3.0  # of the pilots' noise variance, beyond which the other known symbols are not used
_SMALLEST = 1e-6  # magnitude of a gain


@dataclass(frozen=True)
class FollowedChannel:
    """Channel of each resource element of a frame.

    Args:
        gains: H_k(t), complex128 [blocks, 14, subcarriers].
        error_var: noise variance and error variance of the gain, for symbols of unit energy, float64, same shape.
        without_phase: share of the noise variance that comes from known symbols outside of the OFDM symbols; errors of
            the carrier phase are not in it.
    """

    gains: NDArray[np.complex128]
    error_var: NDArray[np.float64]
    without_phase: float


def follow(
    received: Complex[Tensor, "blocks symbols subcarriers"], channel: ChannelEstimate, layout: Layout, noise_var: float
) -> FollowedChannel:
    """Channel of each resource element, from the estimate at the beginning of the frame and all scattered pilots.

    Args:
        received: Y_k of all resource elements, without carrier phase.
        channel: estimate from preamble and header.
        layout: layout of the frame.
        noise_var: noise variance of a resource element.
    """
    first = ofdm.response(channel, layout.pulse, layout)
    sent = ofdm.pilots(layout).numpy().reshape(ofdm.grid_of(layout).pilot_symbols, -1)
    places = ofdm.grid_of(layout).pilots.numpy()
    comb, steps = places[: sent.shape[1], 1], places[:: sent.shape[1], 0]
    change = ofdm.of_pilots(received, layout).numpy() / sent - first[comb]

    left, strength, basis = _coordinates(layout, comb)
    blocks, walks, known_noise = len(received), len(strength), noise_var
    measured = np.zeros((blocks * SYMBOLS, walks), complex)
    with_pilots = (np.arange(blocks)[:, None] * SYMBOLS + steps).flatten()
    measured[with_pilots] = (change @ left.conj() / strength).reshape(-1, walks)
    prior = noise_var * max(channel.parameters, 1.0) / layout.start / walks
    while True:
        variance = np.full(measured.shape, np.inf)
        variance[with_pilots] = noise_var / strength**2
        state, spread, constant = _smoothed(measured, variance, noise_var, prior)
        gains = (first + state @ basis.T).reshape(blocks, SYMBOLS, -1)
        residual = change - (gains - first)[:, steps][:, :, comb]
        fitted = float((spread / variance).sum())  # number of parameters that the pilots determine
        found = float((np.abs(residual) ** 2).sum() / max(residual.size - fitted, 1.0))
        deviation = known_noise * (1 / _OTHERS + 1 / residual.size) ** 0.5
        if noise_var != known_noise or (constant and abs(found - known_noise) < _DEVIATIONS * deviation):
            break
        noise_var = found  # that of the other known symbols contains the changes of the channel
    share = _OTHERS / (_OTHERS + residual.size) if noise_var == known_noise else 0.0
    errors = (spread @ (np.abs(basis) ** 2).T).reshape(gains.shape)
    gains = np.where(np.abs(gains) > _SMALLEST, gains, _SMALLEST)
    return FollowedChannel(gains, share * known_noise + (1 - share) * found + errors, share)


def _smoothed(
    measured: NDArray[np.complex128], variance: NDArray[np.float64], noise_var: float, prior: float
) -> tuple[NDArray[np.complex128], NDArray[np.float64], bool]:
    """Smoothed changes of the channel, their variances, and whether the channel is constant."""
    from channels.waveform import kernels

    best, constant, most = (measured, variance), True, -np.inf
    for walk in _WALKS:
        state, spread = np.empty_like(measured), np.empty_like(variance)
        likelihood = kernels.smooth_walks(measured, variance, walk * noise_var, prior, state, spread)
        if likelihood > most:
            best, constant, most = (state, spread), walk == 0, likelihood + (0.0 if walk else _CHANGE)
    return *best, constant


def _coordinates(
    layout: Layout, comb: NDArray[np.int64]
) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.complex128]]:
    """Singular vectors and values of the pilots' exponentials, and the exponentials of all subcarriers beside them."""
    lags = np.arange(layout.prefix + 1) - ofdm.advance(layout)
    exponentials = np.exp(-2j * np.pi * ofdm.bins(layout)[:, None] * lags / layout.subcarriers)
    left, strength, right = np.linalg.svd(exponentials[comb], full_matrices=False)
    used = strength**2 > _WEAKEST * strength[0] ** 2
    return left[:, used], strength[used], exponentials @ right.conj().T[:, used]
