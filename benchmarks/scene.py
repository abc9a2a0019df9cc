"""What the scene link reads, restores, sends and takes: tables with 95 % intervals over the pictures.

python benchmarks/scene.py segmenter    mIoU, IoU of each class and pixel accuracy of the segmenter, and of the judge
python benchmarks/scene.py recovery     what the judge reads in restorations, ours and CycleGAN's; PSNR, SSIM, realism
python benchmarks/scene.py bytes        label maps against PNG and WebP: as they are, and where both are read as well
python benchmarks/scene.py delay        seconds of map, PNG and WebP on the published demonstration's link
python benchmarks/scene.py colour       what the 21 bytes of class colours buy
python benchmarks/scene.py lost         restorations of maps of which one of four slices was lost

Each takes --images (as in a scenario), --count, and weight files; "none" is an untrained network.
"""

import argparse
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import numpy as np
import torch
from label_map import labelled, palette_png, within
from label_map import webp as lossless_webp

from channels._errors import UsageError
from semcom.codecs import image_file, label_map
from semcom.images import load, to_bytes
from semcom.intervals import estimate
from semcom.metrics import psnr, ssim
from semcom.systems.scene import delay, packets, wire
from semcom.systems.scene.classes import CLASSES, IGNORED
from semcom.systems.scene.cyclegan import CycleGan
from semcom.systems.scene.judge import Judge
from semcom.systems.scene.palette import mean_colours, painted
from semcom.systems.scene.reading import confusion, right, unions
from semcom.systems.scene.realism import frechet_distance_of_judge_features, judge_features
from semcom.systems.scene.restorer import Restorer
from semcom.systems.scene.segmenter import Segmenter
from semcom.weights import rebuild

BUDGETS = (75, 100, 150, 200, 300, 400, 600, 900, 1400, 2000, 3000)  # bytes of WebP files that a judge reads
RESAMPLES = 2000
_BANDS = 4  # slices of a map, as the system sends it unless told otherwise


# --- networks, and what is counted of a picture ----------------------------------------------------------------------


def network(name, make):
    return rebuild(name, "scene", make)[0].requires_grad_(False)


def painters(options):
    ours, cyclegan = network(options.restorer, Restorer), network(options.cyclegan, CycleGan)
    return {"ours": ours, "CycleGAN": cyclegan, "class colours": painted}


@dataclass
class Tally:
    """What a judge reads in some version of each picture, and how far that is from the photograph."""

    counts: list = field(default_factory=list)
    features: list = field(default_factory=list)
    fidelity: dict = field(default_factory=lambda: {"psnr": [], "ssim": []})

    def add(self, judge, image, picture):
        self.counts.append(confusion(judge.labels(image), picture.labels[None])[0])
        self.features.append(judge_features(judge, image)[0])
        for name, metric in (("psnr", psnr), ("ssim", ssim)):
            self.fidelity[name].append(metric(image, picture.pixels[None]).item())

    def read(self, of):
        """Numerators and denominators, a row a picture: `unions` by class, or `right` pixels."""
        return (part.double().numpy() for part in of(torch.stack(self.counts)))

    def line(self):
        read = [of_pictures(*self.read(of)) for of in (unions, right)]
        return [*read, *(of_pictures(values) for values in self.fidelity.values())]


def of_pictures(numerators, denominators=None):
    """The mean, or ratio of sums, and its interval, pictures being resampled."""
    numerators = np.asarray(numerators, float)
    denominators = np.ones(len(numerators)) if denominators is None else denominators
    return str(estimate(numerators, denominators, range(len(numerators))))


def compared(ours, other, of, how):
    """`how` of two tallies' measures, and the percentiles of pictures resampled for both together."""
    count = len(ours.counts)
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    draws, values = np.vstack([np.ones(count), draws]), []
    for tally in (ours, other):
        both, either = (part.reshape(count, -1) for part in tally.read(of))
        with np.errstate(invalid="ignore"):
            values.append(np.nanmean((draws @ both) / (draws @ either), 1))
    found = how(*values)
    return found[0], *np.nanquantile(found[1:], [0.025, 0.975])


def table(heads, rows):
    grid = [heads, *rows]
    widths = [max(len(str(row[column])) for row in grid) for column in range(len(heads))]
    for row in grid:
        first, *others = (str(cell) for cell in row)
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        print("  ".join(cells))


# --- measures --------------------------------------------------------------------------------------------------------


def segmenter(options):
    pictures, tallies = labelled(options.images, options.count), {}
    for name, made in (("segmenter", Segmenter), ("judge", Judge)):
        reads, counts = network(getattr(options, name), made), []
        for picture in pictures:
            counts.append(confusion(reads.labels(picture.pixels[None]), picture.labels[None])[0])
        tallies[name] = Tally(counts)
    print(f"{len(pictures)} photographs of {options.images}: intersection over union, and pixel accuracy")
    rows = [["mean"], *([name] for name in CLASSES), ["pixel accuracy"]]
    for tally in tallies.values():
        both, either = tally.read(unions)
        classes = [of_pictures(both[:, k], either[:, k]) if either[:, k].any() else "-" for k in range(len(CLASSES))]
        for row, cell in zip(rows, [of_pictures(both, either), *classes, of_pictures(*tally.read(right))], strict=True):
            row.append(cell)
    table(["", *tallies], rows)


def recovery(options):
    pictures = labelled(options.images, options.count)
    sees, judge, known = network(options.segmenter, Segmenter), network(options.judge, Judge), painters(options)
    photos, tallies = Tally(), {(kind, name): Tally() for kind in ("predicted", "true") for name in known}
    for picture in pictures:
        photos.add(judge, picture.pixels[None], picture)
        maps = {"predicted": sees.labels(picture.pixels[None]), "true": picture.labels[None]}
        for (kind, name), tally in tallies.items():
            tally.add(judge, known[name](maps[kind]), picture)
    real = torch.stack(photos.features)
    print(f"{len(pictures)} pictures of {options.images}, as the judge reads them against the true maps")
    heads = ["map", "restorer", "mIoU", "pixel accuracy", "PSNR dB", "SSIM", "judge-feature distance"]
    rows = [
        [*key, *tally.line(), f"{frechet_distance_of_judge_features(real, torch.stack(tally.features)):.2f}"]
        for key, tally in tallies.items()
    ]
    table(heads, [["", "the photographs", *photos.line()[:2], "", "", ""], *rows])
    half = frechet_distance_of_judge_features(real[::2], real[1::2])
    print(f"judge-feature distance: squared Frechet, not FID; of every other photograph to the others it is {half:.2f}")
    for kind in ("predicted", "true"):
        pair = tallies[kind, "ours"], tallies[kind, "CycleGAN"]
        more = [compared(*pair, of, lambda ours, other: ours / other - 1) for of in (unions, right)]
        told = [f"{mean:+.2%} [{low:+.2%}, {high:+.2%}]" for mean, low, high in more]
        print(f"ours over CycleGAN, {kind} maps: mIoU {told[0]}, pixel accuracy {told[1]}")


def sizes(options):
    """`bytes`: each picture's map and files, and what a judge reads in WebP files of a given length."""
    pictures = labelled(options.images, options.count)
    sees, judge = network(options.segmenter, Segmenter), network(options.judge, Judge)
    restorer, restored = network(options.restorer, Restorer), Tally()
    coarse = f"predicted map, coarseness {options.coarseness}"
    names = (coarse, "predicted map", "true map", "palette PNG", "lossless WebP", "PNG", "WebP")
    found = {name: [] for name in names}
    for picture in pictures:
        labels = sees.labels(picture.pixels[None])
        predicted = labels[0].numpy()
        found["predicted map"].append(len(label_map.encode(predicted, len(CLASSES))))
        found["true map"].append(len(label_map.encode(picture.labels.numpy(), len(CLASSES) + 1)))
        found["palette PNG"].append(palette_png(predicted))
        found["lossless WebP"].append(lossless_webp(predicted))
        found["PNG"].append(len(delay.file_of(picture.pixels, "PNG")))
        found["WebP"].append(len(delay.file_of(picture.pixels, "WEBP", options.quality)))
        sent = wire.coarser(labels[0], options.coarseness)
        found[coarse].append(len(label_map.encode(sent.numpy(), len(CLASSES))))
        arrived = wire.enlarged(sent, options.coarseness, predicted.shape)
        restored.add(judge, restorer(arrived[None]), picture)
    height, width = pictures[0].pixels.shape[1:]
    print(
        f"{len(pictures)} pictures of {options.images}, {width}x{height}; WebP of the photograph at {options.quality}"
    )
    size, raw = {name: np.array(values, float) for name, values in found.items()}, 3 * height * width
    rows = [
        [
            name,
            f"{np.median(values):.0f}",
            of_pictures(values),
            of_pictures(raw / values),
            of_pictures(size["PNG"] / values),
        ]
        for name, values in size.items()
    ]
    table(["", "median bytes", "mean bytes", "raw / it", "PNG / it"], rows)
    for name in ("predicted map", "true map"):
        share = size[name] / size["WebP"]
        print(f"{name} against WebP {options.quality}: compression ratio {percent(1 / share - 1)} higher (a), ", end="")
        print(f"{percent(1 - share)} fewer bytes (b)")
    print(
        f"predicted map against lossless WebP of it: {percent(1 - size['predicted map'] / size['lossless WebP'])} fewer"
    )
    equally_read(pictures, judge, restored, np.median(size[coarse]))


def equally_read(pictures, judge, restored, own):
    """How long WebP files are in which a judge reads as much as in our restorations."""
    wanted, curve, rows = estimate(*restored.read(unions), range(len(pictures))), [], []
    print(f"the judge's mIoU of our restorations, from {own:.0f} bytes (median): {wanted}; of the best WebP files of")
    for budget in BUDGETS:
        tally, lengths = Tally(), []
        for picture in pictures:
            image, length = webp_of(picture, budget)
            lengths.append(length)
            tally.add(judge, image, picture)
        read = estimate(*tally.read(unions), range(len(pictures)))
        curve.append((median(lengths), read.mean))
        rows.append([f"{budget} bytes or fewer", f"{curve[-1][0]:.0f}", *tally.line()])
    table(["", "median bytes", "mIoU", "pixel accuracy", "PSNR dB", "SSIM"], rows)
    needed = crossing(curve, wanted.mean)
    if needed is None:
        print(f"WebP does not reach it with {curve[-1][0]:.0f} bytes")
    elif needed <= curve[0][0]:
        print(f"WebP of {needed:.0f} bytes already reads as well")
    else:
        print(
            f"WebP needs about {needed:.0f} bytes for it: the map's ratio is {needed / own - 1:+.1%} to that ", end=""
        )
        print(f"of WebP (a), and its bytes are {own / needed - 1:+.1%} (b)")


def crossing(curve, wanted):
    """Bytes at which a curve of (bytes, mIoU) reaches what is wanted, linear in log bytes; None where it does not."""
    for number, (length, read) in enumerate(curve):
        if read >= wanted:
            if not number:
                return length
            before, less = curve[number - 1]
            share = (wanted - less) / (read - less)
            return before ** (1 - share) * length**share
    return None


def webp_of(picture, budget):
    """The picture as the best WebP file of so many bytes, smaller and enlarged where that is better, and its length."""
    pixels = to_bytes(picture.pixels)
    stream = image_file.fit(pixels, "webp", budget)
    if stream is None:
        raise UsageError(f"no WebP file has {budget} bytes; ask for 3 or more")
    shown = image_file.decode(stream, "webp", pixels.shape[:2])
    return torch.from_numpy(shown.copy()).permute(2, 0, 1)[None].float() / 255, len(stream)


def seconds(options):
    """`delay`: medians of the parts for each source, and how much is saved."""
    torch.set_num_threads(options.threads)
    link = delay.PacketLink(symbol_rate_hz=options.symbol_rate, pause_s=options.pause)
    over = partial(link.air_s, packet_error=options.packet_error)
    sees, restorer = network(options.segmenter, Segmenter), network(options.restorer, Restorer)

    def restore(labels, palette, sent):
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
            return restorer(labels, palette, sent).float()

    for source in options.sources:
        trips = {name: [] for name in ("label map", "PNG", f"WebP {options.quality}")}
        for picture in load(source, options.count):
            height, width = picture.pixels.shape[1:]
            made = (
                delay.of_map(picture.pixels, sees, restore, over, options.height),
                delay.of_photo(picture.pixels, over, "PNG"),
                delay.of_photo(picture.pixels, over, "WEBP", options.quality),
            )
            for of_name, trip in zip(trips.values(), made, strict=True):
                of_name.append(trip)
        print(f"{len(trips['PNG'])} pictures of {source}, {width}x{height}, medians")
        parts = ("size_bytes", "segment_s", "air_s", "restore_s", "total_s")
        rows = [
            [name, *(f"{median(getattr(trip, part) for trip in of_name):.4g}" for part in parts)]
            for name, of_name in trips.items()
        ]
        table(["", "bytes", "segment s", "air s", "restore s", "total s"], rows)
        own = np.array([trip.total_s for trip in trips.pop("label map")])
        for name, of_name in trips.items():
            print(f"total delay against {name}: {percent(1 - own / [trip.total_s for trip in of_name])} less")
    arithmetic = "bfloat16" if options.bfloat16 else "float32"
    print(f"scenes higher than {options.height} lines are segmented and restored with so many, and enlarged;", end=" ")
    print(f"restored in {arithmetic}, on {delay.machine()}")


def colour(options):
    pictures = labelled(options.images, options.count)
    sees, judge, restorer = (
        network(name, make)
        for name, make in ((options.segmenter, Segmenter), (options.judge, Judge), (options.restorer, Restorer))
    )
    tallies = {(name, told): Tally() for name in ("ours", "class colours") for told in (0, wire.COLOUR_BYTES)}
    for picture in pictures:
        labels = sees.labels(picture.pixels[None])
        sent = wire.colours_to_bytes(mean_colours(picture.pixels[None], labels)[0])
        palette = wire.colours_from_bytes(sent)[None]
        for (name, told), tally in tallies.items():
            paints = restorer if name == "ours" else painted
            tally.add(judge, paints(labels, palette if told else None), picture)
    print(f"{len(pictures)} pictures of {options.images}, restored from predicted maps")
    rows = [[f"{name}, {told} bytes of colour", *tally.line()] for (name, told), tally in tallies.items()]
    table(["", "mIoU", "pixel accuracy", "PSNR dB", "SSIM"], rows)
    for name in ("ours", "class colours"):
        without, told = tallies[name, 0], tallies[name, wire.COLOUR_BYTES]
        more = {
            metric: of_pictures((np.array(told.fidelity[metric]) - without.fidelity[metric]) / wire.COLOUR_BYTES)
            for metric in ("psnr", "ssim")
        }
        mean, low, high = compared(told, without, unions, lambda a, b: (a - b) / wire.COLOUR_BYTES)
        print(f"{name}: each byte buys {more['psnr']} dB, SSIM {more['ssim']}, mIoU {mean:.4f} [{low:.4f}, {high:.4f}]")


def lost(options):
    pictures = labelled(options.images, options.count)
    sees, judge, restorer = (
        network(name, make)
        for name, make in ((options.segmenter, Segmenter), (options.judge, Judge), (options.restorer, Restorer))
    )
    print(f"{len(pictures)} pictures of {options.images}: pixel accuracy in the band that is lost, and elsewhere")
    agreement, rows = wire.Wire(cbr=1, frame=None, packets=_BANDS, colour=False), []
    for band in range(_BANDS):
        shares = {}
        for picture in pictures:
            labels = sees.labels(picture.pixels[None])
            inside = torch.zeros_like(labels[0], dtype=torch.bool)
            inside[agreement.shape(inside.shape, 0).band(band)] = True
            for what, arrived in (("whole", labels), ("lost", labels.masked_fill(inside, IGNORED))):
                good = judge.labels(restorer(arrived))[0] == picture.labels
                for where, part in (("there", inside), ("elsewhere", ~inside)):
                    part = part & (picture.labels != IGNORED)
                    shares.setdefault((where, what), []).append((good[part].sum().item(), part.sum().item()))
        known = {of: str(of_pictures(*map(np.array, zip(*counts, strict=True)))) for of, counts in shares.items()}
        rows.append(
            [
                f"band {band + 1}",
                *(known[where, what] for where in ("there", "elsewhere") for what in ("whole", "lost")),
            ]
        )
    table(["", "there, map whole", "there, band lost", "elsewhere, map whole", "elsewhere, band lost"], rows)


def percent(values):
    found = estimate(np.asarray(values), np.ones(len(values)), range(len(values)))
    return f"{found.mean:.2%} [{found.low:.2%}, {found.high:.2%}]"


WEIGHTS = {
    "segmenter": "scene_segmenter",
    "judge": "scene_judge",
    "restorer": "scene_restorer",
    "cyclegan": "scene_cyclegan",
}
MEASURES = {  # the measure and the networks it takes
    "segmenter": (segmenter, ("segmenter", "judge")),
    "recovery": (recovery, tuple(WEIGHTS)),
    "bytes": (sizes, ("segmenter", "judge", "restorer")),
    "delay": (seconds, ("segmenter", "restorer")),
    "colour": (colour, ("segmenter", "judge", "restorer")),
    "lost": (lost, ("segmenter", "judge", "restorer")),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    link = delay.PacketLink()
    commands = parser.add_subparsers(required=True, metavar="MEASURE")
    for name, (measure, networks) in MEASURES.items():
        command = commands.add_parser(name)
        command.set_defaults(measure=measure)
        for part in networks:
            command.add_argument(f"--{part}", default=WEIGHTS[part], help="weight file; default %(default)s")
        command.add_argument("--count", type=within(2), default={"delay": 9}.get(name), help="of the pictures")
        if name in ("bytes", "delay"):
            command.add_argument("--quality", type=within(0, 100), default=75, help="of WebP; default %(default)s")
        if name == "bytes":
            coarseness = within(0, packets.COARSEST)
            command.add_argument("--coarseness", type=coarseness, default=0, help="of the map restored, as in scene")
        if name == "delay":
            sources = ["streets:test", "streets:test:1024x768"]
            command.add_argument("--images", nargs="+", dest="sources", default=sources, help="default %(default)s")
            command.add_argument(
                "--height", type=within(1), default=192, help="of what is segmented; default %(default)s"
            )
            command.add_argument("--threads", type=within(1), default=torch.get_num_threads())
            command.add_argument("--bfloat16", action="store_true", help="restore with 16 bits")
            command.add_argument(
                "--symbol-rate", type=float, default=link.symbol_rate_hz, help="Hz, a bit each; default %(default)g"
            )
            command.add_argument(
                "--pause", type=float, default=0.0, help="s between packets; 0.005 in the published script"
            )
            command.add_argument("--packet-error", type=float, default=0.0, help="probability that one is lost")
            continue
        command.add_argument("--images", default="camvid:test")
    options = parser.parse_args()
    try:
        with torch.inference_mode():
            options.measure(options)
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
