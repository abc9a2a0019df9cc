"""The optimizer Muon for matrices and convolutions."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic that drives singular values from (0, 1] to about 1


class Muon(torch.optim.Optimizer):
    """Update by the orthogonalized momentum: U V^T of its singular value decomposition U S V^T.

    U V^T is computed by Newton-Schulz iterations. A convolution [out, in, h, w] is treated as a matrix [out, in h w].
    The root mean square of an update is about that of AdamW, 0.2 lr, so that the same learning rates can be used.

    Args:
        parameters: parameters of two or more dimensions.
        lr: learning rate.
        weight_decay: decoupled weight decay, multiplied by lr.

    Source: K. Jordan et al., Muon, 2024; the scale as in J. Liu et al., Muon is scalable for LLM training, 2025.

    >>> weight = nn.Parameter(torch.zeros(4, 4))
    >>> optimizer = Muon([weight], lr=0.1)
    >>> weight.grad = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    >>> optimizer.step()
    >>> bool(((weight.diagonal() + 0.2 * 0.1 * 2).abs() < 0.015).all())
    True
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - _MOMENTUM)
                direction = orthogonal(parameter.grad.lerp(momentum, _MOMENTUM).flatten(1))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                scale = 0.2 * max(direction.shape) ** 0.5
                parameter.add_(direction.view_as(parameter), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Approximate U V^T of a matrix U S V^T, with singular values between 0.7 and 1.2."""
    tall = matrix.shape[0] > matrix.shape[1]
    near = (matrix.T if tall else matrix).bfloat16()
    near = near / (near.norm() + 1e-7)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(iterations):
        square = near @ near.T
        near = a * near + (b * square + c * square @ square) @ near
    return (near.T if tall else near).to(matrix.dtype)


def is_inner_matrix(parameter: Tensor) -> bool:
    """Whether to use Muon: for a matrix or convolution whose matrix has at least 48 rows and columns."""
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= 48
