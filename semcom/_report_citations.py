"""What to cite for a system, in BibTeX, read from its source without importing it.

A file of a system may have a constant `BIBTEX` at its top: that is the system's citation. Otherwise `paper`, which is
free text, becomes the note of a `@misc`, for nobody can tell an author from a title in it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_SPECIAL = re.compile(r"([&%$#_{}])")


def bibtex(name: str, path: Path, arguments: Mapping[str, Any]) -> str:
    """The citation of a system, "" if its source names none.

    Args:
        name: of the system, for the key of a `@misc`.
        path: the file that holds its `build`; all files of its folder are read if that is an `__init__.py`.
        arguments: of its `build`; one may be the paper.

    >>> from semcom import discover
    >>> print(bibtex("bits_beside", discover.find("system", "bits_beside").path, {}))
    @misc{bits_beside,
      note = {two transmissions in one: the classical way to send both}
    }
    """
    files = sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    texts = {key: value for tree in trees for key, value in _constants(tree)}
    if "BIBTEX" in texts:
        return texts["BIBTEX"].strip()
    papers = [expression for tree in trees for expression in _papers(tree)]
    cited = dict.fromkeys(text for paper in papers if (text := _text(paper, texts, arguments)))
    return "\n\n".join(_misc(name, paper, i) for i, paper in enumerate(cited))


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
