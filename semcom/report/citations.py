"""The citation of a system in BibTeX, found in its source without importing it.

A source may define one of two text constants at its top: `CITATION_KEYS`, keys of entries in references.bib separated
by spaces, or `BIBTEX`, the citation itself. Without them the text of `paper` becomes the note of a `@misc` entry.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from channels.errors import UsageError
from semcom.discover import nearest

REFERENCES = Path(__file__).with_name("references.bib")

_ENTRY = re.compile(r"^@\w+\{([^,\s]+),\n.*?^\}$", re.DOTALL | re.MULTILINE)
_SPECIAL = re.compile(r"([&%$#_{}])")


def bibtex(name: str, path: Path, arguments: Mapping[str, Any]) -> str:
    """The citation of a system, "" if its source names none.

    Args:
        name: name of the system, for the key of a `@misc`.
        path: the file that holds its `build`; all files of its folder are read if that is an `__init__.py`.
        arguments: arguments of its `build`; one may be the paper.

    >>> from semcom import discover
    >>> print(bibtex("multiplexed_message", discover.find("system", "multiplexed_message").path, {}))
    @misc{multiplexed_message,
      note = {separate transmission of message and image, the classical baseline}
    }
    """
    files = sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
    trees = [ast.parse(file.read_bytes()) for file in files]
    texts = {key: value for tree in trees for key, value in _constants(tree)}
    if "CITATION_KEYS" in texts:
        return "\n\n".join(reference(key) for key in texts["CITATION_KEYS"].split())
    if "BIBTEX" in texts:
        return texts["BIBTEX"].strip()
    papers = [expression for tree in trees for expression in _papers(tree)]
    cited = dict.fromkeys(text for paper in papers if (text := _text(paper, texts, arguments)))
    return "\n\n".join(_misc(name, paper, i) for i, paper in enumerate(cited))


def reference(key: str) -> str:
    """The entry of references.bib with this key, as it is written there.

    Raises:
        UsageError: references.bib has no such entry.

    >>> print(reference("tse2005fundamentals").splitlines()[0])
    @book{tse2005fundamentals,
    """
    known = _references()
    if key not in known:
        raise UsageError(f"{REFERENCES.name} has no entry {key!r}; {nearest(key, known)}")
    return known[key]


@cache
def _references() -> dict[str, str]:
    return {match[1]: match[0] for match in _ENTRY.finditer(REFERENCES.read_text(encoding="utf-8"))}


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names at the top of a file that stand for text."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from ((target.id, node.value.value) for target in node.targets if isinstance(target, ast.Name))


def _papers(tree: ast.Module) -> Iterator[ast.expr]:
    """What calls give as `paper`, and the second argument of `System`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "paper")
            if isinstance(node.func, ast.Name) and node.func.id == "System" and len(node.args) > 1:
                yield node.args[1]


def _text(expression: ast.expr, texts: Mapping[str, str], arguments: Mapping[str, Any]) -> str:
    match expression:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return texts.get(name) or str(arguments.get(name) or "")
    return ""


def _misc(name: str, paper: str, number: int) -> str:
    key = re.sub(r"\W+", "_", Path(name).stem) + (f"_{number + 1}" if number else "")
    fields = [f"  note = {{{_SPECIAL.sub(lambda special: chr(92) + special[0], ' '.join(paper.split()))}}}"]
    years = re.findall(r"\b(?:19|20)\d\d\b", paper)
    if len(years) == 1:
        fields.append(f"  year = {{{years[0]}}}")
    return f"@misc{{{key},\n" + ",\n".join(fields) + "\n}"
