"""Differences between two scenarios, for messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from channels.errors import UsageError
from semcom.scenario.document import parse_value, read_document, shown
from semcom.scenario.load import to_yaml
from semcom.scenario.model import Scenario

_NAMED = 3  # differences that a message lists


def changes(recorded: Path, scenario: Scenario) -> str:
    """The values of a recorded scenario that another one changes, as in "sweep.snr_db: [0, 5], now [0, 10]".

    Args:
        recorded: scenario.yaml of a run.
        scenario: scenario to compare with it.

    Returns:
        Text; empty if nothing differs or the record cannot be read.
    """
    try:
        before = dict(_values(read_document(recorded).data))
    except UsageError:
        return ""
    after = dict(_values(parse_value(to_yaml(scenario))))
    differing = [key for key in {**before, **after} if before.get(key, "unset") != after.get(key, "unset")]
    texts = [f"{key}: {_text(before, key)}, now {_text(after, key)}" for key in differing[:_NAMED]]
    more = len(differing) - _NAMED
    return "; ".join([*texts, *([f"{more} more"] if more > 0 else [])])


def _text(values: dict[str, object], key: str) -> str:
    return shown(values[key]) if key in values else "unset"


def _values(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """The values of a scenario by dotted name; those of a system or channel by its label."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _values(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for i, item in enumerate(value):
            yield from _values(item, f"{name}.{item.get('label', i)}")
    else:
        yield name, value
