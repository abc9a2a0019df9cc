"""The entry point of the command line: parse the arguments, run one command, return its exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from channels.errors import ContractError, UsageError
from semcom import allocator, discover, threads
from semcom.cli import app, browse, budget, data, radio, recognize, results, run, send, train, verify
from semcom.cli.common import Commands, Parser, complain, interrupted, lacks_temporary_folder, raise_late_interrupts
from semcom.discover import user_modules

_DESCRIPTION = "Simulate the transmission of images over wireless channels, with learned and with conventional systems."
_EPILOG = (
    "First steps: `semcom list`, `semcom show digital`, `semcom send photo.jpg --system digital --snr 10`. "
    "`semcom COMMAND --help` describes the options of a command."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line, without the program's name; None for those of this process, whose
            numerical libraries then get the number of threads that suits the command.

    Returns:
        Exit status: 0 success, 1 failure, 2 invalid input, 130 interrupt.
    """
    try:
        options = _parse(sys.argv[1:] if arguments is None else arguments)
        if arguments is None:
            raise_late_interrupts()
            threads.limit(options.library_threads or threads.cores())
            allocator.keep_freed_memory()
            allocator.collect_rarely()
        return options.command(options) or 0
    except UsageError as error:
        return complain(str(error), 2)
    except KeyboardInterrupt:
        return interrupted("interrupted")
    except BrokenPipeError:  # the reader of a pipe has ended, as in `semcom list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, SystemExit) as error:  # a file of the user may raise any exception
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in str(error)):
            return complain("not enough memory; use smaller images, fewer users, or a smaller `batch`", 1)
        if isinstance(error, OSError) and lacks_temporary_folder(error):
            return complain("no temporary folder can be written; set TMPDIR to a writable folder", 2)
        if isinstance(error, ContractError):
            return complain(str(error), 1)
        if user_modules.failed(error):
            return complain(user_modules.describe(error), 1)
        raise  # an error of semcom itself, with its traceback


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = build_parser()
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command is not None and command not in parser.commands:
        raise UsageError(f"no command {command!r}; {discover.nearest(command, parser.commands)}")
    try:
        options, others = parser.parse_known_args(arguments)
        if others:
            raise UsageError(f"unrecognized arguments: {' '.join(others)}; see {options.program} --help")
        return options
    except UsageError as error:
        chosen = parser if command is None else parser.commands[command]
        if name := chosen.unknown_option(arguments):
            hint = chosen.nearest_option(name)
            if hint and not os.path.lexists(name):
                raise UsageError(f"no option {name}; {hint}see {chosen.prog} --help") from None
        for name in arguments:
            if name.startswith("-") and os.path.lexists(name):  # a file name that looks like an option
                raise UsageError(f"{error}; for the file {name}, write ./{name}") from None
        raise


def build_parser() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(prog="semcom", description=_DESCRIPTION, epilog=_EPILOG)
    commands = Commands(parser)
    for group in (browse, run, results, send, budget, radio, recognize, verify, train, data, app):
        group.add_commands(commands)
    return parser
