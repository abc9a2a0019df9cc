"""Downloads: received under a temporary name, resumed after an interruption, verified, and only then renamed."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from channels.errors import UsageError
from semcom import atomic

_CHUNK = 1 << 18  # bytes
_TIMEOUT_S = 30.0  # without any byte
_ATTEMPTS = 4  # in a row without any byte
_PAUSE_S = 1.0  # before the connection is tried again


class _BrokenError(Exception):
    """The connection broke before the end of the file."""


def fetch(url: str, path: Path, size: int, sha256: str, progress: Callable[[int], None] = lambda count: None) -> None:
    """Download a file of known size and hash, unless it is already there.

    The bytes are collected in `.NAME.part` beside the file. An interrupted download resumes there, at the next call too
    (HTTP range requests); a server without ranges sends the file from its start. A file of another size or hash
    is removed, and so is one of no bytes.

    Args:
        url: address, http or https.
        path: file to write; its folder is created.
        size: size of the file in bytes.
        sha256: SHA-256 of the file, in hex.
        progress: function that is called with each number of new bytes; negative where received bytes are dropped.

    Raises:
        UsageError: no connection, a refusal of the server, a connection that breaks again and again, content that is
            not the expected one, or another file at `path`, which is left as it is.
        OSError: the file cannot be written.
    """
    if _is_complete(path, sha256, progress):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with _locked(part) as file:
        if _is_complete(path, sha256, progress):  # another process has ended it meanwhile
            part.unlink(missing_ok=True)
            return
        progress(file.seek(0, os.SEEK_END))
        try:
            _receive_all(url, file, size, progress)
        except BaseException:
            if not file.seek(0, os.SEEK_END):  # nothing to resume from
                part.unlink()
            raise
        if (found := _sha256(file)) != sha256:
            part.unlink()
            raise UsageError(
                f"{url} is not the published file or was damaged on the way: its SHA-256 starts with {found[:8]}, not "
                f"{sha256[:8]}; nothing was kept, run the command again"
            )
        atomic.synchronize(file)
        atomic.publish(part, path)


def _is_complete(path: Path, sha256: str, progress: Callable[[int], None]) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        if _sha256(file) != sha256:
            raise UsageError(f"{path} is another file than the published one; remove it or choose another folder")
        progress(file.tell())
    return True


def _receive_all(url: str, file: BinaryIO, size: int, progress: Callable[[int], None]) -> None:
    failures = 0
    while (received := file.seek(0, os.SEEK_END)) < size:
        try:
            _receive(url, file, size, progress)
        except _BrokenError:
            now = file.seek(0, os.SEEK_END)
            failures = failures + 1 if now <= received else 0
            if failures == _ATTEMPTS:
                raise UsageError(
                    f"the connection to {urlsplit(url).netloc} broke after {now} of {size} bytes of {url}; "
                    "run the same command again to resume"
                ) from None
            time.sleep(_PAUSE_S)
    if received > size:  # the rest of another download
        file.truncate(0)
        progress(-received)
        _receive_all(url, file, size, progress)


def _receive(url: str, file: BinaryIO, size: int, progress: Callable[[int], None]) -> None:
    """Append what the server sends after the bytes that are there.

    Raises:
        _BrokenError: the connection broke; the bytes until then are in the file.
    """
    start = file.seek(0, os.SEEK_END)
    with _opened(url, start) as response:
        if response.status == http.client.PARTIAL_CONTENT:
            sent, expected = response.headers.get("Content-Range", ""), f"bytes {start}-{size - 1}/{size}"
        else:
            sent, expected = response.headers.get("Content-Length", ""), str(size)
            if start:  # a server without ranges
                file.truncate(0)
                progress(-start)
                start = 0
        if sent and sent != expected:
            raise UsageError(f"{url} is not the published file: the server has {sent}, not {expected}")
        while start < size:
            try:
                chunk = response.read(min(_CHUNK, size - start))
            except (OSError, http.client.HTTPException) as error:
                raise _BrokenError from error
            if not chunk:
                raise _BrokenError
            file.write(chunk)
            file.flush()
            progress(len(chunk))
            start += len(chunk)


@contextmanager
def _opened(url: str, start: int) -> Iterator[http.client.HTTPResponse]:
    headers = {"User-Agent": "semcom", **({"Range": f"bytes={start}-"} if start else {})}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        raise UsageError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (ConnectionResetError, TimeoutError, http.client.HTTPException) as error:
        raise _BrokenError from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UsageError(
            f"no connection to {urlsplit(url).netloc or url} ({getattr(reason, 'strerror', None) or reason}); "
            "check the network, or the address"
        ) from None
    with response:
        yield response


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """The file open for reading and appending, by one process at a time where the system has file locks.

    Raises:
        UsageError: another process has it open.
    """
    with part.open("a+b") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{part} is in use: another process downloads this file") from None
        except (ImportError, OSError):
            pass
        yield file


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
