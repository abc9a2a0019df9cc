"""What is measured of restored scenes: what a judge reads in them, bytes, seconds on the demonstration's link.

Each function takes a delivery and returns counts whose ratio is the measure: a numerator and a denominator a row, or
for a mean over classes a column of each for every class. A row in which there is nothing to count is 0 of 0.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semcom import weights
from semcom.link import Delivery
from semcom.systems.scene.classes import CLASSES, IGNORED
from semcom.systems.scene.delay import PacketLink, file_of
from semcom.systems.scene.judge import Judge
from semcom.systems.scene.reading import confusion, right, unions
from semcom.systems.scene.transmitter import Segments

JUDGE = "scene_judge"  # weight file
_SEEN = 30 / (192 * 256)  # share of the pixels from which a person or a car counts as being there

Counts = tuple[Tensor, Tensor]


def miou(delivery: Delivery) -> Counts:
    """Intersections and unions [rows, classes] of what the judge reads in restorations and the true maps."""
    return unions(_read(delivery, delivery.reception.images))


def miou_of_photo(delivery: Delivery) -> Counts:
    """The ceiling of `miou`: the judge reads the photographs themselves."""
    return unions(_read(delivery, delivery.sample.images))


def map_miou(delivery: Delivery) -> Counts:
    """Intersections and unions [rows, classes] of the map that arrived, before any restoration, and the true one."""
    arrived, truth = delivery.reception.labels, delivery.sample.labels
    if arrived is None or truth is None:
        nothing = torch.zeros(len(delivery.uses), len(CLASSES), dtype=torch.int64)
        return nothing, nothing
    return unions(confusion(arrived, truth))


def pixel_accuracy(delivery: Delivery) -> Counts:
    """Pixels in which the judge reads the true class in restorations, of the labelled ones."""
    return right(_read(delivery, delivery.reception.images))


def pixel_accuracy_of_photo(delivery: Delivery) -> Counts:
    """The ceiling of `pixel_accuracy`: the judge reads the photographs themselves."""
    return right(_read(delivery, delivery.sample.images))


def road_iou(delivery: Delivery) -> Counts:
    """Where is the road: intersection and union of that class alone, as the judge reads it."""
    both, either = miou(delivery)
    road = CLASSES.index("road")
    return both[:, road], either[:, road]


def person_told(delivery: Delivery) -> Counts:
    """Is there a pedestrian: 1 of 1 where the judge's answer about the restoration is right."""
    return _told(delivery, CLASSES.index("pedestrian"))


def car_told(delivery: Delivery) -> Counts:
    """Is there a car: 1 of 1 where the judge's answer about the restoration is right."""
    return _told(delivery, CLASSES.index("car"))


def compression_ratio(delivery: Delivery) -> Counts:
    """Bytes of the picture's samples, three a pixel, over all that were sent before channel coding, with padding."""
    sent = _sent_bytes(delivery)
    return torch.where(sent > 0, float(delivery.sample.images[0].numel()), 0.0), sent


def compression_ratio_to_png(delivery: Delivery) -> Counts:
    """Bytes of the picture as PNG over the bytes that were sent before channel coding."""
    sent = _sent_bytes(delivery)
    png = torch.tensor([float(len(file_of(image, "PNG"))) for image in delivery.sample.images])
    return torch.where(sent > 0, png, 0.0), sent


def demonstration_air_s(delivery: Delivery) -> Counts:
    """Seconds that the bytes sent would take on the demonstration's packet link, without loss; 0 of 0 for no bytes."""
    sent, link = _sent_bytes(delivery), PacketLink()
    seconds = torch.tensor([link.air_s(ceil(size)) for size in sent.tolist()], dtype=torch.float64)
    return seconds, (sent > 0).double()


def _sent_bytes(delivery: Delivery) -> Float[Tensor, " rows"]:
    """What the air carried before channel coding: header, payload and what pads it; 0 where no system says."""
    truth = delivery.truth
    if "sent_bits" in truth:
        return truth["sent_bits"].double() / 8
    if "bits" in truth:
        return (truth["bits"] <= 1).sum(1).double() / 8
    return torch.zeros(len(delivery.uses), dtype=torch.float64)


def _read(delivery: Delivery, images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, "rows classes seen"]:
    """What the judge reads in each row, alone so that a batch cannot tip it; zeros without true maps."""
    truth = delivery.sample.labels
    if truth is None:
        return torch.zeros(len(images), len(CLASSES), len(CLASSES) + 1, dtype=torch.int64)
    return _confusion(_judge(JUDGE), images, truth)


@lru_cache(maxsize=2)  # tensors are told apart by identity: several measures of one delivery read it once
def _confusion(judge: Segments, images: Tensor, truth: Tensor) -> Int[Tensor, "rows classes seen"]:
    return confusion(torch.cat([judge.labels(image[None]) for image in images]), truth)


def _told(delivery: Delivery, number: int) -> Counts:
    counts, truth = _read(delivery, delivery.reception.images), delivery.sample.labels
    if truth is None:
        return torch.zeros_like(delivery.uses), torch.zeros_like(delivery.uses)
    least = _SEEN * truth[0].numel()
    there, seen = counts[:, number].sum(1) >= least, counts[:, :, number].sum(1) >= least
    labelled = (truth != IGNORED).flatten(1).any(1)
    return ((there == seen) & labelled).long(), labelled.long()


@lru_cache(maxsize=2)
def _judge(name: str) -> Judge:
    return weights.rebuild(name, "scene", Judge)[0].requires_grad_(False)
