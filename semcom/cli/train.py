"""`semcom train`: train the networks of a system."""

from __future__ import annotations

import argparse

from channels.errors import UsageError
from semcom import discover
from semcom.cli.common import Commands, add_device_option, describe_arguments, interrupted, relative
from semcom.cli.outputs import add_force_option, guard_file, guard_folder
from semcom.training import settings


def add_commands(commands: Commands) -> None:
    """Add `train`."""
    train = commands.add("train", _train, add_help=False, threads=None)
    train.add_argument(
        "-h", "--help", action=_Help, nargs=0, help="show this help and, after SYSTEM, the arguments of its training"
    )
    settings.add_arguments(train)
    add_device_option(train)
    add_force_option(train)


class _Help(argparse.Action):
    """Prints the help of the command and, for a system, the arguments of its training."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        parser.print_help()
        system = getattr(namespace, "system", None)
        if system in discover.trainable():
            print(f"\narguments of {system}, for --set:")
            print(describe_arguments(discover.training_arguments(system)))
        parser.exit()


def _train(options: argparse.Namespace) -> int:
    """Train the networks of a system, or a recognizer of modulations, or resume a training run."""
    import logging

    if options.system not in discover.trainable():
        nearest = discover.nearest(options.system, discover.trainable())
        raise UsageError(f"no trainable system {options.system!r}; {nearest}")

    from semcom.images.sources import folders_of
    from semcom.training import loop

    folders = [folder for source in [*(options.data or ()), options.validation or ""] for folder in folders_of(source)]
    if options.export:
        for path in (options.export, options.export.with_suffix(".md")):  # the weights and their model card
            guard_file("--export", path, [loop.folder_of(options) / "checkpoint.pt"], options.force)
    elif not options.resume:
        guard_folder(
            "--folder",
            loop.folder_of(options),
            folders if options.folder else [],
            options.force,
            ["checkpoint.pt", "log.jsonl"],
        )

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        path = loop.command(options)
    except KeyboardInterrupt:
        saved = (loop.folder_of(options) / "checkpoint.pt").exists()
        return interrupted(f"interrupted; {'add --resume to resume' if saved else 'no checkpoint was written yet'}")
    print(f"weights and their model card: {relative(path)}")
    return 0
