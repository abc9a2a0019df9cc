"""`semcom send`: transmit image files once each, optionally with a file in their messages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from channels.errors import UsageError
from semcom import atomic, devices
from semcom.cli import send_inputs
from semcom.cli.common import Commands, add_argument_set_option, add_device_option, complain
from semcom.cli.outputs import add_force_option
from semcom.cli.send_results import Table, caption, line, listed
from semcom.results.printing import printable
from semcom.sweep import memory
from semcom.sweep.messages import message_bits
from semcom.sweep.single import deliver_image, link_for

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from semcom.images.comparison import Tile

# torch, and modules that import it, are imported inside the functions: invalid options are reported without delay.

_COMPARED = 24  # images in comparison.png
_PATIENCE_S = 5.0  # before the progress bar appears


class PayloadError(RuntimeError):
    """The received file is incomplete or wrong; nothing was written."""


def add_commands(commands: Commands) -> None:
    """Add `send`."""
    send = commands.add("send", _send, threads=None)
    send.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or one folder of image files")
    send.add_argument(
        "--system",
        action="append",
        required=True,
        metavar="NAME[:KEY=VALUE,...]",
        help="system, or .py file that defines one, with its arguments, as in digital:codec=jpeg; may be repeated to "
        "compare systems (required)",
    )
    send.add_argument(
        "--channel",
        default="awgn",
        metavar="NAME[:KEY=VALUE,...]",
        help="channel, or .py file that defines one, with its arguments, as in rayleigh:coherence_uses=64 "
        "(default: awgn)",
    )
    send.add_argument(
        "--snr",
        type=float,
        required=True,
        metavar="DB",
        help="signal-to-noise ratio (SNR): Es/N0 per channel use and receive antenna in dB, averaged over fading, "
        "-100 to 100 (required)",
    )
    send.add_argument(
        "--designed-snr",
        type=float,
        metavar="DB",
        help="average Es/N0 in dB that the transmitter assumes: rate, file size, power and network inputs are "
        "those for this SNR, while the channel has --snr (default: --snr)",
    )
    send.add_argument(
        "--users", type=int, default=1, metavar="N", help="number of users sharing the channel (default: 1)"
    )
    send.add_argument(
        "--cbr",
        type=float,
        default=1 / 16,
        metavar="RATIO",
        help="medium CBR: channel uses of all users, pilots and prefixes included, per real number of an image, which "
        "has 3 x height x width of them (default: 1/16)",
    )
    send.add_argument("--seed", type=int, default=0, metavar="N", help="seed of noise and fading (default: 0)")
    send.add_argument(
        "--caption",
        metavar="TEXT",
        help="sentence that describes the image, for systems that transmit a text, such as multimodal_generation "
        "(default: none)",
    )
    send.add_argument(
        "--out",
        metavar="PATH",
        help="PNG file for the received image; with several images or systems a folder for a PNG file of each and for "
        "comparison.png (default: no file)",
    )
    send.add_argument(
        "--payload",
        metavar="FILE",
        help="file to transmit in the messages of the images, with a system that has messages, such as carrier_image "
        "(default: none)",
    )
    send.add_argument("--payload-out", metavar="FILE", help="file for the received payload (required with --payload)")
    send.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="leave out image files that cannot be read, with a warning (default: stop before the first transmission)",
    )
    add_device_option(send)
    add_force_option(send)
    add_argument_set_option(send)


def _send(options: argparse.Namespace) -> int:
    """Simulate sending images with one or several systems, optionally with a file; report cost and quality."""
    from tqdm import tqdm

    try:
        for text in _transmit(options):
            tqdm.write(printable(text))  # above the progress bar, if there is one
            sys.stdout.flush()
    except PayloadError as error:
        return complain(str(error), 1)
    return 0


def _transmit(options: argparse.Namespace) -> Iterator[str]:
    """Transmit the images one after the other and yield each line of output as soon as it is known.

    Raises:
        UsageError: invalid options or files, wherever possible before the first transmission.
        PayloadError: the file was not received correctly.
    """
    device = devices.resolve(options.device)
    points = send_inputs.points(options)
    labels = [point.system.label for point in points]
    payload = send_inputs.payload(options)
    checked = send_inputs.check_images(send_inputs.image_files(options.images), options.skip_unreadable)
    paths, shapes = [path for path, _ in checked], [shape for _, shape in checked]
    files = send_inputs.outputs(options, paths, labels)
    for point in points:
        send_inputs.guard(options, point, payload, paths, files)
    send_inputs.create_folder(files)
    for shape in shapes:
        memory.check(shape.name, (shape.pixels.shape[1], shape.pixels.shape[2]), points[0].users)

    from semcom.images.comparison import comparison, tile
    from semcom.sweep.progress import bar
    from semcom.sweep.transmission import built_channel

    channel = built_channel(points[0].channel)
    links = [[link_for(point, channel, shape) for point in points] for shape in shapes]
    frames: Sequence[Tensor | None] = [None] * len(shapes)
    bits = [message_bits(link, shape) for (link, *_), shape in zip(links, shapes, strict=True) if payload is not None]
    for point in points:
        yield line("transmission", str(point).replace(", repetition 0", ""))
    if payload is not None:
        from semcom.codecs.file_frames import capacity_bytes, split

        where = "this image" if len(shapes) == 1 else f"these {len(shapes)} images"
        yield line("capacity", f"at most {capacity_bytes(bits)} bytes in the messages of {where}")
        yield line("payload", f"{options.payload}, {len(payload)} bytes")
        frames = split(payload, bits)

    several = len(points) * len(paths) > 1
    table = Table([shape.name for shape in shapes], labels)
    tiles: list[list[Tile]] = []
    messages: list[Tensor] = []
    silent: list[str] = []  # systems that transmit nothing
    if several:
        if points[0].users > 1:
            yield line("user", f"0 of {points[0].users}, counted from 0")
        yield table.head()
    with bar(len(points) * len(paths), 0, several, "transmissions", _PATIENCE_S) as progress:
        for i, path in enumerate(paths):
            image = send_inputs.read_image(path, options.caption)
            if files.comparison and i < _COMPARED:
                tiles.append([tile(image.pixels, [image.name, "original"])])
            for j, point in enumerate(points):
                delivery = deliver_image(links[i][j], point, image, i, frames[i], device=device)
                if delivery.reception.message is not None:
                    messages.append(delivery.reception.message[0].cpu())
                yield from [table.line(image.name, labels[j], delivery)] if several else listed(image, delivery)
                if delivery.energy is not None and not delivery.uses.any() and labels[j] not in silent:
                    silent.append(labels[j])
                received = delivery.reception.images[0]
                if files.comparison and i < _COMPARED:
                    tiles[i].append(tile(received, caption(labels[j], delivery)))
                if output := files.received.get((i, j)):
                    _save(received, output)
                    if not several:
                        yield line("received", str(output))
                progress.update()
    for name in silent:
        yield line("note", f"{name} transmits nothing: its smallest transmission exceeds the budget; raise --cbr")
    if files.comparison:
        _save(comparison(tiles), files.comparison)
        yield line("received", f"{len(files.received)} images in {files.comparison.parent}")
        first = f", the first {_COMPARED} images" if len(paths) > _COMPARED else ""
        yield line("comparison", f"{files.comparison}{first}")
    if payload is not None:
        yield _write_payload(options.payload_out, paths, messages)


def _save(image: Tensor | Image, path: Path) -> None:
    from semcom.images.files import save_png

    try:
        save_png(image, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; choose another --out") from None


def _write_payload(out: str, paths: Sequence[Path], messages: Sequence[Tensor]) -> str:
    """Write the file that was received, if its CRC-32 is correct."""
    from semcom.codecs.file_frames import join

    data = join(messages)
    if data is None:
        failed = [path.name for path, message in zip(paths, messages, strict=True) if (message > 1).any()]
        reason = f"the message of {', '.join(failed[:3])} could not be decoded" if failed else "its CRC-32 is wrong"
        if len(failed) > 3:
            reason = f"{len(failed)} of {len(paths)} messages could not be decoded"
        raise PayloadError(f"{out} is not written: the file was not received, {reason}; raise --snr or --cbr")
    try:
        atomic.write(Path(out), data)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}; choose another --payload-out") from None
    return line("payload received", f"{out}, {len(data)} bytes, CRC-32 correct")
