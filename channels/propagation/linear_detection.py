"""Linear detection of streams that share channel uses, y = A x + n, without bias."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels.precision import in_double


def linear_filters(
    matrix: Complex[Tensor, "*blocks antennas streams"], n0: Float[Tensor, "*#blocks"], regularized: bool = True
) -> tuple[Complex[Tensor, "*blocks antennas streams"], Float[Tensor, "*blocks streams"]]:
    """Unbiased MMSE or zero-forcing filters, x^ = W^H y, and the variance of their error.

    With 1 - a_s = N0 [(N0 I + A^H A)^-1]_ss the unbiased MMSE filter has variance (1 - a_s) / a_s, zero-forcing
    N0 [(A^H A)^-1]_ss. Both come from the QR decomposition [A; sqrt(N0) I] = Q T (zero-forcing: A = Q T), which is
    better conditioned than the product A^H A.

    Args:
        matrix: channel A of each block, complex64 [..., antennas, streams].
        n0: noise variance at each antenna, float32 [...].
        regularized: MMSE filter; False for zero-forcing, which requires as many antennas as streams or more.

    Returns:
        Filters W, complex64 [..., antennas, streams], and error variances, float32 [..., streams], on the device of
        `matrix`. The filter of a stream with zero gain is zero.

    Source: Hassibi, A fast square-root implementation for BLAST, 2000.

    >>> filters, variance = linear_filters(2 * torch.eye(2, dtype=torch.complex64), torch.tensor(1.0))
    >>> filters.diagonal().real.tolist(), variance.tolist()
    ([0.5, 0.5], [0.25, 0.25])
    """
    channel = in_double(matrix)
    antennas, streams = channel.shape[-2:]
    identity = torch.eye(streams, dtype=channel.dtype, device=channel.device)
    level = in_double(n0)[..., None, None]
    rows = torch.cat([channel, (level.sqrt() * identity).expand(*channel.shape[:-2], -1, -1)], -2)
    orthogonal, triangle = torch.linalg.qr(rows if regularized else channel)
    inverse = torch.linalg.solve_triangular(triangle, identity.expand_as(triangle), upper=True)
    filters = orthogonal[..., :antennas, :] @ inverse.mH
    error = level[..., 0] * torch.view_as_real(inverse).square().sum((-2, -1))
    if regularized:
        scale = (channel.conj() * filters).real.sum(-2)  # a_s
        scale = scale.where(scale > 0, 1)
        filters, error = filters / scale[..., None, :], error / scale
    return filters.to(matrix.dtype).to(matrix.device), error.float().to(matrix.device)
