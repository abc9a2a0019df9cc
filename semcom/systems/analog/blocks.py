"""Orthonormal transform of a residual: color differences and a DCT of blocks of 8 x 8 pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

SIDE = 8  # pixels of a block, each direction
_EDGES = (0.5, 1.7, 3.0, 4.6, 6.5)  # frequency limits of the rings
RINGS = len(_EDGES) + 1

_COLOR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def to_blocks(planes: Float[np.ndarray, "3 h w"]) -> Float[np.ndarray, "3 rows columns side side"]:
    """Coefficients of an image whose sides are multiples of `SIDE`: luminance, then two color differences.

    >>> image = np.arange(3 * 8 * 16).reshape(3, 8, 16) / 100
    >>> to_blocks(image).shape, bool(np.allclose(from_blocks(to_blocks(image)), image))
    ((3, 1, 2, 8, 8), True)
    """
    from scipy.fft import dctn

    _, height, width = planes.shape
    colors = np.tensordot(_COLOR, planes, 1).reshape(3, height // SIDE, SIDE, width // SIDE, SIDE)
    return dctn(colors.swapaxes(2, 3), axes=(3, 4), norm="ortho")


def from_blocks(coefficients: Float[np.ndarray, "3 rows columns side side"]) -> Float[np.ndarray, "3 h w"]:
    """Inverse of `to_blocks`."""
    from scipy.fft import idctn

    _, rows, columns, _, _ = coefficients.shape
    colors = idctn(coefficients, axes=(3, 4), norm="ortho").swapaxes(2, 3)
    return np.tensordot(_COLOR.T, colors.reshape(3, rows * SIDE, columns * SIDE), 1)


def rings() -> Int[np.ndarray, "side side"]:
    """Frequency ring of each coefficient of a block, 0 (its mean) to RINGS - 1."""
    return np.asarray(np.searchsorted(_EDGES, np.hypot(*np.indices((SIDE, SIDE)))))
