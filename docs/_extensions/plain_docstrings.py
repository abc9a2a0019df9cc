"""Docstrings as the sources write them: plain text with `names` in single backticks, made safe for reStructuredText."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

_CODE = re.compile(r"`+([^`]+)`+")
_SPECIAL = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")


def setup(app: Sphinx) -> dict[str, bool]:
    """Clean each docstring before napoleon reads its sections."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _clean, priority=100)
    app.connect("autodoc-process-signature", _parsable)
    return {"parallel_read_safe": True}


def _parsable(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Show defaults that a dataclass makes as `...`; Sphinx does not wrap a signature that is not valid Python."""
    return signature and signature.replace("<factory>", "..."), returned


def _clean(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    cleaned: list[str] = []
    verbatim = False  # inside an example, or inside an indented block of a module's docstring
    for i, line in enumerate(lines):
        starts_block = what == "module" and line.startswith("    ") and not lines[i - 1].strip()
        if starts_block and not verbatim:
            cleaned += ["::", ""]
        verbatim = starts_block or (bool(line.strip()) and (verbatim or line.lstrip().startswith(">>>")))
        cleaned.append(line if verbatim else _plain(line))
    lines[:] = cleaned


def _plain(line: str) -> str:
    """Escape the characters that reStructuredText reads as markup; code in backticks becomes a literal.

    >>> _plain("E|h|^2 is 1, see `uses`")
    'E\\\\|h\\\\|^2 is 1, see ``uses``'
    """
    margin, bullet, text = re.match(r"(\s*)(\* )?(.*)", line).groups("")
    pieces = _CODE.split(text)
    plain = (f"``{piece}``" if i % 2 else _SPECIAL.sub(r"\\\1", piece) for i, piece in enumerate(pieces))
    return margin + bullet + "".join(plain)
