"""Results of pure functions, kept on disk under a hash of what they were computed from."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_memory: ContextVar[MutableMapping[str, bytes] | None] = ContextVar("memory", default=None)


def folder() -> Path:
    """$SEMCOM_CACHE, or the folder `semcom` in the platform's place for caches of the user."""
    if chosen := os.environ.get("SEMCOM_CACHE"):
        return Path(chosen).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "semcom"


def remember(name: str, version: str, arguments: Sequence[bytes], compute: Callable[[], bytes]) -> bytes:
    """Return `compute()`, from disk if it was computed before; a cache that cannot be written is done without.

    Args:
        name: of the pure function.
        version: anything whose change makes old results wrong: a revision, versions of libraries.
        arguments: everything else that the result depends on.
        compute: the function, called at most once.

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
    path = folder() / digest[:2] / digest
    value = _read(path)
    if value is None:
        value = compute()
        _write(path, value)
    return value


@contextmanager
def kept_in(memory: MutableMapping[str, bytes]) -> Iterator[None]:
    """Within it, and in this thread only, `remember` uses `memory` and neither reads nor writes the disk.

    It is for what must not outlive the one who asked, such as results that show an uploaded picture.

    >>> results: dict[str, bytes] = {}
    >>> with kept_in(results):
    ...     remember("square", "1", [b"12"], lambda: b"144"), len(results)
    (b'144', 1)
    """
    before = _memory.set(memory)
    try:
        yield
    finally:
        _memory.reset(before)


def _read(path: Path) -> bytes | None:
    """An entry whose checksum holds; a missing or damaged one is None, to be computed again."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, value = content[:32], content[32:]
    return value if hashlib.sha256(value).digest() == checksum else None


def _write(path: Path, value: bytes) -> None:
    """Whole or not at all, also when killed or raced: a temporary file, fsync, rename."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            file.write(hashlib.sha256(value).digest() + value)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
