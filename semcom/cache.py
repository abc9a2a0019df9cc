"""Disk cache of pure functions: each result is stored under a hash of its name, version and arguments."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from semcom import atomic

_memory: ContextVar[MutableMapping[str, bytes] | None] = ContextVar("memory", default=None)


def folder() -> Path | None:
    """The cache folder: $SEMCOM_CACHE, or `semcom` in the user's cache folder of this platform; None without a home."""
    if chosen := os.environ.get("SEMCOM_CACHE"):
        return Path(os.path.expanduser(chosen))
    if sys.platform == "darwin":
        base, below_home = None, Path("Library", "Caches")
    elif sys.platform == "win32":
        base, below_home = os.environ.get("LOCALAPPDATA"), Path("AppData", "Local")
    else:
        base, below_home = os.environ.get("XDG_CACHE_HOME"), Path(".cache")
    if base:
        return Path(base) / "semcom"
    try:
        return Path.home() / below_home / "semcom"
    except RuntimeError:  # a user without an entry in the list of users, as in many containers
        return None


def remember(name: str, version: str, arguments: Sequence[bytes], compute: Callable[[], bytes]) -> bytes:
    """Return `compute()`, read from the disk if it was computed before.

    A cache folder that is unknown or cannot be written is not an error: the result is computed again next time.

    Args:
        name: name of the pure function.
        version: text that changes whenever old results become wrong, such as a revision or versions of libraries.
        arguments: all other data that the result depends on.
        compute: function to evaluate, called at most once.

    >>> remember("square", "1", [b"12"], lambda: b"144")
    b'144'
    """
    key = hashlib.sha256()
    for part in (name.encode(), version.encode(), *arguments):
        key.update(len(part).to_bytes(8, "big") + part)  # lengths keep (ab, c) apart from (a, bc)
    digest = key.hexdigest()
    if (memory := _memory.get()) is not None:
        if digest not in memory:
            memory[digest] = compute()
        return memory[digest]
    home = folder()
    if home is None:
        return compute()
    path = home / digest[:2] / digest
    value = _read(path)
    if value is None:
        value = compute()
        _write(path, value)
    return value


@contextmanager
def in_memory(memory: MutableMapping[str, bytes]) -> Iterator[None]:
    """Inside this context, and in this thread only, `remember` uses `memory` and neither reads nor writes the disk.

    Use it for results that must not stay on the disk, such as those that show an uploaded image.

    Args:
        memory: mapping that receives the results, by hash.

    >>> results: dict[str, bytes] = {}
    >>> with in_memory(results):
    ...     remember("square", "1", [b"12"], lambda: b"144"), len(results)
    (b'144', 1)
    """
    before = _memory.set(memory)
    try:
        yield
    finally:
        _memory.reset(before)


def _read(path: Path) -> bytes | None:
    """Content of an entry; None if it is missing or its checksum does not match."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, value = content[:32], content[32:]
    return value if hashlib.sha256(value).digest() == checksum else None


def _write(path: Path, value: bytes) -> None:
    """Write an entry with its checksum; skip it where the folder cannot be written."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # damage after a power failure is found by the checksum
        atomic.write(path, hashlib.sha256(value).digest() + value, synchronized=False)
