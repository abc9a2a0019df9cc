"""How often the modulation of a frame is recognized by likelihood: the bound of every recognizer.

    python benchmarks/recognition.py accuracy --out results/recognition_accuracy.csv
    python benchmarks/recognition.py blind --out results/recognition_blind.csv
    python benchmarks/recognition.py learned --out results/recognition_learned.csv
    python benchmarks/recognition.py systems --out results/recognition_systems.csv

accuracy: share of correct decisions between equally likely modulations over AWGN, by number of channel uses and SNR,
    with gain, phase and noise known; with unknown phase (a tenth of the frames); and with unknown phase, gain and noise
    (a fortieth). The standard error is at most 50 / sqrt(frames x modulations) points.
blind: the same for frames of 1024 channel uses with random gain and phase: everything known, the hybrid bound of all
    recognizers, beside the likelihood averaged over unknown phase and SNR, the bound where nothing is known.
learned: a learned recognizer on the frames of `blind`.
systems: what a receiver that knows only gain and noise recognizes in the symbols of each system: the share of frames of
    embedded photographs that are recognized as each modulation or as Gaussian symbols, beside what was transmitted.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence

import outputs
import torch
from argument_types import real, whole

from channels import Rng, awgn, seed_for
from channels.blind_recognition import blind_log_likelihoods
from channels.recognition import MODULATIONS, log_likelihoods
from semcom import Link, Sample, discover, images, threads
from semcom.recognition import networks

Recognizer = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]

QAM = ("bpsk", "qpsk", "16qam", "64qam", "256qam")
SETS = {"BPSK to 256QAM": QAM, "QPSK to 256QAM and Gaussian": (*QAM[1:], "gaussian")}
SNR_DB = (-10, -6, -2, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20)
KNOWLEDGE = ("all", "all but phase", "nothing")
SYSTEMS = ("digital", "analog", "deepjscc", "carrier_image", "scene", "multimodal_generation")
SYSTEM_SNR_DB = (0, 10, 20)
_NOISE_FREE = 1e-3  # noise variance at which no modulation is confused: that of the transmitted symbols
HEADS = {  # first columns of each table
    "accuracy": ("Modulations", "Channel uses", "Known"),
    "blind": ("Recognizer", "Frames"),
    "learned": ("Recognizer", "Frames"),
    "systems": ("System", "SNR (dB)", "Transmitted"),
}
_NAMES = {**{name: name.upper() for name in QAM}, "gaussian": "Gaussian"}


def received(name: str, uses: int, snr_db: float, frames: int) -> torch.Tensor:
    """Frames of random symbols of a modulation over AWGN, complex64 [frames, uses]."""
    rng = Rng([seed_for("recognition", name, uses, snr_db, frame) for frame in range(frames)])
    sent = MODULATIONS[name].draw(uses, rng)
    return sent + math.sqrt(10 ** (-snr_db / 10)) * rng.derive("noise").complex_normal(uses)


def accuracy(names: Sequence[str], uses: int, snr_db: float, frames: int, knowledge: str) -> float:
    """Share of correct decisions."""
    known = {"noise_variance": None if knowledge == "nothing" else 10 ** (-snr_db / 10)}
    known["gain"] = None if knowledge == "nothing" else 1.0
    known["phase"] = "known" if knowledge == "all" else "unknown"
    right = 0
    for index, name in enumerate(names):
        found = log_likelihoods(received(name, uses, snr_db, frames), names, **known)
        right += int((found.argmax(1) == index).sum())
    return right / (frames * len(names))


def accuracies(frames: int, snrs_db: Sequence[float]) -> list[list[str]]:
    table = [[*HEADS["accuracy"], *(f"{snr:g} dB" for snr in snrs_db)]]
    for title, names in SETS.items():
        for uses in (128, 512, 1024):
            for knowledge in KNOWLEDGE if uses == 512 and names == QAM else ("all",):
                fewer = {"all": 1, "all but phase": 10, "nothing": 40}[knowledge]  # the searches take long
                count = max(1, frames // fewer)
                row = [f"{100 * accuracy(names, uses, snr, count, knowledge):.1f}" for snr in snrs_db]
                table.append([title, str(uses), knowledge, *row])
                print(*table[-1], flush=True)
    return table


def faded(name: str, frames: int, snr_db: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The frames of `received` with 1024 uses under a random gain, 0.1 to 10 in magnitude, and these gains."""
    draws = Rng([seed_for("gain", name, snr_db, frame) for frame in range(frames)]).uniform(2)
    gains = torch.polar(10 ** (2 * draws[:, 0] - 1), 2 * math.pi * draws[:, 1])[:, None]
    return gains * received(name, 1024, snr_db, frames), gains


def recognized(frames: int, snrs_db: Sequence[float], recognizers: Mapping[str, Recognizer]) -> list[list[str]]:
    """Share of correct decisions of each recognizer, (symbols, gains, snr_db) -> scores [frames, modulations]."""
    table = [[*HEADS["blind"], *(f"{snr:g} dB" for snr in snrs_db)]]
    for title, recognizer in recognizers.items():
        row = []
        for snr_db in snrs_db:
            found = [recognizer(*faded(name, frames, snr_db), snr_db).argmax(1) for name in QAM]
            right = sum(int((decided == index).sum()) for index, decided in enumerate(found))
            row.append(f"{100 * right / (frames * len(QAM)):.1f}")
        table.append([title, str(frames * len(QAM)), *row])
        print(*table[-1], flush=True)
    return table


def blind(frames: int, snrs_db: Sequence[float]) -> list[list[str]]:
    def known(symbols: torch.Tensor, gains: torch.Tensor, snr_db: float) -> torch.Tensor:
        noise = 10 ** (-snr_db / 10) * gains.abs().square()
        return log_likelihoods(symbols, QAM, noise_variance=noise, gain=gains)

    def averaged(symbols: torch.Tensor, gains: torch.Tensor, snr_db: float) -> torch.Tensor:
        return blind_log_likelihoods(symbols, QAM).log_likelihood

    return recognized(frames, snrs_db, {"likelihood, all known": known, "likelihood, nothing known": averaged})


def learned(frames: int, snrs_db: Sequence[float], name: str) -> list[list[str]]:
    network, modulations, identifier = networks.load(name)
    columns = [modulations.index(modulation) for modulation in QAM]

    def recognizer(symbols: torch.Tensor, gains: torch.Tensor, snr_db: float) -> torch.Tensor:
        with torch.inference_mode():
            return network(symbols)[:, columns]

    return recognized(frames, snrs_db, {f"network {identifier}, nothing known": recognizer})


def systems(count: int) -> list[list[str]]:
    names = (*QAM[1:], "gaussian")
    table = [[*HEADS["systems"], *(f"Recognized as {_NAMES[name]} (%)" for name in names)]]
    photos = images.load("photos", count=count, size=128)
    sample = Sample(torch.stack([photo.pixels for photo in photos]), captions=("a photograph",) * count)
    for name in SYSTEMS:
        link = Link(discover.find("system", name).load()(cbr=1 / 16), awgn.build())
        for snr_db in SYSTEM_SNR_DB:
            seeds = [seed_for("recognition", name, photo.name) for photo in photos]
            with torch.no_grad():
                delivery = link.deliver(sample, float(snr_db), seeds, record_signals=True)
            uses = delivery.uses.tolist()
            sent = _shares(delivery.signals.sent, uses, names, _NOISE_FREE)
            shares = _shares(delivery.signals.received.symbols, uses, names, 10 ** (-snr_db / 10))
            transmitted = ", ".join(
                _NAMES[one] + (f" ({share:.0f} %)" if share < 100 else "")
                for one, share in zip(names, sent, strict=True)
                if share
            )
            table.append(
                [discover.title("system", name), str(snr_db), transmitted, *(f"{share:.0f}" for share in shares)]
            )
            print(*table[-1], flush=True)
    return table


def _shares(symbols: torch.Tensor, uses: Sequence[int], names: Sequence[str], noise_variance: float) -> list[float]:
    """Percentage of the rows whose last 512 channel uses are recognized as each modulation."""
    decided = [
        int(
            log_likelihoods(
                row[None, max(0, count - 512) : count],
                names,
                noise_variance=noise_variance,
                gain=1.0,
                phase="unknown",
            ).argmax()
        )
        for row, count in zip(symbols, uses, strict=True)
        if count
    ]
    return [100 * decided.count(index) / len(decided) for index in range(len(names))]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=tuple(HEADS))
    parser.add_argument("--frames", type=whole(1), default=400, help="frames of each modulation (default 400)")
    parser.add_argument(
        "--snr", type=real(-100, 100), nargs="+", default=SNR_DB, metavar="DB", help="SNRs (default -10 to 20 dB)"
    )
    parser.add_argument("--count", type=whole(1), default=8, help="photographs of each system (default 8)")
    parser.add_argument("--weights", default="recognition", help="weights of `learned` (default: bundled)")
    outputs.add_option(parser, "CSV file to write as well")
    options = parser.parse_args(arguments)
    outputs.check_file(parser, options, HEADS[options.table])
    threads.limit(1)
    match options.table:
        case "accuracy":
            table = accuracies(options.frames, options.snr)
        case "blind":
            table = blind(options.frames, options.snr)
        case "learned":
            table = learned(options.frames, options.snr, options.weights)
        case _:
            table = systems(options.count)
    outputs.write_csv(options.out, table)


if __name__ == "__main__":
    sys.exit(main())
