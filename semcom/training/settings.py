"""Settings of a training run and their command line; this module does not import torch."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from channels.arguments import one_of, within
from channels.errors import UsageError
from semcom.discover import trainable
from semcom.limits import MAX_SIDE, MAX_SNR_DB
from semcom.scenario.arguments import parse_part, parse_setting, with_option
from semcom.scenario.document import dump
from semcom.scenario.numbers import number

_PRECISIONS = ("auto", "bfloat16", "float32")
_MAX_ROWS, _MAX_ZOOM = 4096, 64
_IMAGE_OPTIONS = ("channels", "data", "validation", "validation_count", "crop", "zoom", "width")


@dataclass(frozen=True)
class Settings:
    """All arguments that determine the result of a training run.

    Args:
        system: networks to train, a name in `discover.trainable()`.
        build: arguments of its function `training`.
        start: initial weights, a name as in `semcom.weights.rebuild`; "" starts from random weights.
        channels: {"name": ..., arguments of its build} for each channel; every step uses one of them at random,
            validation uses the first.
        snr_db: lowest and highest SNR, dB; each row has a random SNR, uniform in dB.
        data: image sources for training, as in `semcom.images.load`.
        validation: image source for validation.
        validation_count: number of validation images, the first of the source.
        steps: number of steps; None if the duration is given in minutes, until the speed is known.
        rows: number of crops per step.
        crop: side of a crop in pixels, its height if there is a `width`.
        zoom: largest magnification of a crop, 1 or more.
        width: width of a crop in pixels; None crops squares.
        learning_rate: largest learning rate; linear warm-up, plateau, linear decay to 0 over the last 40 % of the run.
        precision: precision of matrix products and convolutions: float32, bfloat16, or auto (the faster one on this
            machine).
        weight_bits: number of bits of each weight of matrices and convolutions, 2 to 8, in the weight file and, by the
            straight-through estimator, during the training; None for float16.
        weight_bits_of: part of the network that has such weights, as in "encoder"; "" for all of it.
        seed: seed of all random numbers.

    Raises:
        UsageError: a value is out of range.
    """

    system: str
    build: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""
    channels: Sequence[Mapping[str, Any]] = ({"name": "awgn"},)
    snr_db: Sequence[float] = (0.0, 20.0)
    data: Sequence[str] = ("photos",)
    validation: str = "photos"
    validation_count: int = 8
    steps: int | None = None
    rows: int = 16
    crop: int = 128
    zoom: float = 2.0
    width: int | None = None
    learning_rate: float = 1e-3
    precision: str = "auto"
    weight_bits: int | None = None
    weight_bits_of: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.snr_db
        if not -MAX_SNR_DB <= low <= high <= MAX_SNR_DB:
            raise UsageError(
                f"the SNR range must go from low to high within -{MAX_SNR_DB} dB and {MAX_SNR_DB} dB, "
                f"not from {low:g} to {high:g}"
            )
        if not self.channels or not self.data:
            raise UsageError("training requires at least one channel and one image source")
        if any(source.partition(":")[0] == "kodak" for source in self.data):
            raise UsageError("the Kodak images are for evaluation only: choose another --data")
        one_of("precision", self.precision, _PRECISIONS)
        within("rows", self.rows, 1, _MAX_ROWS)
        within("crop", self.crop, 1, MAX_SIDE)
        if self.width is not None:
            within("width", self.width, 1, MAX_SIDE)
        within("zoom", self.zoom, 1, _MAX_ZOOM)
        if self.weight_bits is not None:
            within("weight_bits", self.weight_bits, 2, 8)
        elif self.weight_bits_of:
            raise UsageError("weight_bits_of requires weight_bits")
        if self.steps is not None:
            within("steps", self.steps, 1)
        within("validation_count", self.validation_count, 1)
        if self.rows * self.crop * (self.width or self.crop) > MAX_SIDE**2:
            raise UsageError(f"{self.rows} crops of this size have more than {MAX_SIDE**2} pixels: lower rows or crop")
        within("learning_rate", self.learning_rate, 0, 1, excluded="both")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `semcom train` to a parser."""
    parser.add_argument("system", metavar="SYSTEM", help=f"networks to train: {', '.join(trainable())}")
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="X",
        help="approximate duration in minutes; a new run requires --minutes or --steps (default: none)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="number of steps; with --resume the new total (default: none; with --resume that of the run)",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="folder for checkpoints and results (default: runs/train/SYSTEM)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="resume the run in the folder, with its settings (default: a new run)"
    )
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FILE",
        help="write the weights of the newest checkpoint to FILE.safetensors and do not train (default: train)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="argument of the training of the system, as in cbr=0.05, listed by semcom train SYSTEM --help; may be "
        "repeated (default: none)",
    )
    parser.add_argument("--start", metavar="WEIGHTS", help="initial weights, a file or name (default: random weights)")
    parser.add_argument(
        "--channel",
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help="channel, as in rayleigh:coherence_uses=64; may be repeated, each step uses one at random (default: awgn)",
    )
    parser.add_argument("--snr", metavar="LOW..HIGH", help="SNR range in dB, as in --snr=-2..20 (default: 0..20)")
    parser.add_argument(
        "--data",
        action="append",
        metavar="SOURCE",
        help="image source or folder of images for training, as in my/images; may be repeated (default: photos)",
    )
    parser.add_argument("--validation", metavar="SOURCE", help="image source for validation (default: photos)")
    parser.add_argument(
        "--precision",
        choices=_PRECISIONS,
        help="precision of matrix products: float32, bfloat16, or auto, the faster one on this machine (default: auto)",
    )
    parser.add_argument(
        "--weight-bits-of",
        metavar="PART",
        help="part of the network to which --weight-bits applies, as in encoder (default: all)",
    )
    for name, kind, text in (
        ("validation_count", int, "number of validation images"),
        ("rows", int, "number of crops per step"),
        ("crop", int, "side of a crop in pixels"),
        ("width", int, "width of a crop in pixels; --crop is then its height"),
        ("zoom", float, "largest magnification of a crop, 1 or more"),
        ("learning_rate", float, "largest learning rate"),
        ("weight_bits", int, "bits of each weight, 2 to 8, during the training and in the weight file"),
        ("seed", int, "seed of all random numbers"),
    ):
        default = getattr(Settings, name)
        shown = {"width": "square crops", "weight_bits": "float16"}.get(name) or f"{default:g}"
        parser.add_argument(
            _option(name), type=kind, metavar="N" if kind is int else "X", help=f"{text} (default: {shown})"
        )


def from_arguments(options: argparse.Namespace) -> Settings:
    """Settings of a command line; options that are not given have their default.

    Raises:
        UsageError: an option has the wrong form or is out of range.
    """
    given = {item.name: getattr(options, item.name, None) for item in fields(Settings)}
    given["build"] = dict(parse_setting(text, "--set") for text in options.set) or None
    given["channels"] = options.channel and tuple(parse_part(text, "--channel") for text in options.channel)
    given["data"] = options.data and tuple(options.data)
    given["snr_db"] = options.snr and _range(options.snr)
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except UsageError as error:
        raise UsageError(with_option(str(error), {name: _option(name) for name in given})) from None


def given_settings(options: argparse.Namespace) -> list[str]:
    """The given options that are settings, except the system and the number of steps."""
    settings = {item.name for item in fields(Settings)} | {"set", "channel", "snr"}
    settings -= {"system", "steps"}
    return [_option(name) for name in vars(options) if name in settings and getattr(options, name) not in (None, [])]


def refuse_image_options(settings: Settings) -> None:
    """Check that a training without images has no settings of images or of the channel of a system.

    Raises:
        UsageError: a setting is given that would have no effect.
    """
    default = Settings(settings.system)
    for name in _IMAGE_OPTIONS:
        if getattr(settings, name) != getattr(default, name):
            option = "--channel" if name == "channels" else _option(name)
            raise UsageError(f"{settings.system} is not trained on images: leave out {option}")


def command_line(settings: Settings) -> str:
    """The command line that trains with these settings.

    >>> command_line(Settings("deepjscc", channels=[{"name": "rayleigh", "coherence_uses": 64}], steps=100))
    'semcom train deepjscc --channel rayleigh:coherence_uses=64 --steps 100'
    """
    words, default = ["semcom", "train", settings.system], Settings(settings.system)
    for name, value in asdict(settings).items():
        if value == getattr(default, name):
            continue
        match name:
            case "build":
                words += [f"--set={key}={_text(item)}" for key, item in value.items()]
            case "channels":
                for channel in value:
                    arguments = ",".join(f"{key}={_text(item)}" for key, item in channel.items() if key != "name")
                    words += ["--channel", f"{channel['name']}{':' if arguments else ''}{arguments}"]
            case "data":
                words += [word for source in value for word in ("--data", source)]
            case "snr_db":
                words.append(f"--snr={value[0]:g}..{value[1]:g}")
            case _:
                words += [_option(name), str(value)]
    return shlex.join(words)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _text(value: object) -> str:
    return dump(value, flow=True).removesuffix("\n").removesuffix("\n...")


def _range(text: str) -> tuple[float, float]:
    try:
        low, dots, high = text.partition("..")
        return float(number(low)), float(number(high if dots else low))
    except UsageError:
        raise UsageError(f"invalid SNR range {text!r}: write LOW..HIGH in dB, as in --snr=-2..20") from None
