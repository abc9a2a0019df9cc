"""Metrics of the scene link: segmentation scores of the restored images, compression ratios, transfer delay.

Each metric accepts a delivery and returns numerators and denominators [rows], or [rows, classes] for a mean over
classes. Rows without data are 0 / 0. The evaluation network is a segmentation network that no restorer was trained
with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels.errors import UsageError
from semcom import weights
from semcom.devices import place
from semcom.images.source_image import SourceImage
from semcom.images.street_classes import CLASSES, IGNORED, StreetClass, check_labels
from semcom.link import Delivery
from semcom.metrics.metric import Counts, Metric, Rows, not_applicable
from semcom.systems.scene.delay import PacketLink, file_of
from semcom.systems.scene.evaluation_network import EvaluationNetwork
from semcom.systems.scene.transmitter import SegmentationNetwork

EVALUATION_WEIGHTS = "scene_evaluation_network"
_PRESENT = 30 / (192 * 256)  # smallest share of the pixels of a class that counts as present


def miou(delivery: Delivery) -> Counts:
    """mIoU of restored images, segmented by the evaluation network, against the true map."""
    return intersection_and_union(_segment(delivery, delivery.reception.images))


def miou_ceiling(delivery: Delivery) -> Counts:
    """Upper reference of `miou`: the evaluation network segments the original images."""
    return intersection_and_union(_segment(delivery, delivery.sample.images))


def label_map_miou(delivery: Delivery) -> Counts:
    """mIoU of the received label map, before restoration, against the true map."""
    received, truth = delivery.reception.labels, delivery.sample.labels
    if received is None or truth is None:
        zeros = torch.zeros(len(delivery.uses), len(CLASSES), dtype=torch.int64)
        return zeros, zeros
    return intersection_and_union(confusion_matrices(received, truth))


def pixel_accuracy(delivery: Delivery) -> tuple[Rows, Rows]:
    """Pixel accuracy of restored images: labeled pixels that the evaluation network segments correctly."""
    return correct_pixels(_segment(delivery, delivery.reception.images))


def pixel_accuracy_ceiling(delivery: Delivery) -> tuple[Rows, Rows]:
    """Upper reference of `pixel_accuracy`: the evaluation network segments the original images."""
    return correct_pixels(_segment(delivery, delivery.sample.images))


def road_iou(delivery: Delivery) -> tuple[Rows, Rows]:
    """IoU of the class road in restored images."""
    intersection, union = miou(delivery)
    return intersection[:, StreetClass.ROAD], union[:, StreetClass.ROAD]


def person_presence_accuracy(delivery: Delivery) -> tuple[Rows, Rows]:
    """1 if the restored image and the true map agree on the presence of pedestrians, 0 if not."""
    return _presence(delivery, StreetClass.PEDESTRIAN)


def car_presence_accuracy(delivery: Delivery) -> tuple[Rows, Rows]:
    """1 if the restored image and the true map agree on the presence of cars, 0 if not."""
    return _presence(delivery, StreetClass.CAR)


def compression_ratio(delivery: Delivery) -> tuple[Rows, Rows]:
    """Raw RGB bytes of the image over transmitted bytes before channel coding, with header and padding."""
    transmitted = _transmitted_bytes(delivery)
    return torch.where(transmitted > 0, float(delivery.sample.images[0].numel()), 0.0), transmitted


def compression_ratio_to_png(delivery: Delivery) -> tuple[Rows, Rows]:
    """Bytes of the image as PNG over transmitted bytes before channel coding, with header and padding."""
    transmitted = _transmitted_bytes(delivery)
    png = torch.tensor([float(len(file_of(image, "PNG"))) for image in delivery.sample.images])
    return torch.where(transmitted > 0, png, 0.0), transmitted


def delay_s(delivery: Delivery) -> tuple[Rows, Rows]:
    """Seconds to transfer the transmitted bytes over the packet link of the source paper."""
    transmitted, link = _transmitted_bytes(delivery), PacketLink()
    seconds = torch.tensor([link.transfer_s(ceil(size)) for size in transmitted.tolist()], dtype=torch.float64)
    return seconds, (transmitted > 0).double()


def _transmitted_bytes(delivery: Delivery) -> Float[Tensor, " rows"]:
    """Transmitted bytes before channel coding: header, payload, padding; 0 for a system that does not state them."""
    truth = delivery.truth
    if "sent_bits" in truth:
        return truth["sent_bits"].cpu().double() / 8
    if "bits" in truth:
        return (truth["bits"] <= 1).sum(1).cpu().double() / 8
    return torch.zeros(len(delivery.uses), dtype=torch.float64)


def evaluated_labels(images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, "rows h w"]:
    """Class of each pixel according to the evaluation network, which no training used.

    Args:
        images: float32 [rows, 3, h, w], RGB in [0, 1].
    """
    network = place(_evaluation_network(EVALUATION_WEIGHTS), images.device)
    return torch.cat([network.labels(image[None]) for image in images])


def _segment(delivery: Delivery, images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, "rows classes predicted"]:
    """Confusion matrices of the segmented images against the true maps; zeros without true maps."""
    truth = delivery.sample.labels
    if truth is None:
        return torch.zeros(len(images), len(CLASSES), len(CLASSES) + 1, dtype=torch.int64)
    return _confusion(place(_evaluation_network(EVALUATION_WEIGHTS), images.device), images, truth)


@lru_cache(maxsize=2)  # tensors compare by identity: the metrics of one delivery share one segmentation
def _confusion(network: SegmentationNetwork, images: Tensor, truth: Tensor) -> Int[Tensor, "rows classes predicted"]:
    # One row at a time: rounding depends on the batch size.
    return confusion_matrices(torch.cat([network.labels(image[None]) for image in images]), truth)


def _presence(delivery: Delivery, number: int) -> tuple[Rows, Rows]:
    counts, truth = _segment(delivery, delivery.reception.images), delivery.sample.labels
    if truth is None:
        return not_applicable(delivery)
    truth = truth.cpu()
    least = _PRESENT * truth[0].numel()
    present, predicted = counts[:, number].sum(1) >= least, counts[:, :, number].sum(1) >= least
    labeled = (truth != IGNORED).flatten(1).any(1)
    return ((present == predicted) & labeled).long(), labeled.long()


@lru_cache(maxsize=2)
def _evaluation_network(name: str) -> EvaluationNetwork:
    return weights.rebuild(name, "scene", EvaluationNetwork)[0].requires_grad_(False)


# --- confusion matrices ----------------------------------------------------------------------------------------------


def confusion_matrices(
    predicted: Int[Tensor, "rows h w"], truth: Int[Tensor, "rows h w"]
) -> Int[Tensor, "rows classes predicted"]:
    """Count labeled pixels of each row by true class and predicted class; the last column counts `IGNORED` ones.

    >>> confusion_matrices(torch.tensor([[[0, 1]]]), torch.tensor([[[0, 0]]]))[0, 0, :3].tolist()
    [1, 1, 0]
    """
    check_labels(truth)
    classes = len(CLASSES)
    counts = []
    for row_predicted, row_truth in zip(predicted.cpu(), truth.cpu(), strict=True):
        labeled = row_truth != IGNORED
        pairs = row_truth[labeled] * (classes + 1) + row_predicted[labeled]
        counts.append(torch.bincount(pairs, minlength=classes * (classes + 1)).view(classes, classes + 1))
    return torch.stack(counts)


def intersection_and_union(
    counts: Int[Tensor, "rows classes predicted"],
) -> tuple[Int[Tensor, "rows classes"], Int[Tensor, "rows classes"]]:
    """Intersection and union of predicted and true pixels of each class, from confusion matrices."""
    intersection = counts.diagonal(dim1=1, dim2=2)
    return intersection, counts.sum(2) + counts.sum(1)[:, : len(CLASSES)] - intersection


def correct_pixels(counts: Int[Tensor, "rows classes predicted"]) -> tuple[Int[Tensor, " rows"], Int[Tensor, " rows"]]:
    """Number of correct pixels and of all labeled pixels, from confusion matrices."""
    return counts.diagonal(dim1=1, dim2=2).sum(1), counts.sum((1, 2))


def segmentation_scores(predict: Callable[[SourceImage], Tensor], images: Sequence[SourceImage]) -> dict[str, float]:
    """mIoU, pixel accuracy and the IoU of each class over a set of images.

    Counts are summed over the images before the ratios. A class that is neither present nor predicted is left out.

    Args:
        predict: function from an image to predicted classes [h, w].
        images: images with true label maps.

    Raises:
        UsageError: an image has no label map.
    """
    counts = torch.zeros(len(CLASSES), len(CLASSES) + 1, dtype=torch.int64)
    for image in images:
        if image.labels is None:
            raise UsageError(f"{image.name} has no label map: choose --validation camvid:val or streets:val")
        counts += confusion_matrices(predict(image)[None], image.labels[None])[0]
    (intersection,), (union,) = intersection_and_union(counts[None])
    index = {name: int(intersection[i]) / int(union[i]) for i, name in enumerate(CLASSES) if union[i]}
    mean = sum(index.values()) / len(index)
    return {"miou": mean, "pixel_accuracy": int(intersection.sum()) / int(counts.sum())} | index


METRICS: dict[str, Metric] = {
    "miou": Metric(miou, "", True, "semantic"),
    "miou_ceiling": Metric(miou_ceiling, "", True, "semantic"),
    "label_map_miou": Metric(label_map_miou, "", True),
    "pixel_accuracy": Metric(pixel_accuracy, "", True, "semantic"),
    "pixel_accuracy_ceiling": Metric(pixel_accuracy_ceiling, "", True, "semantic"),
    "road_iou": Metric(road_iou, "", True, "semantic"),
    "person_presence_accuracy": Metric(person_presence_accuracy, "", True, "semantic"),
    "car_presence_accuracy": Metric(car_presence_accuracy, "", True, "semantic"),
    "compression_ratio": Metric(compression_ratio, "", True, bounds=(0.0, None)),
    "compression_ratio_to_png": Metric(compression_ratio_to_png, "", True, bounds=(0.0, None)),
    "delay_s": Metric(delay_s, "s", False, bounds=(0.0, None)),
}
