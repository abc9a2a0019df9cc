"""Metrics in the user's Python files, named FILE.py:NAME; the files are read and not imported."""

from __future__ import annotations

import ast
import os
from pathlib import Path

from channels.errors import UsageError
from semcom.discover import user_files
from semcom.discover.declarations import syntax_tree
from semcom.discover.registry import nearest


def split(name: str) -> tuple[Path, str] | None:
    """File and name of a metric such as "./mine.py:mae"; None for the name of a metric of semcom.

    >>> split("psnr") is None
    True
    """
    file, _, metric = name.rpartition(":")
    return (Path(os.path.expanduser(file)).resolve(), metric) if file.endswith(".py") else None


def column(name: str) -> str:
    """The name of a metric in tables and figures.

    >>> column("psnr"), column("./mine.py:mae")
    ('psnr', 'mae')
    """
    return name.rpartition(":")[2]


def check(name: str) -> None:
    """Check that a metric FILE.py:NAME is defined at the top level of its file.

    Raises:
        UsageError: there is no such file, or it does not define the name.
    """
    path, metric = _parts(name)
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    if metric not in (definitions := _definitions(path)):
        own = [name for name, node in definitions.items() if not isinstance(node, ast.Import | ast.ImportFrom)]
        raise UsageError(f"{path} does not define {metric!r}; {nearest(metric, own)}")


def code(name: str) -> list[str]:
    """The code that a metric FILE.py:NAME depends on: its definition, what that refers to, and the modules beside."""
    path, metric = _parts(name)
    definitions, reached, due = _definitions(path), dict[str, ast.stmt](), [metric]
    while due:
        used = due.pop()
        if used in definitions and used not in reached:
            reached[used] = definitions[used]
            due += [node.id for node in ast.walk(reached[used]) if isinstance(node, ast.Name)]
    return [*(ast.unparse(reached[used]) for used in sorted(reached)), *user_files.code(path)[1:]]


def _parts(name: str) -> tuple[Path, str]:
    found = split(name)
    assert found
    return found


def _definitions(path: Path) -> dict[str, ast.stmt]:
    """Statements at the top level of a file, by the names that they define."""
    found: dict[str, ast.stmt] = {}
    for node in syntax_tree(path).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = node
            case ast.Assign(targets=targets):
                found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = node
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found |= {alias.asname or alias.name.partition(".")[0]: node for alias in aliases}
    return found
