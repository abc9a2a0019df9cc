"""Values that replace those of a scenario file, such as `--set sweep.snr_db=[0,10]`."""

from __future__ import annotations

import re
from pathlib import Path

from channels.errors import UsageError
from semcom import discover
from semcom.discover import nearest
from semcom.scenario.arguments import labelled_part, parse_setting, scenario_arguments
from semcom.scenario.document import Document
from semcom.scenario.fields import Place, mapping, value_at

REQUIRED = ("systems", "channel", "medium_cbr", "sweep", "images", "metrics")
OPTIONAL = ("title", "user_snr_offsets_db", "repetitions", "seed", "batch", "threads", "symbol_rate_hz", "stop")
_SECTIONS = ("sweep", "images", "stop")  # keys whose values are mappings
_COLLECTIONS: dict[discover.Kind, str] = {"system": "systems", "channel": "channel"}
_WITH_ARGUMENTS = re.compile(r"[^:]+:\w+=")  # a file name may have a colon


def override(document: Document, setting: str) -> None:
    """Replace a value of the document by that of a setting such as "images.count=4".

    Raises:
        UsageError: the setting has no key or no value, its value is not YAML, or there is no such key.
    """
    key, value = parse_setting(setting, "--set")
    paths = _paths(document, key, setting)
    if not paths:
        raise UsageError(f"--set {setting}: {_suggestion(document, key)}")
    for path in paths:
        value_at(document, path[:-1])[path[-1]] = value
        for known in [known for known in document.places if known[: len(path)] == path]:
            del document.places[known]
        document.places[path] = f"--set {setting}"


def as_list_of_mappings(document: Document, key: str) -> None:
    """Expand the short forms: `channel: awgn` becomes `channel: [{name: awgn}]`, and NAME:KEY=VALUE has arguments."""
    written = document.data.get(key)
    if not isinstance(written, list):
        document.data[key] = [written]
        for path, place in list(document.places.items()):
            if path[:1] == (key,):
                document.places[key, 0, *path[1:]] = place
    document.data[key] = [
        item
        if not isinstance(item, str)
        else labelled_part(item, f"{document.place(key, i)}:")
        if _WITH_ARGUMENTS.match(item)
        else {"name": item}
        for i, item in enumerate(document.data[key])
    ]


def _paths(document: Document, key: str, setting: str) -> list[Place]:
    """Where a dotted key points to; several places where several systems or channels have its name."""
    owner, _, rest = key.partition(".")
    if key in (*REQUIRED, *OPTIONAL):
        return [(key,)]
    if owner in _SECTIONS and key != f"{owner}.":
        if owner not in document.data:
            document.data[owner], document.places[owner,] = {}, f"--set {setting}"
        if isinstance(entries := document.data[owner], list) and owner == "images":
            if rest == "source" and len(entries) > 1:
                raise UsageError(f"--set {setting}: images has {len(entries)} sources; write images={{source: ...}}")
            return [(owner, i, rest) for i, entry in enumerate(entries) if isinstance(entry, dict)]
        mapping(document, (owner,))
        return [(owner, rest)]
    paths: list[Place] = []
    for collection in _COLLECTIONS.values():
        if document.data.get(collection) is not None:
            as_list_of_mappings(document, collection)
            for i, item in enumerate(document.data[collection]):
                if "." in key and (owner in _names(item) or owner == collection == "channel"):
                    paths.append((collection, i, rest))
    return paths


def _suggestion(document: Document, key: str) -> str:
    """The existing key that is nearest to a wrong one, or how to list all keys."""
    arguments = {
        f"{name}.{argument}": None
        for kind, collection in _COLLECTIONS.items()
        for item in document.data.get(collection) or []
        for name in reversed(_names(item))
        if "." not in name  # the path of a file: it is set by its label
        for argument in _arguments_of(kind, item)
    }
    keys = [*REQUIRED, *OPTIONAL, "sweep.snr_db", "sweep.users", "sweep.designed_snr_db", *arguments]
    keys += [f"images.{name}" for name in discover.image_arguments()]
    similar = [known for known in keys if known.rpartition(".")[2] == key] or [
        known for known in keys if known.partition(".")[0] == key
    ]
    if similar:
        return f"no such key; did you mean {similar[0]!r}?"
    close = nearest(key, keys)
    listed = "semcom show NAME lists those of a system, channel or scenario file"
    return f"no such key; {close if close.startswith('did') else listed}"


def _arguments_of(kind: discover.Kind, item: object) -> list[str]:
    """Names of the arguments of a system or channel that has not been checked yet."""
    try:
        return list(scenario_arguments(discover.find(kind, str(item["name"])))) if isinstance(item, dict) else []
    except (KeyError, UsageError):
        return []


def _names(item: object) -> list[str]:
    """The names by which a dotted key can refer to a system or channel: its label and its name."""
    if not isinstance(item, dict):
        return []
    name = str(item.get("name"))
    return [str(item.get("label", Path(name).stem)), name]
