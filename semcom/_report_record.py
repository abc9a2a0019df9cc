"""What a run leaves behind for its report: which commands made it, with which software."""

from __future__ import annotations

import json
import platform
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from semcom import provenance

NAME = "made.json"


def record(folder: Path) -> bytes:
    """The content of OUT/made.json with this process added: a list, one entry a change of command or software.

    >>> json.loads(record(Path("nowhere")))[0]["versions"]["numpy"].split(".")[0] >= "2"
    True
    """
    entry = {"command": _command(), "versions": versions(), "commit": provenance.commit()}
    before = sessions(folder)
    return json.dumps(before if before[-1:] == [entry] else [*before, entry], indent=1).encode()


def sessions(folder: Path) -> list[dict[str, Any]]:
    """What was recorded of a run so far; nothing if nobody did, or if it cannot be read."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    wanted = {"command": str, "versions": dict, "commit": str}
    whole = isinstance(found, list) and all(
        isinstance(item, dict) and all(isinstance(item.get(key), kind) for key, kind in wanted.items())
        for item in found
    )
    return found if whole else []


def versions() -> dict[str, str]:
    """Python, the machine, and those packages of semcom's requirements that are installed."""
    try:
        required = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in metadata.requires("semcom") or ()]
    except metadata.PackageNotFoundError:  # run from its source, not installed
        required = []
    found = {"Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}"}
    for name in ("semcom", *sorted(set(required))):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # of an extra that nobody asked for
    return found


def _command() -> str:
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.parent.name, *sys.argv[1:]])
    return shlex.join([program.name or "python", *sys.argv[1:]])
