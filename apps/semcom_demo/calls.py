"""What the pages ask of semcom. The pages show the source of these functions, which hold no widgets."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from channels import Channel, UsageError
from semcom import Delivery, discover, send, sweep, table
from semcom.codecs import file_frames, image_file
from semcom.images import Picture, to_bytes
from semcom.metrics import METRICS, measure
from semcom.repeats import Repeats
from semcom.scenario import Point, Scenario, Variant, load_scenario, scenario_from

if TYPE_CHECKING:
    import pyarrow


# --- one picture -----------------------------------------------------------------------------------------------------


def point_of(
    system: str,
    channel: str,
    snr_db: float,
    users: int = 1,
    medium_cbr: float = 1 / 16,
    seed: int = 0,
    settings: Sequence[str] = (),
) -> Point:
    """Everything that determines a transmission but the picture, checked as a scenario file is."""
    scenario = scenario_from(
        {
            "systems": [system],
            "channel": channel,
            "medium_cbr": medium_cbr,
            "sweep": {"snr_db": snr_db, "users": users},
            "images": {"source": "photos"},
            "metrics": ["psnr"],
            "seed": seed,
        },
        settings,
        name="this page",
    )
    (point,) = scenario.points()
    return point


def send_photo(photo: Picture, point: Point) -> Delivery:
    """Send a photograph from each user of a point, over one medium."""
    link = send.link_for(point, channel_of(point.channel), photo)
    return send.deliver(link, point, photo, index=0, message=None)


def send_photos(photos: Sequence[Picture], point: Point) -> Delivery:
    """Send a photograph of its own from each user, or to all users the first one where one transmission serves all."""
    channel = channel_of(point.channel)
    step = 0 if channel.medium.access == "common" else 1
    batch = [(photos[step * user % len(photos)], user) for user in range(point.users)]
    with torch.no_grad():
        return sweep.deliver(send.link_for(point, channel, photos[0]), point, batch)


@lru_cache(maxsize=16)
def channel_of(variant: Variant) -> Channel:
    """The channel with its arguments; it has no state, so everybody may use the same."""
    return variant.entry.load()(**dict(variant.arguments))


def score(name: str, delivery: Delivery, row: int = 0) -> float | None:
    """A metric of one row; None where it does not apply."""
    values = measure(name, delivery)
    if not isinstance(values, tuple):
        return float(values[row])
    numerator, denominator = (float(part[row].sum()) for part in values)
    return numerator / denominator if denominator else None


# --- a file in a photograph ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hidden:
    """What came of a file that travelled in a photograph.

    Args:
        delivery: of the photograph.
        payload: the file as it arrived; None if it did not, whole and right.
    """

    delivery: Delivery
    payload: bytes | None


def capacity_bytes(photo: Picture, point: Point) -> int:
    """The longest file that a photograph takes along."""
    link = send.link_for(point, channel_of(point.channel), photo)
    return file_frames.capacity_bytes([send.message_bits(link, photo)])


def hide_file(photo: Picture, payload: bytes, point: Point) -> Hidden:
    """Send a file in the mask of a photograph, and take it out of what arrives."""
    link = send.link_for(point, channel_of(point.channel), photo)
    (message,) = file_frames.split(payload, [send.message_bits(link, photo)])
    delivery = send.deliver(link, point, photo, index=0, message=message)
    received = delivery.reception.message
    return Hidden(delivery, None if received is None else file_frames.join([received[0]]))


# --- streets, candidates ---------------------------------------------------------------------------------------------


def maps_of(delivery: Delivery) -> tuple[Tensor, Tensor]:
    """The label map as coarse as it was sent and the one that came in, in colours; black where nothing was."""
    received = delivery.reception.labels
    if received is None:
        raise UsageError("this system sends no label maps")
    from semcom.systems.scene.classes import IGNORED, coloured
    from semcom.systems.scene.wire import coarser, enlarged

    seen, coarseness = delivery.truth["labels"][0], int(delivery.truth["coarseness"][0])
    sent = enlarged(coarser(seen, coarseness), coarseness, (seen.shape[0], seen.shape[1]))
    if not delivery.truth["map_bytes"][0]:
        sent = torch.full_like(seen, IGNORED)
    return coloured(sent[None])[0], coloured(received)[0]


def webp_at_equal_bytes(photo: Picture, delivery: Delivery) -> tuple[Tensor | None, int]:
    """The photograph as a WebP file no longer than the label map that was sent, decoded; and the bytes of the map.

    None where no WebP file is as short.
    """
    budget = int(delivery.truth["map_bytes"][0])
    pixels = to_bytes(photo.pixels)
    stream = image_file.encode(pixels, "webp", budget)
    if stream is None:
        return None, budget
    decoded = torch.from_numpy(image_file.decode(stream, "webp", pixels.shape[:2]))
    return decoded.permute(2, 0, 1).float() / 255, budget


def candidates_of(delivery: Delivery) -> list[tuple[Tensor, float, bool]]:
    """Picture, score and whether it was chosen, of every candidate of the first row."""
    reception = delivery.reception
    if reception.candidates is None or reception.scores is None or reception.chosen is None:
        raise UsageError("this system generates no candidates")
    chosen = int(reception.chosen[0])
    scores = reception.scores[0].tolist()
    return [
        (picture, number, i == chosen)
        for i, (picture, number) in enumerate(zip(reception.candidates[0], scores, strict=True))
    ]


def description_of(delivery: Delivery) -> str:
    """The sentence whose features were sent, of the first row; empty where none was."""
    return str(next(iter(delivery.truth.get("description", [])), ""))


# --- scenarios -------------------------------------------------------------------------------------------------------

MOST_POINTS = 400
MOST_SIDE = 512
MOST_PICTURES = 24
MOST_USERS = 16
MOST_CANDIDATES = 16


def read_scenario(text: str, folder: Path) -> Scenario:
    """A scenario as somebody typed it, if it is small and names nothing on this machine; FOLDER gets the file."""
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        scenario = load_scenario(path)
    except UsageError as error:
        raise UsageError(str(error).replace(str(path), path.name)) from None
    most, images = _most_points(scenario), scenario.images
    for wrong, limit in (
        (_asks_too_much(scenario), f"candidates and steps may be {MOST_CANDIDATES} here, of the preset tiny and drawn"),
        (_names_files(scenario), "name systems, channels and weights that are built in; semcom run takes files"),
        (images.source.startswith("folder"), "choose a source of pictures that is built in; semcom run takes folders"),
        (most > MOST_POINTS, f"it has {most} points, here {MOST_POINTS} are allowed; semcom run has no limit"),
        ((images.size or 0) > MOST_SIDE, f"size may be {MOST_SIDE} here"),
        (images.size is None and images.source == "photos", f"say a size, here up to {MOST_SIDE}"),
        ((images.count or MOST_PICTURES + 1) > MOST_PICTURES, f"say a count of pictures, here up to {MOST_PICTURES}"),
        (max(scenario.users) > MOST_USERS, f"up to {MOST_USERS} users are allowed here"),
        (scenario.batch > 64 or scenario.threads > 1, "leave batch below 65 and threads at 1 here"),
    ):
        if wrong:
            raise UsageError(f"scenario.yaml: {limit}")
    return scenario


def _most_points(scenario: Scenario) -> int:
    """How many points there may come to be; they are counted before any is made, for they may be a billion."""
    grids = sum(
        prod(
            len(axis.values)
            for axis in scenario.axes
            for owner in [axis.name.partition(".")[0]]
            if system.answers_to(owner) or channel.answers_to(owner)
        )
        for system in scenario.systems
        for channel in scenario.channels
    )
    repetitions = scenario.stop.max_repetitions if scenario.stop else scenario.repetitions
    return grids * len(scenario.medium_cbr) * len(scenario.users) * len(scenario.snr_db) * repetitions


def _asks_too_much(scenario: Scenario) -> bool:
    """Whether an argument or a swept value would take the memory, or the networks, of more than a demo."""
    given = [pair for system in scenario.systems for pair in system.arguments]
    given += [(axis.name.rpartition(".")[2], value) for axis in scenario.axes for value in axis.values]
    return any(
        (name in ("candidates", "steps") and value > MOST_CANDIDATES) or value in ("base", "retrieval")
        for name, value in given
    )


def _names_files(scenario: Scenario) -> bool:
    """Whether an argument or a swept value is a path or a repository, or a system a file of one's own."""
    variants = [*scenario.systems, *scenario.channels]
    texts = [one.name for one in variants]
    texts += [str(value) for one in variants for _, value in one.arguments]
    texts += [str(value) for axis in scenario.axes for value in axis.values]
    return any("/" in text or "\\" in text or text.endswith((".py", ".onnx", ".keras")) for text in texts)


def run_points(scenario: Scenario) -> Iterator[tuple[int, int, pyarrow.Table]]:
    """Run point by point as `sweep.run` does; yield how many are done, how many there are, and all rows so far."""
    repeats, due, parts = Repeats(scenario), deque(scenario.points()), []
    while due:
        point = due.popleft()
        part = sweep.run_point(point)
        due.extend(repeats.after(point, part.rows))
        parts.append(part.rows)
        yield len(parts), len(parts) + len(due), table.joined(parts)


def as_parquet(rows: pyarrow.Table) -> bytes:
    """The rows as a Parquet file."""
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(rows, file)
    return file.getvalue()


# --- what there is ---------------------------------------------------------------------------------------------------

_NETWORKS = {"scene": "scene_segmenter", "multimodal_generation": "multimodal_generator"}  # of no use without them


def systems(names: Sequence[str]) -> list[str]:
    """Those of the named systems that are there, with the networks without which they are of no use."""
    untrained = {system for system, network in _NETWORKS.items() if not _bundled(network)}
    return [name for name in names if name in discover.entries("system") and name not in untrained]


def scene_settings() -> list[str]:
    """Arguments of the scene system for its bundled networks; none while its segmenter is not there."""
    if not _bundled("scene_segmenter"):
        return []
    settings = ["scene.weights=scene_segmenter"]
    if _bundled("scene_restorer"):
        settings += ["scene.restorer=gan", "scene.restorer_weights=scene_restorer"]
    return settings


def _bundled(name: str) -> bool:
    return Path(str(sweep.__file__)).with_name("weights").joinpath(f"{name}.safetensors").is_file()


def unit(metric: str) -> str:
    """Of a metric, as axes write it."""
    return METRICS[metric].unit


def arguments_of(point: Point) -> dict[str, Any]:
    """The arguments of `point_of` that give this point, but for those that have their default."""
    found = {
        "system": point.system.name,
        "channel": point.channel.name,
        "snr_db": point.snr_db,
        "users": point.users,
        "medium_cbr": point.medium_cbr,
        "seed": point.seed,
    }
    return {name: value for name, value in found.items() if (name, value) not in (("users", 1), ("seed", 0))}
