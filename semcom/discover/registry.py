"""Registry of systems, channels, metrics and image sources, read from the source files without importing them.

A file or folder in `semcom/systems/` or `channels/` with a top-level function `build(...)` is an entry of that name.
The arguments in a scenario are the arguments of `build`: names, annotations and literal defaults. Metrics and image
sources are the keys of dictionaries that are read the same way: `METRICS` in `semcom/metrics/delivery.py` and in
`metrics.py` of a system's folder, `SOURCES` in `semcom/images/sources.py`.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, wraps
from pathlib import Path
from typing import Any, Literal

import channels
from channels.errors import UsageError
from channels.extras import is_installed, require
from semcom.discover import user_modules
from semcom.discover.declarations import Argument, arguments, functions, syntax_tree, table, texts

Kind = Literal["system", "channel"]
"""What an entry is: a system or a channel."""

BUDGET = "cbr"
"""Argument of every system's `build`, and of no channel's: set from `medium_cbr`, never by a scenario."""

_PACKAGE = Path(__file__).parents[1]
_HOMES: dict[Kind, tuple[Path, str]] = {
    "system": (_PACKAGE / "systems", "semcom.systems"),
    "channel": (Path(channels.__file__).parent, "channels"),
}


@dataclass(frozen=True)
class Entry:
    """A system or channel as its source file describes it.

    Args:
        kind: "system" or "channel".
        name: name in scenarios.
        path: file that defines `build`.
        text: docstring of `build`, or of the file if `build` has none.
        arguments: arguments of `build` by name.
        extra: extra of semcom that it requires, the constant EXTRA of the file; "" for none.
        title: name in figures and in tables for papers, the constant TITLE of the file; its name without one.
        bound: whether it is a theoretical bound and no system: the file defines a subclass of `Bound`.
    """

    kind: Kind
    name: str
    path: Path
    text: str
    arguments: Mapping[str, Argument]
    extra: str = ""
    title: str = ""
    bound: bool = False

    @property
    def summary(self) -> str:
        """First line of the description."""
        return self.text.partition("\n")[0]

    def load(self) -> Callable[..., Any]:
        """Import the file and return its `build`.

        Raises:
            UsageError: a user-defined file cannot be imported, or the extra that the entry requires is not installed.
        """
        require(self.extra)
        folder, package = _HOMES[self.kind]
        if self.path.is_relative_to(folder):
            return importlib.import_module(f"{package}.{self.name}").build
        return self._returning(user_modules.load(self.path).build)

    def _returning(self, build: Callable[..., Any]) -> Callable[..., Any]:
        """The `build` of a user-defined file, with an error if it returns something else."""
        parameters = inspect.signature(build).parameters.values()
        accepts_budget = any(one.name == BUDGET or one.kind is one.VAR_KEYWORD for one in parameters)
        if self.kind == "system" and not accepts_budget:
            raise UsageError(
                f"{self.path}: build lacks the argument cbr, like that of a channel; begin with `def build(cbr` for a "
                "system, or name the file as the channel"
            )

        @wraps(build)
        def checked(*positional: Any, **named: Any) -> Any:
            with user_modules.beside(self.path):
                built = build(*positional, **named)
            kind, needed = ("System", "name") if self.kind == "system" else ("Channel", "medium")
            if not hasattr(built, needed):
                returned = "None" if built is None else f"a value of type {type(built).__name__}"
                hint = "" if self.kind == "system" else "; a system must have the argument cbr"
                raise UsageError(f"{self.path}: build returns {returned}; end it with `return {kind}(...)`{hint}")
            return built

        return checked


@cache
def entries(kind: Kind) -> Mapping[str, Entry]:
    """All systems or all channels by name, in alphabetical order.

    >>> entries("channel")["awgn"].name
    'awgn'
    """
    folder, _ = _HOMES[kind]
    homes = {path.stem: path for path in folder.glob("*.py")}
    homes |= {path.parent.name: path for path in folder.glob("*/__init__.py")}
    read = (_read(kind, name, path) for name, path in sorted(homes.items()) if not name.startswith("_"))
    return {entry.name: entry for entry in read if entry is not None}


def title(kind: Kind, label: str) -> str:
    """The title of a bundled system or channel whose label is its name; any other label as it is.

    >>> title("channel", "rayleigh"), title("channel", "Rayleigh, 64 uses")
    ('Rayleigh fading', 'Rayleigh, 64 uses')
    """
    entry = entries(kind).get(label)
    return label if entry is None else entry.title


RECOGNITION = "recognition"
"""What is trained beside systems: the recognizer of modulations of `semcom.recognition`."""


def trainable() -> list[str]:
    """Names that `semcom train` accepts: the folders of semcom/systems with a training.py, and `recognition`.

    >>> "deepjscc" in trainable()
    True
    """
    return sorted(_training_files())


def _training_files() -> dict[str, Path]:
    folder = _HOMES["system"][0]
    files = [*folder.glob("*/training.py"), *folder.glob("*/training/__init__.py")]
    return {path.relative_to(folder).parts[0]: path for path in files} | {
        RECOGNITION: _PACKAGE / RECOGNITION / "training.py"
    }


def find(kind: Kind, name: str) -> Entry:
    """The system or channel of a name.

    Args:
        kind: "system" or "channel".
        name: name of a bundled entry, or path of a user-defined file that ends in .py.

    Raises:
        UsageError: there is no such entry; the message gives the nearest name.
    """
    if name.endswith(".py"):
        path = Path(os.path.expanduser(name)).resolve()
        if not path.is_file():
            raise UsageError(f"{path} does not exist")
        entry = _read(kind, name, path)
        if entry is None:
            raise UsageError(f"{path} has no `def build(...)` at its top level; add one")
        return entry
    if name not in entries(kind):
        raise UsageError(f"no {kind} {name!r}; {nearest(name, entries(kind))}")
    return entries(kind)[name]


def find_file(name: str) -> Entry:
    """The system or channel in a user-defined file: `build` of a system has the argument `cbr`, that of a channel not.

    Raises:
        UsageError: there is no such file, or it has no `build`.
    """
    entry = find("system", name)
    return entry if BUDGET in entry.arguments else replace(entry, kind="channel")


@dataclass(frozen=True)
class MetricEntry:
    """A metric as its source file describes it.

    Args:
        name: name in scenarios.
        summary: first line of the docstring.
        unit: unit for axis labels, "" for a pure number.
        higher_is_better: direction of improvement; None without one.
        module: module whose dictionary METRICS defines it.
        extra: extra of semcom that it requires; "" for none.
        bounds: least and greatest possible value; None for no bound.
    """

    name: str
    summary: str
    unit: str
    higher_is_better: bool | None
    module: str
    extra: str
    bounds: tuple[float | None, float | None] = (None, None)


@cache
def metrics() -> Mapping[str, MetricEntry]:
    """All metrics by name: first those of semcom.metrics, then those in the folders of systems.

    >>> metrics()["psnr"].unit
    'dB'
    """
    homes = [(_PACKAGE / "metrics" / "delivery.py", "semcom.metrics.delivery")]
    for path in sorted(_HOMES["system"][0].glob("*/metrics.py")):
        homes.append((path, f"semcom.systems.{path.parent.name}.metrics"))
    return {
        name: MetricEntry(
            name,
            summary,
            ast.literal_eval(unit),
            ast.literal_eval(higher_is_better),
            module,
            _extra(extra),
            next((ast.literal_eval(one.value) for one in call.keywords if one.arg == "bounds"), (None, None)),
        )
        for path, module in homes
        for name, (summary, call) in table(path, "METRICS").items()
        if isinstance(call, ast.Call)
        for _, unit, higher_is_better, *extra in [call.args]
    }


def _extra(written: list[ast.expr]) -> str:
    return str(ast.literal_eval(written[0])) if written else ""


def missing() -> dict[str, list[str]]:
    """Names of the systems, channels and metrics whose extra is not installed, by extra."""
    found: dict[str, list[str]] = {}
    everything: list[Entry | MetricEntry] = [*entries("system").values(), *entries("channel").values()]
    everything += metrics().values()
    for entry in everything:
        if not is_installed(entry.extra):
            found.setdefault(entry.extra, []).append(entry.name)
    return found


def sources() -> dict[str, str]:
    """Description of each image source by name."""
    return {name: summary for name, (summary, _) in table(_PACKAGE / "images" / "sources.py", "SOURCES").items()}


def image_arguments() -> Mapping[str, Argument]:
    """Arguments of `images:` in a scenario: those of `semcom.images.load`."""
    path = _PACKAGE / "images" / "sources.py"
    tree = syntax_tree(path)
    return arguments(functions(tree)["load"], tree, path)


def training_arguments(system: str) -> Mapping[str, Argument]:
    """Arguments of the function `training` of a name in `trainable()`.

    >>> training_arguments("deepjscc")["cbr"].required
    False
    """
    path = _training_files()[system]
    tree = syntax_tree(path)
    return arguments(functions(tree)["training"], tree, path)


def nearest(name: str, names: Iterable[str]) -> str:
    """End of an error message: the name that was probably meant, or all names.

    >>> nearest("raileigh", ["awgn", "rayleigh"]), nearest("x", ["awgn", "rayleigh"])
    ("did you mean 'rayleigh'?", 'there are awgn, rayleigh')
    """
    names = list(names)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(names)}" if names else "there are none"


def _read(kind: Kind, name: str, path: Path) -> Entry | None:
    """The entry in a file; None if the file has no `build`."""
    tree = syntax_tree(path)
    build = functions(tree).get("build")
    if build is None:
        return None
    text = ast.get_docstring(build) or ast.get_docstring(tree) or ""
    constants = texts(tree)
    extra, title = constants.get("EXTRA", ""), constants.get("TITLE", name)
    bases = [base for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases]
    bound = any(isinstance(base, ast.Name) and base.id == "Bound" for base in bases)
    return Entry(kind, name, path, text, arguments(build, tree, path), extra, title, bound)
