"""Simulate one point of a scenario: transmit its images and compute the metrics."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from channels import awgn
from channels.base import Channel
from channels.errors import UsageError
from channels.rng import seed_for
from semcom import discover
from semcom.devices import moved, resolve
from semcom.discover import user_modules
from semcom.edge import build_variant
from semcom.images.names import readable
from semcom.images.source_image import SourceImage, group_by_shape
from semcom.link import Delivery, Link
from semcom.scenario.model import Images, Point, Variant
from semcom.sweep import inputs, memory, messages
from semcom.sweep.columns import channel_knowledge, conditions, measures, tables
from semcom.sweep.ledger import Ledger, ledger
from semcom.sweep.run_folder import png
from semcom.sweep.workers import PointError
from semcom.system import Bound, Sample, System, uses_for

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Part:
    """The results of one point.

    Args:
        rows: conditions, metrics and counted cost, one row for each image and user.
        seconds: run time of each row, and measured cost.
        images: contents of PNG files, by their name in OUT/images.
        inputs: SHA-256 of each transmitted image and its annotations, by name.
    """

    rows: pyarrow.Table
    seconds: pyarrow.Table
    images: dict[str, bytes]
    inputs: dict[str, str]


def run_point(point: Point, device: str = "cpu", batch: int | None = None) -> Part:
    """Transmit all images of a point and compute its metrics; equal points give equal rows.

    A batch that exceeds the memory of a GPU is divided into halves.

    Args:
        point: system, channel and conditions.
        device: kind of the device, from `semcom.devices.resolve`.
        batch: number of rows transmitted together; None for `batch` of the scenario.
    """
    most = point.batch if batch is None else batch
    with _threads(point.threads), torch.no_grad():
        columns: dict[str, list[Any]] = {}
        images: dict[str, bytes] = {}
        channel = built_channel(point.channel)
        loaded, digests = inputs.loaded(point.images)
        first = loaded[0].name
        groups = group_by_shape(loaded)
        for group in groups:
            height, width = group[0].pixels.shape[1:]
            memory.check(group[0].name, (height, width), min(max(most, point.users), len(group) * point.users))
        for group in groups:
            system = build_system(point.system, cbr_budget(point, channel, group[0]))
            link = Link(system, channel)
            due = deque(_batches(point, group, channel, most))
            while due:
                rows = due.popleft()
                try:
                    measured, received = _measured(link, point, rows, device)
                except torch.OutOfMemoryError:
                    due.extendleft(reversed(_halves(rows, point.users)))
                    continue
                costs = _cost(point, cbr_budget(point, channel, group[0]), group[0].pixels.shape, device)
                _extend(columns, measured)
                _extend(
                    columns, {name: [value] * len(rows) for name, value in (costs.counted | costs.measured).items()}
                )
                saved = [image.name == first and user == 0 == point.repetition for image, user in rows]
                columns.setdefault("image_file", []).extend(f"{point.key}.png" if save else "" for save in saved)
                if True in saved:
                    images[f"{point.key}.png"] = png(received[saved.index(True)])
    return Part(*tables(point, columns), images, digests)


def _measured(
    link: Link, point: Point, rows: Sequence[tuple[SourceImage, int]], device: str
) -> tuple[dict[str, list[Any]], torch.Tensor]:
    """Columns of some rows of a point, and their received images."""
    started = time.perf_counter()
    delivery = deliver_batch(link, point, rows, device=device)
    seconds = (time.perf_counter() - started) / len(rows)
    columns = conditions(point, link.system, rows)
    columns |= channel_knowledge(link.channel, delivery) | measures(point, delivery)
    columns["channel_uses"] = [None] * len(rows) if delivery.energy is None else delivery.uses.tolist()
    columns["tx_symbol_energy"] = [None] * len(rows) if delivery.energy is None else delivery.energy.tolist()
    if point.system.message is not None:
        columns["received_message"] = messages.to_texts(delivery.reception.message, len(rows))
    return {**columns, "seconds": [seconds] * len(rows)}, delivery.reception.images


def _halves(rows: list[tuple[SourceImage, int]], users: int) -> list[list[tuple[SourceImage, int]]]:
    """The rows in two parts; users that share a channel stay together.

    Raises:
        UsageError: there is one channel only.
    """
    middle = len(rows) // users // 2 * users
    if not middle:
        image, _ = rows[0]
        height, width = image.pixels.shape[1:]
        raise UsageError(
            f"{image.name}, {width}x{height} pixels, with {users} user(s) exceeds the memory of the device: "
            "reduce the size of the image (or users), or use --device cpu"
        )
    return [rows[:middle], rows[middle:]]


def receive(point: Point, name: str, user: int, device: str = "cpu") -> tuple[torch.Tensor, str]:
    """Transmit one image of a point again: float32 [3, h, w] in [0, 1] as received, and the weights of the system.

    Args:
        point: system, channel and conditions.
        name: name of the image.
        user: index of the user, from 0.
        device: kind of the device, from `semcom.devices.resolve`.

    Raises:
        UsageError: the scenario has no image of this name.
    """
    with _threads(point.threads), torch.no_grad():
        channel = built_channel(point.channel)
        for group in group_by_shape(loaded_images(point.images)):
            for batch in _batches(point, group, channel, point.batch):
                for row, (image, sender) in enumerate(batch):
                    if (image.name, sender) == (name, user):
                        system = build_system(point.system, cbr_budget(point, channel, image))
                        images = deliver_batch(Link(system, channel), point, batch, device=device).reception.images
                        return images[row], system.weights if isinstance(system, System) else ""
    raise UsageError(f"the scenario has no image {name!r} any more; restore its image files")


def deliver_batch(
    link: Link,
    point: Point,
    batch: Sequence[tuple[SourceImage, int]],
    message: torch.Tensor | None = None,
    record_signals: bool = False,
    repetitions: Sequence[int] | None = None,
    device: str = "cpu",
) -> Delivery:
    """Transmit a batch of images.

    The seed of a row depends on the scenario's seed, the repetition, the image and the user, but not on SNR or system:
    all points have the same noise and fading (common random numbers).

    Args:
        link: system and channel.
        point: conditions of the transmission.
        batch: pairs (image, user); the users that share a channel are adjacent.
        message: uint8 [bits] of 0 and 1, message of every row; None for the text of the point's system, else random
            bits.
        record_signals: whether the result has the sent and received symbols.
        repetitions: number of the repetition of each row; None for that of the point.
        device: kind of the device on which everything runs, from `semcom.devices.resolve`.
    """
    images = [image for image, _ in batch]
    if message is None and point.system.message is not None:
        message = messages.from_text(point.system.message, link, images[0])
    sample = _sample(images, message)
    numbers = [point.repetition] * len(batch) if repetitions is None else repetitions
    seeds = [
        seed_for(point.seed, number, readable(image.name), user)
        for number, (image, user) in zip(numbers, batch, strict=True)
    ]
    snr_db = torch.tensor([point.user_snr_db(user) for _, user in batch])
    designed = [point.designed_snr_db(user) for _, user in batch]
    designed_snr_db = None if None in designed else torch.tensor(designed)
    return link.deliver(moved(sample, device), snr_db, seeds, point.users, designed_snr_db, record_signals)


def _sample(images: Sequence[SourceImage], message: torch.Tensor | None) -> Sample:
    """Images with their annotations and a common message."""
    captions = tuple(image.caption for image in images if image.caption is not None)
    labels = [image.labels for image in images if image.labels is not None]
    categories = [image.category for image in images if image.category is not None]
    return Sample(
        images=torch.stack([image.pixels for image in images]),
        message=None if message is None else message.expand(len(images), -1),
        captions=captions if len(captions) == len(images) else None,
        labels=torch.stack(labels) if len(labels) == len(images) else None,
        categories=torch.tensor(categories) if len(categories) == len(images) else None,
        names=tuple(image.name for image in images),
    )


def cbr_budget(point: Point, channel: Channel, image: SourceImage) -> float:
    """The channel-use budget of each user, in channel uses per real number of an image of this shape.

    Raises:
        UsageError: the budget is less than one channel use.
    """
    height, width = image.pixels.shape[1:]
    medium_uses = uses_for(point.medium_cbr, (height, width))
    uses = channel.medium.budget(medium_uses, point.users)
    if uses < 1:
        raise UsageError(
            f"medium_cbr {point.medium_cbr:g} leaves {point.users} user(s) no channel use for {image.name}, "
            f"{width}x{height} pixels; raise medium_cbr (--cbr), use larger images or fewer users"
        )
    return uses / (3 * height * width)


def loaded_images(images: Images) -> list[SourceImage]:
    """The images of a scenario, loaded once in each process, and again when a file has changed."""
    return inputs.loaded(images)[0]


def built_channel(variant: Variant) -> Channel:
    """The channel, built once in each process, and again when a file of it has changed."""
    return _built(variant, None, inputs.state_of_variant(variant))


def build_system(variant: Variant, cbr: float) -> System | Bound:
    """The system with a budget of `cbr` channel uses per real number of an image, built as `built_channel`."""
    return _built(variant, cbr, inputs.state_of_variant(variant))


def forget() -> None:
    """Build all systems and channels again when they are used next, and measure their costs again."""
    _built_once.cache_clear()
    _measured_cost.cache_clear()


def _cost(point: Point, cbr: float, shape: tuple[int, ...], device: str) -> Ledger:
    """What the ends of a point compute for its first image of a shape; measured once in each process."""
    state = inputs.state_of_variant(point.system)
    return _measured_cost(point.system, cbr, point.images, shape, device, state)


@lru_cache(maxsize=1024)
def _measured_cost(
    system: Variant, cbr: float, images: Images, shape: tuple[int, ...], device: str, state: Hashable
) -> Ledger:
    image = next(image for image in loaded_images(images) if image.pixels.shape == shape)
    built = build_system(system, cbr)
    message = None if system.message is None else messages.from_text(system.message, Link(built, awgn.build()), image)
    return ledger(built, moved(_sample([image], message), device))


# One thread builds at a time: an import of a library with lazy modules, such as diffusers, fails in two threads.
_building = threading.RLock()


def _built(variant: Variant, cbr: float | None, state: Hashable) -> Any:
    with _building:
        return _built_once(variant, cbr, state)


@lru_cache(maxsize=16)  # systems alternate from point to point; limited because networks need memory
def _built_once(variant: Variant, cbr: float | None, state: Hashable) -> Any:
    budget = {} if cbr is None else {discover.BUDGET: cbr}
    try:
        return build_variant(variant, **budget)
    except UsageError as error:
        raise UsageError(f"{variant.entry.kind} {variant.label!r}: {error}") from None


def _batches(
    point: Point, group: list[SourceImage], channel: Channel, rows: int
) -> Iterator[list[tuple[SourceImage, int]]]:
    """Images of one shape, `rows` at a time: user u of channel b sends image b + u, so that each user sends each."""
    channels = max(1, rows // point.users)
    shift = 0 if channel.medium.access == "common" else 1
    for start in range(0, len(group), channels):
        yield [
            (group[(item + shift * user) % len(group)], user)
            for item in range(start, min(start + channels, len(group)))
            for user in range(point.users)
        ]


def _extend(columns: dict[str, list[Any]], more: dict[str, list[Any]]) -> None:
    for name, values in more.items():
        columns.setdefault(name, []).extend(values)


def attempt(point: Point, device: str = "cpu", batch: int | None = None) -> Part:
    """The results of a point; any exception but a `UsageError` becomes a `PointError` that names the point."""
    try:
        return run_point(point, resolve(device), batch)  # a worker may be on another computer
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # sys.exit in a file of the user must not end the run as if it were done
        raise PointError(f"{point}: {user_modules.describe(error)}") from error


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
