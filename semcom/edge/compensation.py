"""Rounding with compensation: the error of each rounded weight is compensated by the weights that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from semcom.weights import quantization

_DAMPING = 0.01  # share of the mean of the diagonal of X'X


def round_networks(networks: Sequence[nn.Module], bits: int, run: Callable[[], Any]) -> None:
    """Round the matrices and convolutions of networks to a few bits, in place.

    For a layer with weights W and inputs X of calibration images, columns are rounded one after the other, and the
    error of each is compensated by the columns that follow, such that |X (W - W_rounded)'| is small. Layers that do not
    run, transposed and grouped convolutions are rounded to the nearest level. Each parameter gets an attribute
    `stored_bytes`, which `semcom.budget` counts.

    Args:
        networks: networks to round.
        bits: number of bits of each weight, 2 to 8.
        run: function that transmits the calibration images through the networks.

    Source: Frantar et al., GPTQ, ICLR 2023, arXiv:2210.17323.
    """
    with _products(networks) as products, torch.no_grad():
        run()
    with torch.no_grad():
        rounded: set[int] = set()
        for layer, product in products.items():
            if id(layer.weight) not in rounded:
                matrix = layer.weight.flatten(1)
                layer.weight.copy_(compensated(matrix, product, bits).view_as(layer.weight))
                rounded.add(id(layer.weight))
        for network in networks:
            for parameter in network.parameters():
                few = quantization.is_quantized(parameter)
                if few and id(parameter) not in rounded:
                    parameter.copy_(quantization.rounded(parameter, bits))
                    rounded.add(id(parameter))
                size = quantization.stored_bytes(parameter, bits) if few else 2 * parameter.numel()
                parameter.stored_bytes = size  # type: ignore[attr-defined]


def compensated(
    weight: Float[Tensor, "outputs inputs"], product: Float[Tensor, "inputs inputs"], bits: int
) -> Float[Tensor, "outputs inputs"]:
    """Rounded weights with a small error of the outputs.

    Args:
        weight: weights W.
        product: X'X of the inputs X [positions, inputs].
        bits: number of bits of each weight.

    >>> draw = torch.Generator().manual_seed(0)
    >>> weight, inputs = torch.randn(8, 16, generator=draw), torch.randn(99, 16, generator=draw)
    >>> inputs[:, 8:] = inputs[:, :8] + 0.1 * inputs[:, 8:]  # correlated inputs
    >>> errors = [(inputs @ (weight - rounded).T).square().sum()
    ...           for rounded in (compensated(weight, inputs.T @ inputs, 4), quantization.rounded(weight, 4))]
    >>> bool(errors[0] < 0.5 * errors[1])
    True
    """
    rest = weight.double().clone()
    highest = 2 ** (bits - 1) - 1
    scale = quantization.quantize(weight, bits)[1].double()[:, 0]
    damping = _DAMPING * product.diagonal().mean() + 1e-9
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(product.double() + damping * torch.eye(len(product))))
    factor = torch.linalg.cholesky(inverse, upper=True)
    for i in range(rest.shape[1]):
        level = (rest[:, i] / scale).round().clamp(-highest, highest) * scale
        error = (rest[:, i] - level) / factor[i, i]
        rest[:, i + 1 :] -= error[:, None] * factor[i, i + 1 :]
        rest[:, i] = level
    return rest.to(weight.dtype)


@contextmanager
def _products(networks: Sequence[nn.Module]) -> Iterator[dict[Any, Float[Tensor, "inputs inputs"]]]:
    """X'X of each layer that runs inside the context, in float64 on the CPU."""
    found: dict[Any, Tensor] = {}

    def add(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        inputs = given[0].detach().float()
        if isinstance(layer, nn.Conv2d):
            padding = layer.padding if isinstance(layer.padding, tuple) else 0
            inputs = functional.unfold(inputs, layer.kernel_size, layer.dilation, padding, layer.stride)
            inputs = inputs.transpose(1, 2)
        inputs = inputs.reshape(-1, inputs.shape[-1])
        found[layer] = found.get(layer, 0) + (inputs.T @ inputs).double().cpu()

    layers = {part for network in networks for part in network.modules() if _has_matrix(part)}
    handles = [layer.register_forward_pre_hook(add) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _has_matrix(part: nn.Module) -> bool:
    """Whether the layer is a product of a matrix with its inputs or with patches of them."""
    is_convolution = type(part) is nn.Conv2d and part.groups == 1 and part.padding_mode == "zeros"
    return type(part) is nn.Linear or (is_convolution and not isinstance(part.padding, str))
