"""Typed access to the values of a document, with error messages that name file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from channels.errors import UsageError
from semcom.discover import nearest
from semcom.scenario.document import Document, shown

Place = tuple[str | int, ...]  # keys and indices that lead to a value


def value_at(document: Document, path: Place) -> Any:
    """The value at a path of keys and indices."""
    value = document.data
    for step in path:
        value = value[step]
    return value


def mapping(document: Document, path: Place) -> dict[str, Any]:
    """The keys and values at a path."""
    value = value_at(document, path)
    if not isinstance(value, dict):
        name = next((step for step in reversed(path) if isinstance(step, str)), "a scenario")
        raise UsageError(f"{document.place(*path)}: {name} must consist of keys and values, as in `key: value`")
    return value


def refuse_other_keys(document: Document, path: Place, allowed: Iterable[str], owner: str) -> None:
    """Raise a `UsageError` for a key that is not allowed; `owner` names the mapping in the message."""
    allowed = list(allowed)
    for key in value_at(document, path):
        if key not in allowed:
            raise UsageError(f"{document.place(*path, key)}: {owner} has no key {key!r}; {nearest(key, allowed)}")


def values(document: Document, path: Place) -> list[Any]:
    """A list with at least one value; a single value becomes a list of one."""
    value = value_at(document, path)
    if value is None or value == []:
        raise UsageError(f"{document.place(*path)}: {path[-1]} is empty; give it at least one value")
    return value if isinstance(value, list) else [value]


def numbers(document: Document, path: Place, valid: Callable[[float], bool], expected: str) -> tuple[float, ...]:
    """A list of finite numbers; `expected` describes a valid one."""
    found = values(document, path)
    for i, value in enumerate(found):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not abs(value) <= 1e300 or not valid(float(value)):
            raise UsageError(f"{document.place(*path, i)}: {path[-1]} must be {expected}, not {shown(value)}")
    return tuple(float(value) for value in found)


def distinct_numbers(
    document: Document, path: Place, valid: Callable[[float], bool], expected: str
) -> tuple[float, ...]:
    """The same without repeated values, so that each is simulated once."""
    return tuple(dict.fromkeys(numbers(document, path, valid, expected)))


def one_number(document: Document, path: Place, valid: Callable[[float], bool], expected: str) -> float:
    """A single finite number."""
    found = numbers(document, path, valid, expected)
    if len(found) > 1:
        raise UsageError(f"{document.place(*path)}: {path[-1]} must be one number, not {len(found)}")
    return found[0]


def scalar(
    document: Document, key: str, kind: type, default: Any, least: int | None = None, most: int | None = None
) -> Any:
    """A text or a whole number at the top level, or its default."""
    value: Any = document.data.get(key, default)
    valid = isinstance(value, kind) and not isinstance(value, bool)
    if not valid or (least is not None and value < least) or (most is not None and value > most):
        expected = "text" if kind is str else "a whole number"
        expected += "" if least is None else f", {least} or more" if most is None else f" from {least} to {most}"
        raise UsageError(f"{document.place(key)}: {key} must be {expected}, not {shown(value)}")
    return value


def whole_number(document: Document, path: Place, least: int, expected: str) -> int:
    """A whole number of at least `least`; `expected` describes it."""
    value = value_at(document, path)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{document.place(*path)}: {path[-1]} must be {expected}, not {shown(value)}")
    return value
