"""The record of a run for its report: commands and software versions."""

from __future__ import annotations

import json
import platform
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from semcom.training import provenance

NAME = "made.json"


def record(folder: Path, device: str = "cpu", batch: int | None = None) -> bytes:
    """The content of OUT/made.json with this process added: one entry for each change of command, software or device.

    Args:
        folder: folder of the run.
        device: kind of the device that computes the rows.
        batch: number of rows transmitted together; None for `batch` of the scenario.

    >>> json.loads(record(Path("nowhere")))[0]["versions"]["numpy"].split(".")[0] >= "2"
    True
    """
    entry: dict[str, Any] = {"command": _command(), "versions": versions(), "commit": provenance.commit()}
    entry |= {"device": device} | ({} if batch is None else {"batch": batch})
    before = sessions(folder)
    return json.dumps(before if before[-1:] == [entry] else [*before, entry], indent=1).encode()


def device_of(folder: Path) -> tuple[str, int | None]:
    """Kind of the device that computed the rows in a folder, and the number of rows that it transmitted together.

    Earlier versions used the CPU and did not record it.
    """
    entry = (sessions(folder) or [{}])[-1]
    return entry.get("device", "cpu"), entry.get("batch")


def sessions(folder: Path) -> list[dict[str, Any]]:
    """The entries of OUT/made.json; empty if the file is missing or invalid."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    types = {"command": str, "versions": dict, "commit": str}
    valid = isinstance(found, list) and all(
        isinstance(item, dict) and all(isinstance(item.get(key), kind) for key, kind in types.items()) for item in found
    )
    return found if valid else []


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that semcom requires, and the machine type."""
    try:
        required = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in metadata.requires("semcom") or ()]
    except metadata.PackageNotFoundError:  # source tree that is not installed
        required = []
    found = {"Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}"}
    for name in ("semcom", *sorted(set(required))):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # package of an extra that is not installed
    return found


def _command() -> str:
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.parent.name, *sys.argv[1:]])
    return shlex.join([program.name or "python", *sys.argv[1:]])
