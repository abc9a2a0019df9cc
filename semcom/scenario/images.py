"""The images of a scenario: one source, or a list of sources with their own metrics and systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from channels.errors import UsageError
from semcom import discover
from semcom.discover import nearest
from semcom.limits import MAX_SIDE
from semcom.scenario.document import Document, shown
from semcom.scenario.fields import Place, mapping, refuse_other_keys, value_at, values
from semcom.scenario.metrics import metrics
from semcom.scenario.model import Axis, Images, Variant
from semcom.scenario.paths import located, searched

OWN_KEYS = ("label", "metrics", "systems")  # besides the arguments of `semcom.images.load`


def images(
    document: Document, systems: Sequence[Variant], axes: Sequence[Axis] = (), count: bool = True
) -> tuple[Images, ...]:
    """The images of each source.

    Args:
        document: content of a scenario file.
        systems: systems of the scenario.
        axes: swept arguments.
        count: whether to check that each source has as many images as are used.

    Raises:
        UsageError: a key or value is invalid, two sources have the same label, or a system has no images.
    """
    if not isinstance(document.data["images"], list):
        return (_images(document, ("images",), systems, axes, "", count),)
    several = len(values(document, ("images",))) > 1
    found = []
    for i, written in enumerate(document.data["images"]):
        default = str(written.get("source", "")) if isinstance(written, dict) and several else ""
        found.append(_images(document, ("images", i), systems, axes, default, count))
        if found[i].label in [other.label for other in found[:i]]:
            place = document.place("images", i)
            raise UsageError(f"{place}: the label {found[i].label!r} occurs twice; set label of this entry")
    for i, system in enumerate(systems):
        if not any(item.are_for(system) for item in found):
            place = document.place("systems", i)
            raise UsageError(f"{place}: no entry of images lists {system.label!r} in its systems; add it to one")
    return tuple(found)


def _images(
    document: Document, path: Place, systems: Sequence[Variant], axes: Sequence[Axis], label: str, check: bool
) -> Images:
    """One entry of `images`; `label` is the default of its label."""
    written = mapping(document, path)
    allowed, names = discover.image_arguments(), discover.sources()
    refuse_other_keys(document, path, [*allowed, *OWN_KEYS], "images")
    if "source" not in written:
        raise UsageError(f"{document.place(*path)}: 'source' is missing; choose one of {', '.join(names)}")
    arguments = {key: value for key, value in written.items() if key in allowed}
    for key, value in arguments.items():
        if not allowed[key].accepts(value) or (type(value) is int and value < 1):
            expected = {"source": "text", "skip_unreadable": "true or false"}.get(key, "a whole number, 1 or more")
            raise UsageError(f"{document.place(*path, key)}: {key} must be {expected}, not {shown(value)}")
    if (written.get("size") or 0) > MAX_SIDE:
        raise UsageError(f"{document.place(*path, 'size')}: size must be at most {MAX_SIDE}, not {written['size']}")
    source = _source(document, path, names)
    if check and (count := written.get("count")) is not None and count > (number := _number(source, count)):
        raise UsageError(f"{document.place(*path, 'count')}: {source} has {number} images, fewer than count: {count}")
    label = written.get("label", label)
    if not isinstance(label, str):
        raise UsageError(f"{document.place(*path, 'label')}: a label must be text, not {shown(label)}")
    return Images(
        **{**arguments, "source": source},
        label=label,
        metrics=metrics(document, (*path, "metrics"), axes) if "metrics" in written else (),
        systems=_systems(document, (*path, "systems"), systems) if "systems" in written else (),
    )


def _systems(document: Document, path: Place, systems: Sequence[Variant]) -> tuple[str, ...]:
    """Names or labels of systems of the scenario."""
    known = list(dict.fromkeys(name for system in systems for name in (system.label, system.name)))
    found = values(document, path)
    for i, name in enumerate(found):
        if name not in known:
            raise UsageError(f"{document.place(*path, i)}: no system {name!r} here; {nearest(str(name), known)}")
    return tuple(dict.fromkeys(found))


def _number(source: str, least: int) -> int:
    """Number of images of a source; `least` if its images cannot be counted or are missing, as a run reports."""
    from semcom.images.sources import entries_of

    if source.partition(":")[0] == "hf":
        return least  # counted while they are read
    try:
        entries = entries_of(source)
    except UsageError:
        return least
    return len(entries) if isinstance(entries, Sequence) else least


def _source(document: Document, path: Place, names: Mapping[str, str]) -> str:
    """An image source; the path of a folder or of an image file stands for folder:PATH."""
    written: str = value_at(document, (*path, "source"))
    name, _, argument = written.partition(":")
    place = document.place(*path, "source")
    if name == "folder" and argument:
        found = located(document, argument)
        if found is None:
            raise UsageError(f"{place}: there is no folder or image file {argument}; {searched(document)}")
        return f"folder:{found}"
    if name in names:
        return written
    if found := located(document, written):
        return f"folder:{found}"
    if "/" in written or Path(written).suffix:
        raise UsageError(f"{place}: there is no folder or image file {written}; {searched(document)}")
    raise UsageError(f"{place}: no image source {name!r}; {nearest(name, names)}")
