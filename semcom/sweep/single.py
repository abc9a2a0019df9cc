"""Transmit a single image, optionally with a message, without a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from channels.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from channels.base import Channel
    from semcom.images.source_image import SourceImage
    from semcom.link import Delivery, Link
    from semcom.scenario.model import Point


def link_for(point: Point, channel: Channel, image: SourceImage) -> Link:
    """The system of a point over a channel, with the channel-use budget for an image of this shape."""
    from semcom.link import Link
    from semcom.sweep.transmission import build_system, cbr_budget

    return Link(build_system(point.system, cbr_budget(point, channel, image)), channel)


def deliver_image(
    link: Link,
    point: Point,
    image: SourceImage,
    index: int,
    message: Tensor | None,
    record_signals: bool = False,
    device: str = "cpu",
) -> Delivery:
    """Transmit one image from each user of a point.

    Args:
        link: link from `link_for`.
        point: system, channel and conditions.
        image: image to transmit.
        index: number of the transmission; noise and fading are those of repetition `index` of a scenario.
        message: uint8 [bits] of 0 and 1, message of every user; None for random bits.
        record_signals: whether the result has the sent and received symbols.
        device: kind of the device on which everything runs, from `semcom.devices.resolve`.
    """
    import torch

    from semcom.sweep import transmission

    users = [(image, user) for user in range(point.users)]
    with torch.no_grad():
        point = replace(point, repetition=index)
        return transmission.deliver_batch(link, point, users, message, record_signals, device=device)


def deliver_realizations(
    link: Link, point: Point, image: SourceImage, indices: Sequence[int], device: str = "cpu"
) -> Delivery:
    """Transmit one image once over each of several realizations of fading and noise: one row for each.

    Row i is the transmission of `deliver_image` with index `indices[i]`, up to the rounding of networks, which depends
    on the number of rows.

    Args:
        link: link from `link_for`.
        point: system, channel and conditions, with one user.
        image: image to transmit.
        indices: number of each transmission; noise and fading are those of that repetition of a scenario.
        device: kind of the device on which everything runs, from `semcom.devices.resolve`.

    Raises:
        UsageError: the point has several users.
    """
    import torch

    from semcom.sweep import transmission

    if point.users != 1:
        raise UsageError(f"realizations require one user, not {point.users}; set users to 1")
    with torch.no_grad():
        batch = [(image, 0)] * len(indices)
        return transmission.deliver_batch(link, point, batch, repetitions=indices, device=device)
