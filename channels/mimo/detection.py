"""Detection of the symbols of a slot, y = A x + n, without bias: zero-forcing, MMSE or successive cancellation."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from channels.modem.qam import ORDERS, soft_symbols
from channels.precision import in_double
from channels.propagation.linear_detection import linear_filters

Detector = Literal["zf", "mmse", "sic"]


def detect(
    samples: Complex[Tensor, "rows blocks slots samples"],
    matrix: Complex[Tensor, "rows blocks samples streams"],
    n0: Float[Tensor, " rows"],
    sent: Bool[Tensor, "rows blocks slots streams"],
    detector: Detector,
    orders: Int[Tensor, "rows blocks slots streams"] | None = None,
) -> tuple[Complex[Tensor, "rows blocks slots streams"], Float[Tensor, "rows blocks slots streams"]]:
    """Unbiased symbols and the variance of their error.

    Args:
        samples: received samples y of each slot.
        matrix: matrix A of each block of slots.
        n0: noise variance N0.
        sent: whether a symbol is sent.
        detector: "zf", "mmse" or "sic".
        orders: bits per symbol for detector "sic", 0 for a symbol without constellation. None: no symbol has one.
    """
    filters, variance = linear_filters(matrix, n0[:, None], detector != "zf")
    symbols, variance = samples @ filters.conj(), variance[:, :, None].expand(sent.shape)
    if detector != "sic" or orders is None:
        return symbols, variance
    decided = ((orders > 0) | ~sent).all(-1, keepdim=True)
    detected, remaining = _cancel(samples, matrix, n0, orders * sent)
    return torch.where(decided, detected, symbols), torch.where(decided, remaining, variance)


def _cancel(samples: Tensor, matrix: Tensor, n0: Tensor, orders: Tensor) -> tuple[Tensor, Tensor]:
    """Successive cancellation with zero-forcing and soft decisions; symbols of order 0 are not sent.

    A = Q R with sorted columns; the last row of Q^H y = R x + n has one symbol, each row above one more. A detected
    symbol is subtracted as its conditional mean E[x | y], and the rest of it, of variance E|x - E[x | y]|^2, counts as
    noise of the following ones. Zero-forcing keeps the errors of the decisions independent of the symbols that are
    not detected yet, so that estimates are unbiased and noise variances exact; MMSE filters would not.

    Source: Wolniansky and others, V-BLAST, 1998; Wübben and others, Efficient algorithm for decoding layered
    space-time codes, 2001 (sorted QR decomposition).
    """
    orthogonal, triangle, order = _sorted_qr(in_double(matrix))
    order = order.to(matrix.device)
    rows = samples @ orthogonal.conj().to(samples)
    triangle = triangle.to(samples)
    sorted_orders = orders.gather(-1, order[:, :, None].expand(orders.shape))
    streams = matrix.shape[-1]
    estimates, variances, means, remains = ([torch.empty(0)] * streams for _ in range(4))
    for stream in reversed(range(streams)):
        left, level = rows[..., stream], n0[:, None, None].expand(orders.shape[:3])
        for later in range(stream + 1, streams):
            gain = triangle[:, :, None, stream, later]
            left = left - gain * means[later]
            level = level + torch.view_as_real(gain).square().sum(-1) * remains[later]
        own = triangle[:, :, None, stream, stream].real
        estimates[stream], variances[stream] = left / own, level / own.square()
        means[stream], remains[stream] = _decide(estimates[stream], variances[stream], sorted_orders[..., stream])
    back = order.argsort(-1)[:, :, None].expand(orders.shape)
    return torch.stack(estimates, -1).gather(-1, back), torch.stack(variances, -1).gather(-1, back)


def _decide(estimate: Tensor, variance: Tensor, orders: Tensor) -> tuple[Tensor, Tensor]:
    """Conditional means and variances of symbols of several constellations; zero without a constellation."""
    mean, remaining = torch.zeros_like(estimate), torch.zeros_like(variance)
    for bits in ORDERS:
        if (orders == bits).any():
            parts = soft_symbols(estimate, variance, bits)
            mean, remaining = (
                torch.where(orders == bits, new, old) for new, old in zip(parts, (mean, remaining), strict=True)
            )
    return mean, remaining


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
