"""Outputs of commands: never an input, and a file or folder of the user only with --force. No torch."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from channels.errors import UsageError

# One of these is near the beginning or the end of each file that semcom writes: PNG, SVG and PDF figures, tables, HTML,
# JSON of the benchmarks, weights and their model card, SigMF.
_MARKS = (
    b"Software\0semcom",
    b"<dc:title>semcom</dc:title>",
    b"/Creator (semcom)",
    b"metric,unit,system,",
    b"recognizer,uses,snr_db,",
    b'name="generator" content="semcom"',
    b'"generator": "semcom"',
    b'"semcom-weights-1"',
    b'"semcom:shared"',
    b"* sha256 of header and tensors:",
)
_SEARCHED = 1 << 16  # bytes at the beginning, and at the end, that are searched for a mark


def add_force_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --force."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite files and use folders even if semcom did not write them (default: stop with an error)",
    )


def guard_file(
    option: str,
    out: str | Path,
    inputs: Iterable[str | Path],
    force: bool,
    expected: bytes | None = None,
    beginnings: Iterable[bytes] = (),
) -> None:
    """Refuse to replace an input, or a file that semcom did not write.

    Args:
        option: option that names the output.
        out: file to write; a device or a pipe is not refused.
        inputs: files that the command reads.
        force: whether a file that semcom did not write may be replaced.
        expected: content that a repetition of the command would write, if it is known.
        beginnings: first bytes of files that the command writes without a mark of semcom.

    Raises:
        UsageError: `out` is an input, a link to one, or a file of the user.
    """
    if not os.path.isfile(out):
        return
    if any(_same(out, path) for path in inputs):
        raise UsageError(f"{option} {out} is a file that this command reads; choose another {option}")
    if not force and not _is_ours(Path(out), expected, tuple(beginnings)):
        raise UsageError(
            f"{option} {out} exists and was not written by semcom; choose another {option}, or add --force"
        )


def guard_folder(
    option: str, out: str | Path, inputs: Iterable[str | Path], force: bool, marks: Iterable[str] = ()
) -> None:
    """Refuse to write into a folder of inputs, or into one with other files of the user.

    Args:
        option: option that names the output.
        out: folder to write to.
        inputs: folders that the command reads.
        force: whether a folder with other files may be used.
        marks: names of which one is in each such folder that semcom wrote; without them all files must be semcom's.

    Raises:
        UsageError: `out` is or lies in a folder of inputs, or it has content that semcom did not write.
    """
    target = Path(os.path.realpath(out))
    for folder in map(Path, map(os.path.realpath, inputs)):
        if target.is_relative_to(folder):
            raise UsageError(f"{option} {out} lies in {folder}, which this command reads; choose another {option}")
    names = [] if force or not os.path.isdir(target) else os.listdir(target)
    shown, marks = [name for name in names if not name.startswith(".")], set(marks)
    ours = bool(marks & set(names)) if marks else all(_is_ours(target / name, None) for name in shown)
    if shown and not ours:
        raise UsageError(
            f"{option} {out} contains files that semcom did not write; choose another {option}, or add --force"
        )


def _same(out: str | Path, path: str | Path) -> bool:
    try:
        return os.path.samefile(out, path)  # also through links
    except (OSError, ValueError):
        return False


def _is_ours(path: Path, expected: bytes | None, beginnings: tuple[bytes, ...] = ()) -> bool:
    """Whether semcom wrote a file, or there is nothing in it to lose."""
    if path.is_dir():
        return False
    try:
        if (size := path.stat().st_size) == 0 or (expected is not None and size == len(expected)):
            return size == 0 or path.read_bytes() == expected
        with path.open("rb") as file:
            searched = file.read(_SEARCHED)
            file.seek(max(size - _SEARCHED, len(searched)))
            searched += file.read()
    except OSError:
        return True  # the attempt to write reports the reason
    return searched.startswith(beginnings) or any(mark in searched for mark in _MARKS)
