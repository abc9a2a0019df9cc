"""Checks of the names of models of third parties, and advice in error messages about them."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from channels.errors import UsageError
from channels.extras import extra
from semcom.weights.connection import hub_is_reachable, offline

_REASON = 160  # characters of the original message


def refuse_missing_path(name: str, what: str) -> None:
    """Check that a name is a path that exists, or can be that of a repository on the hub, "owner/repository".

    A name is a path if it is absolute, starts with `.` or `~`, contains a backslash or more than one slash, or if its
    first part is a folder here.

    Args:
        name: path of a folder or file, or name of a repository.
        what: description of the model for the error message.

    Raises:
        UsageError: the name is a path that does not exist; the hub is not asked for it.

    >>> refuse_missing_path("./clip", "CLIP model")
    Traceback (most recent call last):
    channels.errors.UsageError: no CLIP model './clip': there is no such file or folder
    """
    path = Path(os.path.expanduser(name))
    is_path = name.startswith((".", "~")) or "\\" in name or name.count("/") > 1 or path.is_absolute()
    if (is_path or ("/" in name and Path(name.partition("/")[0]).is_dir())) and not path.exists():
        raise UsageError(f"no {what} {name!r}: there is no such file or folder")


def check_connection(name: str, what: str) -> None:
    """Check that a repository is in the cache of the hub's client, or that the hub can be reached.

    Without a connection the client reads its cache and does not ask the hub for newer files.

    Args:
        name: path of a folder or file, or name of a repository.
        what: description of the model for the error message.

    Raises:
        UsageError: there is no connection, and the repository is not in the cache.
    """
    if os.path.exists(os.path.expanduser(name)) or offline():
        return
    with extra("semantic"):
        from huggingface_hub import constants
    if hub_is_reachable():
        return
    if not (Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}").is_dir():
        raise UsageError(
            f"no {what} {name!r}: it is not in the cache of the Hugging Face hub, which cannot be reached; "
            "check the connection, or give the path of its folder"
        )
    constants.HF_HUB_OFFLINE = True


def fix(error: Exception) -> str:
    """End of an error message about a model that cannot be loaded: advice and the original message, shortened.

    >>> fix(OSError("cannot connect, " * 30))[-20:]
    'connect, cannot ...)'
    """
    advice = "give the path of its folder" if offline() else "give the path of its folder, or check the connection"
    return f"{advice} ({textwrap.shorten(str(error), _REASON, placeholder=' ...')})"
