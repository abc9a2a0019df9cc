"""A document becomes a checked scenario; every error names the file, the line and the nearest valid word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from channels.errors import UsageError
from semcom import discover
from semcom.discover import nearest, user_metrics
from semcom.limits import MAX_SNR_DB, MAX_THREADS
from semcom.scenario.arguments import check_argument, parse_part, scenario_arguments
from semcom.scenario.document import Document, shown
from semcom.scenario.edge import PREFIX, is_edge, read_edge
from semcom.scenario.fields import (
    Place,
    distinct_numbers,
    mapping,
    numbers,
    one_number,
    refuse_other_keys,
    scalar,
    value_at,
    values,
    whole_number,
)
from semcom.scenario.images import images
from semcom.scenario.metrics import metrics
from semcom.scenario.model import DESIGNED_SNR, Axis, Scenario, StoppingRule, Variant
from semcom.scenario.overrides import OPTIONAL, REQUIRED, as_list_of_mappings, override
from semcom.scenario.paths import argument, located, searched


def parse_scenario(document: Document, overrides: Sequence[str] = (), count: bool = True) -> Scenario:
    """Turn a document into a scenario.

    Args:
        document: content of a scenario file.
        overrides: settings such as "sweep.snr_db=[0, 10]" that replace values of the document.
        count: whether to check that image sources have as many images as are used, which imports torch.

    Raises:
        UsageError: anything in the document or the overrides is invalid.
    """
    top = mapping(document, ())
    for setting in overrides:
        override(document, setting)
    if "device" in top:
        raise UsageError(
            f"{document.place('device')}: device belongs to the machine, not to the experiment; remove it and give "
            "--device to semcom run"
        )
    if "task" in top:
        raise UsageError(f"{document.place('task')}: a scenario with a task is simulated by semcom run alone")
    refuse_other_keys(document, (), [*REQUIRED, *OPTIONAL], "a scenario")
    for key in REQUIRED:
        if key not in top:
            raise UsageError(f"{document.name}: the key {key!r} is missing; add it, as in scenarios/quickstart.yaml")
    systems, channels = _variants(document, "system"), _variants(document, "channel")
    sweep = mapping(document, ("sweep",))
    axes = tuple(_axis(document, name, systems, channels) for name in sweep if name not in ("snr_db", "users"))
    if "snr_db" not in sweep:
        raise UsageError(f"{document.place('sweep')}: 'snr_db' is missing from sweep; add snr_db: [0, 10]")
    return Scenario(
        title=scalar(document, "title", str, Path(document.name).stem),
        systems=systems,
        channels=channels,
        medium_cbr=distinct_numbers(
            document, ("medium_cbr",), lambda value: 0 < value <= 100, "a number above 0, at most 100"
        ),
        snr_db=distinct_numbers(document, ("sweep", "snr_db"), _is_snr_db, _SNR_DB),
        users=_users(document) if "users" in sweep else (1,),
        user_snr_offsets_db=_snr_offsets(document) if "user_snr_offsets_db" in top else (0.0,),
        axes=axes,
        images=images(document, systems, axes, count),
        metrics=metrics(document, ("metrics",), axes),
        repetitions=scalar(document, "repetitions", int, 1, least=1),
        seed=scalar(document, "seed", int, 0),
        batch=scalar(document, "batch", int, 8, least=1),
        threads=scalar(document, "threads", int, 1, least=1, most=MAX_THREADS),
        symbol_rate_hz=_symbol_rate(document) if "symbol_rate_hz" in top else None,
        stop=_stopping_rule(document) if "stop" in top else None,
    )


def parse_variant(kind: discover.Kind, text: str, overrides: Sequence[str] = ()) -> Variant:
    """A system or channel outside of a scenario: NAME[:KEY=VALUE,...], and overrides like "digital.codec=webp"."""
    part = parse_part(text, kind)
    collection, name = "systems" if kind == "system" else "channel", part["name"]
    document = Document({collection: [part]}, name)
    for setting in overrides:
        override(document, setting)
        if len(document.data) > 1:
            raise UsageError(f"--set {setting}: only arguments of {name} can be set here, as in {name}.KEY=VALUE")
    return _variants(document, kind)[0]


# --- systems and channels ------------------------------------------------------------------------------------------


def _variants(document: Document, kind: discover.Kind) -> tuple[Variant, ...]:
    key = "systems" if kind == "system" else "channel"
    as_list_of_mappings(document, key)
    variants = tuple(_variant(document, kind, (key, i)) for i, _ in enumerate(values(document, (key,))))
    labels = [variant.label for variant in variants]
    for i, label in enumerate(labels):
        if label in labels[:i]:
            raise UsageError(f"{document.place(key, i)}: the label {label!r} occurs twice; set label of this entry")
    return variants


def _variant(document: Document, kind: discover.Kind, path: Place) -> Variant:
    written = value_at(document, path)
    if not isinstance(written, dict) or not isinstance(written.get("name"), str):
        raise UsageError(f"{document.place(*path)}: a {kind} requires a name, as in {{name: NAME}}")
    name = written["name"]
    label = written.get("label", Path(name).stem)
    if not isinstance(label, str) or not label:
        raise UsageError(f"{document.place(*path, 'label')}: a label must be text, not {label!r}")
    if name.endswith(".py"):
        found = located(document, name)
        if found is None:
            raise UsageError(f"{document.place(*path, 'name')}: {name} does not exist; {searched(document)}")
        name = found
    try:
        entry = discover.find(kind, name)
    except UsageError as error:
        raise UsageError(f"{document.place(*path, 'name')}: {error}") from None
    message = _message(document, entry, path)
    others = ("name", "label") if message is None else ("name", "label", "message")
    given = {key: argument(document, value) for key, value in written.items() if key not in (*others, "edge")}
    edge = _edge(document, entry, path)
    for key in edge:
        given.pop(key, None)
    for key, value in given.items():
        check_argument(entry, key, value, document.place(*path, key))
    allowed = scenario_arguments(entry)
    for known in allowed.values():
        if known.required and known.name not in given:
            raise UsageError(
                f"{document.place(*path)}: {name} requires the argument {known.name} ({known.accepted}); "
                f"set {entry.name}.{known.name}"
            )
    defaults = {key: known.default for key, known in allowed.items()}
    arguments = {key: entry.arguments[key].read(value) for key, value in {**defaults, **given}.items()}
    return Variant(kind, name, label, tuple(sorted((arguments | edge).items())), message)


def _edge(document: Document, entry: discover.Entry, path: Place) -> dict[str, Any]:
    """The reduction of the networks of a system, by the names of its arguments: `edge: {...}` and `edge.NAME`."""
    written = value_at(document, path)
    if entry.kind != "system":
        return {}
    found = {key: read_edge(key, value, document.place(*path, key)) for key, value in written.items() if is_edge(key)}
    if "edge" in written:
        for key, value in mapping(document, (*path, "edge")).items():
            found = {f"{PREFIX}{key}": read_edge(f"{PREFIX}{key}", value, document.place(*path, "edge", key))} | found
    return found


def _message(document: Document, entry: discover.Entry, path: Place) -> str | None:
    """The text that a system transmits in its messages, unless `message` is an argument of the system itself."""
    written = value_at(document, path)
    if entry.kind != "system" or "message" not in written or "message" in entry.arguments:
        return None
    message = written["message"]
    if not isinstance(message, str) or not message:
        raise UsageError(f"{document.place(*path, 'message')}: a message must be text, not {shown(message)}")
    return message


def _axis(document: Document, name: str, systems: Sequence[Variant], channels: Sequence[Variant]) -> Axis:
    if name == DESIGNED_SNR:
        return Axis(name, distinct_numbers(document, ("sweep", name), _is_snr_db, _SNR_DB))
    owner, dot, key = name.partition(".")
    place = document.place("sweep", name)
    owners = [variant for variant in (*systems, *channels) if variant.has_name(owner)]
    if not dot or not owners:
        names = [
            "snr_db",
            "users",
            DESIGNED_SNR,
            *(f"{item.label}.{known}" for item in (*systems, *channels) for known in scenario_arguments(item.entry)),
        ]
        raise UsageError(f"{place}: {name!r} cannot be swept; {nearest(name, names)}")
    swept = argument(document, values(document, ("sweep", name)))
    if is_edge(key) and {variant.kind for variant in owners} == {"system"}:
        return Axis(name, tuple(dict.fromkeys(read_edge(key, value, place) for value in swept)))
    for variant in owners:
        for value in swept:
            check_argument(variant.entry, key, value, place)
    reader = owners[0].entry.arguments[key]
    return Axis(name, tuple(dict.fromkeys(reader.read(value) for value in swept)))


# --- the other keys ------------------------------------------------------------------------------------------------


def _users(document: Document) -> tuple[int, ...]:
    found = distinct_numbers(
        document, ("sweep", "users"), lambda value: value >= 1 and value.is_integer(), "a whole number, 1 or more"
    )
    return tuple(int(number) for number in found)


def _is_snr_db(value: float) -> bool:
    return abs(value) <= MAX_SNR_DB


_SNR_DB = f"a number of dB from -{MAX_SNR_DB} to {MAX_SNR_DB}"


def _snr_offsets(document: Document) -> tuple[float, ...]:
    """SNR offsets of the users in dB; every user's SNR must be in range."""
    offsets = numbers(document, ("user_snr_offsets_db",), _is_snr_db, _SNR_DB)
    swept = numbers(document, ("sweep", "snr_db"), _is_snr_db, _SNR_DB)
    for snr_db in (min(swept) + min(offsets), max(swept) + max(offsets)):
        if not _is_snr_db(snr_db):
            place = document.place("user_snr_offsets_db")
            raise UsageError(f"{place}: swept SNR plus offset must be {_SNR_DB}, not {snr_db:g}")
    return offsets


def _stopping_rule(document: Document) -> StoppingRule:
    written = mapping(document, ("stop",))
    columns = [user_metrics.column(name) for name in metrics(document, ("metrics",))]
    keys = ("metric", "half_width", "max_repetitions")
    refuse_other_keys(document, ("stop",), keys, "stop")
    if missing := [key for key in keys if key not in written]:
        raise UsageError(
            f"{document.place('stop')}: {missing[0]!r} is missing from stop, as in "
            f"{{metric: {columns[0]}, half_width: 0.01, max_repetitions: 100}}"
        )
    metric = user_metrics.column(str(written["metric"]))
    if metric not in columns:
        place = document.place("stop", "metric")
        raise UsageError(f"{place}: metric {metric!r} is not among the scenario's metrics; {nearest(metric, columns)}")
    half_width = one_number(document, ("stop", "half_width"), lambda value: value > 0, "one number above 0")
    least = scalar(document, "repetitions", int, 1, least=1)
    expected = f"a whole number, {least} (the value of repetitions) or more"
    return StoppingRule(metric, half_width, whole_number(document, ("stop", "max_repetitions"), least, expected))


def _symbol_rate(document: Document) -> float:
    return one_number(document, ("symbol_rate_hz",), lambda value: value > 0, "a number above 0")
