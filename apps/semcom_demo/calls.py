"""Calls of semcom without any widget. The pages show the source of these functions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from channels import Channel, UsageError
from semcom import Delivery, devices, discover, weights
from semcom.codecs import file_frames
from semcom.images.source_image import SourceImage
from semcom.metrics import measure
from semcom.scenario.load import scenario_from
from semcom.scenario.model import Point, Variant
from semcom.sweep.messages import message_bits
from semcom.sweep.single import deliver_image, link_for
from semcom.sweep.transmission import deliver_batch

# --- one image -----------------------------------------------------------------------------------------------------


def make_point(
    system: str,
    channel: str,
    snr_db: float,
    users: int = 1,
    medium_cbr: float = 1 / 16,
    seed: int = 0,
    settings: Sequence[str] = (),
    designed_snr_db: float | None = None,
) -> Point:
    """Operating point of a transmission: everything but the image, validated like a scenario file."""
    designed = {} if designed_snr_db is None else {"designed_snr_db": designed_snr_db}
    scenario = scenario_from(
        {
            "systems": [system],
            "channel": channel,
            "medium_cbr": medium_cbr,
            "sweep": {"snr_db": snr_db, "users": users, **designed},
            "images": {"source": "photos"},
            "metrics": ["psnr"],
            "seed": seed,
        },
        settings,
        name="this page",
    )
    (point,) = scenario.points()
    return point


def send_photo(photo: SourceImage, point: Point) -> Delivery:
    """Send the same image from each user of the point over one channel."""
    link = link_for(point, build_channel(point.channel), photo)
    return deliver_image(link, point, photo, index=0, message=None, record_signals=True, device=device())


def send_photos(photos: Sequence[SourceImage], point: Point) -> Delivery:
    """Send a different image from each user; a broadcast sends the first image to all users."""
    channel = build_channel(point.channel)
    step = 0 if channel.medium.access == "common" else 1
    batch = [(photos[step * user % len(photos)], user) for user in range(point.users)]
    with torch.no_grad():
        return deliver_batch(link_for(point, channel, photos[0]), point, batch, device=device())


@lru_cache(maxsize=1)
def device() -> str:
    """Kind of the device on which networks run: that of `semcom app --device`."""
    return devices.resolve(os.environ.get("SEMCOM_DEVICE", "auto"))


@lru_cache(maxsize=16)
def build_channel(variant: Variant) -> Channel:
    """Build a channel. It has no state, so that all visitors share it."""
    return variant.entry.load()(**dict(variant.arguments))


def metric_value(name: str, delivery: Delivery, row: int = 0) -> float | None:
    """Value of a metric for one row, or None where the metric does not apply."""
    values = measure(name, delivery)
    if not isinstance(values, tuple):
        return float(values[row])
    numerator, denominator = (part[row].double() for part in values)
    applies = denominator > 0  # a ratio, or one for each class: their mean is taken over the classes that occur
    return float((numerator[applies] / denominator[applies]).mean()) if bool(applies.any()) else None


# --- a file in an image ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HiddenFile:
    """Result of the transmission of a file inside an image.

    Args:
        delivery: Transmission of the image.
        payload: Received file, or None if its checksum is wrong.
    """

    delivery: Delivery
    payload: bytes | None


def capacity_bytes(photo: SourceImage, point: Point) -> int:
    """Size in bytes of the largest file that fits into an image."""
    link = link_for(point, build_channel(point.channel), photo)
    return file_frames.capacity_bytes([message_bits(link, photo)])


def hide_file(photo: SourceImage, payload: bytes, point: Point) -> HiddenFile:
    """Send a file in the patch mask of an image, and recover the file from the received mask."""
    link = link_for(point, build_channel(point.channel), photo)
    (message,) = file_frames.split(payload, [message_bits(link, photo)])
    delivery = deliver_image(link, point, photo, index=0, message=message, record_signals=True, device=device())
    received = devices.moved(delivery.reception.message, "cpu")
    return HiddenFile(delivery, None if received is None else file_frames.join([received[0]]))


# --- streets, candidates ---------------------------------------------------------------------------------------------


def label_maps(delivery: Delivery) -> tuple[Tensor, Tensor]:
    """Label maps as colored images: the one sent, at its resolution, and the one received. Missing parts are black."""
    delivery = devices.moved(delivery, "cpu")
    received = delivery.reception.labels
    if received is None:
        raise UsageError("this system sends no label maps; choose scene")
    from semcom.images.street_classes import IGNORED, colored
    from semcom.systems.scene.agreement import downsample, upsample

    labels, factor = delivery.truth["labels"][0], int(delivery.truth["downsampling"][0])
    sent = upsample(downsample(labels, factor), factor, (labels.shape[0], labels.shape[1]))
    if not delivery.truth["map_bytes"][0]:
        sent = torch.full_like(labels, IGNORED)
    return colored(sent[None])[0], colored(received)[0]


def candidates(delivery: Delivery) -> list[tuple[Tensor, float, bool]]:
    """Each candidate of the first row: image, score, and whether the receiver selected it."""
    reception = delivery.reception
    if reception.candidates is None or reception.scores is None or reception.chosen is None:
        raise UsageError("this system generates no candidates; choose multimodal_generation")
    chosen = int(reception.chosen[0])
    scores = reception.scores[0].tolist()
    return [
        (image, score, index == chosen)
        for index, (image, score) in enumerate(zip(reception.candidates[0], scores, strict=True))
    ]


def description(delivery: Delivery) -> str:
    """Sentence whose text features were sent for the first row, or an empty string."""
    return str(next(iter(delivery.truth.get("description", [])), ""))


# --- systems, arguments ----------------------------------------------------------------------------------------------

_NETWORKS = {"scene": "scene_segmenter", "multimodal_generation": "multimodal_generator"}
"""Bundled weights without which a system is not offered."""


def available_systems(names: Sequence[str]) -> list[str]:
    """The named systems that are installed together with the weights that they need."""
    untrained = {system for system, network in _NETWORKS.items() if not _bundled(network)}
    return [name for name in names if name in discover.entries("system") and name not in untrained]


def scene_settings() -> list[str]:
    """Settings of the scene system that select its bundled networks; empty if its segmenter is not bundled."""
    if not _bundled("scene_segmenter"):
        return []
    settings = ["scene.weights=scene_segmenter"]
    if _bundled("scene_restorer"):
        settings += ["scene.restorer=gan", "scene.restorer_weights=scene_restorer"]
    return settings


def _bundled(name: str) -> bool:
    return weights.is_bundled(name)


def unit(metric: str) -> str:
    """Unit of a metric, as written on an axis."""
    return discover.metrics()[metric].unit


def point_arguments(point: Point) -> dict[str, Any]:
    """Arguments of `make_point` that give this point; default values of users, seed and designed SNR are left out."""
    arguments = {
        "system": point.system.name,
        "channel": point.channel.name,
        "snr_db": point.snr_db,
        "users": point.users,
        "medium_cbr": point.medium_cbr,
        "seed": point.seed,
        "designed_snr_db": point.designed_snr_db(0),
    }
    defaults = {"users": 1, "seed": 0, "designed_snr_db": None}
    return {name: value for name, value in arguments.items() if name not in defaults or value != defaults[name]}
