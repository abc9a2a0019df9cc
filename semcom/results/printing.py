"""Texts of users, such as labels and file names, as they are safe to print."""

from __future__ import annotations

import unicodedata

_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, bytes that are not UTF-8, line and paragraph separators
_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they reorder the text around them


def printable(text: str) -> str:
    r"""The text with control characters as escape sequences, for terminals and figures.

    >>> printable("AVIF\x1b[31m é")
    'AVIF\\x1b[31m é'
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNPRINTABLE or character in _DIRECTIONS
        else character
        for character in text
    )
