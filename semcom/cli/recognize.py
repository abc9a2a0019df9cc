"""`semcom recognize`: the modulations of a SigMF recording."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from channels.arguments import one_of, within
from channels.errors import UsageError
from semcom.cli.common import Commands
from semcom.results.printing import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semcom.recognition.recording import Segment


def add_commands(commands: Commands) -> None:
    """Add `recognize`."""
    recognize = commands.add("recognize", _recognize)
    recognize.add_argument("recording", metavar="RECORDING", help="SigMF file of the metadata, *.sigmf-meta")
    recognize.add_argument(
        "--modulations",
        default="bpsk,qpsk,8psk,16qam,64qam,256qam,gaussian",
        metavar="NAME,...",
        help="candidates, equally probable (default: bpsk,qpsk,8psk,16qam,64qam,256qam,gaussian)",
    )
    recognize.add_argument(
        "--segment", type=int, default=1024, metavar="N", help="number of symbols of a segment (default: 1024)"
    )
    recognize.add_argument(
        "--samples-per-symbol",
        type=int,
        metavar="N",
        help="nominal symbol duration in samples: 2, 4, 6 or 8 (default: 4, 6 or 8, found from the samples)",
    )
    recognize.add_argument(
        "--roll-off",
        type=float,
        default=0.25,
        metavar="X",
        help="roll-off factor of the root-raised-cosine pulse, 0.1 to 1 (default: 0.25)",
    )
    recognize.add_argument(
        "--least",
        type=float,
        default=0.9,
        metavar="P",
        help="smallest posterior probability of a decision, 0 to 1; a segment whose most probable modulation has a "
        "smaller one is undecided (default: 0.9)",
    )


def _recognize(options: argparse.Namespace) -> int:
    """Recognize the modulation of each segment of a SigMF recording by its likelihood."""
    within("--least", options.least, 0, 1)
    within("--roll-off", options.roll_off, 0.1, 1)
    if options.samples_per_symbol is not None:
        one_of("--samples-per-symbol", options.samples_per_symbol, (2, 4, 6, 8))
    names = [name.strip() for name in options.modulations.split(",")]

    from semcom.radio import recording
    from semcom.recognition import recording as recognition

    recognition.check(names, options.segment)
    path = Path(options.recording)
    read = recording.read(path)
    try:
        found = recognition.segments(read, names, options.segment, options.samples_per_symbol, options.roll_off)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    for segment in found:
        print(printable(_line(segment, names, options.least, read.sample_rate)))
    together = sum(segment.log_likelihood for segment in found)
    print(f"all {len(found)} segments, if they have one modulation: {_decision(together, names, options.least)}")
    return 0


def _line(segment: Segment, names: Sequence[str], least: float, rate: float | None) -> str:
    decided = segment.log_likelihood.argmax()
    snr_db = float(segment.snr_db[decided])
    snr = "" if snr_db != snr_db else f", SNR {snr_db:.1f} dB"
    start, offset = segment.start, segment.frequency
    place = f"{start / rate:.6f} s" if rate else f"sample {start:.0f}"
    shift = f"{offset * rate:+.1f} Hz" if rate else f"{offset:+.6f} cycles per sample"
    text = _decision(segment.log_likelihood, names, least)
    return f"{segment.title} at {place}, {segment.uses} symbols: {text}{snr}, offset {shift}"


def _decision(log_likelihood: object, names: Sequence[str], least: float) -> str:
    from torch import Tensor

    from semcom.recognition.recording import decide

    assert isinstance(log_likelihood, Tensor)
    found = decide(log_likelihood, names, least)
    if found.decided:
        return f"{found.name}, posterior {found.probability:.3f}"
    first, second = f"{found.name} ({found.probability:.3f})", f"{found.second} ({found.second_probability:.3f})"
    return f"undecided, {first} or {second}"
