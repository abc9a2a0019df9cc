"""Analog stream: real coefficients with known variances as complex symbols of unit mean energy, and their estimation.

Transmitter and receiver know the variances, from which they derive the selection, the order and the gains. One scale is
transmitted beside the stream, because the energy of an image's coefficients differs from the sum of their variances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from semcom.systems.analog import header


@dataclass(frozen=True)
class Selection:
    """Selected coefficients, in decreasing order of variance.

    Args:
        places: indices in the flattened coefficients, int64.
        variances: variances that both ends know.
        squared_gains: squared gains before scaling.
    """

    places: Int[np.ndarray, " selected"]
    variances: Float[np.ndarray, " selected"]
    squared_gains: Float[np.ndarray, " selected"]


def squared_gains(variances: Float[np.ndarray, " n"], energy: float, noise_var: float) -> Float[np.ndarray, " n"]:
    """Squared gains g_i^2 of real coefficients with the least mean squared error after linear estimation.

    Minimizes sum_i v_i s / (g_i^2 v_i + s) subject to sum_i g_i^2 v_i = E: g_i^2 v_i = max(0, t sqrt(v_i) - s), with t
    set by the energy constraint. For s -> 0 this is SoftCast, g_i ~ v_i^(-1/4).

    Args:
        variances: variances v of the coefficients, above 0, in decreasing order.
        energy: total energy E.
        noise_var: noise variance s per real dimension; 0 gives the SoftCast gains.

    Source: Jakubczak and Katabi, MobiCom 2011, section 3.2; Lee and Petersen, IEEE Trans. Commun. 24(12), 1976.

    >>> squared_gains(np.array([16.0, 1.0]), energy=10.0, noise_var=0.0)
    array([0.5, 2. ])
    """
    root = np.sqrt(variances)
    level = (energy + noise_var * np.arange(1, len(root) + 1)) / np.cumsum(root)
    used = max(int(np.count_nonzero(level * root > noise_var)), 1)  # the first `used` coefficients get energy
    return np.maximum(level[used - 1] * root - noise_var, 0) / variances


def select(negative: Float[np.ndarray, " coefficients"], uses: int, noise_var: float) -> Selection:
    """Select the coefficients of largest variance that fit a stream, and compute their gains.

    Args:
        negative: variances with the opposite sign, as sorting is in increasing order.
        uses: channel uses of the stream.
        noise_var: noise variance per real dimension for which the gains are optimal.

    >>> select(np.array([-1.0, -16.0, -4.0]), uses=2, noise_var=0.0).places
    array([1, 2])
    """
    count = min(2 * (uses - 1), negative.size)  # one use is the filler
    strongest = np.argpartition(negative, count)[:count] if count < negative.size else np.arange(negative.size)
    places = strongest[np.argsort(negative[strongest], kind="stable")]
    variances = -negative[places]
    return Selection(places, variances, squared_gains(variances, float(uses), noise_var))


def encode(
    coefficients: Float[np.ndarray, " coefficients"], selection: Selection, uses: int
) -> tuple[int, Complex[Tensor, " uses"]]:
    """Quantized scale, to be transmitted in a header, and symbols of mean energy 1 of the selected coefficients."""
    values = coefficients[selection.places] * np.sqrt(selection.squared_gains)
    energy = float(uses)
    scale = header.quantized_scale(energy / max(float(np.sum(values**2)), 1e-9))
    values *= math.sqrt(header.energy_factor(scale))
    # The scale is rounded down and a filler symbol, ignored by the receiver, gets the remaining energy. So both the
    # energy and the scale in the header are exact. Only scales beyond the header's range are reduced further.
    values *= min(1.0, math.sqrt(energy / max(float(np.sum(values**2)), 1e-9)))
    stream = np.zeros(2 * uses)
    stream[0] = math.sqrt(max(energy - float(np.sum(values**2)), 0))
    stream[2 : 2 + len(values)] = values
    symbols = spread(torch.view_as_complex(torch.from_numpy(stream).view(-1, 2)))
    return scale, symbols.to(torch.complex64)


def decode(
    symbols: Complex[Tensor, " uses"], noise_var: Float[Tensor, " uses"], selection: Selection, scale: int
) -> Float[np.ndarray, " selected"]:
    """Linear MMSE estimates of the selected coefficients.

    Args:
        symbols: received symbols of the stream, equalized without bias.
        noise_var: noise variance of each symbol.
        selection: selection of the transmitter.
        scale: quantized scale from the header.
    """
    # After MMSE scaling d = 1 / (1 + noise_var) of each symbol and the inverse unitary transform, every coefficient has
    # gain mean(d) and error variance mean(d) (1 - mean(d)).
    shrink = 1 / (1 + noise_var.double())
    gain = float(shrink.mean())
    stream = torch.view_as_real(despread(symbols.to(torch.complex128) * shrink)).flatten().numpy() / gain
    error_var = 0.5 * (1 - gain) / gain
    squared = selection.squared_gains * header.energy_factor(scale)
    weight = np.sqrt(squared) * selection.variances / (squared * selection.variances + error_var)
    return weight * stream[2 : 2 + len(weight)]


def spread(stream: Complex[Tensor, " uses"]) -> Complex[Tensor, " uses"]:
    """Unitary transform (FFT of the shuffled stream) that spreads each stream symbol over all channel uses.

    >>> float(spread(torch.tensor([3.0, 4j])).abs().square().sum().round(decimals=3))
    25.0
    """
    return torch.fft.fft(stream[_shuffled(len(stream))], norm="ortho")


def despread(symbols: Complex[Tensor, " uses"]) -> Complex[Tensor, " uses"]:
    """Inverse of `spread`."""
    stream = torch.empty_like(symbols)
    stream[_shuffled(len(symbols))] = torch.fft.ifft(symbols, norm="ortho")
    return stream


@lru_cache(maxsize=8)
def _shuffled(uses: int) -> Int[np.ndarray, " uses"]:
    """Fixed random permutation, so that fading becomes white noise among the coefficients."""
    return torch.randperm(uses, generator=torch.Generator().manual_seed(uses)).numpy().copy()
