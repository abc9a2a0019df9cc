"""Models of other people: whether the hub may be asked for them, and what to do where one is not to be had."""

from __future__ import annotations

import os
import textwrap

_REASON = 160  # characters of somebody else's message


def offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids asking the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def fix(error: Exception) -> str:
    """The end of a message about a model that cannot be read: what to do and, between whole words, what was said.

    >>> fix(OSError("cannot connect, " * 30))[-20:]
    'connect, cannot ...)'
    """
    todo = "give a folder that holds it" if offline() else "give a folder that holds it, or look at the connection"
    return f"{todo} ({textwrap.shorten(str(error), _REASON, placeholder=' ...')})"
