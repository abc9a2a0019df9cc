"""What is measured of generated pictures: what CLIP and a classifier apart tell of them, beside the pictures sent.

Each function takes a delivery and returns a number a row, or counts whose ratio is the measure: a numerator and a
denominator a row, 0 of 0 where there is nothing to measure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from semcom import weights
from semcom.link import Delivery
from semcom.systems.multimodal_generation.classifier import Classifier
from semcom.systems.multimodal_generation.clip import SYSTEM, Clip, tiny
from semcom.systems.multimodal_generation.words import sentence

CLIP, CLASSIFIER = "multimodal_clip", "multimodal_classifier"  # weight files

Counts = tuple[Tensor, Tensor]


def clip_image_similarity(delivery: Delivery) -> Tensor:
    """Cosine of this project's small CLIP between picture and reception; the selector of `multimodal_generation`."""
    return _likeness(_clip(CLIP).image_features, delivery)


def clip_text_similarity(delivery: Delivery) -> Counts:
    """Cosine of the same CLIP between the picture's caption and the reception; 0 of 0 without captions."""
    captions = delivery.sample.captions
    if captions is None:
        return _nothing(delivery)
    clip = _clip(CLIP)
    texts = torch.cat([clip.text_features([sentence(caption)]) for caption in captions])
    cosines = functional.cosine_similarity(texts, _alone(clip.image_features, delivery.reception.images))
    return cosines, torch.ones_like(cosines)


def class_accuracy(delivery: Delivery) -> Counts:
    """1 of 1 where the classifier reads the picture's class in the reception; 0 of 0 without classes."""
    return _right(delivery, delivery.reception.images)


def class_accuracy_of_photo(delivery: Delivery) -> Counts:
    """The ceiling of `class_accuracy`: the classifier reads the photographs themselves."""
    return _right(delivery, delivery.sample.images)


def mobilenet_similarity(delivery: Delivery) -> Tensor:
    """Cosine between picture and reception of the classifier's pooled features, which stand in no loss."""
    return _likeness(_classifier(CLASSIFIER).features, delivery)


def candidate_diversity(delivery: Delivery) -> Counts:
    """1 - cosine of the same features between two candidates, all pairs; 0 of 0 where fewer than two were drawn."""
    candidates = delivery.reception.candidates
    if candidates is None or candidates.shape[1] < 2:
        return _nothing(delivery)
    count = candidates.shape[1]
    found = []
    for drawn in candidates:
        unit = functional.normalize(_alone(_classifier(CLASSIFIER).features, drawn))
        found.append(1 - ((unit @ unit.T).sum() - count) / (count * (count - 1)))
    return torch.stack(found), torch.ones(len(found))


def _likeness(features: Callable[[Tensor], Tensor], delivery: Delivery) -> Float[Tensor, " rows"]:
    sent, received = (_alone(features, images) for images in (delivery.sample.images, delivery.reception.images))
    return functional.cosine_similarity(sent, received)


@torch.no_grad()
def _alone(
    features: Callable[[Tensor], Tensor], images: Float[Tensor, "rows 3 h w"]
) -> Float[Tensor, "rows dimension"]:
    """Features of each picture, alone so that a batch cannot tip them."""
    return torch.cat([features(image[None].float().clamp(0, 1)) for image in images])


def _right(delivery: Delivery, images: Float[Tensor, "rows 3 h w"]) -> Counts:
    truth = delivery.sample.categories
    if truth is None:
        return _nothing(delivery)
    found = _alone(_classifier(CLASSIFIER), images).argmax(1)
    return (found == truth).long(), torch.ones_like(truth)


def _nothing(delivery: Delivery) -> Counts:
    return torch.zeros_like(delivery.uses), torch.zeros_like(delivery.uses)


@lru_cache(maxsize=2)
def _clip(name: str) -> Clip:
    return weights.rebuild(name, SYSTEM, tiny)[0].requires_grad_(False)


@lru_cache(maxsize=2)
def _classifier(name: str) -> Classifier:
    return weights.rebuild(name, SYSTEM, Classifier)[0].requires_grad_(False)
