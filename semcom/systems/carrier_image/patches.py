"""Patches of a tile: splitting, indexing, positional encoding, and a linear code of a single patch."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def patches_of(images: Float[Tensor, "tiles 3 h w"], patch: int) -> Float[Tensor, "tiles patches values"]:
    """Split tiles into patches in raster order, each with 3 * patch * patch values.

    >>> patches_of(torch.zeros(2, 3, 16, 24), 8).shape
    torch.Size([2, 6, 192])
    """
    return functional.unfold(images, patch, stride=patch).transpose(1, 2)


def pixels_of(patches: Float[Tensor, "tiles patches values"], patch: int) -> Float[Tensor, "tiles 3 side side"]:
    """Assemble a square image from patches in raster order; inverse of `patches_of`."""
    side = math.isqrt(patches.shape[1]) * patch
    return functional.fold(patches.transpose(1, 2), side, patch, stride=patch)


def take(values: Float[Tensor, "tiles patches width"], visible: Int[Tensor, "tiles visible"]) -> Tensor:
    """Values of the visible patches, [tiles, visible, width]."""
    return values.gather(1, visible[..., None].expand(-1, -1, values.shape[-1]))


def put(
    values: Float[Tensor, "tiles visible width"], visible: Int[Tensor, "tiles visible"], count: int, other: Tensor
) -> Tensor:
    """Place the values of the visible patches among `count` patches; masked patches get `other`."""
    everywhere = other.to(values.dtype).expand(len(values), count, values.shape[-1])
    return everywhere.scatter(1, visible[..., None].expand_as(values), values)


def position_code(side: int, width: int) -> Float[Tensor, "patches width"]:
    """Positional encoding: sines and cosines of row and column, a quarter of the width each.

    Frequencies are 10000^(-4k / width).

    >>> position_code(2, 8)[0].tolist()
    [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    """
    frequency = 10000 ** (-torch.arange(width // 4) / (width // 4))
    angle = torch.arange(side)[:, None] * frequency
    along = torch.cat([angle.sin(), angle.cos()], -1)
    rows, columns = along[:, None].expand(-1, side, -1), along[None].expand(side, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


def cosine_code(patch: int, latents: int) -> tuple[Float[Tensor, "latents values"], Float[Tensor, " latents"]]:
    """DCT basis functions of the `latents` largest expected variances (rows), and their standard deviations.

    The variances follow power laws in the squared frequency f^2, fitted to natural images, with factors 1, 0.04 and
    0.01 on the gray, red-blue and green-magenta axes.
    """
    index = torch.arange(patch)
    basis = torch.cos(math.pi / patch * index[:, None] * (index + 0.5)) * math.sqrt(2 / patch)
    basis[0] /= math.sqrt(2)
    planar = torch.einsum("uh,vw->uvhw", basis, basis)
    colors = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    colors = colors / colors.norm(dim=1, keepdim=True)
    transform = torch.einsum("kc,uvhw->kuvchw", colors, planar).flatten(3).flatten(0, 2)

    squared = index[:, None] ** 2 + index**2 + 0.18 * (patch / 8) ** 2
    variance = torch.stack([squared**-1.4, 0.04 * squared**-2.2, 0.01 * squared**-2.2]).flatten()
    order = variance.argsort(descending=True, stable=True)[:latents]
    return transform[order], variance[order].sqrt()
