"""The options of `semcom send`, checked before any image is transmitted. No torch."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from channels.errors import UsageError
from semcom.cli.outputs import guard_file, guard_folder
from semcom.images.names import readable
from semcom.results.printing import printable

if TYPE_CHECKING:
    from semcom.images.source_image import SourceImage
    from semcom.scenario.model import Point

_LONGEST_NAME, _LONGEST_STEM, _LONGEST_LABEL = 255, 220, 80  # bytes
_OPTIONS = {
    "snr_db": "--snr",
    "designed_snr_db": "--designed-snr",
    "medium_cbr": "--cbr",
}  # scenario key -> option, for error messages


def points(options: argparse.Namespace) -> list[Point]:
    """Each system with the channel and the conditions that the options describe."""
    from semcom.scenario.arguments import labelled_part, with_option
    from semcom.scenario.load import scenario_from
    from semcom.scenario.model import Scenario

    systems = [labelled_part(text, "--system") for text in options.system]
    labels = [system["label"] for system in systems]
    if repeated := next((label for label in labels if labels.count(label) > 1), None):
        raise UsageError(f"--system {repeated} is given twice; give it once, or with other arguments")
    scenario = {
        "systems": systems,
        "channel": [labelled_part(options.channel, "--channel")],
        "medium_cbr": options.cbr,
        "sweep": {"snr_db": options.snr, "users": options.users}
        | ({} if options.designed_snr is None else {"designed_snr_db": options.designed_snr}),
        "images": {"source": "folder"},
        "metrics": ["psnr"],
        "seed": options.seed,
    }
    others = {*scenario, *(field.name for field in fields(Scenario))} - {"sweep"}
    for setting in options.set:
        first, dot, _ = setting.partition("=")[0].partition(".")
        if first in others and not (dot and first == "channel"):
            raise UsageError(f"--set {setting} is no argument of a system or channel; use the options of the command")
    try:
        found = scenario_from(scenario, options.set, name="send").points()
    except UsageError as error:
        raise UsageError(with_option(str(error).removeprefix("send: "), _OPTIONS)) from None
    if len(found) != len(systems) or any(setting.startswith("sweep.") for setting in options.set):
        raise UsageError("send transmits at one SNR with one number of users; sweep with semcom run")
    return found


def payload(options: argparse.Namespace) -> bytes | None:
    """The content of the file to transmit in the messages, or None."""
    if options.payload is None:
        if options.payload_out is not None:
            raise UsageError("--payload-out requires --payload FILE")
        return None
    if options.payload_out is None:
        raise UsageError("--payload requires --payload-out FILE, where the received file is written")
    if len(options.system) > 1:
        raise UsageError("--payload supports one --system only; send it once with each")
    if options.users != 1:
        raise UsageError("--payload supports one user only: set --users 1")
    check_output_file("--payload-out", options.payload_out, "received.txt")
    if Path(options.payload).is_char_device():  # /dev/zero has no end
        raise UsageError(f"--payload {options.payload} is a device; choose a file")
    try:
        data = Path(options.payload).read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {options.payload}: {error.strerror or error}; choose another --payload"
        ) from None
    if not data:
        raise UsageError(f"{options.payload} is empty; choose another --payload")
    return data


def image_files(names: Sequence[str]) -> list[Path]:
    """The image files; for one folder, its image files in the order of their names."""
    folders = [name for name in names if os.path.isdir(name)]
    if folders and len(names) > 1:
        raise UsageError(f"{folders[0]} is a folder; give image files, or one folder alone")
    if not folders:
        return [Path(name) for name in names]
    from semcom.images.files import image_files

    paths = image_files(Path(names[0]))
    if not paths:
        raise UsageError(f"no image files in {names[0]}; choose another folder")
    return paths


def read_image(path: Path, caption: str | None = None) -> SourceImage:
    """Read an image file; `caption` is a sentence that describes it."""
    from semcom.images.files import open_image, to_tensor
    from semcom.images.source_image import SourceImage

    return SourceImage(readable(path.name), to_tensor(open_image(path)), caption)


def check_images(
    paths: Sequence[Path], skip_unreadable: bool, hint: str = "; --skip-unreadable leaves out such files"
) -> list[tuple[Path, SourceImage]]:
    """Read all image files, without keeping their pixels, so that only one image at a time is in memory.

    Args:
        paths: image files.
        skip_unreadable: whether files that cannot be read are left out, with a warning.
        hint: end of the error if one of several files cannot be read.

    Returns:
        File, and an image of its name and shape, for each image that can be read.
    """
    found = []
    for path in paths:
        try:
            image = read_image(path)
        except UsageError as error:
            if not skip_unreadable:
                raise UsageError(f"{error}{hint if len(paths) > 1 else ''}") from None
            from semcom.images.sources import left_out

            print(printable(f"semcom: {left_out(error)}"), file=sys.stderr)
            continue
        found.append((path, replace(image, pixels=image.pixels.new_zeros(1, 1, 1).expand(image.pixels.shape))))
    if not found:
        raise UsageError("no image can be read; choose other files")
    return found


@dataclass(frozen=True)
class Outputs:
    """The files to write.

    Args:
        received: file of each received image by the numbers of image and system, from 0; empty if none is saved.
        comparison: file of the image that compares all of them, or None.
    """

    received: Mapping[tuple[int, int], Path]
    comparison: Path | None = None


def outputs(options: argparse.Namespace, paths: Sequence[Path], labels: Sequence[str]) -> Outputs:
    """The file `--out` for one image and one system, else files in the folder `--out`.

    Args:
        options: options of the command line.
        paths: image files.
        labels: labels of the systems.
    """
    out = options.out
    if out is None:
        return Outputs({})
    if len(options.images) == 1 and len(labels) == 1 and not os.path.isdir(options.images[0]):
        check_output_file("--out", out, "received.png")
        if Path(out).suffix.lower() != ".png" and (os.path.isfile(out) or not os.path.exists(out)):
            raise UsageError(f"--out must be a PNG file; name it {Path(out).with_suffix('.png')}")
        return Outputs({(0, 0): Path(out)})
    from semcom.images.files import suffixes

    folder = Path(out).with_suffix("")
    if Path(out).suffix.lower() in suffixes() and not os.path.isdir(out):
        raise UsageError(f"--out {out} must be a folder for several images or systems; name it {folder}")
    digits = len(str(len(paths)))
    names = [""] if len(labels) == 1 else _file_names(labels)
    received = {
        (i, j): Path(out) / f"{i + 1:0{digits}}-{_shortened(path.stem, _LONGEST_STEM - len(name))}{name}.png"
        for i, path in enumerate(paths)
        for j, name in enumerate(names)
    }
    return Outputs(received, Path(out) / "comparison.png")


def _file_names(labels: Sequence[str]) -> list[str]:
    """A distinct part of a file name for each label."""
    names = [f"-{_shortened(re.sub(r'[^A-Za-z0-9_.=,-]+', '_', label), _LONGEST_LABEL)}" for label in labels]
    return [name if names.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(names, 1)]


def guard(
    options: argparse.Namespace, point: Point, payload: bytes | None, images: Sequence[Path], files: Outputs
) -> None:
    """Refuse outputs that are inputs, or files that semcom did not write.

    Args:
        options: options of the command line.
        point: a system and the channel, which may be read from files.
        payload: content of the file to transmit, or None.
        images: image files.
        files: files for the received images.
    """
    inputs = [*images, *point.system.files, *point.channel.files, *([options.payload] if options.payload else [])]
    for output in filter(None, [*files.received.values(), files.comparison]):
        guard_file("--out", output, inputs, options.force)
        if options.payload_out and os.path.realpath(output) == os.path.realpath(options.payload_out):
            raise UsageError(f"--out and --payload-out are the same file {output}; choose two files")
    if options.payload_out:
        guard_file("--payload-out", options.payload_out, inputs, options.force, expected=payload)
    if files.comparison:  # --out is a folder
        folders = [folder for folder in options.images if os.path.isdir(folder)]
        guard_folder("--out", options.out, folders, options.force)


def create_folder(files: Outputs) -> None:
    """Create the folder of several images.

    Raises:
        UsageError: it cannot be created.
    """
    if files.comparison is None:
        return
    try:
        files.comparison.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--out {files.comparison.parent} cannot be a folder for several images: {error.strerror or error}; "
            "choose another"
        ) from None


def _shortened(stem: str, longest: int) -> str:
    """The beginning of a name, so that it and what is added to it fit into the 255 bytes of a file name."""
    while len(os.fsencode(stem)) > longest:
        stem = stem[:-1]
    return stem


def check_output_file(option: str, out: str, example: str) -> None:
    """Refuse a name under which no file can be written."""
    path = Path(out)
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise UsageError(f"{option} {path.name[:20]}... is longer than {_LONGEST_NAME} bytes; choose a shorter name")
    if path.is_dir():
        raise UsageError(f"{option} {out!r} is a folder; name a file, as in {example}")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    folder = path.parent if path.is_file() or not path.exists() else path  # a device is written, a file is replaced
    if not os.access(folder, os.W_OK) or (path.is_file() and not os.access(path, os.W_OK)):
        raise UsageError(f"cannot write {path}: permission denied; choose another {option}")
