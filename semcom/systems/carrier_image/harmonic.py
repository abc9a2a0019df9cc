"""Harmonic inpainting: solution of Laplace's equation in the unknown pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def harmonic_fill(
    pixels: Float[Tensor, "tiles colors h w"], known: Float[Tensor, "tiles 1 h w"], iterations: Sequence[int]
) -> Float[Tensor, "tiles colors h w"]:
    """Fill unknown pixels so that each is the mean of its four neighbors (Laplace's equation).

    Jacobi iteration from coarse to fine grids; each grid starts from the solution at half its resolution. The normal
    derivative is zero at the image border.

    Args:
        pixels: pixel values; values of unknown pixels are ignored.
        known: mask, 1 at known and 0 at unknown pixels; unknown regions are unions of squares of side 2^(grids - 1).
        iterations: number of Jacobi iterations on each grid, coarsest first; 4 grids for 8-pixel patches.

    Source: Chan and Shen, "Mathematical models for local nontexture inpaintings", SIAM J. Applied Math. 62(3), 2002.

    >>> ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    >>> known = torch.ones(1, 1, 16, 16)
    >>> known[..., 4:8, 4:8] = 0
    >>> bool(((harmonic_fill(ramp * known, known, [50, 50]) - ramp).abs() < 1e-3).all())
    True
    """
    filled = None
    for grid, count in zip(range(len(iterations) - 1, -1, -1), iterations, strict=True):
        values, fixed = functional.avg_pool2d(pixels, 2**grid), functional.avg_pool2d(known, 2**grid) > 0.5
        if filled is None:
            total = torch.where(fixed, values, 0).sum((2, 3), keepdim=True)
            filled = (total / fixed.sum((2, 3), keepdim=True).clamp(min=1)).expand_as(values)
        else:
            filled = functional.interpolate(filled, values.shape[-2:], mode="bilinear")
        filled = torch.where(fixed, values, filled)
        for _ in range(count):
            filled = torch.where(fixed, values, _neighbors(filled))
    assert filled is not None
    return filled


def _neighbors(values: Tensor) -> Tensor:
    """Mean of the four neighbors; border pixels are repeated."""
    wide = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    vertical = wide[..., 2:, 1:-1] + wide[..., :-2, 1:-1]
    return (vertical + wide[..., 1:-1, 2:] + wide[..., 1:-1, :-2]) / 4
