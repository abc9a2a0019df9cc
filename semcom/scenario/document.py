"""Strict YAML that records the line of each value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from channels.errors import UsageError
from semcom.scenario import numbers

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_BREAKS = re.compile("[\n\r\x85\u2028\u2029]")  # PyYAML would fold these in any other style
_DEEPEST = 20  # nested lists and mappings
_PREFIX = "tag:yaml.org,2002:"
_SCALARS = {"null": _NULL, "bool": _BOOL, "int": numbers.WHOLE, "float": numbers.REAL}  # YAML 1.2 core schema


class _Loader(yaml.SafeLoader):
    """PyYAML with the scalars of YAML 1.2 and fractions such as 1/16; yes, no, on, off and dates are text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 -- the name and the type are PyYAML's


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or YAML 1.2 would read as another type, so that it is read back as text."""


for _name, _pattern in _SCALARS.items():
    _whole = re.compile(rf"(?:{_pattern.pattern})\Z")  # PyYAML calls `match`
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_PREFIX + _name, _whole, None)
for _name in ("int", "float"):
    _Loader.add_constructor(_PREFIX + _name, lambda _, node: numbers.number(node.value))
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(_PREFIX + "str", text, '"' if _BREAKS.search(text) else None),
)


@dataclass
class Document:
    """The content of a YAML file: nested dictionaries, lists and scalars, and the line of each.

    Args:
        data: nested dictionaries, lists and scalars.
        name: name of the file, for error messages.
        places: "file:line" of each value, by its path of keys and indices.
        folder: folder of the file; None for data that come from no file.
    """

    data: Any
    name: str
    places: dict[tuple[str | int, ...], str] = field(default_factory=dict)
    folder: Path | None = None

    def place(self, *path: str | int) -> str:
        """The "file:line" of a value, or of the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        UsageError: the file is missing, unreadable, empty or not valid YAML, or a key occurs twice.
    """
    if path.is_char_device():  # /dev/zero has no end
        raise UsageError(f"{path} is a device; give the path of a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"there is no scenario file {path}; check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file in UTF-8; save it as one") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give the path of a YAML file") from None
    document = Document(None, str(path), folder=path.parent)
    if not _read_into(document, text):
        raise UsageError(f"{path}:1: the file is empty; scenarios/quickstart.yaml shows the keys of a scenario")
    return document


def parse_value(text: str, name: str = "value") -> Any:
    """A YAML value of the command line, such as `[0, 10]`.

    Args:
        text: the value.
        name: name of the value in error messages.

    >>> parse_value("[0, 1e1, 1/4, null, 1:16]")
    [0, 10.0, 0.25, None, '1:16']
    """
    document = Document(None, name)
    _read_into(document, text)
    return document.data


def dump(data: object, flow: bool | None = None) -> str:
    """Data as YAML that `read_document` and `parse_value` read back as the same data.

    Args:
        data: nested dictionaries, lists and scalars.
        flow: True writes everything on one line, False puts every value on its own line, None decides for each value.

    >>> dump({"title": "1e-3", "cbr": 0.0625})
    "{title: '1e-3', cbr: 0.0625}\\n"
    """
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=110))


def shown(value: object) -> str:
    """A value in help texts and error messages: as YAML writes it, texts in quotes.

    >>> shown(True), shown(None), shown(1e-7), shown("all"), shown(float("nan"))
    ('true', 'null', '1e-07', "'all'", 'NaN')
    """
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case float() if not math.isfinite(value):
            return {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}[str(value)]
        case float() if float(f"{value:g}") == value:
            return f"{value:g}"
        case list() | tuple():
            return f"[{', '.join(map(shown, value))}]"
    return repr(value)


def _read_into(document: Document, text: str) -> bool:
    """Fill a document from its text; False if the text has no content.

    Raises:
        UsageError: invalid YAML, an alias, more than 20 nested levels, or a key that occurs twice.
    """
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            place = f"{document.name}:{event.start_mark.line + 1 if event.start_mark else 1}"
            if isinstance(event, yaml.AliasEvent):  # an alias could contain itself
                raise UsageError(f"{place}: aliases (*{event.anchor}) are not supported; write the values out")
            if (tag := getattr(event, "tag", None)) is not None:
                raise UsageError(f"{place}: invalid YAML: tags ({tag}) are not supported; write plain values")
            opens, closes = isinstance(event, yaml.CollectionStartEvent), isinstance(event, yaml.CollectionEndEvent)
            depth += opens - closes
            if depth > _DEEPEST:
                raise UsageError(f"{place}: more than {_DEEPEST} nested levels; write a list of values")
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise UsageError(f"{document.name}:{_line(error)}: invalid YAML: {_problem(error)}") from None
    if node is not None:
        document.data = _value(node, (), document, loader)
    return node is not None


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
                raise UsageError(f"{line}: a key must be text")
            if key in found:
                raise UsageError(f"{line}: the key {key!r} occurs twice; remove one")
            found[key] = _value(value_node, (*path, key), document, loader)
            document.places[(*path, key)] = line
        return found
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, UsageError) as error:
        raise UsageError(f"{place}: invalid YAML: {_problem(error)}") from None


def _line(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 1 if mark else 1


def _problem(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).split())
