"""Files that the benchmarks write: checked before the measurement, written as a whole or not at all.

A file that a benchmark did not write is replaced with --force only. A CSV table is recognized by its head; JSON files
and figures have a mark.
"""

import csv
import io
import json
import os
import sys
from pathlib import Path

from channels.errors import UsageError
from semcom import atomic
from semcom.cli.outputs import add_force_option, guard_file

_JSON = {"generator": "semcom"}  # first key of a JSON file
_FIGURES = {".png": "Software", ".svg": "Creator", ".pdf": "Creator"}  # key of the metadata that names the program


def add_option(parser, text, default=None, required=False):
    """Add --out and --force; `text` names the file or folder."""
    shown = "" if required else f" (default: {default or 'none'})"
    parser.add_argument("--out", type=Path, default=default, required=required, metavar="PATH", help=text + shown)
    add_force_option(parser)


def run(main):
    """Run the main function of a benchmark; a `UsageError`, as for unknown images, is one line and exit status 2."""
    try:
        main()
    except UsageError as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def check_file(parser, options, *heads, option="--out"):
    """End with an error in one line if the file of an option cannot be written, or is a file of the user.

    Args:
        parser: parser of the command line, for the error.
        options: its result; an option that is None is not checked.
        heads: beginnings of files that the benchmark writes: a list of column names, or text.
        option: option that names the file; an ending is checked if the default has none.
    """
    path = getattr(options, option.removeprefix("--"))
    if path is not None:
        _check(parser, option, path, options.force, heads)


def check_tables(parser, options, tables):
    """The same for a folder of tables: NAME.csv for each entry, name -> column names."""
    for name, head in tables.items() if options.out is not None else ():
        _check(parser, "--out", options.out / f"{name}.csv", options.force, [head])


def check_figure(parser, options, option="--out"):
    """The same for a figure, which must be a PNG, SVG or PDF file."""
    path = getattr(options, option.removeprefix("--"))
    if path is not None and path.suffix not in _FIGURES:
        parser.error(f"{option} {path} must be a file that ends in .png, .svg or .pdf")
    check_file(parser, options, option=option)


def _check(parser, option, path, force, heads):
    beginnings = [head if isinstance(head, str) else _csv([head]).rstrip("\n") for head in heads]
    try:
        if path.is_dir():
            raise UsageError(f"{option} {path} is a folder; name a file in it")
        guard_file(option, path, [], force, beginnings=[text.encode() for text in beginnings])
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise UsageError(f"{option} {path}: the folder {path.parent} is read-only; choose another folder")
    except OSError as error:
        parser.error(f"{option} {path}: {error.strerror}; choose another folder")
    except UsageError as error:
        parser.error(str(error))


def write_csv(path, rows):
    """Write a table, head first; nothing if the path is None."""
    write_text(path, _csv(rows))


def write_tables(folder, tables):
    """Write NAME.csv for each entry, name -> rows with the head first; nothing if the folder is None."""
    for name, rows in tables.items() if folder is not None else ():
        write_csv(folder / f"{name}.csv", rows)


def write_json(path, numbers):
    """Write numbers with the mark of this program; nothing if the path is None."""
    write_text(path, json.dumps(_JSON | numbers, indent=2) + "\n")


def write_text(path, text):
    """Write a text; nothing if the path is None."""
    if path is not None:
        atomic.write(path, text.encode())


def write_figure(path, figure, dpi):
    """Write a figure with the mark of this program, in the format of the suffix."""
    with atomic.replacing(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=dpi, metadata={_FIGURES[path.suffix]: "semcom"})


def _csv(rows):
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows(rows)
    return content.getvalue()
