"""`task: recognition` of a scenario file: which modulation was transmitted, over swept SNR and channel uses.

task: recognition
modulations: [bpsk, qpsk, 16qam]
channel: awgn
sweep: {snr_db: [0, 10], uses: [128, 1024]}
recognizers: [all_known, phase_unknown, nothing_known]
frames: 100
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from channels.errors import UsageError
from semcom.discover import nearest
from semcom.scenario.arguments import parse_setting
from semcom.scenario.document import Document, dump, read_document, shown
from semcom.scenario.fields import distinct_numbers, mapping, refuse_other_keys, scalar, values

TASK = "recognition"
LIKELIHOODS = {
    "all_known": "likelihood, all known (bound)",
    "phase_unknown": "likelihood, phase unknown",
    "nothing_known": "likelihood, nothing known",
}
"""Recognizers by likelihood, by what the receiver knows of gain, phase and noise."""
CHANNELS = ("awgn", "rayleigh")
_KEYS = ("task", "title", "modulations", "channel", "sweep", "recognizers", "frames", "seed")
_MOST_USES = 1 << 16


@dataclass(frozen=True)
class Point:
    """One SNR, number of channel uses and recognizer.

    Args:
        snr_db: mean Es/N0 in dB.
        uses: channel uses of each frame.
        recognizer: one of `LIKELIHOODS`, or weights of a learned recognizer.
    """

    snr_db: float
    uses: int
    recognizer: str


@dataclass(frozen=True)
class Task:
    """A checked scenario of recognition.

    Args:
        title: title of the figures.
        modulations: equally probable modulations.
        channel: "awgn", or "rayleigh" with one gain for each frame.
        snr_db: swept mean Es/N0 in dB; with `nothing_known` the prior of the SNR is uniform over its range.
        uses: swept channel uses of a frame.
        recognizers: keys of `LIKELIHOODS`, or weights of learned recognizers as in `semcom.recognition.networks.load`.
        frames: frames of each modulation at each point.
        seed: seed of all random numbers.
    """

    title: str
    modulations: tuple[str, ...]
    channel: str
    snr_db: tuple[float, ...]
    uses: tuple[int, ...]
    recognizers: tuple[str, ...]
    frames: int
    seed: int

    def points(self) -> list[Point]:
        """All combinations of the swept values."""
        return [Point(snr, uses, name) for name in self.recognizers for uses in self.uses for snr in self.snr_db]

    def key(self, point: Point) -> str:
        """Name of the file of a point: it depends on all that determines its rows."""
        same = asdict(self) | asdict(point)
        del same["title"], same["recognizers"]
        if point.recognizer == "nothing_known":
            same["prior"] = min(self.snr_db), max(self.snr_db)
        return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16]

    def yaml(self) -> bytes:
        """The scenario file with all defaults."""
        found: dict[str, Any] = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
        swept = {"snr_db": found.pop("snr_db"), "uses": found.pop("uses")}
        return dump({"task": TASK, **found, "sweep": swept}).encode()


def is_task(path: Path) -> bool:
    """Whether a file is a scenario of recognition.

    Raises:
        UsageError: the file is no YAML file of keys and values.
    """
    data = read_document(path).data
    return isinstance(data, dict) and data.get("task") == TASK


def load_task(path: Path, settings: Sequence[str] = ()) -> Task:
    """Read and check a scenario of recognition.

    Args:
        path: YAML file.
        settings: values such as "frames=10" or "sweep.snr_db=[0, 10]" that replace those of the file.

    Raises:
        UsageError: a key or value is invalid; the message names file and line.
    """
    document = read_document(path)
    mapping(document, ())
    for setting in settings:
        _replace(document, setting)
    refuse_other_keys(document, (), _KEYS, "a scenario of recognition")
    top = mapping(document, ())
    if "modulations" not in top or "sweep" not in top:
        missing = "modulations" if "modulations" not in top else "sweep"
        raise UsageError(f"{document.name}: the key {missing!r} is missing; add it, as in scenarios/recognition.yaml")
    swept = mapping(document, ("sweep",))
    refuse_other_keys(document, ("sweep",), ("snr_db", "uses"), "the sweep of a scenario of recognition")
    for key in ("snr_db", "uses"):
        if key not in swept:
            raise UsageError(f"{document.place('sweep')}: {key!r} is missing from sweep")
    uses = distinct_numbers(
        document,
        ("sweep", "uses"),
        lambda value: value.is_integer() and 1 <= value <= _MOST_USES,
        f"a whole number from 1 to {_MOST_USES}",
    )
    snr_db = distinct_numbers(document, ("sweep", "snr_db"), lambda value: -20 <= value <= 40, "from -20 to 40 dB")
    from channels.recognition import MODULATIONS  # imports torch, which other scenarios are checked without

    if document.data["task"] != TASK:
        raise UsageError(f"{document.place('task')}: task must be {TASK}, not {shown(document.data['task'])}")
    names = _names(document, "modulations", tuple(MODULATIONS))
    if len(names) < 2:
        raise UsageError(f"{document.place('modulations')}: name two or more modulations")
    channel = scalar(document, "channel", str, "awgn")
    if channel not in CHANNELS:
        raise UsageError(f"{document.place('channel')}: no channel {channel!r}; {nearest(channel, CHANNELS)}")
    recognizers = _names(document, "recognizers", None) if "recognizers" in top else ("all_known",)
    return Task(
        title=scalar(document, "title", str, path.stem),
        modulations=names,
        channel=channel,
        snr_db=snr_db,
        uses=tuple(int(number) for number in uses),
        recognizers=recognizers,
        frames=scalar(document, "frames", int, 100, least=1),
        seed=scalar(document, "seed", int, 0),
    )


def _replace(document: Document, setting: str) -> None:
    """Apply a value of --set."""
    key, value = parse_setting(setting, "--set")
    first, _, second = key.partition(".")
    if first not in _KEYS or (second and first != "sweep"):
        raise UsageError(f"--set {setting}: a scenario of recognition has no key {key!r}; {nearest(first, _KEYS)}")
    path = (first, second) if second else (first,)
    if second:
        document.data.setdefault(first, {})
        mapping(document, (first,))[second] = value
    else:
        document.data[first] = value
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places[path] = f"--set {setting}"


def _names(document: Document, key: str, known: Sequence[str] | None) -> tuple[str, ...]:
    found = values(document, (key,))
    for number, name in enumerate(found):
        place = document.place(key, number)
        if not isinstance(name, str) or not name:
            raise UsageError(f"{place}: {key} must be names, not {shown(name)}")
        if known is not None and name not in known:
            raise UsageError(f"{place}: {key} has no {name!r}; {nearest(name, known)}")
        if name in found[:number]:
            raise UsageError(f"{place}: {name!r} occurs twice in {key}")
    return tuple(found)
