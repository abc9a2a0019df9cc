"""Measurements of multimodal generation, run by benchmarks/multimodal.py."""

import resource
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import outputs
import torch
from torch.nn import functional

from channels import awgn
from channels.errors import UsageError
from channels.rng import Rng, seed_for
from semcom import discover
from semcom.images.files import to_bytes
from semcom.images.sources import load
from semcom.link import Link
from semcom.metrics import measure
from semcom.metrics.fidelity import ms_ssim
from semcom.results import labels
from semcom.results.intervals import estimate
from semcom.scenario.load import variant
from semcom.system import Sample
from semcom.systems.multimodal_generation import metrics
from semcom.systems.multimodal_generation.networks.classifier import Classifier
from semcom.systems.multimodal_generation.networks.clip import load_clip
from semcom.systems.multimodal_generation.networks.presets import DEFAULTS
from semcom.systems.multimodal_generation.selection import oracle, reselected
from semcom.systems.multimodal_generation.training.clip import retrieval_recall, zero_shot_accuracy
from semcom.weights.files import rebuild

NAME = "multimodal_generation"
SYSTEMS = (NAME, "deepjscc")
SELECTIONS = ("both features", "image features", "text features", "random", "oracle")
ROWS = 8  # images sent together
BEST_OF = 8  # number of candidates in the table of selections, where it is measured
HEADS = {  # first columns of the tables of each measurement
    "retrieval": {"multimodal_retrieval": ("Quantity", "Rank 1 (%)", "Ranks 1 to 10 (%)")},
    "selection": {
        "multimodal_selection": ("SNR (dB)", "Metric", "Mean of all candidates"),
        "multimodal_selection_count": ("SNR (dB)", "Metric", "Best of"),
        "multimodal_selection_details": ("Quantity", "image_weight"),
        "multimodal_selection_time": ("Quantity",),
    },
    "low_snr": {"": ("Metric", "System")},
    "cost": {"": ("Setting", "First image (s)", "Each further image (s)", "Peak memory (GiB)")},
}


# --- systems, deliveries and tables ----------------------------------------------------------------------------------


def system(options, name=NAME, **arguments):
    """Return a system with its arguments from the command line and the given ones."""
    unknown = [setting for setting in options.set if setting.split(".")[0] not in SYSTEMS]
    if unknown:
        raise UsageError(f"--set accepts {', '.join(SYSTEMS)}, as in {NAME}.steps=4, not {unknown[0]}")
    settings = [setting for setting in options.set if setting.startswith(f"{name}.")]
    found = variant("system", name, settings)
    for own in arguments:
        if any(setting.partition("=")[0] == f"{name}.{own}" for setting in settings):
            raise UsageError(f"--set {name}.{own} has no effect: this measurement sets it; leave it out")
    return found.entry.load()(cbr=options.cbr, **(dict(found.arguments) | arguments))


def deliveries(built, images, snr_db):
    """Yield the delivery of each batch of images and the receiver's random streams."""
    link = Link(built, awgn.build())
    for first in range(0, len(images), ROWS):
        batch = images[first : first + ROWS]
        captions, categories = [image.caption for image in batch], [image.category for image in batch]
        sample = Sample(
            torch.stack([image.pixels for image in batch]),
            captions=None if None in captions else tuple(captions),
            categories=None if None in categories else torch.tensor(categories),
        )
        seeds = [seed_for("multimodal", image.name) for image in batch]
        yield link.deliver(sample, snr_db, seeds), Rng(seeds).derive("decode")


def mean(numerators, denominators=None):
    """Return the mean, or ratio of sums, with its 95 % interval over images."""
    numerators = np.asarray(numerators, float)
    denominators = np.ones(len(numerators)) if denominators is None else np.asarray(denominators, float)
    return estimate(numerators, denominators, range(len(numerators)))


def fixed(found, places):
    """Format an estimate with a fixed number of decimal places."""
    return f"{found.mean:.{places}f} [{found.low:.{places}f}, {found.high:.{places}f}]"


def table(heads, rows):
    grid = [heads, *rows]
    widths = [max(len(str(row[column])) for row in grid) for column in range(len(heads))]
    for row in grid:
        first, *others = (str(cell) for cell in row)
        print(first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)))


# --- measurements ----------------------------------------------------------------------------------------------------


def retrieval(options):
    clip = load_clip("tiny", options.clip or DEFAULTS["clip"])
    described, classes = load(options.images, options.count), load(options.classes, options.count)
    if any(image.caption is None for image in described):
        raise UsageError(f"{options.images} has no captions: use --images natural:test or imagenette:val")
    if any(image.category is None for image in classes):
        raise UsageError(f"{options.classes} has no classes: use --classes imagenette:val")
    print(f"{clip.name}, {len(described)} images of {options.images} with their first caption")
    found = retrieval_recall(clip, described)
    for name, share in found.items():
        most = min(int(name.split()[-1]), len(described))
        print(f"{name}: {share:.2%} (by chance {most / len(described):.2%})")
    share = zero_shot_accuracy(clip, classes)
    print(f"zero-shot class accuracy, {len(classes)} images of {options.classes}: {share:.2%}")
    chances = (min(count / len(described), 1.0) for count in (1, 10))
    rows = {
        f"Caption of an image, among {len(described)}": (found[f"image to text recall at {n}"] for n in (1, 10)),
        f"Image of a caption, among {len(described)}": (found[f"text to image recall at {n}"] for n in (1, 10)),
        "Chance": chances,
        f"Class of an image, among the class names of {options.classes}": (share,),
    }
    table = [[name, *(f"{100 * share:.1f}" for share in shares)] for name, shares in rows.items()]
    return {
        "multimodal_retrieval": [
            HEADS["retrieval"]["multimodal_retrieval"],
            *(row + [""] * (3 - len(row)) for row in table),
        ]
    }


def selection(options):
    images = load(options.images, options.count, 128)
    most = max(options.candidates)
    built = system(options, candidates=most)
    criterion = built.receiver.criterion
    criteria = {
        "both features": criterion,
        "image features": replace(criterion, image_weight=1.0),
        "text features": replace(criterion, image_weight=0.0),
    }
    weighted = {weight: replace(criterion, image_weight=weight) for weight in options.weights if most > 1}
    classifier = rebuild(options.classifier, NAME, Classifier)[0].requires_grad_(False)
    fidelity = {
        "MobileNet similarity": lambda images, sent: functional.cosine_similarity(
            classifier.features(images), classifier.features(sent)
        ),
        "MS-SSIM": lambda images, sent: ms_ssim(images, sent.expand_as(images)),
    }
    print(f"{len(images)} images of {options.images}, cbr {options.cbr:g}, {built.weights}")
    seconds = {count: run_time(built, images[:1], count) for count in options.candidates}
    built.receiver.candidates = most
    tables = selection_tables(options, seconds)
    details = {}  # (quantity, image_weight) -> one value per SNR
    for snr_db in options.snr:
        shown, diversity = {}, []  # shown: (measure, selection or weight, M) -> quality of the selected candidates
        average = {name: [] for name in fidelity}  # mean quality of all candidates, the expectation without selection
        for delivery, rng in deliveries(built, images, snr_db):
            reception = delivery.reception
            values, counts = metrics.candidate_diversity(delivery)
            diversity.extend(values[counts > 0].tolist())
            pairs = list(zip(reception.candidates, delivery.sample.images, strict=True))
            quality = {
                name: torch.stack([of(candidates, sent[None]) for candidates, sent in pairs])
                for name, of in fidelity.items()
            }
            for name, values in quality.items():
                average[name].extend(values.mean(1).tolist())
            for count in options.candidates:
                used = criteria | weighted if count == most else criteria
                chosen = {name: reselected(reception, one, candidates=count).chosen for name, one in used.items()}
                chosen["random"] = reselected(reception, criterion, "random", count, rng).chosen
                for name, values in quality.items():
                    few = reselected(reception, criterion, candidates=count)
                    chosen["oracle"] = oracle(few, values[:, :count]).chosen
                    for choice, index in chosen.items():
                        selected = values[torch.arange(len(values)), index]
                        shown.setdefault((name, choice, count), []).extend(selected.tolist())
        if diversity:
            quantity = "Candidate diversity (1 - cosine between two candidates, MobileNet features)"
            details.setdefault((quantity, ""), []).append(fixed(mean(diversity), 3))
            print(f"\nSNR {snr_db:g} dB: 1 - cosine between two candidates, MobileNet features: {mean(diversity)}")
        for name in fidelity:
            base = np.array(average[name])
            print(f"\nSNR {snr_db:g} dB, {name}: {mean(base)} without selection (mean of {most} candidates); gain with")
            print_gains(options, shown, name, base, seconds)
            add_gains(tables, options, shown, (snr_db, name), base)
            if weighted:
                usual, rows = np.array(shown[name, "both features", most]), []
                for weight in weighted:
                    selected = np.array(shown[name, weight, most])
                    rows.append([f"{weight:g}", fixed(mean(selected - base), 4), fixed(mean(selected - usual), 4)])
                    quantity = f"{name}, best of {most}, difference to image_weight {criterion.image_weight:g}"
                    details.setdefault((quantity, f"{weight:g}"), []).append(rows[-1][-1])
                print()
                first = f"best of {most}, image_weight"
                table([first, "gain", f"difference to image_weight {criterion.image_weight:g}"], rows)
    tables["multimodal_selection_details"] += [[*key, *values] for key, values in details.items()]
    return tables


def selection_tables(options, seconds):
    """The tables of `selection`, with their heads and the run times."""
    heads, counts = HEADS["selection"], [count for count in options.candidates if count > 1]
    best = BEST_OF if BEST_OF in counts else max(options.candidates)
    chosen = (f"{choice[0].upper()}{choice[1:]}, best of {best}" for choice in SELECTIONS)
    run_times = (f"{seconds[count]:.2f}" for count in options.candidates)
    return {
        "multimodal_selection": [[*heads["multimodal_selection"], *chosen, "Share of the oracle's gain"]],
        "multimodal_selection_count": [["SNR (dB)", "Metric", *(f"Best of {count}" for count in counts)]],
        "multimodal_selection_details": [
            [*heads["multimodal_selection_details"], *(f"SNR {snr_db:g} dB" for snr_db in options.snr)]
        ],
        "multimodal_selection_time": [
            ["Quantity", *(f"{count} candidate{'s' * (count > 1)}" for count in options.candidates)],
            ["Run time of an image (s)", *run_times],
        ],
    }


def add_gains(tables, options, shown, key, base):
    """Add the gains at an SNR in a metric to the tables of `selection`."""
    snr_db, name = key
    gains = {
        (choice, count): np.array(shown[name, choice, count]) - base
        for choice in SELECTIONS
        for count in options.candidates
        if count > 1
    }
    best = BEST_OF if ("oracle", BEST_OF) in gains else max(options.candidates)
    counts = [count for count in options.candidates if count > 1]
    by_count = (fixed(mean(gains["both features", count]), 4) for count in counts)
    tables["multimodal_selection_count"].append([f"{snr_db:g}", name, *by_count])
    if counts:
        by_choice = (fixed(mean(gains[choice, best]), 4) for choice in SELECTIONS)
        share = fixed(mean(gains["both features", best], gains["oracle", best]), 2)
        tables["multimodal_selection"].append([f"{snr_db:g}", name, fixed(mean(base), 3), *by_choice, share])


def print_gains(options, shown, name, base, seconds):
    rows = []
    for count in options.candidates:
        if count == 1:
            rows.append(["1 candidate", *[""] * (len(SELECTIONS) + 1), f"{seconds[1]:.2f}"])
            continue
        gains = {choice: np.array(shown[name, choice, count]) - base for choice in SELECTIONS}
        share = fixed(mean(gains["both features"], gains["oracle"]), 2)
        means = (fixed(mean(gains[choice]), 4) for choice in SELECTIONS)
        rows.append([f"{count} candidates", *means, share, f"{seconds[count]:.2f}"])
    table(["", *SELECTIONS, "share of the oracle's gain", "seconds per image"], rows)


def run_time(built, images, candidates):
    """Return the end-to-end run time in seconds, without loading: the least of three."""
    built.receiver.candidates = candidates
    times = []
    for _ in range(3):
        start = time.perf_counter()
        list(deliveries(built, images, 10.0))
        times.append(time.perf_counter() - start)
    return min(times)


def low_snr(options):
    if unknown := set(options.metrics) - discover.metrics().keys():
        raise UsageError(f"--metrics accepts {', '.join(discover.metrics())}, not {', '.join(sorted(unknown))}")
    ours = f"best of {options.candidates}, text_stream: {options.text}"
    count = options.candidates
    every = {
        "no selection": lambda: system(options, candidates=1, text_stream=options.text),
        "all features analog": lambda: system(options, candidates=count, text_stream="analog"),
        "caption as bits": lambda: system(options, candidates=count, image_stream="none", text_stream="caption"),
        "class as bits": lambda: system(options, candidates=count, image_stream="none", text_stream="class"),
        "nearest neighbor": lambda: system(
            options, generator="retrieval", gallery=options.gallery, candidates=1, text_stream=options.text
        ),
        "AVIF": lambda: system(options, "digital", codec="avif"),
        "WebP": lambda: system(options, "digital", codec="webp"),
        "DeepJSCC": lambda: system(options, "deepjscc"),
    }
    if unknown := set(options.against or every) - every.keys():
        raise UsageError(f"--against accepts {', '.join(every)}, not {', '.join(sorted(unknown))}")
    baselines = {name: every[name] for name in options.against or every}
    images, found = load(options.images, options.count, 128), {}
    systems = {ours: lambda: system(options, candidates=count, text_stream=options.text)} | baselines
    systems = {name: make() for name, make in systems.items()}  # build all first, so that errors show at once
    for name, built in systems.items():
        for snr_db in options.snr:
            for delivery, _ in deliveries(built, images, snr_db):
                for metric in options.metrics:
                    values = measure(metric, delivery)
                    pair = values if isinstance(values, tuple) else (values, torch.ones_like(values))
                    columns = found.setdefault((metric, name, snr_db), ([], []))
                    for column, part in zip(columns, pair, strict=True):
                        column.extend(part.tolist())
    print(f"{len(images)} images of {options.images}, AWGN, cbr {options.cbr:g}, {system(options).weights}")
    values = (f"SNR {snr_db:g} dB" for snr_db in options.snr)
    gains = (f"Multimodal generation minus this system, SNR {snr_db:g} dB" for snr_db in options.snr)
    result = [[*HEADS["low_snr"][""], *values, *gains, "Exceeds multimodal generation from"]]
    for metric in options.metrics:
        if not any(sum(found[metric, ours, snr_db][1]) for snr_db in options.snr):
            print(f"\n{metric}: not defined for the images of {options.images}")
            continue
        means = {(name, snr_db): mean(*found[metric, name, snr_db]) for name in systems for snr_db in options.snr}
        print(f"\n{metric}")
        heads = ["", *(f"{snr_db:g} dB" for snr_db in options.snr)]
        table(heads, [[name, *(str(means[name, snr_db]) for snr_db in options.snr)] for name in systems])
        print("difference: multimodal generation minus baseline, paired by image")
        rows = [
            [name, *(str(mean(*difference(found, metric, ours, name, snr_db))) for snr_db in options.snr)]
            for name in baselines
        ]
        table(heads, rows)
        crossings = {}
        for name in [file for file in ("AVIF", "WebP") if file in baselines]:
            gaps = [(snr_db, means[ours, snr_db].mean - means[name, snr_db].mean) for snr_db in sorted(options.snr)]
            crossings[name] = crossing(gaps)
            print(f"{name} exceeds multimodal generation from: {crossings[name]}")
        differences = {name: cells for name, *cells in rows} | {ours: [""] * len(options.snr)}
        title, titled = (
            labels.axis_label(metric),
            {"no selection": "1 candidate", ours: f"Multimodal generation, {ours}"},
        )
        for name in systems:
            cells = (str(means[name, snr_db]) for snr_db in options.snr)
            result.append([title, titled.get(name, name), *cells, *differences[name], crossings.get(name, "")])
    return {"": result}


def difference(found, metric, first, second, snr_db):
    (a, weight), (b, _) = found[metric, first, snr_db], found[metric, second, snr_db]
    return np.subtract(a, b), weight


def crossing(gaps):
    """Return the SNR at which a gap first falls below zero, by linear interpolation between the measured SNRs."""
    for (low, above), (high, below) in pairwise(gaps):
        if above >= 0 > below:
            return f"{low + (high - low) * above / (above - below):.1f} dB"
    return "no SNR measured" if gaps[0][1] >= 0 else "every SNR measured" if gaps[-1][1] < 0 else "the lowest SNR"


def cost(options):
    built = system(options, candidates=options.candidates)
    images = load(options.images, 1, 128)
    before = peak_mib()
    times = []
    for _ in range(options.count):
        start = time.perf_counter()
        list(deliveries(built, images, 10.0))
        times.append(time.perf_counter() - start)
    later = f", later {min(times[1:]):.2f} s" if times[1:] else ""
    print(
        f"one image of 128 x 128, {options.candidates} candidates, {torch.get_num_threads()} threads, end to end: "
        f"first {times[0]:.2f} s{later}; peak memory {peak_mib():.0f} MiB ({before:.0f} MiB before the first image); "
        f"{built.weights}"
    )
    setting = ", ".join([f"{options.candidates} candidates", *(one.partition(".")[2] for one in options.set)])
    further = f"{min(times[1:]):.2f}" if times[1:] else ""
    return {"": [HEADS["cost"][""], [setting, f"{times[0]:.2f}", further, f"{peak_mib() / 1024:.2f}"]]}


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def strip(options):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    images = load(options.images, options.count, 128)
    built = system(options, candidates=options.candidates)
    columns, rows = options.candidates + 1, len(options.snr) * len(images)
    figure = Figure(figsize=(1.5 * columns, 1.75 * rows + 0.3), layout="tight")
    FigureCanvasAgg(figure)
    panels = iter(figure.subplots(rows, columns, squeeze=False))
    for snr_db in options.snr:
        for delivery, _ in deliveries(built, images, snr_db):
            reception = delivery.reception
            for row, sent in enumerate(delivery.sample.images):
                first, *others = next(panels)
                show(first, sent, "original", False)
                first.set_ylabel(f"SNR {snr_db:g} dB", fontsize=8)
                for number, panel in enumerate(others):
                    selected = number == int(reception.chosen[row])
                    show(panel, reception.candidates[row, number], f"{reception.scores[row, number]:.3f}", selected)
    outputs.write_figure(options.out, figure, dpi=110)
    print(options.out)


def show(panel, image, note, selected):
    panel.imshow(to_bytes(image))
    panel.set(xticks=[], yticks=[])
    panel.set_xlabel(f"{note}, selected" if selected else note, fontsize=8, labelpad=2)
    panel.spines[:].set(visible=selected, color="tab:red", linewidth=3)
