"""What all commands share: a parser that reports errors in one line, the option --set, and messages on stderr."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from channels.errors import UsageError
from semcom import devices, discover
from semcom.results.printing import printable
from semcom.scenario import numbers
from semcom.scenario.document import shown

if TYPE_CHECKING:
    from semcom.scenario.model import Scenario

Function = Callable[[argparse.Namespace], int | None]
Number = TypeVar("Number", int, int | float)


class Parser(argparse.ArgumentParser):
    """An argument parser with errors of one line, and with the numbers of scenario files.

    Numbers are those of `semcom.scenario.numbers`, as in -1e1, 5. and 1/16. An empty value is refused, and an option
    that is given twice unless it may be repeated.

    Args:
        options: arguments of `argparse.ArgumentParser`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._negative_number_matcher = re.compile(r"-\.?[0-9]")  # argparse parses -1e1 and -5. as options
        self.register("type", float, partial(_read, lambda text: float(numbers.number(text))))
        self.register("type", int, partial(_read, numbers.whole_number))
        self.register("type", None, _not_empty)
        self.register("type", Path, lambda text: Path(_not_empty(text)))
        self.register("action", None, _Once)

        self.commands: dict[str, Parser] = {}  # subcommands, see `Commands`

    def unknown_option(self, words: Sequence[str]) -> str | None:
        """The first of some words that looks like an option and is none, nor an abbreviation of one."""
        known = [name for action in self._actions for name in action.option_strings]
        named = (word.partition("=")[0] for word in words if word.startswith("--") and word != "--")
        return next((name for name in named if not any(one.startswith(name) for one in known)), None)

    def nearest_option(self, name: str) -> str:
        """A question for the option that was probably meant; empty if none is similar."""
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        return f"did you mean {close[0]}? " if close else ""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise a `UsageError` instead of printing the usage."""
        raise UsageError(f"{message}; see {self.prog} --help")


class _Once(argparse.Action):
    """Stores the value of an option and refuses a second one."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        given = vars(namespace).setdefault("given_options", set())
        if option is not None and self.dest in given:
            parser.error(f"{option} is given twice; give it once")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def _not_empty(text: str) -> str:
    if not text.strip():  # as from an unset variable of a shell; as a path it would be the working directory
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def _read(reader: Callable[[str], Number], text: str) -> Number:
    try:
        return reader(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class Commands:
    """The subcommands of a parser.

    Args:
        parser: parser that receives the subcommands.
    """

    def __init__(self, parser: Parser) -> None:
        self._subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
        self._parser = parser
        self._subparsers.type = str  # it is given all words of a command, whose own parser checks them

    def add(
        self, name: str, function: Function, add_help: bool = True, threads: int | None = 1
    ) -> argparse.ArgumentParser:
        """Add a command.

        Args:
            name: name of the command.
            function: function to call; its docstring is the description of the command.
            add_help: whether the option --help is added.
            threads: number of threads of numerical libraries; None for one per core. One is faster for work on small
                images and short blocks, and for work in several processes.
        """
        text = function.__doc__ or ""
        shown = text.replace("%", "%%")
        added = self._subparsers.add_parser(name, help=shown, description=text, add_help=add_help)
        added.set_defaults(command=function, library_threads=threads, program=added.prog)
        self._parser.commands[name] = added
        return added


def add_scenario_set_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --set KEY=VALUE for the values of a scenario."""
    what = "replacement of a value of the scenario file: a key as in sweep.snr_db=[0,10],"
    _add_set_option(parser, what)


def add_argument_set_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --set KEY=VALUE for the arguments of systems and channels."""
    _add_set_option(parser, "argument of a system or channel:")


def _add_set_option(parser: argparse.ArgumentParser, what: str) -> None:
    form = "SYSTEM.ARGUMENT as in digital.codec=webp, or channel.ARGUMENT as in channel.k_factor_db=3"
    text = f"{what} {form}; may be repeated (default: none)"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --device."""
    parser.add_argument(
        "--device",
        choices=devices.KINDS,
        default="auto",
        help="device that networks, channels and metrics run on: cpu, cuda (NVIDIA or AMD GPU), mps (Apple GPU), or "
        "auto, which is cuda where PyTorch finds one and else cpu (default: auto)",
    )


def describe_arguments(arguments: Mapping[str, discover.Argument]) -> str:
    """The arguments of a function: allowed values, defaults and descriptions, one below the other."""
    lines = []
    for argument in arguments.values():
        value = argument.default or "empty" if isinstance(argument.default, str) else shown(argument.default)
        default = "required" if argument.required else f"default {value}"
        lines.append(f"  {argument.name}: {argument.accepted}; {default}\n      {argument.text}".rstrip())
    return "\n".join(lines) or "  no arguments"


def find_entry(name: str) -> discover.Entry:
    """The system or channel of that name, or the one defined in that file."""
    if name.endswith(".py"):
        return discover.find_file(name)
    if name in discover.entries("system"):
        return discover.find("system", name)
    if name in discover.entries("channel"):
        return discover.find("channel", name)
    names = [*discover.entries("system"), *discover.entries("channel")]
    raise UsageError(f"no system or channel {name!r}; {discover.nearest(name, names)}")


def count_points(scenario: Scenario) -> str:
    """The number of points of a scenario; with a stopping rule, the least and the largest number."""
    count = len(scenario.points())
    if scenario.stop is None:
        return f"{count} point{'' if count == 1 else 's'}"
    return f"{count} to {count // scenario.repetitions * scenario.stop.max_repetitions} points"


def relative(path: Path) -> Path:
    """The path relative to the working directory where possible."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def complain(message: str, status: int) -> int:
    """Print an error in one line on stderr and return the exit status."""
    print(f"semcom: {printable(' '.join(message.split()))}", file=sys.stderr)
    return status


def lacks_temporary_folder(error: OSError) -> bool:
    """Whether no folder for temporary files can be written, by the texts of tempfile and matplotlib."""
    return "temporary directory" in str(error)


def interrupted(message: str) -> int:
    """Report an interrupt (Ctrl-C) and return its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would print a traceback
    return complain(message, 130)


def raise_late_interrupts() -> None:
    """Raise a Ctrl-C again that arrives in a callback, such as those of imports: Python would print and ignore it."""
    former = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            return former(unraisable)
        again = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))  # after the callback has ended
        again.daemon = True
        return again.start()

    sys.unraisablehook = hook
