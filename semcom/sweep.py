"""A scenario becomes rows: one part of the table a point, written whole or not at all, so that a run can always go on.

    OUT/scenario.yaml          what was run                     OUT/rows/<point>.parquet      what was measured
    OUT/pictures/*.png         the first picture, as sent       OUT/seconds/<point>.parquet   what it took, row by row
                               and as delivered

Rows are equal byte for byte for the same build and scenario, whether a run was killed or not and however many workers
it had, here or on a cluster; seconds are kept apart because they are not.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from channels._base import Channel
from channels._errors import UsageError
from channels._rng import seed_for
from semcom import _report_record, _workers
from semcom._run_folder import RunFolder, png
from semcom._workers import PointError
from semcom.cluster import Ray
from semcom.images import Picture, group_by_shape, load
from semcom.link import Delivery, Link
from semcom.metrics import METRICS, measure
from semcom.repeats import Repeats
from semcom.scenario import Images, Point, Scenario, Variant, to_yaml
from semcom.system import Bound, Sample, System, uses_for

if TYPE_CHECKING:
    import pyarrow

_BAR = "{percentage:3.0f} % |{bar:30}| {n_fmt} of {total_fmt} points, {elapsed} gone, {remaining} left"


@dataclass(frozen=True)
class Part:
    """What one point leaves behind.

    Args:
        rows: the point's part of the table.
        seconds: column `seconds`, measured, row by row.
        pictures: PNG files by their name in OUT/pictures.
    """

    rows: pyarrow.Table
    seconds: pyarrow.Table
    pictures: dict[str, bytes]


def run(
    scenario: Scenario, out: str | Path, workers: int = 1, progress: bool = False, cluster: Ray | None = None
) -> Path:
    """Run those points of a scenario whose rows are not in `out` yet.

    Args:
        scenario: from `load_scenario`.
        out: folder for the rows; it may hold rows of the same scenario, finished or not, or of a part of it.
        workers: processes that share the points; above 1, a script needs `if __name__ == "__main__":` around this.
        progress: show a bar with the time left on stderr.
        cluster: what does the points instead of this computer.

    Returns:
        `out`, for `table.read`.

    Raises:
        UsageError: something in the scenario that only shows when it is built, a folder of another scenario or of
            other weights, a folder that cannot be written.
        PointError: any other failure, with the point that failed.
    """
    if workers < 1:
        raise UsageError(f"workers must be 1 or more, not {workers}")
    if workers > 1 and cluster is not None:
        raise UsageError("a cluster starts as many workers as it has room for; leave out --workers")
    build_system.cache_clear()  # weights may have been replaced since this process ran something
    folder, repeats, trained = RunFolder.opened(Path(out)), Repeats(scenario), _Trained(Path(out))
    known, missing, taken_up = deque(scenario.points()), deque[Point](), set[str]()
    total = len(known)
    while known:
        point = known.popleft()
        if point.key not in folder.done:
            missing.append(point)
            continue
        rows = folder.rows(point.key)
        trained.note(point, rows)
        taken_up.add(point.key)
        more = repeats.after(point, rows)
        known.extend(more)
        total += len(more)
    folder.refuse_others(taken_up)
    trained.compare_with_now()
    folder.write("scenario.yaml", to_yaml(scenario).encode())
    folder.write(_report_record.NAME, _report_record.record(folder.out))
    folder.write("pictures/sent.png", png(_pictures(scenario.images)[0].pixels))
    if scenario.stop is None:
        workers = max(1, min(workers, len(missing)))
    if cluster is None or not missing:
        attempted = _workers.results(_attempt, missing, workers)
    else:
        attempted = cluster.results(_attempt, missing)
    with (
        closing(attempted) as results,
        tqdm(total=total, initial=len(taken_up), bar_format=_BAR, disable=not progress) as bar,
    ):
        for point, part in results:
            trained.note(point, part.rows)
            folder.write_part(point.key, part.rows, part.seconds, part.pictures)
            more = repeats.after(point, part.rows)
            missing.extend(more)
            bar.total += len(more)
            bar.update()
    return folder.out


def run_point(point: Point) -> Part:
    """Everything that one point sends and what is measured of it; a pure function but for the seconds."""
    with _threads(point.threads), torch.no_grad():
        columns: dict[str, list[Any]] = {}
        pictures: dict[str, bytes] = {}
        channel = _channel(point.channel)
        first = _pictures(point.images)[0].name
        for group in group_by_shape(_pictures(point.images)):
            system = build_system(point.system, granted_cbr(point, channel, group[0]))
            link = Link(system, channel)
            for batch in _batches(point, group, channel):
                started = time.perf_counter()
                delivery = deliver(link, point, batch)
                seconds = (time.perf_counter() - started) / len(batch)
                _extend(columns, _conditions(point, system, batch) | _measures(point, delivery))
                columns.setdefault("seconds", []).extend([seconds] * len(batch))
                kept = [picture.name == first and user == 0 == point.repetition for picture, user in batch]
                columns.setdefault("picture", []).extend(f"{point.key}.png" if keep else "" for keep in kept)
                if True in kept:
                    pictures[f"{point.key}.png"] = png(delivery.reception.images[kept.index(True)])
    return _part(point, columns, pictures)


def deliver(
    link: Link, point: Point, batch: Sequence[tuple[Picture, int]], message: torch.Tensor | None = None
) -> Delivery:
    """Send a batch of (picture, user), users of one medium next to each other, each with the same message if any.

    A row's seed names the scenario's seed, the repetition, the picture and the user: neither SNR nor system, so that
    all points see the same draws.
    """
    pictures = [picture for picture, _ in batch]
    captions = tuple(picture.caption for picture in pictures if picture.caption is not None)
    labels = [picture.labels for picture in pictures if picture.labels is not None]
    categories = [picture.category for picture in pictures if picture.category is not None]
    sample = Sample(
        images=torch.stack([picture.pixels for picture in pictures]),
        message=None if message is None else message.expand(len(batch), -1),
        captions=captions if len(captions) == len(pictures) else None,
        labels=torch.stack(labels) if len(labels) == len(pictures) else None,
        categories=torch.tensor(categories) if len(categories) == len(pictures) else None,
        names=tuple(picture.name for picture in pictures),
    )
    seeds = [seed_for(point.seed, point.repetition, picture.name, user) for picture, user in batch]
    snr_db = torch.tensor([point.user_snr_db(user) for _, user in batch])
    return link.deliver(sample, snr_db, seeds, point.users)


def granted_cbr(point: Point, channel: Channel, picture: Picture) -> float:
    """Uses that each user is granted per real number of a picture of this shape."""
    height, width = picture.pixels.shape[1:]
    medium_uses = uses_for(point.medium_cbr, (height, width))
    granted = channel.medium.granted(medium_uses, point.users)
    if granted < 1:
        raise UsageError(
            f"medium_cbr {point.medium_cbr:g} gives {point.users} user(s) no channel use for {picture.name}, "
            f"{width}x{height} pixels; raise medium_cbr, take larger pictures or fewer users"
        )
    return granted / (3 * height * width)


# --- what many points share is made once a process -------------------------------------------------------------------


@lru_cache(maxsize=2)
def _pictures(images: Images) -> list[Picture]:
    return load(images.source, images.count, images.size)


@lru_cache(maxsize=16)
def _channel(variant: Variant) -> Channel:
    return _built(variant, {})


@lru_cache(maxsize=16)  # systems alternate from point to point; a limit because networks are large
def build_system(variant: Variant, cbr: float) -> System | Bound:
    """The system, granted `cbr` uses per real number of a picture."""
    return _built(variant, {"cbr": cbr})


def _built(variant: Variant, granted: dict[str, float]) -> Any:
    try:
        return variant.entry.load()(**dict(variant.arguments), **granted)
    except UsageError as error:
        raise UsageError(f"{variant.label}: {error}") from None


@dataclass(frozen=True)
class _Trained:
    """Which weights the rows of a folder were made with; one folder never holds those of two trainings.

    Args:
        out: the folder, for the message.
    """

    out: Path
    found: dict[tuple[object, ...], tuple[str, Point]] = field(default_factory=dict)

    def note(self, point: Point, rows: pyarrow.Table) -> None:
        """Refuse rows of other weights than those of the same system before them."""
        self._same(point, rows["weights"][0].as_py())

    def compare_with_now(self) -> None:
        """Refuse to go on with rows of weights that have been replaced since; what is not trained is not built."""
        for weights, point in list(self.found.values()):
            if "@" in weights:  # a name with the hash of a file
                picture, channel = _pictures(point.images)[0], _channel(point.channel)
                system = build_system(point.system, granted_cbr(point, channel, picture))
                self._same(point, system.weights if isinstance(system, System) else "")

    def _same(self, point: Point, weights: str) -> None:
        texts = tuple(pair for pair in point.system.arguments if isinstance(pair[1], str))  # numbers name no file
        before, _ = self.found.setdefault((point.system.label, texts), (weights, point))
        if weights != before:
            raise UsageError(
                f"{self.out} holds rows of {point.system.label} with weights {before}, which now are {weights}; "
                "choose another --out, remove the folder, or put the former weights back"
            )


# --- a point, batch by batch -----------------------------------------------------------------------------------------


def _batches(point: Point, group: list[Picture], channel: Channel) -> Iterator[list[tuple[Picture, int]]]:
    """Pictures of a shape in batches: user u of medium b sends picture b + u, so that each user sends each picture."""
    media = max(1, point.batch // point.users)
    shift = 0 if channel.medium.access == "common" else 1
    for start in range(0, len(group), media):
        yield [
            (group[(item + shift * user) % len(group)], user)
            for item in range(start, min(start + media, len(group)))
            for user in range(point.users)
        ]


def _conditions(point: Point, system: System | Bound, batch: list[tuple[Picture, int]]) -> dict[str, list[Any]]:
    """Who sent what to whom, and how."""
    constants: dict[str, Any] = {
        "system": point.system.label,
        "channel": point.channel.label,
        "medium_cbr_granted": point.medium_cbr,
        "users": point.users,
        "repetition": point.repetition,
        **dict(point.settings),
        "bound": isinstance(system, Bound),
        "weights": system.weights if isinstance(system, System) else "",
        "point": point.key,
    }
    return {
        "image": [picture.name for picture, _ in batch],
        "user": [user for _, user in batch],
        "snr_db": [point.user_snr_db(user) for _, user in batch],
        **{name: [value] * len(batch) for name, value in constants.items()},
    }


def _measures(point: Point, delivery: Delivery) -> dict[str, list[Any]]:
    """Metric columns; a ratio of sums keeps its counts as `name.numerator` and `name.denominator`."""
    columns: dict[str, list[Any]] = {}
    for name in point.metrics:
        values = measure(name, delivery)
        if isinstance(values, tuple):
            columns[f"{name}.numerator"], columns[f"{name}.denominator"] = (part.tolist() for part in values)
        else:
            columns[name] = values.tolist()
    if point.symbol_rate_hz is not None:
        columns["airtime_s"] = (delivery.medium_uses.double() / point.symbol_rate_hz).tolist()
    return columns


def _extend(columns: dict[str, list[Any]], more: dict[str, list[Any]]) -> None:
    for name, values in more.items():
        columns.setdefault(name, []).extend(values)


def _part(point: Point, columns: dict[str, list[Any]], pictures: dict[str, bytes]) -> Part:
    import pyarrow

    seconds = pyarrow.table({"seconds": pyarrow.array(columns.pop("seconds"), pyarrow.float64())})
    fields = []
    for name, values in columns.items():
        metric = METRICS.get(name.removesuffix(".numerator").removesuffix(".denominator"))
        if name == "airtime_s":
            about = {"unit": "s", "higher_is_better": "False"}
        else:
            about = {} if metric is None else {"unit": metric.unit, "higher_is_better": str(metric.higher_is_better)}
        fields.append(pyarrow.field(name, pyarrow.infer_type(values), metadata=about))
    return Part(pyarrow.table(columns, schema=pyarrow.schema(fields)), seconds, pictures)


def _attempt(point: Point) -> Part:
    try:
        return run_point(point)
    except UsageError:
        raise
    except Exception as error:
        raise PointError(f"{point}: {type(error).__name__}: {error}") from error


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
