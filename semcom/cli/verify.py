"""`semcom check` and `semcom certify`: test parts against their contract, and channels against theory."""

from __future__ import annotations

import argparse
from pathlib import Path

from channels.arguments import positive
from channels.errors import UsageError
from semcom import atomic, devices
from semcom.cli.common import Commands, add_argument_set_option, add_device_option, find_entry, lacks_temporary_folder
from semcom.cli.outputs import add_force_option, guard_folder


def add_commands(commands: Commands) -> None:
    """Add `check` and `certify`."""
    check = commands.add("check", _check)
    check.add_argument(
        "name",
        metavar="NAME[:KEY=VALUE,...]",
        help="system, channel, or path of a .py file that defines one, with its arguments, as in digital:codec=webp",
    )
    add_argument_set_option(check)
    check.add_argument(
        "--size",
        type=int,
        default=64,
        metavar="N",
        help="side in pixels of the square test images of a system, for models of one image size (default: 64)",
    )
    check.add_argument(
        "--cbr",
        type=float,
        default=1 / 8,
        metavar="RATIO",
        help="channel bandwidth ratio of a system: channel uses per real number of an image (default: 1/8)",
    )
    add_device_option(check)

    certify = commands.add("certify", _certify)
    certify.add_argument(
        "--out",
        default="runs/certificate",
        metavar="FOLDER",
        help="folder for the table and the figure (default: runs/certificate)",
    )
    add_force_option(certify)
    certify.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="factor that multiplies the number of simulated samples of each measurement (default: 1)",
    )


def _check(options: argparse.Namespace) -> int:
    """Test whether a system or channel has the required properties."""
    from semcom.scenario.load import variant

    entry = find_entry(options.name.partition(":")[0])
    if entry.kind == "channel" and (given := sorted({"cbr", "size"} & options.given_options)):
        raise UsageError(f"--{given[0]} applies to systems, and {entry.name} is a channel: leave it out")
    subject = variant(entry.kind, options.name, options.set)

    from semcom.contract.runner import check

    failed, device = 0, devices.resolve(options.device)
    for result in check(subject, size=options.size, cbr=options.cbr, device=device):
        outcome = ("FAIL" if result.problem else "pass") if result.applies else "does not apply"
        print(f"{outcome:<15} {result.name:<48} {result.problem or result.statement}", flush=True)
        failed += bool(result.problem)
    return 1 if failed else 0


def _certify(options: argparse.Namespace) -> int:
    """Compare every channel and the modem with theory; write a table and a figure."""
    from channels import certificate

    guard_folder("--out", options.out, [], options.force, ["certificate.json"])
    table, figure = Path(options.out, "certificate.json"), Path(options.out, "certificate.png")
    try:
        positive("--scale", options.scale)
        table.parent.mkdir(parents=True, exist_ok=True)  # before the measurements, which take minutes
        found = certificate.certify(options.scale)
        atomic.write(table, found.to_json().encode())
        atomic.write(figure, certificate.draw(found))
    except OSError as error:
        if lacks_temporary_folder(error):
            raise
        raise UsageError(f"cannot write to {options.out}: {error.strerror or error}; choose another --out") from None
    print(f"{found.table()}\n\n{table}\n{figure}")
    return 0 if found.passed else 1
