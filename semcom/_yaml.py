"""Strict YAML that remembers where each value stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from channels._errors import UsageError

_BOOL = re.compile("^(?:true|True|false|False)$")
_FLOAT = re.compile(
    r"^[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, except that 1e-3 is a number and that yes, no, on, off and dates are words."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- the name and the type are PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null", "int", "merge")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOL, list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


@dataclass
class Document:
    """Nested dictionaries, lists and scalars, and the place of each in its file.

    Args:
        data: the values.
        name: of the file.
        places: "file:line" of a path of keys and indices.
    """

    data: Any
    name: str
    places: dict[tuple[str | int, ...], str] = field(default_factory=dict)

    def place(self, *path: str | int) -> str:
        """Where a value, or the nearest thing around it, is written."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        UsageError: a missing, unreadable, empty or broken file, or a key that stands twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"no scenario file {path}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):  # one file, no inheritance; also, an alias may contain itself
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise UsageError(f"{path}:{line}: aliases (*{event.anchor}) are not allowed")
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise UsageError(f"{path}:{_line(error)}: broken YAML: {_problem(error)}") from None
    if node is None:
        raise UsageError(f"{path}:1: the file is empty; it must say what to sweep")
    document = Document(None, str(path))
    document.data = _value(node, (), document, loader)
    return document


def parse_value(text: str) -> Any:
    """One YAML value, as in `[0, 10]`, from a command line.

    >>> parse_value("[0, 1e1, null]")
    [0, 10.0, None]
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else _value(node, (), Document(None, "value"), loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{text!r} is not a YAML value: {_problem(error)}") from None


def _value(node: yaml.Node, path: tuple[str | int, ...], document: Document, loader: _Loader) -> Any:
    place = f"{document.name}:{node.start_mark.line + 1}"
    document.places[path] = place
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, i), document, loader) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            line = f"{document.name}:{key_node.start_mark.line + 1}"
            if not isinstance(key, str):
                raise UsageError(f"{line}: a key must be a word")
            if key in found:
                raise UsageError(f"{line}: {key!r} stands twice")
            found[key] = _value(value_node, (*path, key), document, loader)
            document.places[(*path, key)] = line
        return found
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{place}: broken YAML: {_problem(error)}") from None


def _line(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 1 if mark else 1


def _problem(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).split())
