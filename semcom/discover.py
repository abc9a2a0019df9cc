"""The folder is the registry: what there is to simulate, read from the source without importing it.

A file or folder in `semcom/systems/` or `channels/` that has a top-level `build(...)` is an entry of its name. The
arguments that a scenario may write are those of `build`: their names, annotations and literal defaults. Metrics and
image sources are the keys of two dictionaries, `METRICS` and `SOURCES`, read the same way.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import math
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import channels
from channels._errors import UsageError

Kind = Literal["system", "channel"]

GRANTED = "cbr"  # the argument that every system's build takes, and no channel's; scenarios grant it by medium_cbr

_PACKAGE = Path(__file__).parent
_HOMES: dict[Kind, tuple[Path, str]] = {
    "system": (_PACKAGE / "systems", "semcom.systems"),
    "channel": (Path(channels.__file__).parent, "channels"),
}


@dataclass(frozen=True)
class Argument:
    """One keyword argument of a `build`.

    Args:
        name: as a scenario writes it.
        annotation: source text of its type, "" if there is none.
        default: its literal default; meaningless where `required`.
        required: there is no default.
        text: what the docstring says about it.
    """

    name: str
    annotation: str
    default: object
    required: bool
    text: str

    def accepts(self, value: object) -> bool:
        """Whether the annotation allows a value; whole numbers are floats too, booleans are not numbers.

        >>> Argument("quality", "Literal['low', 'high'] | None", None, False, "").accepts("medium")
        False
        """
        return not self.annotation or _accepts(ast.parse(self.annotation, mode="eval").body, value)

    @property
    def wanted(self) -> str:
        """What the annotation allows, in words.

        >>> Argument("quality", "Literal['low', 'high']", "low", False, "").wanted
        'one of low, high'
        """
        match ast.parse(self.annotation or "None", mode="eval").body:
            case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
                options = choices.elts if isinstance(choices, ast.Tuple) else [choices]
                return f"one of {', '.join(str(ast.literal_eval(option)) for option in options)}"
        return self.annotation or "a plain value or a list"

    def read(self, value: Any) -> Any:
        """An accepted value as `build` takes it: 3 is 3.0 for a float, and a list is a tuple, which can be a key."""
        if isinstance(value, list | tuple):
            return tuple(self.read(item) for item in value)
        names = {node.id for node in ast.walk(ast.parse(self.annotation)) if isinstance(node, ast.Name)}
        whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if whole and "float" in names and "int" not in names else value


@dataclass(frozen=True)
class Entry:
    """A system or channel as its source describes it.

    Args:
        kind: "system" or "channel".
        name: as a scenario writes it.
        path: the file that holds `build`.
        text: docstring of `build`, else of the file.
        arguments: those of `build`, by name.
    """

    kind: Kind
    name: str
    path: Path
    text: str
    arguments: Mapping[str, Argument]

    @property
    def summary(self) -> str:
        """The first line of the description."""
        return self.text.partition("\n")[0]

    def load(self) -> Callable[..., Any]:
        """Import the file and return its `build`.

        Raises:
            UsageError: a file of one's own that cannot be imported.
        """
        folder, package = _HOMES[self.kind]
        if self.path.is_relative_to(folder):
            return importlib.import_module(f"{package}.{self.name}").build
        spec = importlib.util.spec_from_file_location(self.path.stem, self.path)
        loader = spec and spec.loader
        assert spec  # a .py file always has both
        assert loader
        module = importlib.util.module_from_spec(spec)
        try:
            loader.exec_module(module)
        except Exception as error:  # a user's file raises anything
            lines = [
                frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == spec.origin
            ]
            place = f"{self.path}:{lines[-1]}" if lines else str(self.path)
            raise UsageError(f"{place}: cannot be imported, {type(error).__name__}: {error}") from error
        return module.build


@cache
def entries(kind: Kind) -> Mapping[str, Entry]:
    """All systems or all channels, by name in alphabetic order.

    >>> entries("channel")["awgn"].name
    'awgn'
    """
    folder, _ = _HOMES[kind]
    homes = {path.stem: path for path in folder.glob("*.py")}
    homes |= {path.parent.name: path for path in folder.glob("*/__init__.py")}
    read = (_read(kind, name, path) for name, path in sorted(homes.items()) if not name.startswith("_"))
    return {entry.name: entry for entry in read if entry is not None}


def trainable() -> list[str]:
    """Names of what `semcom train` takes: the folders of semcom/systems that have a training.py.

    >>> "deepjscc" in trainable()
    True
    """
    return sorted(path.parent.name for path in _HOMES["system"][0].glob("*/training.py"))


def find(kind: Kind, name: str, folder: Path | None = None) -> Entry:
    """The entry of a name; a name that ends in .py is a file of your own, looked for from `folder`.

    Raises:
        UsageError: there is none; the nearest name is offered.
    """
    if name.endswith(".py"):
        path = ((folder or Path()) / Path(name).expanduser()).resolve()
        entry = _read(kind, name, path) if path.is_file() else None
        if entry is None:
            raise UsageError(f"{path} {'has no build(...)' if path.is_file() else 'does not exist'}")
        return entry
    if name not in entries(kind):
        raise UsageError(f"no {kind} {name!r}; {nearest(name, entries(kind))}")
    return entries(kind)[name]


def find_file(name: str) -> Entry:
    """The system or channel in a file of your own: `build` of a system takes `cbr`, that of a channel does not.

    Raises:
        UsageError: there is no such file, or no `build` in it.
    """
    entry = find("system", name)
    return entry if GRANTED in entry.arguments else replace(entry, kind="channel")


def metrics() -> dict[str, str]:
    """Names of all metrics and what each is."""
    return _table(_PACKAGE / "metrics.py", "METRICS")


def sources() -> dict[str, str]:
    """Names of all image sources and what each is."""
    return _table(_PACKAGE / "images.py", "SOURCES")


def image_arguments() -> Mapping[str, Argument]:
    """What `images:` in a scenario may say: the arguments of `semcom.images.load`."""
    tree = _parse(_PACKAGE / "images.py")
    return _arguments(_functions(tree)["load"], tree)


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which of `names` was probably meant, or list them all.

    >>> nearest("raileigh", ["awgn", "rayleigh"]), nearest("x", ["awgn", "rayleigh"])
    ("did you mean 'rayleigh'?", 'there are awgn, rayleigh')
    """
    names = list(names)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(names)}" if names else "there are none"


# --- reading source ------------------------------------------------------------------------------------------------


def _read(kind: Kind, name: str, path: Path) -> Entry | None:
    """The entry in a file, None if the file has no `build`."""
    tree = _parse(path)
    build = _functions(tree).get("build")
    if build is None:
        return None
    text = ast.get_docstring(build) or ast.get_docstring(tree) or ""
    return Entry(kind, name, path, text, _arguments(build, tree))


@cache
def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path}:{getattr(error, 'lineno', None) or 1}: not Python: {error}") from None


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _arguments(function: ast.FunctionDef, tree: ast.Module) -> dict[str, Argument]:
    aliases = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    texts = _argument_texts(ast.get_docstring(function) or "")
    positional = [*function.args.posonlyargs, *function.args.args]
    defaults = [None] * (len(positional) - len(function.args.defaults)) + list(function.args.defaults)
    pairs = [
        *zip(positional, defaults, strict=True),
        *zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True),
    ]
    found = {}
    for argument, default in pairs:
        annotation = argument.annotation
        if isinstance(annotation, ast.Name):
            annotation = aliases.get(annotation.id, annotation)
        found[argument.arg] = Argument(
            name=argument.arg,
            annotation="" if annotation is None else ast.unparse(annotation),
            default=None if default is None else _literal(aliases, default),
            required=default is None,
            text=texts.get(argument.arg, ""),
        )
    return found


def _literal(aliases: Mapping[str, ast.expr], node: ast.expr) -> Any:
    """The value of a literal, of a ratio or product of literals, or of a constant that the file names at its top."""
    match node:
        case ast.Name(id=name) if name in aliases:
            return _literal(aliases, aliases[name])
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _literal(aliases, left) / _literal(aliases, right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _literal(aliases, left) * _literal(aliases, right)
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise UsageError(f"a default of build must be a literal, not {ast.unparse(node)}") from None


def _argument_texts(docstring: str) -> dict[str, str]:
    """What the section "Args:" says about each argument."""
    texts: dict[str, str] = {}
    name, inside, margin = "", False, 0
    for line in docstring.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.strip() == "Args:":
            inside, margin = True, indent + 4
        elif inside and line.strip() and indent < margin:
            inside = False
        elif inside and indent == margin and ":" in line:
            name, _, text = line.strip().partition(":")
            texts[name] = text.strip()
        elif inside and name and line.strip():
            texts[name] += " " + line.strip()
    return texts


def _table(path: Path, name: str) -> dict[str, str]:
    """Keys of a dictionary at the top of a file, with the first line about what each value names."""
    tree = _parse(path)
    named = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else getattr(node, "target", None)
        written = targets[0] if isinstance(targets, list) else targets
        value = getattr(node, "value", None)
        if isinstance(written, ast.Name) and written.id == name and isinstance(value, ast.Dict):
            return {
                str(ast.literal_eval(key)): _summary(named, item)
                for key, item in zip(value.keys, value.values, strict=True)
                if key is not None
            }
    raise AssertionError(f"{path} has no dictionary {name}")


def _summary(named: Mapping[str, ast.FunctionDef | ast.ClassDef], value: ast.expr) -> str:
    """First line of the docstring of what is named, itself or in a call, `Metric(_psnr)`; `psnr` may tell for it."""
    for node in value.args if isinstance(value, ast.Call) else [value]:
        if isinstance(node, ast.Name) and node.id in named:
            for name in (node.id, node.id.lstrip("_")):
                if name in named and (text := ast.get_docstring(named[name])):
                    return text.partition("\n")[0]
    return ""


def _accepts(annotation: ast.expr, value: object) -> bool:
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _accepts(left, value) or _accepts(right, value)
        case ast.Constant(value=None):
            return value is None
        case ast.Name(id="bool"):
            return isinstance(value, bool)
        case ast.Name(id="int"):
            return isinstance(value, int) and not isinstance(value, bool)
        case ast.Name(id="float"):
            return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
        case ast.Name(id="str"):
            return isinstance(value, str)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            allowed = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            return any(_same(ast.literal_eval(choice), value) for choice in allowed)
        case ast.Subscript(value=ast.Name(id="tuple" | "list" | "Sequence"), slice=inner):
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return isinstance(value, list | tuple) and all(_accepts(items[0], item) for item in value)
        case _:
            return True  # a type that only `build` itself can judge


def _same(choice: object, value: object) -> bool:
    return type(choice) is type(value) and choice == value
