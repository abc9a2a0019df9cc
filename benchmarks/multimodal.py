"""What multimodal generation understands, gains by choosing, and keeps of a picture in noise, with 95 % intervals.

python benchmarks/multimodal.py retrieval   recall of captions and pictures by CLIP, and classes by their names
python benchmarks/multimodal.py selection   fidelity of the best of M candidates over any one of them, by both features,
                                            one of them, more or less of each, chance and a genie; one generated
                                            set for all
python benchmarks/multimodal.py low_snr     classes and similarity in noise, against all baselines at equal uses
python benchmarks/multimodal.py cost        seconds and peak memory of one picture, end to end
python benchmarks/multimodal.py strip       pictures, all their candidates and scores; the chosen one is framed

Each takes --set multimodal_generation.NAME=VALUE, as in a scenario, and says what it measured on.
"""

import argparse
import math
import resource
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from channels import awgn
from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom.images import load, to_bytes
from semcom.intervals import estimate
from semcom.link import Link
from semcom.metrics import METRICS, measure, ms_ssim
from semcom.scenario import variant
from semcom.system import Sample
from semcom.systems.multimodal_generation import clip, clip_training, measures
from semcom.systems.multimodal_generation.classifier import Classifier
from semcom.systems.multimodal_generation.networks import DEFAULTS
from semcom.systems.multimodal_generation.selection import oracle, reselected
from semcom.weights import rebuild

NAME = "multimodal_generation"
SYSTEMS = (NAME, "deepjscc")
CHOICES = ("both features", "image features", "text features", "by chance", "genie")
WEIGHTS = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)  # of the image features in the choice
LOW_SNR_METRICS = ("class_accuracy", "clip_image_similarity", "clip_text_similarity", "mobilenet_similarity")
ROWS = 8  # pictures sent together


# --- what is sent, and tables of it ----------------------------------------------------------------------------------


def system(options, name=NAME, **arguments):
    """The system with its arguments from the command line, and with these."""
    unknown = [setting for setting in options.set if setting.split(".")[0] not in SYSTEMS]
    if unknown:
        raise UsageError(f"--set takes {', '.join(SYSTEMS)}, as in {NAME}.steps=4, not {unknown[0]}")
    settings = [setting for setting in options.set if setting.startswith(f"{name}.")]
    found = variant("system", name, settings)
    for own in arguments:
        if any(setting.partition("=")[0] == f"{name}.{own}" for setting in settings):
            raise UsageError(f"--set {name}.{own} has no say here: this measure sets it for its rows")
    return found.entry.load()(cbr=options.cbr, **(dict(found.arguments) | arguments))


def deliveries(built, pictures, snr_db):
    link = Link(built, awgn.build())
    for first in range(0, len(pictures), ROWS):
        some = pictures[first : first + ROWS]
        known = {"captions": [picture.caption for picture in some], "category": [picture.category for picture in some]}
        sample = Sample(
            torch.stack([picture.pixels for picture in some]),
            captions=None if None in known["captions"] else tuple(known["captions"]),
            categories=None if None in known["category"] else torch.tensor(known["category"]),
        )
        seeds = [seed_for("multimodal", picture.name) for picture in some]
        yield link.deliver(sample, snr_db, seeds), [Rng(seeds).derive("decode")]


def mean(numerators, denominators=None):
    """The mean, or ratio of sums, with its interval, pictures being resampled."""
    numerators = np.asarray(numerators, float)
    denominators = np.ones(len(numerators)) if denominators is None else np.asarray(denominators, float)
    return estimate(numerators, denominators, range(len(numerators)))


def fixed(found, places):
    """An estimate whose numbers stand below each other."""
    return f"{found.mean:.{places}f} [{found.low:.{places}f}, {found.high:.{places}f}]"


def table(heads, rows):
    grid = [heads, *rows]
    widths = [max(len(str(row[column])) for row in grid) for column in range(len(heads))]
    for row in grid:
        first, *others = (str(cell) for cell in row)
        print(first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)))


# --- measures --------------------------------------------------------------------------------------------------------


def retrieval(options):
    seen = clip.load("tiny", options.clip or DEFAULTS["clip"])
    described, classes = load(options.images, options.count), load(options.classes, options.count)
    if any(picture.caption is None for picture in described):
        raise UsageError(f"{options.images} has no captions: take natural:test or imagenette:val")
    if any(picture.category is None for picture in classes):
        raise UsageError(f"{options.classes} has no classes: take imagenette:val")
    print(f"{seen.name}, {len(described)} pictures of {options.images} with their first caption")
    for name, share in clip_training.retrieved(seen, described).items():
        most = min(int(name.split()[-1]), len(described))
        print(f"{name}: {share:.2%} (chance {most / len(described):.2%})")
    share = clip_training.accuracy(seen, classes)
    print(f"accuracy by the names of the classes, {len(classes)} pictures of {options.classes}: {share:.2%}")


def selection(options):
    pictures = load(options.images, options.count, 128)
    most = max(options.candidates)
    built = system(options, candidates=most)
    criterion = built.receiver.criterion
    by = {
        "both features": criterion,
        "image features": replace(criterion, image_weight=1.0),
        "text features": replace(criterion, image_weight=0.0),
    }
    weighted = {weight: replace(criterion, image_weight=weight) for weight in options.weights if most > 1}
    judge = rebuild(options.classifier, NAME, Classifier)[0].requires_grad_(False)
    fidelity = {
        "MobileNet similarity": lambda found, sent: functional.cosine_similarity(*map(judge.features, (found, sent))),
        "MS-SSIM": lambda found, sent: ms_ssim(found, sent.expand_as(found)),
    }
    print(f"{len(pictures)} pictures of {options.images}, cbr {options.cbr:g}, {built.weights}")
    took = {count: seconds_of(built, pictures[:1], count) for count in options.candidates}
    built.receiver.candidates = most
    for snr_db in options.snr:
        found, spread = {}, []  # (measure, choice or weight, M) -> quality of what is shown, a row a picture
        singles = {name: [] for name in fidelity}  # what one candidate has on average: all are alike until one chooses
        for delivery, (rng,) in deliveries(built, pictures, snr_db):
            reception = delivery.reception
            spread.extend((column := measures.candidate_diversity(delivery))[0][column[1] > 0].tolist())
            quality = {
                name: torch.stack(
                    [one(candidates, sent[None]) for candidates, sent in zip(*both(delivery), strict=True)]
                )
                for name, one in fidelity.items()
            }
            for name, values in quality.items():
                singles[name].extend(values.mean(1).tolist())
            for count in options.candidates:
                criteria = by | weighted if count == most else by
                chosen = {name: reselected(reception, one, candidates=count).chosen for name, one in criteria.items()}
                chosen["by chance"] = reselected(reception, criterion, "random", count, rng).chosen
                for name, values in quality.items():
                    few = reselected(reception, criterion, candidates=count)
                    chosen["genie"] = oracle(few, values[:, :count]).chosen
                    for choice, index in chosen.items():
                        shown = values[torch.arange(len(values)), index]
                        found.setdefault((name, choice, count), []).extend(shown.tolist())
        if spread:
            print(f"\n{snr_db:g} dB: 1 - cosine between two candidates, MobileNet features: {mean(spread)}")
        for name in quality:
            single = np.array(singles[name])
            print(f"\n{snr_db:g} dB, {name}: {mean(single)} with any of the {most}; more with")
            rows = []
            for count in options.candidates:
                if count == 1:
                    rows.append(["1 candidate", *[""] * (len(CHOICES) + 1), f"{took[1]:.2f}"])
                    continue
                gains = {choice: np.array(found[name, choice, count]) - single for choice in CHOICES}
                share = fixed(mean(gains["both features"], gains["genie"]), 2)
                means = (fixed(mean(gains[choice]), 4) for choice in CHOICES)
                rows.append([f"{count} candidates", *means, share, f"{took[count]:.2f}"])
            table(["", *CHOICES, "share of the genie's gain", "s a picture"], rows)
            if weighted:
                usual, rows = np.array(found[name, "both features", most]), []
                for weight in weighted:
                    shown = np.array(found[name, weight, most])
                    rows.append([f"{weight:g}", fixed(mean(shown - single), 4), fixed(mean(shown - usual), 4)])
                print()
                by_weight = f"best of {most} by image_weight"
                table([by_weight, "more than any one", f"more than by {criterion.image_weight:g}"], rows)


def seconds_of(built, pictures, candidates):
    """End to end, when all is loaded."""
    built.receiver.candidates = candidates
    times = []
    for _ in range(3):
        start = time.perf_counter()
        list(deliveries(built, pictures, 10.0))
        times.append(time.perf_counter() - start)
    return min(times)


def both(delivery):
    """What was drawn and what was sent, a row a picture."""
    return delivery.reception.candidates, delivery.sample.images


def low_snr(options):
    if strange := set(options.metrics) - METRICS.keys():
        raise UsageError(f"--metrics takes {', '.join(METRICS)}, not {', '.join(sorted(strange))}")
    ours = f"best of {options.candidates}, text: {options.text}"
    every = {
        "no selection": lambda: system(options, candidates=1, text_stream=options.text),
        "all features analogue": lambda: system(options, candidates=options.candidates, text_stream="analogue"),
        "caption as bits": lambda: system(
            options, candidates=options.candidates, image_stream="none", text_stream="caption"
        ),
        "class as bits": lambda: system(
            options, candidates=options.candidates, image_stream="none", text_stream="class"
        ),
        "nearest known picture": lambda: system(
            options, generator="retrieval", gallery=options.gallery, candidates=1, text_stream=options.text
        ),
        "AVIF": lambda: system(options, "digital", codec="avif"),
        "WebP": lambda: system(options, "digital", codec="webp"),
        "DeepJSCC": lambda: system(options, "deepjscc"),
    }
    if strange := set(options.against or every) - every.keys():
        raise UsageError(f"--against takes {', '.join(every)}, not {', '.join(sorted(strange))}")
    baselines = {name: every[name] for name in options.against or every}
    pictures, found = load(options.images, options.count, 128), {}
    systems = {ours: lambda: system(options, candidates=options.candidates, text_stream=options.text)} | baselines
    systems = {name: make() for name, make in systems.items()}  # all of them, so that none fails late
    for name, built in systems.items():
        for snr_db in options.snr:
            for delivery, _ in deliveries(built, pictures, snr_db):
                for metric in options.metrics:
                    values = measure(metric, delivery)
                    pair = values if isinstance(values, tuple) else (values, torch.ones_like(values))
                    columns = found.setdefault((metric, name, snr_db), ([], []))
                    for column, part in zip(columns, pair, strict=True):
                        column.extend(part.tolist())
    print(f"{len(pictures)} pictures of {options.images}, AWGN, cbr {options.cbr:g}, {system(options).weights}")
    for metric in options.metrics:
        if not any(sum(found[metric, ours, snr_db][1]) for snr_db in options.snr):
            print(f"\n{metric}: nothing to measure in {options.images}")
            continue
        means = {(name, snr_db): mean(*found[metric, name, snr_db]) for name in systems for snr_db in options.snr}
        print(f"\n{metric}")
        heads = ["", *(f"{snr_db:g} dB" for snr_db in options.snr)]
        table(heads, [[name, *(str(means[name, snr_db]) for snr_db in options.snr)] for name in systems])
        print("ours less theirs, paired by picture")
        rows = [
            [name, *(str(mean(*less(found, metric, ours, name, snr_db))) for snr_db in options.snr)]
            for name in baselines
        ]
        table(heads, rows)
        for name in [file for file in ("AVIF", "WebP") if file in baselines]:
            gaps = [(snr_db, means[ours, snr_db].mean - means[name, snr_db].mean) for snr_db in sorted(options.snr)]
            print(f"{name} passes ours at {crossing(gaps)}")


def less(found, metric, ours, theirs, snr_db):
    (a, weight), (b, _) = found[metric, ours, snr_db], found[metric, theirs, snr_db]
    return np.subtract(a, b), weight


def crossing(gaps):
    """Where a gap first falls below zero, between the SNRs measured by a straight line."""
    for (low, above), (high, below) in pairwise(gaps):
        if above >= 0 > below:
            return f"{low + (high - low) * above / (above - below):.1f} dB"
    return "no SNR measured" if gaps[0][1] >= 0 else "every SNR measured" if gaps[-1][1] < 0 else "the lowest SNR"


def cost(options):
    built = system(options, candidates=options.candidates)
    pictures = load(options.images, 1, 128)
    before = peak_mib()
    times = []
    for _ in range(options.count):
        start = time.perf_counter()
        list(deliveries(built, pictures, 10.0))
        times.append(time.perf_counter() - start)
    again = f", then {min(times[1:]):.2f} s" if times[1:] else ""
    print(
        f"one picture of 128 x 128, {options.candidates} candidates, end to end, {torch.get_num_threads()} threads: "
        f"first {times[0]:.2f} s{again}; peak memory of the process "
        f"{peak_mib():.0f} MiB, {before:.0f} MiB before the first picture; {built.weights}"
    )


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def strip(options):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pictures = load(options.images, options.count, 128)
    built = system(options, candidates=options.candidates)
    across = options.candidates + 1
    rows = [(snr_db, row) for snr_db in options.snr for row in range(len(pictures))]
    drawing = Figure(figsize=(1.5 * across, 1.75 * len(rows) + 0.3), layout="tight")
    FigureCanvasAgg(drawing)
    panels = iter(drawing.subplots(len(rows), across, squeeze=False))
    for snr_db in options.snr:
        for delivery, _ in deliveries(built, pictures, snr_db):
            reception = delivery.reception
            for row, sent in enumerate(delivery.sample.images):
                first, *others = next(panels)
                shown(first, sent, "sent", None)
                first.set_ylabel(f"{snr_db:g} dB", fontsize=8)
                for number, panel in enumerate(others):
                    chosen = number == int(reception.chosen[row])
                    shown(panel, reception.candidates[row, number], f"{reception.scores[row, number]:.3f}", chosen)
    drawing.savefig(options.out, dpi=110)
    print(options.out)


def shown(panel, picture, note, chosen):
    panel.imshow(to_bytes(picture))
    panel.set(xticks=[], yticks=[])
    panel.set_xlabel(f"{note}, kept" if chosen else note, fontsize=8, labelpad=2)
    panel.spines[:].set(visible=bool(chosen), color="tab:red", linewidth=3)


def whole(text):
    """A count from the command line."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text}")
    return int(text)


def number(text):
    """A number from the command line; what is none is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def decibels(text):
    """An SNR from the command line."""
    if not math.isfinite(value := number(text)):
        raise argparse.ArgumentTypeError(f"must be a number of dB, not {text}")
    return value


def portion(text):
    """A weight from the command line."""
    if not 0 <= (value := number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text}")
    return value


def picture_file(text):
    """Where a picture can be written."""
    path = Path(text)
    if path.suffix not in (".png", ".svg", ".pdf") or path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file that ends in .png, .svg or .pdf, not {text}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot make {path.parent}: {error.strerror}") from None
    return path


MEASURES = {retrieval: 1000, selection: 100, low_snr: 200, cost: 3, strip: 2}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="MEASURE")
    for measured, count in MEASURES.items():
        command = commands.add_parser(measured.__name__)
        command.set_defaults(measure=measured)
        command.add_argument("--count", type=whole, default=count, help="of pictures, or runs; default %(default)s")
        if measured is retrieval:
            command.add_argument("--images", default="natural:test", help="with captions; default %(default)s")
            command.add_argument("--classes", default="imagenette:val", help="with classes; default %(default)s")
            command.add_argument("--clip", default="", help="weight file; default the system's")
            continue
        command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of a system")
        command.add_argument("--cbr", type=float, default=1 / 64, help="default 1/64")
        sources = {selection: "natural:test", low_snr: "imagenette:val"}
        command.add_argument("--images", default=sources.get(measured, "photos"), help="default %(default)s")
        if measured is selection:
            command.add_argument("--candidates", type=whole, nargs="+", default=[1, 2, 4, 8, 16])
            command.add_argument("--weights", type=portion, nargs="+", default=WEIGHTS, help="of the image features")
            command.add_argument("--classifier", default=measures.CLASSIFIER, help='weight file, or "none"')
        else:
            command.add_argument("--candidates", type=whole, default=4, help="default %(default)s")
        if measured is not cost:
            snr_db = {selection: [0.0, 10.0], low_snr: [-10.0, -5.0, 0.0, 5.0, 10.0], strip: [0.0, 10.0]}[measured]
            command.add_argument("--snr", type=decibels, nargs="+", default=snr_db, metavar="DB")
        if measured is low_snr:
            command.add_argument("--metrics", nargs="+", default=LOW_SNR_METRICS, help="default %(default)s")
            command.add_argument("--text", default="class", help="how ours sends the text; default %(default)s")
            command.add_argument("--against", nargs="+", metavar="BASELINE", help="these baselines alone; default all")
            command.add_argument("--gallery", default="natural:train + imagenette:train", help="default %(default)s")
        if measured is strip:
            command.add_argument("--out", type=picture_file, default="runs/figures/multimodal_strip.png")
    options = parser.parse_args()
    try:
        with torch.no_grad():
            options.measure(options)
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
