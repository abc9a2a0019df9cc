"""What a scenario is: systems, channels and conditions, laid out as points."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from semcom import discover

Arguments = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Variant:
    """A system or channel with its arguments.

    Args:
        kind: "system" or "channel".
        name: of its entry in the registry, or the path of a file that ends in .py.
        label: what tables and figures call it; unique in a scenario.
        arguments: of its `build`, what nobody wrote filled in with defaults; sorted by name.
    """

    kind: discover.Kind
    name: str
    label: str
    arguments: Arguments

    @property
    def entry(self) -> discover.Entry:
        """What the registry knows about it."""
        return discover.find(self.kind, self.name)

    def answers_to(self, owner: str) -> bool:
        """Whether `owner` in a dotted name like "digital.codec" means this one."""
        return owner in (self.label, self.name) or owner == self.kind == "channel"

    def under(self, settings: Arguments) -> Variant:
        """The same with those arguments that dotted names set for it."""
        changes = {name.partition(".")[2]: value for name, value in settings if self.answers_to(name.partition(".")[0])}
        return replace(self, arguments=tuple(sorted({**dict(self.arguments), **changes}.items())))


@dataclass(frozen=True)
class Images:
    """Which pictures are sent: the arguments of `semcom.images.load`."""

    source: str
    count: int | None = None
    size: int | None = None


@dataclass(frozen=True)
class Axis:
    """A swept argument.

    Args:
        name: dotted, as in "carrier_image.keep"; a column of the table.
        values: what it takes, in order.
    """

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Stop:
    """When a point has been repeated often enough: once its mean is known well enough.

    Args:
        metric: whose mean, one of the scenario's.
        half_width: how far the ends of its 95 % interval, as tables print it, may lie from the mean.
        max_repetitions: after so many it ends in any case.
    """

    metric: str
    half_width: float
    max_repetitions: int


@dataclass(frozen=True)
class Point:
    """One system over one channel under one set of conditions: what it sends is one part of the table.

    Args:
        system: with the arguments of this point.
        channel: likewise.
        medium_cbr: uses of the medium that all users together are granted, per real number of a picture.
        snr_db: Es/N0 per use in dB.
        users: how many share the medium.
        user_snr_offsets_db: dB on top of `snr_db` for each user, repeated over the users.
        repetition: from 0.
        settings: value of each swept argument that applies, by its dotted name.
        symbol_rate_hz: uses of the medium in a second, for the column `airtime_s`, or None.
    """

    system: Variant
    channel: Variant
    medium_cbr: float
    snr_db: float
    users: int
    user_snr_offsets_db: tuple[float, ...]
    repetition: int
    settings: Arguments
    images: Images
    metrics: tuple[str, ...]
    seed: int
    batch: int
    threads: int
    symbol_rate_hz: float | None = None

    def user_snr_db(self, user: int) -> float:
        """The SNR of one of the users."""
        return self.snr_db + self.user_snr_offsets_db[user % len(self.user_snr_offsets_db)]

    @property
    def key(self) -> str:
        """16 hex digits of the SHA-256 of everything in the scenario that determines the rows."""
        own_files = [
            variant.entry.path.read_text(encoding="utf-8")
            for variant in (self.system, self.channel)
            if variant.name.endswith(".py")
        ]
        fields = {name: value for name, value in asdict(self).items() if (name, value) != ("symbol_rate_hz", None)}
        text = json.dumps([fields, own_files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        settings = "".join(f", {name} {value}" for name, value in self.settings)
        return (
            f"{self.system.label} over {self.channel.label} at {self.snr_db:g} dB, "
            f"{self.users} user{'s' if self.users > 1 else ''}, medium_cbr {self.medium_cbr:g}, "
            f"repetition {self.repetition}{settings}"
        )


@dataclass(frozen=True)
class Scenario:
    """A checked scenario.

    Args:
        title: of its figures.
        systems: with labels that differ.
        channels: likewise.
        medium_cbr: budgets, complex uses of the medium per real number of a picture.
        snr_db: Es/N0 per use in dB.
        users: how many share the medium.
        user_snr_offsets_db: dB on top of the swept SNR for each user, repeated over the users.
        axes: swept arguments of systems and channels.
        images: what is sent.
        metrics: names from `semcom.metrics.METRICS`.
        repetitions: how often everything is sent, with new draws; with `stop`, how often before each look at the mean.
        seed: of all draws.
        batch: rows that are sent together; part of the scenario because sums depend on it in their last bits.
        threads: of torch in each worker, for the same reason.
        symbol_rate_hz: uses of the medium in a second; with it rows have a column `airtime_s`.
        stop: when a point needs no more repetitions; None repeats all equally often.
    """

    title: str
    systems: tuple[Variant, ...]
    channels: tuple[Variant, ...]
    medium_cbr: tuple[float, ...]
    snr_db: tuple[float, ...]
    users: tuple[int, ...]
    user_snr_offsets_db: tuple[float, ...]
    axes: tuple[Axis, ...]
    images: Images
    metrics: tuple[str, ...]
    repetitions: int
    seed: int
    batch: int
    threads: int
    symbol_rate_hz: float | None = None
    stop: Stop | None = None

    def points(self) -> list[Point]:
        """All points, in an order that never changes; systems alternate, so that partial results compare.

        With a stop rule these are the first; `semcom.repeats` says which others follow.
        """
        return [
            Point(
                system=system.under(settings),
                channel=channel.under(settings),
                medium_cbr=medium_cbr,
                snr_db=snr_db,
                users=users,
                user_snr_offsets_db=self.user_snr_offsets_db,
                repetition=repetition,
                settings=settings,
                images=self.images,
                metrics=self.metrics,
                seed=self.seed,
                batch=self.batch,
                threads=self.threads,
                symbol_rate_hz=self.symbol_rate_hz,
            )
            for repetition in range(self.repetitions)
            for channel in self.channels
            for medium_cbr in self.medium_cbr
            for users in self.users
            for snr_db in self.snr_db
            for system in self.systems
            for settings in self._settings(system, channel)
        ]

    def _settings(self, system: Variant, channel: Variant) -> list[Arguments]:
        """The grid of those swept arguments that the system or the channel has."""
        axes = [
            [(axis.name, value) for value in axis.values]
            for axis in self.axes
            for owner in [axis.name.partition(".")[0]]
            if system.answers_to(owner) or channel.answers_to(owner)
        ]
        return list(itertools.product(*axes))


def load_scenario(path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read and check a scenario file.

    Args:
        path: of the YAML file.
        overrides: "sweep.snr_db=[0, 10]", "digital.codec=webp" and the like, each in place of what the file says.

    Raises:
        UsageError: anything that is wrong, with the file, the line, and the nearest right word.
    """
    from semcom._scenario_file import check
    from semcom._yaml import read_document

    return check(read_document(Path(path)), overrides)


def scenario_from(data: Mapping[str, Any], overrides: Sequence[str] = (), name: str = "scenario") -> Scenario:
    """The same from a dictionary; `name` is what error messages call it.

    >>> scenario = scenario_from({
    ...     "systems": ["analog"], "channel": "awgn", "medium_cbr": 0.0625, "sweep": {"snr_db": [0, 10]},
    ...     "images": {"source": "photos", "count": 2, "size": 64}, "metrics": ["psnr"],
    ... })
    >>> len(scenario.points())
    2
    """
    from semcom._scenario_file import check
    from semcom._yaml import Document

    return check(Document(deepcopy(dict(data)), name), overrides)


def variant(kind: discover.Kind, name: str, overrides: Sequence[str] = ()) -> Variant:
    """A system or channel outside of any scenario.

    >>> dict(variant("channel", "rician", ["rician.k_factor_db=3"]).arguments)["k_factor_db"]
    3.0
    """
    from semcom._scenario_file import check_variant

    return check_variant(kind, name, overrides)


def to_yaml(scenario: Scenario) -> str:
    """A file that loads as the same scenario, every argument spelt out."""
    import yaml

    def written(variant: Variant) -> dict[str, Any]:
        return {"name": variant.name, "label": variant.label} | {key: plain(value) for key, value in variant.arguments}

    def plain(value: object) -> object:
        return [plain(item) for item in value] if isinstance(value, tuple) else value

    data = {
        "title": scenario.title,
        "systems": [written(system) for system in scenario.systems],
        "channel": [written(channel) for channel in scenario.channels],
        "medium_cbr": list(scenario.medium_cbr),
        "sweep": {"snr_db": list(scenario.snr_db), "users": list(scenario.users)}
        | {axis.name: plain(axis.values) for axis in scenario.axes},
        "user_snr_offsets_db": list(scenario.user_snr_offsets_db),
        "images": {key: value for key, value in asdict(scenario.images).items() if value is not None},
        "metrics": list(scenario.metrics),
        "repetitions": scenario.repetitions,
        "seed": scenario.seed,
        "batch": scenario.batch,
        "threads": scenario.threads,
    }
    if scenario.symbol_rate_hz is not None:
        data["symbol_rate_hz"] = scenario.symbol_rate_hz
    if scenario.stop is not None:
        data["stop"] = asdict(scenario.stop)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
