"""The data model of a scenario: systems, channels and conditions, expanded into points."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from dataclasses import asdict, dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any

from semcom import discover
from semcom.discover import user_files, user_metrics

Arguments = tuple[tuple[str, Any], ...]

DESIGNED_SNR = "designed_snr_db"  # axis of the average SNR that the transmitters assume

COSTS = {  # columns of what a transmission costs, and their units
    **{"channel_uses": "", "tx_symbol_energy": "symbol energies"},
    **{f"{end}_{name}": unit for name, unit in (("gflop", "GFLOP"), ("parameters", "")) for end in ("tx", "rx")},
    **{f"{end}_{name}": "B" for name in ("bytes", "peak_bytes") for end in ("tx", "rx")},
    **{"tx_cpu_s": "s", "rx_cpu_s": "s", "tx_encodings": ""},
}
ROW_COLUMNS = (  # columns of the rows that no metric may have
    *("system", "channel", "medium_cbr_budget", "users", "snr_db", "repetition", "image", "user", "bound", "weights"),
    *("point", "image_file", "seconds", "csit", "transmitter_snr_db", "airtime_s", "arq_delay_s"),
    *("source", "received_message", DESIGNED_SNR, *COSTS, "cost_note"),
)


@dataclass(frozen=True)
class Variant:
    """A system or channel with its arguments.

    Args:
        kind: "system" or "channel".
        name: name in the registry, or path of a .py file.
        label: name in tables and figures; unique in a scenario.
        arguments: all arguments of its `build`, defaults included, sorted by name.
        message: text that a system transmits in the message of each image; None for random bits.
    """

    kind: discover.Kind
    name: str
    label: str
    arguments: Arguments
    message: str | None = None

    @property
    def entry(self) -> discover.Entry:
        """Its entry in the registry."""
        return discover.find(self.kind, self.name)

    @property
    def files(self) -> list[Path]:
        """Files of the user that it is read from: code, and files or folders that arguments name."""
        files = user_files.sources(self.entry.path) if self.name.endswith(".py") else []
        values = [value for _, value in self.arguments if isinstance(value, str)]
        sources = [source.strip().removeprefix("folder:") for value in values for source in value.split("+")]
        for text in filter(None, dict.fromkeys([*values, *sources])):  # paths, and the folders of image sources
            if user_files.state(path := Path(os.path.expanduser(text))):
                files += sorted(path.glob("*") if path.is_dir() else path.parent.glob(f"{escape(path.name)}*"))
        return files

    def has_name(self, owner: str) -> bool:
        """Whether `owner`, as in the dotted name "digital.codec", refers to this system or channel."""
        return owner in (self.label, self.name) or owner == self.kind == "channel"

    def with_settings(self, settings: Arguments) -> Variant:
        """The same system or channel with the arguments that dotted names set for it."""
        changes = {name.partition(".")[2]: value for name, value in settings if self.has_name(name.partition(".")[0])}
        return replace(self, arguments=tuple(sorted({**dict(self.arguments), **changes}.items())))


@dataclass(frozen=True)
class Images:
    """The images of one source: arguments of `semcom.images.load`, and what is done with them.

    Args:
        source: name of an image source, as in "photos" or "folder:PATH".
        count: number of images; None for all.
        size: side in pixels to which images are cropped and resized; None for their own size.
        skip_unreadable: whether images that cannot be read are left out.
        label: name in tables and figures, unique in a scenario; "" for the only source of a scenario.
        metrics: names of metrics of these images, in addition to those of the scenario.
        systems: names or labels of the systems that transmit these images; empty for all.
    """

    source: str
    count: int | None = None
    size: int | None = None
    skip_unreadable: bool = False
    label: str = ""
    metrics: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()

    def are_for(self, system: Variant) -> bool:
        """Whether a system transmits these images."""
        return not self.systems or any(map(system.has_name, self.systems))


@dataclass(frozen=True)
class Axis:
    """A swept argument.

    Args:
        name: dotted name, as in "carrier_image.visible_ratio", or "designed_snr_db"; a column of the table.
        values: its values, in order.
    """

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class StoppingRule:
    """Repeat a point until the 95 % interval of a metric's mean is narrow enough.

    Args:
        metric: name of the metric, one of the scenario's.
        half_width: largest distance of either end of the 95 % interval from the mean, in the unit of the metric.
        max_repetitions: largest number of repetitions of a point.
    """

    metric: str
    half_width: float
    max_repetitions: int


@dataclass(frozen=True)
class Point:
    """One system over one channel under one set of conditions; its rows are one part of the table.

    Args:
        system: system with the arguments of this point.
        channel: channel with the arguments of this point.
        medium_cbr: channel-use budget of all users together, in channel uses per real number of an image.
        snr_db: Es/N0 per channel use in dB.
        users: number of users sharing the channel.
        user_snr_offsets_db: SNR offset of each user in dB, added to `snr_db`; repeated if there are more users.
        repetition: number of the repetition, from 0.
        settings: value of each swept argument that applies, by its dotted name.
        images: images to transmit.
        metrics: names of the metrics, as in "psnr", or "mine.py:mae" for a function in a file of the user.
        seed: seed of all random draws.
        batch: number of rows transmitted together.
        threads: number of torch threads in each worker.
        symbol_rate_hz: channel uses per second, for the column `airtime_s`, or None.
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
        """The SNR of a user in dB."""
        return self.snr_db + self.user_snr_offsets_db[user % len(self.user_snr_offsets_db)]

    def designed_snr_db(self, user: int) -> float | None:
        """The SNR that the transmitter of a user assumes, in dB; None for the actual one."""
        designed = dict(self.settings).get(DESIGNED_SNR)
        return None if designed is None else designed + self.user_snr_db(user) - self.snr_db

    @property
    def key(self) -> str:
        """16 hex digits of the SHA-256 of everything in the scenario that determines the rows."""
        own_files = [
            text
            for variant in (self.system, self.channel)
            if variant.name.endswith(".py")
            for text in user_files.code(variant.entry.path)
        ]
        own_files += [text for name in self.metrics if user_metrics.split(name) for text in user_metrics.code(name)]
        fields = {name: value for name, value in asdict(self).items() if (name, value) != ("symbol_rate_hz", None)}
        arguments = dict(self.channel.arguments)
        if arguments.get("csit") == "average":  # the key is that of runs made before the argument existed
            fields["channel"]["arguments"] = [
                argument for argument in self.channel.arguments if not argument[0].startswith("csit")
            ]
        del fields["channel"]["message"], fields["images"]["metrics"], fields["images"]["systems"]
        for owner, name in (("images", "skip_unreadable"), ("images", "label"), ("system", "message")):
            if not fields[owner][name]:  # likewise
                del fields[owner][name]
        text = json.dumps([fields, own_files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        settings = "".join(f", {name} {value}" for name, value in self.settings)
        return (
            f"{self.system.label}{f', {self.images.label},' if self.images.label else ''} over {self.channel.label} "
            f"at {self.snr_db:g} dB, "
            f"{self.users} user{'s' if self.users > 1 else ''}, medium_cbr {self.medium_cbr:g}, "
            f"repetition {self.repetition}{settings}"
        )


@dataclass(frozen=True)
class Scenario:
    """A checked scenario.

    Args:
        title: title of the figures.
        systems: systems to compare, with distinct labels.
        channels: channels to compare, with distinct labels.
        medium_cbr: channel-use budgets of all users together, in channel uses per real number of an image.
        snr_db: Es/N0 per channel use in dB.
        users: numbers of users sharing the channel.
        user_snr_offsets_db: SNR offset of each user in dB, added to the swept SNR; repeated if there are more users.
        axes: swept arguments of systems and channels.
        images: images to transmit, from one or several sources.
        metrics: names of the metrics of all images.
        repetitions: number of transmissions of each image, each with new noise and fading; with `stop`, number
            between two evaluations of the stopping rule.
        seed: seed of all random draws.
        batch: number of rows transmitted together; part of the scenario because rounding depends on it.
        threads: number of torch threads in each worker; part of the scenario for the same reason.
        symbol_rate_hz: channel uses per second, for the column `airtime_s`, or None.
        stop: stopping rule, or None for the same number of repetitions of all points.
    """

    title: str
    systems: tuple[Variant, ...]
    channels: tuple[Variant, ...]
    medium_cbr: tuple[float, ...]
    snr_db: tuple[float, ...]
    users: tuple[int, ...]
    user_snr_offsets_db: tuple[float, ...]
    axes: tuple[Axis, ...]
    images: tuple[Images, ...]
    metrics: tuple[str, ...]
    repetitions: int
    seed: int
    batch: int
    threads: int
    symbol_rate_hz: float | None = None
    stop: StoppingRule | None = None

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """Names of the metrics of all images, then of those of one source."""
        return tuple(dict.fromkeys((*self.metrics, *(name for images in self.images for name in images.metrics))))

    def points(self) -> list[Point]:
        """All points in a fixed order; systems alternate, so that partial results are comparable.

        With a stopping rule these are the first points; `semcom.sweep.repetitions` adds the others.
        """
        return [
            Point(
                system=system.with_settings(settings),
                channel=channel.with_settings(settings),
                medium_cbr=medium_cbr,
                snr_db=snr_db,
                users=users,
                user_snr_offsets_db=self.user_snr_offsets_db,
                repetition=repetition,
                settings=settings,
                images=images,
                metrics=tuple(dict.fromkeys((*self.metrics, *images.metrics))),
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
            for images in self.images
            for system in self.systems
            if images.are_for(system)
            for settings in self._settings(system, channel)
        ]

    def _settings(self, system: Variant, channel: Variant) -> list[Arguments]:
        """All combinations of the designed SNRs and the swept arguments that the system or the channel has."""
        axes = [
            [(axis.name, value) for value in axis.values]
            for axis in self.axes
            for owner in [axis.name.partition(".")[0]]
            if axis.name == DESIGNED_SNR or system.has_name(owner) or channel.has_name(owner)
        ]
        return list(itertools.product(*axes))
