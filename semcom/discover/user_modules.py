"""Import of the user's Python files, and the place of their errors."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from channels.errors import UsageError
from semcom.discover import user_files

_files: set[str] = set()  # files imported so far, by path
_helpers: set[str] = set()  # modules beside them


def load(path: Path) -> ModuleType:
    """Import a Python file anew, with the modules beside it, as `python FILE` does.

    Args:
        path: absolute path that ends in .py.

    Raises:
        UsageError: the file cannot be imported.
    """
    _files.add(str(path))
    _helpers.update(map(str, user_files.sources(path)[1:]))
    name = f"{path.stem}_{hashlib.sha256(str(path).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec  # a .py file always has both
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look a class up by its module's name
    try:
        with beside(path):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a user-defined file may raise any exception
        del sys.modules[name]
        raise UsageError(f"{_place(error, {str(path)}) or path}: cannot be imported, {_named(error)}") from error
    return module


def failed(error: BaseException) -> bool:
    """Whether an error was raised by a file that `load` imported, a module beside one, or what these call."""
    return bool(_place(error, _files | _helpers))


def describe(error: BaseException) -> str:
    """The type and text of an error, after FILE:LINE of the innermost line in a file of the user, if there is one.

    >>> describe(ValueError("no value"))
    'ValueError: no value'
    """
    place = _place(error, _files | _helpers)
    return f"{place}: {_named(error)}" if place else _named(error)


def _place(error: BaseException, files: Set[str]) -> str:
    """FILE:LINE of the innermost line in some files that an error passed, "" if there is none."""
    passed = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return next((f"{file}:{line}" for file, line in reversed(passed) if file in files), "")


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


@contextmanager
def beside(path: Path) -> Iterator[None]:
    """Import modules from the folder of a file first, inside the context, and from there last after it.

    Modules beside files of the user are imported anew: they may have changed, and another folder may have modules of
    the same name.

    Args:
        path: absolute path of the file.
    """
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) in _helpers:
            del sys.modules[name]
    folder = str(path.parent)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        sys.path.append(folder)  # for imports inside of functions
