"""What a training run depends on, and its form on the command line. No torch."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from channels._errors import UsageError
from semcom._limits import MOST_SIDE, MOST_SNR_DB

_MOST_ROWS, _MOST_ZOOM = 4096, 64


@dataclass(frozen=True)
class Settings:
    """All that the result of a training run depends on.

    Args:
        system: a folder of semcom/systems that has a training.py.
        build: arguments of its `training` function.
        start: weights that the network starts from, by the names of `semcom.weights.rebuild`; empty for fresh ones.
        channels: {"name": ..., arguments of its build}; one is drawn at every step, validation takes the first.
        snr_db: least and greatest SNR; drawn for each row, uniform in dB.
        data, validation: sources of `semcom.images`; of the second, the first `validation_count` pictures.
        steps: length of the run; None until the speed of the first steps has turned minutes into steps.
        rows, crop, zoom: crops a step, their side in pixels, their greatest magnification.
        width: of a crop in pixels; its height is then `crop`, and it shows as much of the picture as fits.
        learning_rate: the highest; linear warm-up, then constant, then linear to zero over the last 40 %.
        precision: of matrix products and convolutions, "bfloat16" or "float32"; "auto" is what the device is fast in.
        seed: of everything random.
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
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.snr_db
        if not -MOST_SNR_DB <= low <= high <= MOST_SNR_DB:
            raise UsageError(
                f"the SNR range must go from low to high, from -{MOST_SNR_DB} dB on and to {MOST_SNR_DB} dB at most, "
                f"not from {low:g} to {high:g}"
            )
        if not self.channels or not self.data:
            raise UsageError("training needs at least one channel and one source of pictures")
        if any(source.partition(":")[0] == "kodak" for source in self.data):
            raise UsageError("Kodak is what systems are compared on; train on something else")
        if self.precision not in ("auto", "bfloat16", "float32"):
            raise UsageError(f"precision must be auto, bfloat16 or float32, not {self.precision!r}")
        for name in ("steps", "rows", "crop", "width", "zoom", "validation_count"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise UsageError(f"{name.replace('_', ' ')} must be 1 or more, not {value:g}")
        for name, most in (("rows", _MOST_ROWS), ("crop", MOST_SIDE), ("width", MOST_SIDE), ("zoom", _MOST_ZOOM)):
            value = getattr(self, name)
            if value is not None and not value <= most:
                raise UsageError(f"{name} must be {most} or less, not {value:g}")
        if self.rows * self.crop * (self.width or self.crop) > MOST_SIDE**2:
            raise UsageError(f"rows x crop x width must be {MOST_SIDE**2} pixels or less; take fewer rows")
        if not 0 < self.learning_rate < 1:
            raise UsageError(f"the learning rate must lie within (0, 1), not be {self.learning_rate:g}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments of `semcom train`."""
    parser.add_argument("system", help="what to train; a folder of semcom/systems with a training.py")
    parser.add_argument("--minutes", type=float, help="how long; made a number of steps by the speed of the first")
    parser.add_argument("--steps", type=int, help="how long, exactly; with --resume the new total")
    parser.add_argument("--folder", type=Path, help="for checkpoints and results; default runs/train/SYSTEM")
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder, with its settings")
    parser.add_argument("--export", type=Path, metavar="FILE", help="only write the weights of the newest checkpoint")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="argument of its training")
    parser.add_argument("--start", metavar="WEIGHTS", help="weights to start from; default fresh ones")
    parser.add_argument(
        "--channel", action="append", metavar="NAME[:KEY=VALUE,...]", help="repeat for several; default awgn"
    )
    parser.add_argument("--snr", metavar="LOW..HIGH", help="range in dB, as in --snr=-2..20; default 0..20")
    parser.add_argument("--data", action="append", metavar="SOURCE", help="repeat for several; default photos")
    parser.add_argument("--validation", metavar="SOURCE", help="pictures to measure on; default photos")
    parser.add_argument(
        "--precision", choices=["auto", "bfloat16", "float32"], help="of products; auto: what is fast here"
    )
    for name, kind, text in (
        ("validation_count", int, "how many of them"),
        ("rows", int, "crops a step"),
        ("crop", int, "their side in pixels"),
        ("width", int, "their width, where they are not square"),
        ("zoom", float, "their greatest magnification, 1 or more"),
        ("learning_rate", float, "the highest"),
        ("seed", int, "of everything random"),
    ):
        default = getattr(Settings, name)
        more = "" if default is None else f"; default {default:g}"
        parser.add_argument(_option(name), type=kind, metavar="N" if kind is int else "X", help=text + more)


def from_arguments(options: argparse.Namespace) -> Settings:
    """The settings that a command line gives; what it leaves out has its default.

    Raises:
        UsageError: text that cannot be read, values out of range.
    """
    given = {item.name: getattr(options, item.name, None) for item in fields(Settings)}
    given["build"] = dict(map(_pair, options.set)) or None
    given["channels"] = options.channel and tuple(map(_channel, options.channel))
    given["data"] = options.data and tuple(options.data)
    given["snr_db"] = options.snr and _range(options.snr)
    return Settings(**{name: value for name, value in given.items() if value is not None})


def given_settings(options: argparse.Namespace) -> list[str]:
    """The options of a command line that say what a run is, but for its length."""
    kept = {"system", "folder", "resume", "export", "minutes", "steps"}
    own = {item.name for item in fields(Settings)} | {"set", "channel", "snr"}
    return [_option(name) for name in vars(options) if name in own - kept and getattr(options, name) not in (None, [])]


def command_line(settings: Settings) -> str:
    """The command that trains with these settings.

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
    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("\n").removesuffix("\n...")


def _pair(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise UsageError(f"write KEY=VALUE, not {text!r}")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(f"cannot read the value in {text!r}") from None


def _channel(text: str) -> dict[str, Any]:
    name, _, arguments = text.partition(":")
    return {"name": name, **dict(map(_pair, filter(None, arguments.split(","))))}


def _range(text: str) -> tuple[float, float]:
    try:
        low, dots, high = text.partition("..")
        return float(low), float(high if dots else low)
    except ValueError:
        raise UsageError(f"write an SNR range as LOW..HIGH in dB, not {text!r}") from None
