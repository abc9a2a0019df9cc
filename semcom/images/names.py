"""Names of files as text that can be printed, hashed and stored."""

from __future__ import annotations

import unicodedata


def readable(name: str) -> str:
    r"""A file name in composed Unicode (NFC), with bytes that are not UTF-8 written as \xNN.

    Some file systems store composed characters, others decomposed ones; both spell the same name.

    >>> readable("e\N{COMBINING ACUTE ACCENT}.png") == "\N{LATIN SMALL LETTER E WITH ACUTE}.png"
    True
    >>> readable("a\udcff.png")
    'a\\xff.png'
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)
