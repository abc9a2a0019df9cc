"""The inputs of a scenario that are files: images and their annotations, code and models of the user."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from functools import lru_cache
from pathlib import Path

from channels.errors import UsageError
from semcom.discover.user_files import state
from semcom.images.source_image import SourceImage
from semcom.images.sources import entries_of, load
from semcom.scenario.model import Images, Variant

NAME = "images.json"


def loaded(images: Images) -> tuple[list[SourceImage], dict[str, str]]:
    """The images of a source, and their digests by name; read again when a file or an annotation has changed."""
    entries = entries_of(images.source)
    files = entries[: None if images.skip_unreadable else images.count] if isinstance(entries, list) else []
    now = tuple((entry.name, entry.caption, entry.category, *map(state, entry.files)) for entry in files)
    return _loaded(images.source, images.count, images.size, images.skip_unreadable, now)


@lru_cache(maxsize=4)
def _loaded(
    source: str, count: int | None, size: int | None, skip_unreadable: bool, now: Hashable
) -> tuple[list[SourceImage], dict[str, str]]:
    found = load(source, count, size, skip_unreadable)
    return found, {image.name: image.digest for image in found}


def state_of_variant(variant: Variant) -> Hashable:
    """A value that changes with the code of a user-defined system or channel, and with files that arguments name."""
    return tuple(map(state, variant.files))


def check(out: Path, images: Images, now: dict[str, str]) -> None:
    """Refuse to add rows to a folder whose rows belong to other images.

    Args:
        out: folder of a run.
        images: source of the images.
        now: digests of the images, from `loaded`.

    Raises:
        UsageError: the folder has a record of other images; the message names one that differs.
    """
    try:
        before = json.loads((out / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no record, as in folders of earlier versions
        return
    before = before.get(images.label, {}) if images.label else before
    if before != now:
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        raise UsageError(
            f"{out} contains rows of other images: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''} changed; "
            "choose another --out, remove the folder, or restore the former images"
        )


def record(found: Iterable[tuple[Images, dict[str, str]]]) -> bytes:
    """Content of the record that `check` reads: the digests of each source, by its label if it has one."""
    digests: dict[str, object] = {}
    for images, now in found:
        digests |= {images.label: now} if images.label else now
    return json.dumps(digests, indent=0).encode()
