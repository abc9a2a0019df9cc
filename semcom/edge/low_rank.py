"""Low-rank layers: a matrix or convolution W becomes two factors, W = U V."""

from __future__ import annotations

import math

import torch
from torch import nn


def factorize(network: nn.Module, share: float) -> int:
    """Replace matrices and convolutions by two factors of a rank, where that has fewer parameters, in place.

    The factors are those of the truncated singular value decomposition, which minimizes |W - U V|.

    Args:
        network: network whose layers are replaced; it must call its layers, not read their weights.
        share: rank as a share of the full rank, above 0 and up to 1.

    Returns:
        Number of replaced layers.

    Source: Guo et al., PLRD, arXiv:2406.19995.

    >>> network = nn.Sequential(nn.Linear(64, 64))
    >>> factorize(network, 0.25), sum(parameter.numel() for parameter in network.parameters())
    (1, 2112)
    """
    replaced = 0
    for parent in list(network.modules()):
        if isinstance(parent, nn.MultiheadAttention):  # reads the weights of its layer
            continue
        for name, layer in list(parent.named_children()):
            factors = _factors(layer, share)
            if factors is not None:
                setattr(parent, name, factors)
                replaced += 1
    return replaced


def _factors(layer: nn.Module, share: float) -> nn.Sequential | None:
    is_convolution = type(layer) is nn.Conv2d and layer.groups == 1
    if not is_convolution and type(layer) is not nn.Linear:
        return None
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight, bias = layer.weight.detach(), layer.bias
    matrix = weight.flatten(1).float()
    outputs, inputs = matrix.shape
    rank = max(1, math.ceil(share * min(outputs, inputs)))
    if rank * (outputs + inputs) >= outputs * inputs:
        return None
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    left, right = left[:, :rank] * values[:rank].sqrt(), values[:rank, None].sqrt() * right[:rank]
    first: nn.Conv2d | nn.Linear
    second: nn.Conv2d | nn.Linear
    skip = nn.utils.skip_init  # no random draws
    if isinstance(layer, nn.Conv2d):
        geometry = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        first = skip(nn.Conv2d, layer.in_channels, rank, bias=False, padding_mode=layer.padding_mode, **geometry)
        second = skip(nn.Conv2d, rank, outputs, 1, bias=bias is not None)
    else:
        first = skip(nn.Linear, inputs, rank, bias=False)
        second = skip(nn.Linear, rank, outputs, bias=bias is not None)
    with torch.no_grad():
        first.weight.copy_(right.view(first.weight.shape))
        second.weight.copy_(left.view(second.weight.shape))
        if second.bias is not None and bias is not None:
            second.bias.copy_(bias)
    factors = nn.Sequential(first, second).to(weight.device, weight.dtype).train(layer.training)
    return factors.requires_grad_(layer.weight.requires_grad)
