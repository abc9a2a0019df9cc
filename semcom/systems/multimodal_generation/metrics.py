"""Metrics of generated images: similarity to the sent image by CLIP and by a classifier, class accuracy, diversity.

Each function accepts a delivery and returns one number per row, or a numerator and a denominator per row, whose ratio
of sums is the metric; both are 0 for rows without the required captions, classes or candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from semcom import weights
from semcom.devices import place
from semcom.link import Delivery
from semcom.metrics.metric import Metric, Rows, not_applicable
from semcom.systems.multimodal_generation.networks.classifier import Classifier
from semcom.systems.multimodal_generation.networks.clip import SYSTEM, Clip, tiny_clip
from semcom.systems.multimodal_generation.words import sentence

CLIP, CLASSIFIER = "multimodal_clip", "multimodal_classifier"  # weight files


def clip_image_similarity(delivery: Delivery) -> Tensor:
    """Cosine similarity of the CLIP features of sent and received image; the same CLIP also selects candidates."""
    return _similarity(_clip_for(delivery).image_features, delivery)


def clip_text_similarity(delivery: Delivery) -> tuple[Rows, Rows]:
    """Cosine similarity of the CLIP features of caption and received image; not defined without captions."""
    captions = delivery.sample.captions
    if captions is None:
        return not_applicable(delivery)
    clip = _clip_for(delivery)
    texts = torch.cat([clip.text_features([sentence(caption)]) for caption in captions])
    cosines = functional.cosine_similarity(texts, _one_by_one(clip.image_features, delivery.reception.images))
    return cosines, torch.ones_like(cosines)


def class_accuracy(delivery: Delivery) -> tuple[Rows, Rows]:
    """Classification accuracy of received images: 1 if correct, 0 if not; not defined without classes."""
    return _correct(delivery, delivery.reception.images)


def class_accuracy_ceiling(delivery: Delivery) -> tuple[Rows, Rows]:
    """Upper reference of `class_accuracy`: the classifier classifies the sent images."""
    return _correct(delivery, delivery.sample.images)


def mobilenet_similarity(delivery: Delivery) -> Tensor:
    """Cosine similarity of the MobileNet features of sent and received image; MobileNet is the evaluation network."""
    return _similarity(_classifier_for(delivery).features, delivery)


def candidate_diversity(delivery: Delivery) -> tuple[Rows, Rows]:
    """Mean of 1 - cosine similarity of MobileNet features of all pairs of candidates; not defined for one candidate."""
    candidates = delivery.reception.candidates
    if candidates is None or candidates.shape[1] < 2:
        return not_applicable(delivery)
    count = candidates.shape[1]
    diversity = []
    for images in candidates:
        unit = functional.normalize(_one_by_one(_classifier_for(delivery).features, images))
        diversity.append(1 - ((unit @ unit.T).sum() - count) / (count * (count - 1)))
    return torch.stack(diversity), torch.ones(len(diversity))


def _similarity(features: Callable[[Tensor], Tensor], delivery: Delivery) -> Float[Tensor, " rows"]:
    sent, received = (_one_by_one(features, images) for images in (delivery.sample.images, delivery.reception.images))
    return functional.cosine_similarity(sent, received)


@torch.no_grad()
def _one_by_one(
    features: Callable[[Tensor], Tensor], images: Float[Tensor, "rows 3 h w"]
) -> Float[Tensor, "rows dimension"]:
    """Return the features of each image; one image at a time, so that they do not depend on the batch."""
    return torch.cat([features(image[None].float().clamp(0, 1)) for image in images])


def _correct(delivery: Delivery, images: Float[Tensor, "rows 3 h w"]) -> tuple[Rows, Rows]:
    truth = delivery.sample.categories
    if truth is None:
        return not_applicable(delivery)
    predicted = _one_by_one(_classifier_for(delivery), images).argmax(1)
    return (predicted == truth).long(), torch.ones_like(truth)


def _clip_for(delivery: Delivery) -> Clip:
    return place(_clip(CLIP), delivery.reception.images.device)


def _classifier_for(delivery: Delivery) -> Classifier:
    return place(_classifier(CLASSIFIER), delivery.reception.images.device)


@lru_cache(maxsize=2)
def _clip(name: str) -> Clip:
    return weights.rebuild(name, SYSTEM, tiny_clip)[0].requires_grad_(False)


@lru_cache(maxsize=2)
def _classifier(name: str) -> Classifier:
    return weights.rebuild(name, SYSTEM, Classifier)[0].requires_grad_(False)


METRICS: dict[str, Metric] = {
    "clip_image_similarity": Metric(clip_image_similarity, "", True, "semantic", bounds=(-1.0, 1.0)),
    "clip_text_similarity": Metric(clip_text_similarity, "", True, "semantic", bounds=(-1.0, 1.0)),
    "class_accuracy": Metric(class_accuracy, "", True, "semantic"),
    "class_accuracy_ceiling": Metric(class_accuracy_ceiling, "", True, "semantic"),
    "mobilenet_similarity": Metric(mobilenet_similarity, "", True, "semantic", bounds=(-1.0, 1.0)),
    "candidate_diversity": Metric(candidate_diversity, "", True, "semantic"),
}
