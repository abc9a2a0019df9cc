"""Scenario files checked to the last word: what is wrong is said with its file, line and nearest right word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from channels._errors import UsageError
from semcom import discover
from semcom._yaml import Document, parse_value
from semcom.discover import Entry, nearest
from semcom.scenario import Axis, Images, Scenario, Variant

_REQUIRED = ("systems", "channel", "medium_cbr", "sweep", "images", "metrics")
_OPTIONAL = ("title", "user_snr_offsets_db", "repetitions", "seed", "batch", "threads", "symbol_rate_hz")
_GRANTED = "cbr"  # the one argument of a system's build that nobody writes: it follows from medium_cbr

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
        snr_db=_distinct(document, ("sweep", "snr_db"), math.isfinite, "a finite number of dB"),
        users=_users(document) if "users" in sweep else (1,),
        user_snr_offsets_db=_numbers(document, ("user_snr_offsets_db",), math.isfinite, "a finite number of dB")
        if "user_snr_offsets_db" in top
        else (0.0,),
        axes=tuple(_axis(document, name, systems, channels) for name in sweep if name not in ("snr_db", "users")),
        images=_images(document),
        metrics=_metrics(document),
        repetitions=_scalar(document, "repetitions", int, 1, least=1),
        seed=_scalar(document, "seed", int, 0),
        batch=_scalar(document, "batch", int, 8, least=1),
        threads=_scalar(document, "threads", int, 1, least=1),
        symbol_rate_hz=_symbol_rate(document) if "symbol_rate_hz" in top else None,
    )


def check_variant(kind: discover.Kind, name: str, overrides: Sequence[str] = ()) -> Variant:
    """A system or channel on its own, with overrides such as "digital.codec=webp"."""
    document = Document({"systems" if kind == "system" else "channel": [{"name": name}]}, name)
    for override in overrides:
        _override(document, override)
    return _variants(document, kind)[0]


def check_argument(entry: Entry, name: str, value: object, place: str) -> None:
    """Refuse an argument that the entry's `build` does not have, or a value that its annotation does not allow."""
    allowed = writable(entry)
    if entry.kind == "system" and name == _GRANTED:
        raise UsageError(f"{place}: {entry.name} is granted its cbr, from medium_cbr and the number of users")
    if name not in allowed:
        raise UsageError(f"{place}: {entry.name}.build has no argument {name!r}; {nearest(name, allowed)}")
    if isinstance(value, dict) or not allowed[name].accepts(value):
        wanted = allowed[name].annotation or "a plain value or a list"
        raise UsageError(f"{place}: {entry.name}.build wants {name}: {wanted}, not {value!r}")


def writable(entry: Entry) -> dict[str, discover.Argument]:
    """The arguments of an entry that a scenario may write."""
    return {
        name: argument
        for name, argument in entry.arguments.items()
        if not (entry.kind == "system" and name == _GRANTED)
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
    elif owner in ("sweep", "images") and isinstance(document.data.get(owner), dict):
        paths = [(owner, key.partition(".")[2])]
    else:
        for collection in ("systems", "channel"):
            if document.data.get(collection) is not None:
                _list_of_mappings(document, collection)
                for i, item in enumerate(document.data[collection]):
                    if "." in key and (owner in _names(item) or owner == collection == "channel"):
                        paths.append((collection, i, key.partition(".")[2]))
    if not paths:
        raise UsageError(f"--set {override}: no {owner!r}; {nearest(owner, _settable(document))}")
    for path in paths:
        _at(document, path[:-1])[path[-1]] = value
        for known in [known for known in document.places if known[: len(path)] == path]:
            del document.places[known]
        document.places[path] = f"--set {override}"


def _settable(document: Document) -> list[str]:
    named = [item for key in ("systems", "channel") for item in document.data.get(key) or []]
    return [*_REQUIRED, *_OPTIONAL, *(name for item in named for name in _names(item))]


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


def _scalar(document: Document, key: str, kind: type, default: Any, least: int | None = None) -> Any:
    value: Any = document.data.get(key, default)
    right = isinstance(value, kind) and not isinstance(value, bool)
    if not right or (least is not None and value < least):
        wanted = "text" if kind is str else "a whole number" if least is None else f"a whole number, {least} or more"
        raise UsageError(f"{document.place(key)}: {key} must be {wanted}, not {_yaml(value)}")
    return value


def _yaml(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}[str(value)]
    return repr(value)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
