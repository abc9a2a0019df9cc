"""Data sets of the Hugging Face hub, or in its formats in a local folder, as an image source.

The package datasets streams the rows, so that eight images of a large set need no download of the whole. Each image
that was read stays in the cache with its annotations, as the bytes of its file; images that are there need neither a
network nor the package.

    CACHE/hf/<name>/about.json        revision, license and columns
    CACHE/hf/<name>/000000.image      file of the first image, as in the data set
    CACHE/hf/<name>/000000.json       its captions and its class
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from channels.errors import UsageError
from semcom import atomic, cache
from semcom.images import hub_rows
from semcom.images.files import open_image
from semcom.images.hub_rows import Address
from semcom.images.source_image import Entry

_log = logging.getLogger(__name__)


class HubImages(Iterable[Entry]):
    """The images of a split, in its order; rows are read when they are first used.

    Args:
        text: address of the split, the text after "hf:".
    """

    def __init__(self, text: str) -> None:
        self.address = Address.parsed(text)
        self.folder = _cache_folder(self.address)
        self._rows: Iterator[hub_rows.Row] | None = None
        self._next = 0  # number of the next one of these rows

    @property
    def about(self) -> hub_rows.About:
        """Description of the data set, from the cache or from the hub."""
        written = _read(self.folder / "about.json")
        if written is not None:
            return hub_rows.About(**written)
        about = hub_rows.about(self.address)
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic.write(self.folder / "about.json", json.dumps(vars(about)).encode())
        return about

    def __iter__(self) -> Iterator[Entry]:
        number = 0
        while entry := self._cached(number) or self._fetched(number):
            yield entry
            number += 1

    def _cached(self, number: int) -> Entry | None:
        """An image that is in the cache."""
        row = _read(self.folder / f"{number:06d}.json")
        if row is None:
            return None
        captions = tuple(row["captions"])
        file = Path(row["file"] or self.folder / f"{number:06d}.image")
        return Entry(
            f"{self.address.split}{number:06d}",
            partial(open_image, file),
            caption=captions[0] if captions else row["class"],
            category=row["category"],
            captions=captions if len(captions) > 1 else (),
            files=(file,),
        )

    def _fetched(self, number: int) -> Entry | None:
        """An image that is read from the data set; None at its end."""
        end = self.folder / "end.json"
        if end.exists():
            return None
        if self._rows is None or self._next != number:
            about = self.about
            if self.address.local is None:
                _log.warning("reading %s from the Hugging Face hub; license: %s", self.address, about.license)
            self._rows, self._next = hub_rows.rows(self.address, about.revision, number), number
        row = next(self._rows, None)
        if row is None:
            atomic.write(end, json.dumps({"images": number}).encode())
            return None
        self._next += 1
        if not row.file:
            atomic.write(self.folder / f"{number:06d}.image", row.content)
        annotations = {
            "file": row.file,
            "captions": row.captions,
            "class": row.class_name,
            "category": row.category,
        }
        atomic.write(self.folder / f"{number:06d}.json", json.dumps(annotations).encode())  # last: the row is complete
        return self._cached(number)


def terms(text: str) -> str:
    """License of a data set that has been read, as its page states it; `text` as in `HubImages`."""
    written = _read(_cache_folder(Address.parsed(text)) / "about.json")
    return "unknown" if written is None else str(written["license"])


def _cache_folder(address: Address) -> Path:
    """Folder of the rows of a split; for a local folder it changes with the files.

    Raises:
        UsageError: this user has no cache folder.
    """
    home = cache.folder()
    if home is None:
        raise UsageError("this user has no cache folder: set SEMCOM_CACHE to a folder")
    key, local = str(address), address.local
    if local is not None:
        states = [
            (str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in local.rglob("*") if path.is_file()
        ]
        key = json.dumps([str(address), sorted(states)])
    readable = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in address.name.strip("./~"))
    return home / "hf" / f"{readable[-60:]}-{address.split[:20]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
