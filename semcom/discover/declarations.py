"""Functions, arguments and dictionaries of a Python file, read from its source without importing it."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from channels.errors import UsageError
from semcom.discover import user_files


@dataclass(frozen=True)
class Argument:
    """One keyword argument of a `build`.

    Args:
        name: name in scenarios.
        annotation: source text of the type annotation, "" without one.
        default: literal default; not used if `required`.
        required: whether there is no default.
        text: description from the section "Args:" of the docstring.
    """

    name: str
    annotation: str
    default: object
    required: bool
    text: str

    def accepts(self, value: object) -> bool:
        """Whether the annotation allows a value; an integer is also a float, a boolean is no number.

        >>> Argument("quality", "Literal['low', 'high'] | None", None, False, "").accepts("medium")
        False
        """
        return not self.annotation or _accepts(ast.parse(self.annotation, mode="eval").body, value)

    @property
    def accepted(self) -> str:
        """Description of the values that the annotation allows.

        >>> Argument("quality", "Literal['low', 'high'] | int | None", "low", False, "").accepted
        'one of low, high, or a whole number, or null'
        """
        if not self.annotation:
            return "a value or a list of values"
        text, *others = _accepted(ast.parse(self.annotation, mode="eval").body)
        for other in others:
            text += f"{',' * (',' in text)} or {other}"
        return text

    def read(self, value: Any) -> Any:
        """Convert an accepted value for `build`: an integer to float for a float argument, a list to a tuple."""
        if isinstance(value, list | tuple):
            return tuple(self.read(item) for item in value)
        names = {node.id for node in ast.walk(ast.parse(self.annotation)) if isinstance(node, ast.Name)}
        whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if whole and "float" in names and "int" not in names else value


def syntax_tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file.

    Raises:
        UsageError: the file is not Python.
    """
    return _parsed(path, user_files.state(path))


@lru_cache(maxsize=256)
def _parsed(path: Path, state: tuple[int, ...]) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line, reason = getattr(error, "lineno", None) or 1, getattr(error, "msg", error)
        raise UsageError(f"{path}:{line}: not Python: {reason}; correct the line") from None


def functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """Functions at the top level of a file, by name."""
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def texts(tree: ast.Module) -> dict[str, str]:
    """Constants with text at the top level of a file, by name."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def arguments(function: ast.FunctionDef, tree: ast.Module, path: Path) -> dict[str, Argument]:
    """Arguments of a function at the top level of a file, by name."""
    aliases = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
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
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):  # written in quotes
            with suppress(SyntaxError):
                annotation = ast.parse(annotation.value, mode="eval").body
        if isinstance(annotation, ast.Name):
            annotation = aliases.get(annotation.id, annotation)
        found[argument.arg] = Argument(
            name=argument.arg,
            annotation="" if annotation is None else ast.unparse(annotation),
            default=None if default is None else _default(aliases, default, path),
            required=default is None,
            text=texts.get(argument.arg, ""),
        )
    return found


def _default(aliases: Mapping[str, ast.expr], node: ast.expr, path: Path) -> Any:
    try:
        return _literal(aliases, node)
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        text = ast.unparse(node)
        raise UsageError(
            f"{path}:{node.lineno}: the default of an argument of build must be a literal, not {text}"
        ) from None


_OPERATORS: dict[type[ast.operator | ast.unaryop], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.USub: operator.neg,
}


def _literal(aliases: Mapping[str, ast.expr], node: ast.expr) -> Any:
    """Value of a literal, of a constant at the top of the file, or of arithmetic with them."""
    match node:
        case ast.Name(id=name) if name in aliases:
            return _literal(aliases, aliases[name])
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_literal(aliases, operand))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_literal(aliases, left), _literal(aliases, right))
    return ast.literal_eval(node)


def _argument_texts(docstring: str) -> dict[str, str]:
    """Description of each argument in the section "Args:" of a docstring."""
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


def table(path: Path, name: str) -> dict[str, tuple[str, ast.expr]]:
    """Keys of a dictionary at the top of a file; for each the summary of its value and the value's syntax tree."""
    tree = syntax_tree(path)
    named = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else getattr(node, "target", None)
        written = targets[0] if isinstance(targets, list) else targets
        value = getattr(node, "value", None)
        if isinstance(written, ast.Name) and written.id == name and isinstance(value, ast.Dict):
            return {
                str(ast.literal_eval(key)): (_summary(named, item), item)
                for key, item in zip(value.keys, value.values, strict=True)
                if key is not None
            }
    raise AssertionError(f"{path} has no dictionary {name}")


def _summary(named: Mapping[str, ast.FunctionDef | ast.ClassDef], value: ast.expr) -> str:
    """First docstring line of the function in `name` or `Metric(name, ...)`; for `_psnr` without one, of `psnr`."""
    for node in value.args if isinstance(value, ast.Call) else [value]:
        if isinstance(node, ast.Name) and node.id in named:
            for name in (node.id, node.id.lstrip("_")):
                if name in named and (text := ast.get_docstring(named[name])):
                    return text.partition("\n")[0]
    return ""


_KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
_LISTS = {
    "bool": "a list of true or false",
    "int": "a list of whole numbers",
    "float": "a list of numbers",
    "str": "a list of texts",
}


def _accepted(annotation: ast.expr) -> list[str]:
    """Descriptions of the values of an annotation; several for a union."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*_accepted(left), *_accepted(right)]
        case ast.Constant(value=None):
            return ["null"]
        case ast.Name(id=name) if name in _KINDS:
            return [_KINDS[name]]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            options = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            texts = [str(ast.literal_eval(option)) for option in options]
            return [f"one of {', '.join(texts)}" if texts[1:] else texts[0]]
        case ast.Subscript(value=ast.Name(id="tuple" | "list" | "Sequence"), slice=inner):
            item = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
            return [_LISTS.get(ast.unparse(item), f"a list of {ast.unparse(item)}")]
    return [ast.unparse(annotation)]


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
            return True  # a type that only `build` can check


def _same(choice: object, value: object) -> bool:
    return type(choice) is type(value) and choice == value
