"""`semcom data`: list and download image data sets."""

from __future__ import annotations

import argparse
import itertools
import textwrap
from pathlib import Path

from channels.errors import UsageError
from channels.extras import is_installed
from semcom.cli.common import Commands, Parser
from semcom.results.printing import printable


def add_commands(commands: Commands) -> None:
    """Add `data list` and `data get`."""
    data = commands.add("data", _data)
    assert isinstance(data, Parser)
    subcommands = Commands(data)
    subcommands.add("list", _list)
    get = subcommands.add("get", _get)
    get.add_argument("name", metavar="NAME", help="kodak, cifar10, or hf:ORG/NAME:SPLIT for the Hugging Face hub")
    get.add_argument(
        "--to",
        metavar="FOLDER",
        help="data folder; image sources read the folder that SEMCOM_DATA names (default: SEMCOM_DATA, or data in the "
        "cache folder)",
    )
    get.add_argument(
        "--from",
        dest="address",
        metavar="URL",
        help="address of a folder with the same files, for example on a local server (default: the published one)",
    )
    get.add_argument(
        "--count", type=int, metavar="N", help="number of images to read from the Hugging Face hub (default: all)"
    )
    get.add_argument("--quiet", action="store_true", help="hide the progress bar (default: show it)")


def _data(options: argparse.Namespace) -> None:
    """List image data sets, or download them into the folder in which image sources look for them."""


def _list(options: argparse.Namespace) -> None:
    """List the data sets that can be downloaded, their terms, and where they are."""
    from semcom.images.data_folder import data_folder
    from semcom.images.published import SETS

    folder = data_folder()
    print(f"data folder: {printable(str(folder))}")
    for published in SETS.values():
        state = "downloaded" if published.is_in(folder) else "not downloaded"
        print(f"\n{published.name}  {published.content}\n  {published.size / 1e6:.1f} MB, {state}")
        print(f"  source: {published.page}\n{_terms(published.terms, '  ')}")
    print("\nhf:ORG/NAME:SPLIT  data sets with images on the Hugging Face hub")
    print("  terms: stated on the page of the data set, and shown when it is read")
    if not is_installed("data"):
        print("  not installed: pip install 'semcom[data]'")


def _terms(text: str, indent: str = "") -> str:
    return textwrap.fill(f"terms: {text}", 100, initial_indent=indent, subsequent_indent=indent)


def _get(options: argparse.Namespace) -> None:
    """Show the terms of a data set and download it; an interrupted download resumes."""
    if options.name.startswith("hf:"):
        _get_from_hub(options)
        return
    if options.count is not None:
        raise UsageError("--count applies to the Hugging Face hub; leave out --count")

    import os

    from semcom.images.data_folder import data_folder
    from semcom.images.published import find

    published = find(options.name)
    if options.address is not None:
        _check_address(options.address)
    folder = Path(os.path.expanduser(options.to)) if options.to else data_folder()
    if folder.is_file():
        raise UsageError(f"{'--to' if options.to else 'SEMCOM_DATA'} {folder} is a file; name a folder")
    print(f"{published.name}: {published.content}\nsource: {options.address or published.page}")
    print(_terms(published.terms), flush=True)

    from semcom.sweep.progress import bar

    with bar(published.size, 0, not options.quiet, "bytes", 1.0, scaled=True) as progress:
        try:
            home = published.get(folder, progress.update, options.address or "")
        except OSError as error:
            raise UsageError(f"cannot write to {folder}: {error.strerror or error}; choose another --to") from None
    print(printable(f"folder: {home}"))
    if folder.resolve() != data_folder().resolve():
        print(printable(f"for image sources: export SEMCOM_DATA={folder.resolve()}"))


def _check_address(address: str) -> None:
    """Refuse what is no address of a folder, on a server or of this computer (file:)."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(address)
        valid = parts.scheme == "file" or (parts.scheme in ("http", "https") and bool(parts.hostname))
        valid = valid and (parts.port is None or parts.port > 0)
    except ValueError:  # as in http://server:port
        valid = False
    if not valid:
        raise UsageError(f"--from {address} is not an address of a folder; write it as in http://server/kodak")


def _get_from_hub(options: argparse.Namespace) -> None:
    from channels.arguments import within
    from semcom.images.hub import HubImages
    from semcom.sweep.progress import bar

    if options.to is not None or options.address is not None:
        raise UsageError("--to and --from do not apply to the Hugging Face hub; SEMCOM_CACHE names the cache folder")
    if options.count is not None:
        within("--count", options.count, 1)
    images = HubImages(options.name.removeprefix("hf:"))
    print(f"{options.name}\nterms: {images.about.license}", flush=True)
    with bar(options.count, 0, not options.quiet, "images") as progress:
        read = len([progress.update() for _ in itertools.islice(images, options.count)])
    if options.count is not None and read < options.count:
        raise UsageError(f"{options.name} has {read} images, fewer than --count {options.count}")
    print(printable(f"folder: {images.folder}"))
