"""Files of the user that results depend on: their Python code, and changes of any file."""

from __future__ import annotations

import ast
import os
from pathlib import Path


def state(path: str | Path) -> tuple[int, ...]:
    """Numbers that change whenever a file is written or replaced; empty without such a file.

    >>> state("no such file")
    ()
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def sources(path: Path) -> list[Path]:
    """A Python file, and the modules and packages beside it that it imports, directly or through each other.

    Args:
        path: file that ends in .py.
    """
    found: dict[Path, None] = {}
    due = [path]
    while due:
        file = due.pop(0)
        if file not in found:
            found[file] = None
            due += [imported for name in _imports(file) for imported in _files_of(path.parent, name)]
    return list(found)


def code(path: Path) -> list[str]:
    """The text of each of the `sources` of a file."""
    return [source.read_text(encoding="utf-8", errors="surrogateescape") for source in sources(path)]


def _imports(file: Path) -> list[str]:
    """Top-level names of the modules that a file imports, also inside of functions."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []  # reported where the file itself is read
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return [top for name in names for top in [name.partition(".")[0]] if top not in ("semcom", "channels")]


def _files_of(folder: Path, name: str) -> list[Path]:
    package = folder / name
    if (package / "__init__.py").is_file():
        return sorted(package.rglob("*.py"))
    module = folder / f"{name}.py"
    return [module] if module.is_file() else sorted(package.rglob("*.py"))
