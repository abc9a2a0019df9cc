"""Harmonic inpainting: the smoothest picture through the known patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def harmonic_fill(
    pixels: Float[Tensor, "tiles colours h w"], known: Float[Tensor, "tiles 1 h w"], sweeps: Sequence[int]
) -> Float[Tensor, "tiles colours h w"]:
    """Solve Laplace's equation in the holes: each unknown pixel becomes the mean of its four neighbours.

    Jacobi sweeps from coarse to fine, each grid starting from the one of half its resolution; at the picture's edge the
    normal derivative is zero.

    Args:
        pixels: values, of which those at holes count for nothing.
        known: one where a pixel is known, zero in holes; holes are unions of squares of side 2^(grids - 1).
        sweeps: Jacobi sweeps on each grid, coarsest first; 4 grids for 8-pixel patches.

    Source: Chan and Shen, "Mathematical models for local nontexture inpaintings", SIAM J. Applied Math. 62(3), 2002.

    >>> ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    >>> known = torch.ones(1, 1, 16, 16)
    >>> known[..., 4:8, 4:8] = 0
    >>> bool(((harmonic_fill(ramp * known, known, [50, 50]) - ramp).abs() < 1e-3).all())
    True
    """
    filled = None
    for grid, count in zip(range(len(sweeps) - 1, -1, -1), sweeps, strict=True):
        values, sure = functional.avg_pool2d(pixels, 2**grid), functional.avg_pool2d(known, 2**grid) > 0.5
        if filled is None:
            total = torch.where(sure, values, 0).sum((2, 3), keepdim=True)
            filled = (total / sure.sum((2, 3), keepdim=True).clamp(min=1)).expand_as(values)
        else:
            filled = functional.interpolate(filled, values.shape[-2:], mode="bilinear")
        filled = torch.where(sure, values, filled)
        for _ in range(count):
            filled = torch.where(sure, values, _neighbours(filled))
    assert filled is not None
    return filled


def _neighbours(values: Tensor) -> Tensor:
    """Mean of the four neighbours; the edge repeats itself."""
    wide = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    vertical = wide[..., 2:, 1:-1] + wide[..., :-2, 1:-1]
    return (vertical + wide[..., 1:-1, 2:] + wide[..., 1:-1, :-2]) / 4
