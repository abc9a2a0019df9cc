"""Atomic file writes: replace a file as a whole or not at all, even if the process is killed or the disk is full."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_NAME = re.compile(r"\..*\.(?P<host>[^.]*)\.(?P<process>\d+)\.(?P<start>\d+)\.\d+\.partial")
_LONGEST = 100  # bytes of the target's name in the temporary name; file systems allow 255 in all
_numbers = itertools.count()  # threads of one process write to different temporary files


def write(path: Path, content: bytes, synchronized: bool = True) -> None:
    """Replace a file by new content, or leave it unchanged.

    Args:
        path: file to write; its folder exists.
        content: all bytes of the file.
        synchronized: see `replacing`.

    Raises:
        OSError: the file cannot be written; a former file at `path` is unchanged and no temporary file is left.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder, "a.txt"), b"text")
    ...     os.listdir(folder)
    ['a.txt']
    """
    with replacing(path, synchronized) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, synchronized: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the block ends without an exception.

    The temporary file lies beside the target. It is flushed, synchronized to the disk (fsync), given the mode
    of the former file and renamed; after any exception it is removed. For a symbolic link the file that it points to is
    replaced. A device or a pipe is written directly.

    Args:
        path: file to write; its folder exists.
        synchronized: whether the content is on the disk before the file is replaced. Without it the file may be
            damaged after a power failure; the time of a disk access is saved.

    Raises:
        OSError: the file cannot be written; a former file at `path` is unchanged and no temporary file is left.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    temporary = target.with_name(_temporary_name(target.name))
    try:
        with temporary.open("xb") as file:
            yield file
            if synchronized:
                synchronize(file)
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def synchronize(file: BinaryIO) -> None:
    """Write the content of a file to the disk (fsync).

    Raises:
        OSError: the content cannot be written.
    """
    file.flush()
    os.fsync(file.fileno())


def publish(temporary: Path, target: Path) -> None:
    """Rename a complete temporary file to its target in the same folder, with the mode of the former file.

    Raises:
        OSError: the file cannot be renamed; a former file at `target` is unchanged.
    """
    with suppress(OSError):  # no former file, or a file system without modes
        shutil.copymode(target, temporary)
    temporary.replace(target)


def remove_abandoned(folder: Path) -> None:
    """Delete the temporary files in a folder (not below it) whose process has ended.

    Temporary files of another host or container are kept, because their processes cannot be seen from here.

    Args:
        folder: folder that `write` or `replacing` wrote to.

    Raises:
        OSError: the folder cannot be read, or a file in it cannot be deleted.
    """
    for path in folder.glob(".*.partial"):
        name = _NAME.fullmatch(path.name)
        if name and name["host"] == _host() and not _runs(int(name["process"]), int(name["start"])):
            path.unlink(missing_ok=True)


def _temporary_name(name: str) -> str:
    process = os.getpid()
    beginning = os.fsencode(name)[:_LONGEST].decode("utf-8", "ignore")  # without half a character at the end
    return f".{beginning}.{_host()}.{process}.{_start(process) or 0}.{next(_numbers)}.partial"


def _host() -> str:
    """Host name and, on Linux, number of the PID namespace: containers may share a host name, but not both."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:63]
    try:
        return f"{name}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return name


def _start(process: int) -> int | None:
    """Start time of a process in clock ticks since boot (Linux); None for an unknown process or another system."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[19])  # field 22 of proc(5); the name in parentheses, which may hold spaces, is field 2


def _runs(process: int, start: int) -> bool:
    """Whether the process that wrote a temporary file still runs; True where that is unknown."""
    if start and (found := _start(process)) is not None:
        return found == start  # another start time: the process ended and its number was used again
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)  # signal 0 only asks whether the process exists
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
