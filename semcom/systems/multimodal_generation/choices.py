"""Arguments that are one word of a few: whoever writes another is told which there are."""

from __future__ import annotations

from collections.abc import Sequence

from channels._errors import UsageError


def one_of(name: str, value: str, words: Sequence[str]) -> None:
    """Refuse a value that is not among the words.

    Raises:
        UsageError: it names the argument and the words.

    >>> one_of("keep", "best", ("best", "first"))
    """
    if value not in words:
        raise UsageError(f"{name} must be one of {', '.join(words)}, not {value!r}")
