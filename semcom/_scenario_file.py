"""Scenario files checked to the last word: what is wrong is said with its file, line and nearest right word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from channels._errors import UsageError
from semcom import discover
from semcom._limits import MOST_SIDE, MOST_SNR_DB, MOST_THREADS
from semcom._yaml import Document, parse_value
from semcom.discover import Entry, nearest
from semcom.scenario import Axis, Images, Scenario, Stop, Variant

_REQUIRED = ("systems", "channel", "medium_cbr", "sweep", "images", "metrics")
_OPTIONAL = ("title", "user_snr_offsets_db", "repetitions", "seed", "batch", "threads", "symbol_rate_hz", "stop")
_SECTIONS = ("sweep", "images", "stop")  # keys whose values are keys and values

Place = tuple[str | int, ...]


def check(document: Document, overrides: Sequence[str] = ()) -> Scenario:
    """Turn a document into a scenario; `UsageError` if anything in it is wrong."""
    top = _mapping(document, ())
    for override in overrides:
        _override(document, override)
    _only(document, (), [*_REQUIRED, *_OPTIONAL], "a scenario")
    for key in _REQUIRED:
        if key not in top:
            raise UsageError(f"{document.name}: {key!r} is missing")
    systems, channels = _variants(document, "system"), _variants(document, "channel")
    sweep = _mapping(document, ("sweep",))
    if "snr_db" not in sweep:
        raise UsageError(f"{document.place('sweep')}: 'snr_db' is missing from the sweep")
    return Scenario(
        title=_scalar(document, "title", str, Path(document.name).stem),
        systems=systems,
        channels=channels,
        medium_cbr=_distinct(
            document, ("medium_cbr",), lambda value: 0 < value <= 100, "a number above 0, at most 100"
        ),
        snr_db=_distinct(document, ("sweep", "snr_db"), _is_snr_db, _SNR_DB),
        users=_users(document) if "users" in sweep else (1,),
        user_snr_offsets_db=_offsets(document) if "user_snr_offsets_db" in top else (0.0,),
        axes=tuple(_axis(document, name, systems, channels) for name in sweep if name not in ("snr_db", "users")),
        images=_images(document),
        metrics=_metrics(document),
        repetitions=_scalar(document, "repetitions", int, 1, least=1),
        seed=_scalar(document, "seed", int, 0),
        batch=_scalar(document, "batch", int, 8, least=1),
        threads=_scalar(document, "threads", int, 1, least=1, most=MOST_THREADS),
        symbol_rate_hz=_symbol_rate(document) if "symbol_rate_hz" in top else None,
        stop=_stop(document) if "stop" in top else None,
    )


def check_variant(kind: discover.Kind, name: str, overrides: Sequence[str] = ()) -> Variant:
    """A system or channel on its own, with overrides such as "digital.codec=webp"."""
    collection = "systems" if kind == "system" else "channel"
    document = Document({collection: [{"name": name}]}, name)
    for override in overrides:
        _override(document, override)
        if len(document.data) > 1:
            raise UsageError(f"--set {override}: only arguments of {name} can be set here, as in {name}.KEY=VALUE")
    return _variants(document, kind)[0]


def check_argument(entry: Entry, name: str, value: object, place: str) -> None:
    """Refuse an argument that the entry's `build` does not have, or a value that its annotation does not allow."""
    allowed = writable(entry)
    if entry.kind == "system" and name == discover.GRANTED:
        raise UsageError(f"{place}: {entry.name} is granted its cbr, from medium_cbr and the number of users")
    if name not in allowed:
        raise UsageError(f"{place}: {entry.name}.build has no argument {name!r}; {nearest(name, allowed)}")
    if isinstance(value, dict) or not allowed[name].accepts(value):
        raise UsageError(f"{place}: {entry.name}.build wants {name}: {allowed[name].wanted}, not {value!r}")


def writable(entry: Entry) -> dict[str, discover.Argument]:
    """The arguments of an entry that a scenario may write."""
    return {
        name: argument
        for name, argument in entry.arguments.items()
        if not (entry.kind == "system" and name == discover.GRANTED)
    }


# --- systems and channels ------------------------------------------------------------------------------------------


def _variants(document: Document, kind: discover.Kind) -> tuple[Variant, ...]:
    key = "systems" if kind == "system" else "channel"
    _list_of_mappings(document, key)
    variants = tuple(_variant(document, kind, (key, i)) for i, _ in enumerate(_values(document, (key,))))
    labels = [variant.label for variant in variants]
    for i, label in enumerate(labels):
        if label in labels[:i]:
            raise UsageError(f"{document.place(key, i)}: {label!r} stands twice; tell them apart by a label: ...")
    return variants


def _list_of_mappings(document: Document, key: str) -> None:
    """Spell out the short forms: `channel: awgn` is `channel: [{name: awgn}]`."""
    written = document.data.get(key)
    if not isinstance(written, list):
        document.data[key] = [written]
        for path, place in list(document.places.items()):
            if path[:1] == (key,):
                document.places[key, 0, *path[1:]] = place
    document.data[key] = [{"name": item} if isinstance(item, str) else item for item in document.data[key]]


def _variant(document: Document, kind: discover.Kind, path: Place) -> Variant:
    written = _at(document, path)
    if not isinstance(written, dict) or not isinstance(written.get("name"), str):
        raise UsageError(f"{document.place(*path)}: a {kind} needs a name, as in {{name: NAME}}")
    name = written["name"]
    label = written.get("label", Path(name).stem)
    if not isinstance(label, str) or not label:
        raise UsageError(f"{document.place(*path, 'label')}: a label must be text, not {label!r}")
    try:
        entry = discover.find(kind, name)
    except UsageError as error:
        raise UsageError(f"{document.place(*path, 'name')}: {error}") from None
    given = {key: value for key, value in written.items() if key not in ("name", "label")}
    for key, value in given.items():
        check_argument(entry, key, value, document.place(*path, key))
    for argument in writable(entry).values():
        if argument.required and argument.name not in given:
            raise UsageError(f"{document.place(*path)}: {name}.build needs {argument.name}: {argument.annotation}")
    defaults = {key: argument.default for key, argument in writable(entry).items()}
    arguments = {key: entry.arguments[key].read(value) for key, value in {**defaults, **given}.items()}
    return Variant(kind, name, label, tuple(sorted(arguments.items())))


def _axis(document: Document, name: str, systems: Sequence[Variant], channels: Sequence[Variant]) -> Axis:
    owner, dot, argument = name.partition(".")
    place = document.place("sweep", name)
    concerned = [variant for variant in (*systems, *channels) if variant.answers_to(owner)]
    if not dot or not concerned:
        names = [
            "snr_db",
            "users",
            *(f"{variant.label}.{key}" for variant in (*systems, *channels) for key in writable(variant.entry)),
        ]
        raise UsageError(f"{place}: {name!r} cannot be swept; {nearest(name, names)}")
    values = _values(document, ("sweep", name))
    for variant in concerned:
        for value in values:
            check_argument(variant.entry, argument, value, place)
    reader = concerned[0].entry.arguments[argument]
    return Axis(name, tuple(dict.fromkeys(reader.read(value) for value in values)))


# --- the other keys ------------------------------------------------------------------------------------------------


def _users(document: Document) -> tuple[int, ...]:
    numbers = _distinct(
        document, ("sweep", "users"), lambda value: value >= 1 and value.is_integer(), "a whole number, 1 or more"
    )
    return tuple(int(number) for number in numbers)


def _is_snr_db(value: float) -> bool:
    return abs(value) <= MOST_SNR_DB


_SNR_DB = f"a number of dB from -{MOST_SNR_DB} to {MOST_SNR_DB}"


def _offsets(document: Document) -> tuple[float, ...]:
    """Decibels on top of the swept SNR, such that no user's SNR is out of range."""
    offsets = _numbers(document, ("user_snr_offsets_db",), _is_snr_db, _SNR_DB)
    swept = _numbers(document, ("sweep", "snr_db"), _is_snr_db, _SNR_DB)
    for snr_db in (min(swept) + min(offsets), max(swept) + max(offsets)):
        if not _is_snr_db(snr_db):
            place = document.place("user_snr_offsets_db")
            raise UsageError(f"{place}: a user's SNR comes to {snr_db:g} dB; swept SNR and offset make {_SNR_DB}")
    return offsets


def _stop(document: Document) -> Stop:
    """A stop rule; its metric must be measured, and one batch must fit into the most repetitions."""
    written, metrics = _mapping(document, ("stop",)), _metrics(document)
    wanted = ("metric", "half_width", "max_repetitions")
    _only(document, ("stop",), wanted, "stop")
    if missing := [key for key in wanted if key not in written]:
        raise UsageError(
            f"{document.place('stop')}: {missing[0]!r} is missing from stop, as in "
            f"{{metric: {metrics[0]}, half_width: 0.01, max_repetitions: 100}}"
        )
    metric = written["metric"]
    if metric not in metrics:
        place = document.place("stop", "metric")
        raise UsageError(f"{place}: metric {metric!r} is not among the scenario's metrics; {nearest(metric, metrics)}")
    widths = _numbers(document, ("stop", "half_width"), lambda value: value > 0, "one number above 0")
    if len(widths) > 1:
        raise UsageError(f"{document.place('stop', 'half_width')}: half_width must be one number, not {len(widths)}")
    least = _scalar(document, "repetitions", int, 1, least=1)
    most = written["max_repetitions"]
    if not isinstance(most, int) or isinstance(most, bool) or most < least:
        raise UsageError(
            f"{document.place('stop', 'max_repetitions')}: max_repetitions must be a whole number, "
            f"{least} (the repetitions of a batch) or more, not {_yaml(most)}"
        )
    return Stop(metric, widths[0], most)


def _symbol_rate(document: Document) -> float:
    rates = _numbers(document, ("symbol_rate_hz",), lambda value: value > 0, "a number above 0")
    if len(rates) > 1:
        raise UsageError(f"{document.place('symbol_rate_hz')}: symbol_rate_hz must be one number, not {len(rates)}")
    return rates[0]


def _images(document: Document) -> Images:
    written = _mapping(document, ("images",))
    allowed = discover.image_arguments()
    _only(document, ("images",), allowed, "images")
    if "source" not in written:
        raise UsageError(f"{document.place('images')}: 'source' is missing; there are {_listed(discover.sources())}")
    for key, value in written.items():
        if not allowed[key].accepts(value) or (isinstance(value, int) and value < 1):
            wanted = "text" if key == "source" else "a whole number, 1 or more"
            raise UsageError(f"{document.place('images', key)}: {key} must be {wanted}, not {value!r}")
    if written.get("size", 0) > MOST_SIDE:
        raise UsageError(f"{document.place('images', 'size')}: size must be at most {MOST_SIDE}, not {written['size']}")
    source = written["source"].partition(":")[0]
    if source not in discover.sources():
        place = document.place("images", "source")
        raise UsageError(f"{place}: no image source {source!r}; {nearest(source, discover.sources())}")
    return Images(**written)


def _metrics(document: Document) -> tuple[str, ...]:
    names = _values(document, ("metrics",))
    for i, name in enumerate(names):
        if name not in discover.metrics():
            place = document.place("metrics", i)
            raise UsageError(f"{place}: no metric {name!r}; {nearest(str(name), discover.metrics())}")
    return tuple(dict.fromkeys(names))


# --- small pieces --------------------------------------------------------------------------------------------------


def _override(document: Document, override: str) -> None:
    """Put the value of "images.count=4" in its place."""
    dotted, equals, text = override.partition("=")
    if not equals:
        raise UsageError(f"--set {override}: write KEY=VALUE, as in --set sweep.snr_db=[0,10]")
    value, key, owner = parse_value(text), dotted.strip(), dotted.strip().partition(".")[0]
    paths: list[Place] = []
    if key in (*_REQUIRED, *_OPTIONAL):
        paths = [(key,)]
    elif owner in _SECTIONS and key != f"{owner}.":
        if owner not in document.data:
            document.data[owner], document.places[owner,] = {}, f"--set {override}"
        _mapping(document, (owner,))
        paths = [(owner, key.partition(".")[2])]
    else:
        for collection in ("systems", "channel"):
            if document.data.get(collection) is not None:
                _list_of_mappings(document, collection)
                for i, item in enumerate(document.data[collection]):
                    if "." in key and (owner in _names(item) or owner == collection == "channel"):
                        paths.append((collection, i, key.partition(".")[2]))
    if not paths:
        raise UsageError(f"--set {override}: {_nearest_key(document, key)}")
    for path in paths:
        _at(document, path[:-1])[path[-1]] = value
        for known in [known for known in document.places if known[: len(path)] == path]:
            del document.places[known]
        document.places[path] = f"--set {override}"


def _nearest_key(document: Document, key: str) -> str:
    """What may be set in place of a key that does not exist: the one most like it, or what keys look like."""
    collections: dict[discover.Kind, str] = {"system": "systems", "channel": "channel"}
    arguments = {
        f"{name}.{argument}": None
        for kind, collection in collections.items()
        for item in document.data.get(collection) or []
        for name in reversed(_names(item))
        if "." not in name  # a path: its label is what can be set
        for argument in _arguments_of(kind, item)
    }
    keys = [*_REQUIRED, *_OPTIONAL, "sweep.snr_db", "sweep.users", *arguments]
    keys += [f"images.{name}" for name in discover.image_arguments()]
    alike = [known for known in keys if known.rpartition(".")[2] == key] or [
        known for known in keys if known.partition(".")[0] == key
    ]
    if alike:
        return f"no such key; did you mean {alike[0]!r}?"
    close = nearest(key, keys)
    return f"no such key; {close if close.startswith('did') else 'semcom show SCENARIO lists the keys'}"


def _arguments_of(kind: discover.Kind, item: object) -> list[str]:
    """Names of the arguments of a system or channel that is not checked yet."""
    try:
        return list(writable(discover.find(kind, str(item["name"])))) if isinstance(item, dict) else []
    except (KeyError, UsageError):
        return []


def _names(item: object) -> list[str]:
    """What a dotted name may call a system or channel: its label, or its name; not yet checked."""
    if not isinstance(item, dict):
        return []
    name = str(item.get("name"))
    return [str(item.get("label", Path(name).stem)), name]


def _at(document: Document, path: Place) -> Any:
    value = document.data
    for step in path:
        value = value[step]
    return value


def _mapping(document: Document, path: Place) -> dict[str, Any]:
    value = _at(document, path)
    if not isinstance(value, dict):
        name = path[-1] if path else "a scenario"
        raise UsageError(f"{document.place(*path)}: {name} must be keys and values, as in `key: value`")
    return value


def _only(document: Document, path: Place, allowed: Iterable[str], of: str) -> None:
    allowed = list(allowed)
    for key in _at(document, path):
        if key not in allowed:
            raise UsageError(f"{document.place(*path, key)}: {of} has no key {key!r}; {nearest(key, allowed)}")


def _values(document: Document, path: Place) -> list[Any]:
    """A list that is not empty; one value alone is a list of one."""
    value = _at(document, path)
    if value is None or value == []:
        raise UsageError(f"{document.place(*path)}: {path[-1]} is empty; give it at least one value")
    return value if isinstance(value, list) else [value]


def _distinct(document: Document, path: Place, fits: Callable[[float], bool], wanted: str) -> tuple[float, ...]:
    """Numbers of an axis: what stands twice is swept once."""
    return tuple(dict.fromkeys(_numbers(document, path, fits, wanted)))


def _numbers(document: Document, path: Place, fits: Callable[[float], bool], wanted: str) -> tuple[float, ...]:
    values = _values(document, path)
    for i, value in enumerate(values):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not fits(float(value)):
            raise UsageError(f"{document.place(*path, i)}: {path[-1]} must be {wanted}, not {_yaml(value)}")
    return tuple(float(value) for value in values)


def _scalar(
    document: Document, key: str, kind: type, default: Any, least: int | None = None, most: int | None = None
) -> Any:
    value: Any = document.data.get(key, default)
    right = isinstance(value, kind) and not isinstance(value, bool)
    if not right or (least is not None and value < least) or (most is not None and value > most):
        wanted = "text" if kind is str else "a whole number"
        wanted += "" if least is None else f", {least} or more" if most is None else f" from {least} to {most}"
        raise UsageError(f"{document.place(key)}: {key} must be {wanted}, not {_yaml(value)}")
    return value


def _yaml(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}[str(value)]
    return repr(value)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
