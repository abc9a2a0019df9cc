"""The arguments of systems and channels that a scenario or an option may set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from channels.errors import UsageError
from semcom import discover
from semcom.discover import Argument, Entry, nearest
from semcom.scenario.document import parse_value, shown


def scenario_arguments(entry: Entry) -> dict[str, Argument]:
    """The arguments of an entry's `build` that a scenario may set: all but the channel-use budget `cbr` of a system."""
    return {
        name: argument
        for name, argument in entry.arguments.items()
        if not (entry.kind == "system" and name == discover.BUDGET)
    }


def check_argument(entry: Entry, name: str, value: object, place: str) -> None:
    """Check one argument against the entry's `build`.

    Args:
        entry: system or channel.
        name: name of the argument.
        value: value as the scenario gives it.
        place: file and line, or option, for the error message.

    Raises:
        UsageError: `build` has no such argument, or its annotation does not allow the value.
    """
    allowed = scenario_arguments(entry)
    if entry.kind == "system" and name == discover.BUDGET:
        raise UsageError(f"{place}: {entry.name}.cbr is computed from medium_cbr and users; set medium_cbr instead")
    if name not in allowed:
        raise UsageError(f"{place}: {entry.name} has no argument {name!r}; {_alternative(entry, name)}")
    if isinstance(value, dict) or not allowed[name].accepts(value):
        raise UsageError(f"{place}: {entry.name}.{name} must be {allowed[name].accepted}, not {shown(value)}")


def _alternative(entry: Entry, name: str) -> str:
    """End of an error message: the argument that was probably meant, else the entries that have this argument."""
    suggestion = nearest(name, scenario_arguments(entry))
    others = [other.name for other in discover.entries(entry.kind).values() if name in scenario_arguments(other)]
    if suggestion.startswith("did you mean") or not others:
        return suggestion
    return f"{entry.kind}s with this argument: {', '.join(others)}"


def parse_part(text: str, option: str) -> dict[str, Any]:
    """A system or channel of an option, NAME or NAME:KEY=VALUE,KEY=VALUE, as a mapping like that of a scenario file.

    Args:
        text: the text of the option.
        option: name of the option, for error messages.

    Raises:
        UsageError: the text has another form, or a value is not YAML.

    >>> parse_part("digital:codec=jpeg,margin_db=3", "--system")
    {'name': 'digital', 'codec': 'jpeg', 'margin_db': 3}
    """
    name, colon, arguments = text.partition(":")
    pairs = re.split(r",(?=\w+=)", arguments) if colon else []  # a comma within a value is followed by no KEY=
    part = {"name": name}
    for pair in pairs:
        key, value = parse_setting(pair, option, whole=text)
        if key in part:
            raise UsageError(f"{option} {text!r}: {key} is given twice; remove one")
        part[key] = value
    return part


def labelled_part(text: str, option: str) -> dict[str, Any]:
    """The mapping of `parse_part` with a label: the name, without the folder of a file, and the arguments.

    >>> labelled_part("mine/halved.py:share=0.5", "--system")
    {'label': 'halved:share=0.5', 'name': 'mine/halved.py', 'share': 0.5}
    """
    name, colon, arguments = text.partition(":")
    return {"label": f"{Path(name).stem}{colon}{arguments}", **parse_part(text, option)}


def parse_setting(text: str, option: str, whole: str = "") -> tuple[str, Any]:
    """A setting KEY=VALUE of an option.

    Args:
        text: the setting.
        option: name of the option, for error messages.
        whole: text of the option, if the setting is a part of it.

    Raises:
        UsageError: there is no key or no value, or the value is not YAML.

    >>> parse_setting("cbr=1/16", "--set")
    ('cbr', 0.0625)
    """
    key, _, value = (part.strip() for part in text.partition("="))
    if not key:
        raise UsageError(f"{option} {(whole or text)!r}: an argument is missing; write KEY=VALUE, as in seed=3")
    if not value:
        raise UsageError(f"{option} {(whole or text)!r}: {key} has no value; write {key}=VALUE")
    return key, parse_value(value, f"{option} {key}")


def with_option(message: str, options: Mapping[str, str]) -> str:
    """An error message that begins with a key, with the option of the command line in its place.

    Args:
        message: message of a `UsageError`.
        options: option of each key.

    >>> with_option("snr_db must be -100 to 100, not 200", {"snr_db": "--snr"})
    '--snr must be -100 to 100, not 200'
    """
    key, space, rest = message.partition(" ")
    return options.get(key, key) + space + rest
