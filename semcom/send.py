"""Pictures of one's own, each sent once, and a file that travels in their messages."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from channels._errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from channels._base import Channel
    from semcom.images import Picture
    from semcom.link import Delivery, Link
    from semcom.scenario import Point

# Imported inside the functions: torch and everything that imports it, so that a wrong option is answered at once.

_SHOWN = ("cbr", "medium_cbr", "energy", "snr_realised_db", "papr_db", "psnr", "ssim", "ms_ssim", "ber", "outage")
_SHOWN_OF_MESSAGES = ("payload_bits", "payload_ok")
_OPTIONS = {"snr_db": "--snr", "medium_cbr": "--cbr"}  # how the command line calls what a scenario calls otherwise


@runtime_checkable
class CarriesMessages(Protocol):
    """A transmitter whose messages a file can travel in."""

    def message_bits(self, size: tuple[int, int]) -> int:
        """Bits of the message of a picture of that height and width."""


class PayloadError(RuntimeError):
    """A file did not arrive, and nothing was written in its place."""


def command(options: argparse.Namespace) -> Iterator[str]:
    """Send pictures, a file in their messages if one is given, and yield each line to print as soon as it is known.

    Args:
        options: pictures (files, or one folder); system, channel, snr, users, cbr, seed, set; out, payload and
            payload_out, paths or None.

    Raises:
        UsageError: anything that is wrong with them, before a picture is sent wherever that can be known.
        PayloadError: the file did not arrive.
    """
    point = _point(options)
    payload = _payload(options)
    paths = _picture_files(options.pictures)
    outputs = _outputs(options.out, options.pictures, paths)

    from semcom.images import Picture, open_image, save_png, to_tensor

    pictures = [Picture(path.name, to_tensor(open_image(path))) for path in paths]
    channel = point.channel.entry.load()(**dict(point.channel.arguments))
    links = [link_for(point, channel, picture) for picture in pictures]
    frames: Sequence[Tensor | None] = [None] * len(pictures)
    yield f"sent             {point}"
    if payload is not None:
        from semcom.codecs.file_frames import capacity_bytes, split

        bits = [message_bits(link, picture) for link, picture in zip(links, pictures, strict=True)]
        those = "this picture carries" if len(pictures) == 1 else f"these {len(pictures)} pictures carry"
        yield f"capacity         {those} at most {capacity_bytes(bits)} bytes"
        yield f"payload          {options.payload}, {len(payload)} bytes"
        frames = split(payload, bits)

    messages: list[Tensor] = []
    for index, (link, picture, frame, output) in enumerate(zip(links, pictures, frames, outputs, strict=True)):
        delivery = deliver(link, point, picture, index, frame)
        if delivery.reception.message is not None:
            messages.append(delivery.reception.message[0])
        yield from _described(picture, delivery)
        if output:
            try:
                save_png(delivery.reception.images[0], output)
            except OSError as error:
                raise UsageError(f"cannot write {output}: {error.strerror or error}") from None
            yield f"received         {output}"
    if payload is not None:
        yield _write_payload(options.payload_out, paths, messages)


def link_for(point: Point, channel: Channel, picture: Picture) -> Link:
    """The system of a point, with what it is granted for a picture of this shape, over a channel."""
    from semcom import sweep
    from semcom.link import Link

    return Link(sweep.build_system(point.system, sweep.granted_cbr(point, channel, picture)), channel)


def message_bits(link: Link, picture: Picture) -> int:
    """Bits of the message that a picture takes along.

    Raises:
        UsageError: a system without messages.
    """
    transmitter = getattr(link.system, "transmitter", None)  # a bound has none
    height, width = picture.pixels.shape[1:]
    bits = transmitter.message_bits((height, width)) if isinstance(transmitter, CarriesMessages) else 0
    if bits == 0:
        raise UsageError(
            f"{link.system.name} as given carries no message that a file could travel in; carrier_image, whose masks "
            "are chosen by the message, and bits_beside do"
        )
    return bits


def deliver(link: Link, point: Point, picture: Picture, index: int, message: Tensor | None) -> Delivery:
    """Send one picture from each user of a point; the draws are those of a scenario's repetition `index`."""
    import torch

    from semcom import sweep

    users = [(picture, user) for user in range(point.users)]
    with torch.no_grad():
        return sweep.deliver(link, replace(point, repetition=index), users, message)


# --- what the options come to ----------------------------------------------------------------------------------------


def _point(options: argparse.Namespace) -> Point:
    from semcom.scenario import scenario_from

    written = {
        "systems": [options.system],
        "channel": options.channel,
        "medium_cbr": options.cbr,
        "sweep": {"snr_db": options.snr, "users": options.users},
        "images": {"source": "folder"},
        "metrics": ["psnr"],
        "seed": options.seed,
    }
    try:
        points = scenario_from(written, options.set, name="send").points()
    except UsageError as error:
        name, space, rest = str(error).removeprefix("send: ").partition(" ")
        raise UsageError(_OPTIONS.get(name, name) + space + rest) from None
    if len(points) != 1 or any(setting.startswith("sweep.") for setting in options.set):
        raise UsageError("send sends each picture once: give --snr and --users, and sweep with semcom run")
    return points[0]


def _payload(options: argparse.Namespace) -> bytes | None:
    """The file to take along; refuses what would only show after everything was sent."""
    if options.payload is None:
        if options.payload_out is not None:
            raise UsageError("--payload-out is for the file that --payload sends: give both")
        return None
    if options.payload_out is None:
        raise UsageError("say with --payload-out where to write the file that is received")
    if options.users != 1:
        raise UsageError("a file travels in the pictures of one user: --users 1")
    _check_file("--payload-out", options.payload_out, "received.txt")
    try:
        data = Path(options.payload).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {options.payload}: {error.strerror or error}") from None
    if not data:
        raise UsageError(f"{options.payload} is empty: there is nothing to send")
    return data


def _check_file(option: str, out: str, example: str) -> None:
    """Refuse, before anything is sent, a name under which no file can be written."""
    path = Path(out)
    if not out.strip() or path.is_dir():
        raise UsageError(f"{option} {out!r} is {'a folder' if out.strip() else 'empty'}; name a file, as in {example}")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: permission denied")


def _picture_files(given: Sequence[str]) -> list[Path]:
    """The picture files, or those of a folder in the order of their names, other kinds of files left out."""
    if len(given) > 1 or not Path(given[0]).is_dir():
        return [Path(name) for name in given]
    from PIL import Image

    Image.init()
    paths = sorted(path for path in Path(given[0]).iterdir() if path.suffix.lower() in Image.EXTENSION)
    if not paths:
        raise UsageError(f"no image files in {given[0]}")
    return paths


def _outputs(out: str | None, given: Sequence[str], paths: Sequence[Path]) -> list[Path | None]:
    """Where each received picture goes: one picture to a file, several, or those of a folder, into a folder."""
    if out is None:
        return [None] * len(paths)
    if len(given) == 1 and not Path(given[0]).is_dir():
        _check_file("--out", out, "received.png")
        if Path(out).suffix.lower() != ".png" and (Path(out).is_file() or not Path(out).exists()):
            raise UsageError(f"the received picture is written as PNG; name it {Path(out).with_suffix('.png')}")
        return [Path(out)]
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write several pictures into {out}: {error.strerror or error}") from None
    digits = len(str(len(paths)))
    return [Path(out) / f"{number:0{digits}}-{path.stem}.png" for number, path in enumerate(paths, 1)]


# --- what came of it -------------------------------------------------------------------------------------------------


def _described(picture: Picture, delivery: Delivery) -> Iterator[str]:
    from semcom.metrics import METRICS, measure

    height, width = delivery.sample.size
    yield f"picture          {picture.name}, {width}x{height} pixels"
    yield f"channel uses     {int(delivery.uses[0])}"
    for name in (*_SHOWN, *(_SHOWN_OF_MESSAGES if delivery.reception.message is not None else ())):
        values = measure(name, delivery)
        if isinstance(values, tuple):
            numerator, denominator = float(values[0][0]), float(values[1][0])
            text = f"{numerator / denominator:.4g} {METRICS[name].unit}" if denominator else "does not apply"
        else:
            text = f"{float(values[0]):.5g} {METRICS[name].unit}"
        yield f"{name:<16} {text}".rstrip()
    if description := "".join(delivery.truth.get("description", ())[:1]):
        yield f"description      {description}"
    if (scores := delivery.reception.scores) is not None and (chosen := delivery.reception.chosen) is not None:
        listed = ", ".join(f"{score:.4f}" for score in scores[0].tolist())
        yield f"scores           {listed}; kept number {int(chosen[0]) + 1}, the least is best"


def _write_payload(out: str, paths: Sequence[Path], messages: Sequence[Tensor]) -> str:
    """Write the file that the receiver decoded, if its CRC-32 holds."""
    from semcom.codecs.file_frames import join

    data = join(messages)
    if data is None:
        lost = [path.name for path, message in zip(paths, messages, strict=True) if (message > 1).any()]
        why = f"the message of {', '.join(lost[:3])} was lost" if lost else "its CRC-32 does not hold"
        if len(lost) > 3:
            why = f"{len(lost)} of {len(paths)} messages were lost"
        raise PayloadError(f"the file did not arrive, {why}: {out} is not written")
    try:
        Path(out).write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from None
    return f"payload received {out}, {len(data)} bytes, CRC-32 holds"
