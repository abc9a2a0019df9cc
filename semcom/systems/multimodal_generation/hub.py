"""Models of other people: what to do where one is not to be had."""

from __future__ import annotations

import textwrap

from semcom.weights import offline

_REASON = 160  # characters of somebody else's message


def fix(error: Exception) -> str:
    """The end of a message about a model that cannot be read: what to do and, between whole words, what was said.

    >>> fix(OSError("cannot connect, " * 30))[-20:]
    'connect, cannot ...)'
    """
    todo = "give a folder that holds it" if offline() else "give a folder that holds it, or look at the connection"
    return f"{todo} ({textwrap.shorten(str(error), _REASON, placeholder=' ...')})"
