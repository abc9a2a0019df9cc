"""Detection of the symbols of a slot, y = A x + n, without bias: zero-forcing, MMSE or successive cancellation."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from channels.errors import UsageError
from channels.precision import in_double
from channels.propagation.linear_detection import linear_filters

Detector = Literal["zf", "mmse", "sic"]

_QPSK_TOLERANCE = 1e-4


def detect(
    samples: Complex[Tensor, "rows blocks slots samples"],
    matrix: Complex[Tensor, "rows blocks samples streams"],
    n0: Float[Tensor, " rows"],
    sent: Bool[Tensor, "rows blocks slots streams"],
    detector: Detector,
) -> tuple[Complex[Tensor, "rows blocks slots streams"], Float[Tensor, "rows blocks slots streams"]]:
    """Unbiased symbols and the variance of their error.

    Args:
        samples: received samples y of each slot.
        matrix: matrix A of each block of slots.
        n0: noise variance N0.
        sent: whether a symbol is sent.
        detector: "zf", "mmse" or "sic".
    """
    if detector == "sic":
        return _cancel(samples, matrix, n0, sent)
    filters, variance = linear_filters(matrix, n0[:, None], detector == "mmse")
    return samples @ filters.conj(), variance[:, :, None].expand(sent.shape)


def check_qpsk(symbols: Tensor, sent: Bool[Tensor, "*rows uses"]) -> None:
    """Refuse symbols other than QPSK, on which successive cancellation decides.

    Raises:
        UsageError: a sent symbol is not a point of QPSK.
    """
    parts = torch.view_as_real(symbols.detach()).abs().sub(math.sqrt(0.5)).abs().amax(-1)
    if bool((parts.where(sent, 0) > _QPSK_TOLERANCE).any()):
        raise UsageError(
            "detector sic decides on QPSK symbols: use digital with adaptation: fixed and modulation: qpsk, "
            "or set detector: mmse"
        )


def _cancel(samples: Tensor, matrix: Tensor, n0: Tensor, sent: Tensor) -> tuple[Tensor, Tensor]:
    """Successive cancellation of QPSK symbols, zero-forcing, with soft decisions.

    A = Q R with sorted columns; the last row of Q^H y = R x + n has one symbol, each row above one more. A detected
    symbol is subtracted as its conditional mean E[x | y], and the rest of it, of variance 1 - |E[x | y]|^2, counts as
    noise of the following ones.

    Source: Wolniansky and others, V-BLAST, 1998; Wübben and others, Efficient algorithm for decoding layered
    space-time codes, 2001 (sorted QR decomposition).
    """
    orthogonal, triangle, order = _sorted_qr(in_double(matrix))
    order = order.to(matrix.device)
    rows = samples @ orthogonal.conj().to(samples)
    triangle = triangle.to(samples)
    present = sent.gather(-1, order[:, :, None].expand(sent.shape))
    streams = matrix.shape[-1]
    estimates, variances, means, remains = ([torch.empty(0)] * streams for _ in range(4))
    for stream in reversed(range(streams)):
        later = range(stream + 1, streams)
        gain = [triangle[:, :, None, stream, other] for other in later]
        level = n0[:, None, None].expand(sent.shape[:3])
        left = rows[..., stream]
        for g, other in zip(gain, later, strict=True):
            left = left - g * means[other]
            level = level + torch.view_as_real(g).square().sum(-1) * remains[other]
        own = triangle[:, :, None, stream, stream].real
        estimates[stream], variances[stream] = left / own, level / own.square()
        mean = _qpsk_mean(estimates[stream], variances[stream]) * present[..., stream]
        means[stream] = mean
        remains[stream] = (1 - torch.view_as_real(mean).square().sum(-1)) * present[..., stream]
    back = order.argsort(-1)[:, :, None].expand(sent.shape)
    return torch.stack(estimates, -1).gather(-1, back), torch.stack(variances, -1).gather(-1, back)


def _qpsk_mean(estimate: Tensor, variance: Tensor) -> Tensor:
    """E[x | x + e] of a QPSK symbol x and Gaussian noise e."""
    slope = math.sqrt(2) / variance
    return torch.complex(torch.tanh(slope * estimate.real), torch.tanh(slope * estimate.imag)) * math.sqrt(0.5)


def _sorted_qr(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q, R and the order of the columns: each step orthogonalizes the weakest column left, which is detected last."""
    orthogonal, streams = matrix.clone(), matrix.shape[-1]
    triangle = matrix.new_zeros(*matrix.shape[:-2], streams, streams)
    order = torch.arange(streams, device=matrix.device).expand(*matrix.shape[:-2], streams)
    for step in range(streams):
        weakest = orthogonal[..., step:].abs().square().sum(-2).argmin(-1, keepdim=True) + step
        swap = torch.arange(streams, device=matrix.device).expand(order.shape).clone()
        swap[..., step] = weakest[..., 0]
        swap.scatter_(-1, weakest, step)
        order = order.gather(-1, swap)
        orthogonal, triangle = (
            part.gather(-1, swap[..., None, :].expand(part.shape)) for part in (orthogonal, triangle)
        )
        length = orthogonal[..., step].abs().square().sum(-1).sqrt()
        unit = orthogonal[..., step] / length[..., None]
        across = (unit.conj()[..., None] * orthogonal[..., step + 1 :]).sum(-2)
        triangle[..., step, step] = length.to(triangle.dtype)
        triangle[..., step, step + 1 :] = across
        rest = orthogonal[..., step + 1 :] - unit[..., None] * across[..., None, :]
        orthogonal = torch.cat([orthogonal[..., :step], unit[..., None], rest], -1)
    return orthogonal, triangle, order
