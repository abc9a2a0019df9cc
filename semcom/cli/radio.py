"""`semcom transmit` and `semcom receive`: images as SigMF recordings of a radio."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from channels.arguments import one_of, positive, within
from channels.errors import UsageError
from semcom.cli import send_inputs
from semcom.cli.common import Commands, complain
from semcom.cli.outputs import add_force_option, guard_file
from semcom.results.printing import printable

if TYPE_CHECKING:
    from torch import Tensor

    from semcom.radio.link import ReceivedImage
    from semcom.radio.shared import Shared

# torch, and modules that import it, are imported inside the functions: invalid options are reported without delay.


_MAX_CBR = 4.0  # more than one channel use for each bit of an 8-bit image at a rate of 1/2 over QPSK


def add_commands(commands: Commands) -> None:
    """Add `transmit` and `receive`."""
    transmit = commands.add("transmit", _transmit)
    transmit.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or one folder of image files")
    transmit.add_argument(
        "--system", required=True, metavar="NAME[:KEY=VALUE,...]", help="system with its arguments (required)"
    )
    transmit.add_argument(
        "--out", required=True, metavar="FILE", help="SigMF file for the metadata, *.sigmf-meta (required)"
    )
    transmit.add_argument(
        "--designed-snr",
        type=float,
        required=True,
        metavar="DB",
        help="Es/N0 in dB that the transmitter assumes: rate, file size, power and network inputs are those for this "
        "SNR (required)",
    )
    transmit.add_argument(
        "--cbr",
        type=float,
        default=1 / 16,
        metavar="RATIO",
        help="medium CBR: channel uses per real number of an image, with preamble, header, pilots, cyclic prefix, "
        "intervals between frames and excess bandwidth (default: 1/16)",
    )
    transmit.add_argument(
        "--waveform",
        default="waveform",
        metavar="NAME[:KEY=VALUE,...]",
        help="waveform with the arguments of its frames, as in waveform:pilot_spacing=30 (default: waveform)",
    )
    transmit.add_argument(
        "--sample-rate", type=float, default=1e6, metavar="HZ", help="sample rate of the radio in Hz (default: 1e6)"
    )
    transmit.add_argument(
        "--format",
        default="cf32_le",
        metavar="FORMAT",
        help="sample format: cf32_le, ci16_le or ci8 (default: cf32_le)",
    )
    add_force_option(transmit)
    receive = commands.add("receive", _receive)
    receive.add_argument("recording", metavar="RECORDING", help="SigMF file of the metadata, *.sigmf-meta")
    receive.add_argument(
        "--out", required=True, metavar="PATH", help="PNG file for one image, or a folder for several (required)"
    )
    receive.add_argument(
        "--shared",
        metavar="FILE",
        help="SigMF file of the transmitter with the shared configuration (default: the recording itself)",
    )
    receive.add_argument(
        "--capture",
        metavar="FILE",
        help="PNG, PDF or SVG file for a figure of the frame with the highest SNR: spectrum, channel response, "
        "and constellation before and after equalization (default: none)",
    )
    add_force_option(receive)


def _transmit(options: argparse.Namespace) -> int:
    """Write images as samples that a radio can transmit, a SigMF recording."""
    from semcom.radio import recording

    out = Path(options.out)
    one_of("--format", options.format, tuple(recording.FORMATS))
    if out.suffix != ".sigmf-meta":
        raise UsageError(f"--out must be a SigMF file; name it {out.with_suffix('.sigmf-meta')}")
    send_inputs.check_output_file("--out", options.out, "sent.sigmf-meta")
    checked = send_inputs.check_images(send_inputs.image_files(options.images), skip_unreadable=False, hint="")
    guard_file("--out", out, [path for path, _ in checked], options.force)
    if not out.is_file():  # the samples belong to metadata that semcom wrote, or to the user
        guard_file("--out", recording.data_file(out), [path for path, _ in checked], options.force)

    from semcom.radio.link import encode
    from semcom.radio.shared import Shared

    within("--cbr", options.cbr, 0, _MAX_CBR, excluded="least")
    shared = Shared(options.system, options.waveform, options.cbr, positive("--sample-rate", options.sample_rate))
    images = [send_inputs.read_image(path) for path, _ in checked]
    samples, places, shared = encode(shared, images, options.designed_snr)
    try:
        recording.write(out, samples, shared.sample_rate, options.format, shared.fields(), places)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}; choose another --out") from None
    seconds = len(samples) / shared.sample_rate
    power, plural = float(samples[samples != 0].abs().square().mean()), "" if len(places) == 1 else "s"  # no silence
    print(
        printable(
            f"{len(places)} image{plural}, {len(samples)} samples of mean power {power:.3g}, {seconds:.3g} s: {out}"
        )
    )
    return 0


def _receive(options: argparse.Namespace) -> int:
    """Find frames in a SigMF recording from a radio and write the images that were transmitted in them."""
    from semcom.radio import recording
    from semcom.radio.shared import Shared

    source, out = Path(options.recording), Path(options.out)
    if options.capture is not None:
        _check_capture(Path(options.capture), out, [source, recording.data_file(source)], options.force)
    if out.is_file() or out.suffix.lower() == ".png":  # else a folder, which is needed for several images
        _check_png(out)
        guard_file("--out", out, [source, recording.data_file(source)], options.force)
    received = recording.read(source)
    shared = Shared.read(recording.read(Path(options.shared)).shared if options.shared else received.shared)
    rate = shared.sample_rate if received.sample_rate is None else received.sample_rate
    if abs(rate / shared.sample_rate - 1) > 1e-3:
        raise UsageError(f"{source} has {rate:g} samples/s, not {shared.sample_rate:g}: resample it")

    from semcom.radio.link import decode

    images, sent, rejected = decode(shared, received.samples)
    for preamble in rejected:
        print(f"preamble at {preamble.start / rate:.6f} s: {preamble.reason}")
    for image in images:
        for text in _measured(image, shared, rate):
            print(text)
    if not sent:
        return complain(
            f"{source} has no frame of {shared.system}, CBR {shared.cbr:g}, and nothing is written; record from before "
            "the transmission until after it, at a higher gain, or give the metadata of its transmitter, --shared",
            1,
        )
    if options.capture is not None:
        _write_capture(Path(options.capture), received.samples, images, shared, rate)
    paths = _outputs(out, images, sent, [source, recording.data_file(source)], options.force)
    from semcom.images.files import save_png

    for image, path in zip(images, paths, strict=True):
        if not image.complete and path.exists():  # a former reception may be better
            print(printable(f"image {image.number + 1}: incomplete, {path} is left as it was"))
            continue
        save_png(image.reception.images[0], path)
        print(printable(f"image {image.number + 1}: {path}"))
    good = {image.number for image in images if image.complete}
    undecoded = {image.number for image in images if not image.complete and len(image.frames) == image.expected}
    if numbers := [str(number + 1) for number in sorted(undecoded)]:
        text = f"image {', '.join(numbers)} of {sent} cannot be decoded, although all its frames were found: an outage"
        complain(f"{text}; raise the received power, or transmit for a lower --designed-snr", 1)
    if missing := [str(number + 1) for number in range(sent) if number not in good | undecoded]:
        complain(f"image {', '.join(missing)} of {sent} is incomplete or missing", 1)
    return 0 if len(good) == sent else 1


def _measured(image: ReceivedImage, shared: Shared, rate: float) -> Iterator[str]:
    """What the receiver measured, one line for each frame of an image."""
    symbol_s = shared.channel().layout.pulse.samples_per_symbol / rate
    for part, frame in sorted(image.frames.items()):
        evm = 100 * float(frame.noise_var.mean()) ** 0.5
        yield (
            f"image {image.number + 1}, frame {part + 1} of {image.expected} at {frame.start / rate:.6f} s: "
            f"offset {frame.frequency * rate:+.1f} Hz, clock {frame.clock_ppm:+.1f} ppm, SNR {frame.snr_db:.1f} dB, "
            f"delay spread {frame.estimate.delay_spread * symbol_s * 1e6:.2f} us, EVM {evm:.1f} %"
        )


def _check_capture(path: Path, out: Path, inputs: list[Path], force: bool) -> None:
    """Refuse a file for the figure that has another format, is another file of the command, or cannot be written."""
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UsageError(f"--capture must be a PNG, PDF or SVG file; name it {path.with_suffix('.png')}")
    if path.resolve() == out.resolve():
        raise UsageError(f"--capture {path} is also --out; choose another file")
    send_inputs.check_output_file("--capture", str(path), "capture.png")
    guard_file("--capture", path, inputs, force)


def _write_capture(
    path: Path, samples: Tensor, images: list[ReceivedImage], shared: Shared, sample_rate: float
) -> None:
    """Write the figure of the frame with the highest SNR."""
    from semcom.radio.capture import capture

    found = [(frame.snr_db, image, part) for image in images for part, frame in image.frames.items()]
    snr_db, image, part = max(found, key=lambda entry: entry[0])
    title = f"Image {image.number + 1}, frame {part + 1} of {image.expected}: SNR {snr_db:.1f} dB"
    try:
        capture(samples, image.frames[part], shared.channel().layout, sample_rate, title, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; choose another --capture") from None
    print(printable(f"figure: {path}"))


def _check_png(out: Path) -> None:
    """Refuse a file for the received image that has another format, or cannot be written."""
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must be a PNG file; name it {out.with_suffix('.png')}")
    send_inputs.check_output_file("--out", str(out), "received.png")


def _outputs(out: Path, images: list[ReceivedImage], sent: int, inputs: list[Path], force: bool) -> list[Path]:
    """File of each received image: --out itself for one image, else numbered files in the folder --out."""
    if sent == 1 and not out.is_dir():
        _check_png(out)
        paths = [out] * len(images)
    else:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--out {out} cannot be a folder for {sent} images: {os.strerror(error.errno or 0)}"
            ) from None
        paths = [out / f"{image.number + 1:0{len(str(sent))}}.png" for image in images]
    for path in paths:
        guard_file("--out", path, inputs, force)
    return paths
