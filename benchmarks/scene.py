"""Quality, size and delay of the scene link: tables with 95 % intervals over the images.

python benchmarks/scene.py segmentation    mIoU, IoU per class and pixel accuracy of segmenter and evaluation network
python benchmarks/scene.py restoration     mIoU, pixel accuracy, PSNR, SSIM and feature distance of the restorers
python benchmarks/scene.py bytes           sizes of label maps, PNG and WebP; size of WebP files of equal mIoU
python benchmarks/scene.py delay           total delay of label map, PNG and WebP on the published demonstration's link
python benchmarks/scene.py class_colors    gain of transmitting the mean color of each class, 21 bytes
python benchmarks/scene.py lost_slice      pixel accuracy when one of four slices of the map is lost

`--out results/NAME.csv` writes the table of the results page; more is printed.

mIoU and pixel accuracy of restored images are measured with the evaluation network, which no restorer was trained with.
"""

import argparse
from functools import partial
from statistics import median

import numpy as np
import outputs
import torch
from argument_types import real, whole
from label_map import labeled
from scene_scores import (
    SCORES,
    WEIGHTS,
    Scores,
    add_weight_options,
    compare,
    interval,
    network,
    percent,
    print_table,
    restorers,
)
from scene_sizes import HEAD as SIZES
from scene_sizes import sizes

from channels.errors import UsageError
from channels.modem.link_adaptation import adaptive
from semcom.images.sources import load
from semcom.images.street_classes import CLASSES, IGNORED
from semcom.systems.scene import delay, packets
from semcom.systems.scene.agreement import COLOR_BYTES, Agreement, decode_colors, encode_colors
from semcom.systems.scene.class_colors import fill_with_class_colors, mean_class_colors
from semcom.systems.scene.feature_distance import frechet_feature_distance
from semcom.systems.scene.metrics import confusion_matrices, correct_pixels, intersection_and_union

_BANDS = 4  # slices of a map, the default of the system


def segmentation(options):
    images, scores = labeled(options.images, options.count), {}
    for part in ("segmenter", "evaluation_network"):
        one, counts = network(options, part), []
        for image in images:
            counts.append(confusion_matrices(one.labels(image.pixels[None]), image.labels[None])[0])
        scores[part.replace("_", " ")] = Scores(counts)
    print(f"{len(images)} images of {options.images}: intersection over union, and pixel accuracy")
    rows = [["mIoU"], *([name] for name in CLASSES), ["pixel accuracy"]]
    for of_network in scores.values():
        both, union = of_network.ratio_parts(intersection_and_union)
        classes = [interval(both[:, k], union[:, k]) if union[:, k].any() else "-" for k in range(len(CLASSES))]
        cells = [interval(both, union), *classes, interval(*of_network.ratio_parts(correct_pixels))]
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell)
    print_table(["", *scores], rows)
    table = [[name.capitalize(), rows[0][column], rows[-1][column]] for column, name in enumerate(scores, 1)]
    return [HEADS["segmentation"], *table]


def restoration(options):
    images, compared = labeled(options.images, options.count), restorers(options)
    segmenter, evaluation = network(options, "segmenter"), network(options, "evaluation_network")
    originals, scores = Scores(), {(kind, name): Scores() for kind in ("predicted", "true") for name in compared}
    for image in images:
        originals.add(evaluation, image.pixels[None], image)
        maps = {"predicted": segmenter.labels(image.pixels[None]), "true": image.labels[None]}
        for (kind, name), one in scores.items():
            one.add(evaluation, compared[name](maps[kind]), image)
    real = torch.stack(originals.features)
    print(f"{len(images)} images of {options.images}; segmented by the evaluation network, against the true maps")
    rows = [
        [*key, *one.cells(), f"{frechet_feature_distance(real, torch.stack(one.features)):.2f}"]
        for key, one in scores.items()
    ]
    head = ["map", "restorer", *SCORES, "feature distance"]
    print_table(head, [["", "original images", *originals.cells()[:2], "", "", ""], *rows])
    half = frechet_feature_distance(real[::2], real[1::2])
    print("feature distance: squared Frechet distance in features of the evaluation network, not FID; ", end="")
    print(f"between the even and the odd original images it is {half:.2f}")
    texts = {}
    for kind in ("predicted", "true"):
        pair = scores[kind, "GAN"], scores[kind, "CycleGAN"]
        gains = [compare(*pair, metric, lambda a, b: a / b - 1) for metric in (intersection_and_union, correct_pixels)]
        texts[kind] = [f"{mean:+.1%} [{low:+.1%}, {high:+.1%}]" for mean, low, high in gains]
        print(f"GAN relative to CycleGAN, {kind} maps: mIoU {texts[kind][0]}, pixel accuracy {texts[kind][1]}")
    return [
        HEADS["restoration"],
        ["Original images", *originals.cells()[:2]],
        ["Label map + GAN (semcom)", *scores["predicted", "GAN"].cells()[:2]],
        ["Label map + CycleGAN", *scores["predicted", "CycleGAN"].cells()[:2]],
        ["GAN relative to CycleGAN", *texts["predicted"]],
    ]


def delays(options):
    torch.set_num_threads(options.threads)
    link = delay.PacketLink(symbol_rate_hz=options.symbol_rate, pause_s=options.pause)
    transfer_s = partial(link.transfer_s, packet_error=options.packet_error)
    segmenter, restorer = network(options, "segmenter"), network(options, "restorer")

    def restore(labels, class_colors, has_colors):
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
            return restorer(labels, class_colors, has_colors).float()

    table = [HEADS["delay"]]
    for source in options.sources:
        found = {name: [] for name in ("label map", "PNG", f"WebP {options.quality}")}
        for image in load(source, options.count):
            height, width = image.pixels.shape[1:]
            measured = (
                delay.delay_of_map(image.pixels, segmenter, restore, transfer_s, options.height),
                delay.delay_of_file(image.pixels, transfer_s, "PNG"),
                delay.delay_of_file(image.pixels, transfer_s, "WEBP", options.quality),
            )
            for of_format, one in zip(found.values(), measured, strict=True):
                of_format.append(one)
        print(f"{len(found['PNG'])} images of {source}, {width}x{height}, medians")
        parts = ("size_bytes", "segment_s", "transfer_s", "restore_s", "total_s")
        rows = [
            [name, *(f"{median(getattr(one, part) for one in of_format):.4g}" for part in parts)]
            for name, of_format in found.items()
        ]
        print_table(["", "bytes", "segmentation (s)", "transfer (s)", "restoration (s)", "total (s)"], rows)
        map_s = np.array([one.total_s for one in found["label map"]])
        for (name, of_format), row in zip(found.items(), rows, strict=True):
            less = "" if name == "label map" else percent(1 - map_s / [one.total_s for one in of_format])
            if less:
                print(f"total delay relative to {name}: {less} less")
            table.append([f"{width} x {height}", name[0].upper() + name[1:], *row[1:], less])
    arithmetic = "bfloat16" if options.bfloat16 else "float32"
    print(f"images above {options.height} lines are segmented and restored at {options.height} lines;", end=" ")
    print(f"restored in {arithmetic}, on {delay.machine()}")
    return table


def class_colors(options):
    images = labeled(options.images, options.count)
    segmenter, evaluation = network(options, "segmenter"), network(options, "evaluation_network")
    compared = {"GAN": network(options, "restorer"), "class colors": fill_with_class_colors}
    scores = {(name, sent_bytes): Scores() for name in compared for sent_bytes in (0, COLOR_BYTES)}
    for image in images:
        labels = segmenter.labels(image.pixels[None])
        colors = decode_colors(encode_colors(mean_class_colors(image.pixels[None], labels)[0]))[None]
        for (name, sent_bytes), one in scores.items():
            one.add(evaluation, compared[name](labels, colors if sent_bytes else None), image)
    print(f"{len(images)} images of {options.images}, restored from predicted maps")
    rows = [[f"{name}, {sent_bytes} bytes of color", *one.cells()] for (name, sent_bytes), one in scores.items()]
    print_table(["", *SCORES], rows)
    names = {
        ("GAN", 0): "Label map + GAN",
        ("GAN", COLOR_BYTES): f"Label map + GAN, mean class colors transmitted ({COLOR_BYTES} bytes)",
        ("class colors", COLOR_BYTES): f"Label map + class colors ({COLOR_BYTES} bytes)",
    }
    cells = {key: one.cells() for key, one in scores.items()}
    table = [HEADS["class_colors"], *([title, cells[key][0], cells[key][2]] for key, title in names.items())]
    for name in compared:
        without, with_colors = scores[name, 0], scores[name, COLOR_BYTES]
        gain = {
            metric: interval((np.array(with_colors.fidelity[metric]) - without.fidelity[metric]) / COLOR_BYTES)
            for metric in ("psnr", "ssim")
        }
        mean, low, high = compare(with_colors, without, intersection_and_union, lambda a, b: (a - b) / COLOR_BYTES)
        print(f"{name}, gain per byte: PSNR {gain['psnr']} dB, SSIM {gain['ssim']}, ", end="")
        print(f"mIoU {mean:.4f} [{low:.4f}, {high:.4f}]")
        if name == "GAN":
            table.append(
                ["Gain of the class colors per byte, with the GAN", f"{mean:.4f} [{low:.4f}, {high:.4f}]", gain["psnr"]]
            )
    return table


def lost_slice(options):
    images = labeled(options.images, options.count)
    segmenter, evaluation, restorer = (network(options, one) for one in ("segmenter", "evaluation_network", "restorer"))
    print(f"{len(images)} images of {options.images}: pixel accuracy inside and outside of the slice")
    agreement, rows = Agreement(cbr=1.0, frame=adaptive(), packets=_BANDS, send_class_colors=False), []
    for band in range(_BANDS):
        counts = {}
        for image in images:
            labels = segmenter.labels(image.pixels[None])
            inside = torch.zeros_like(labels[0], dtype=torch.bool)
            inside[agreement.map_shape(inside.shape, 1).band(band)] = True
            for what, received in (("complete", labels), ("lost", labels.masked_fill(inside, IGNORED))):
                correct = evaluation.labels(restorer(received))[0] == image.labels
                for where, part in (("inside", inside), ("outside", ~inside)):
                    part = part & (image.labels != IGNORED)
                    counts.setdefault((where, what), []).append((correct[part].sum().item(), part.sum().item()))
        cells = {key: interval(*map(np.array, zip(*of_images, strict=True))) for key, of_images in counts.items()}
        pairs = [(where, what) for where in ("inside", "outside") for what in ("complete", "lost")]
        rows.append([f"{band + 1} of {_BANDS}", *(cells[pair] for pair in pairs)])
    print_table(HEADS["lost_slice"], rows)
    return [HEADS["lost_slice"], *rows]


HEADS = {  # columns of the table of each measurement
    "segmentation": ("Network", "mIoU", "Pixel accuracy"),
    "restoration": ("System", "mIoU", "Pixel accuracy"),
    "bytes": SIZES,
    "delay": (
        *("Image size", "Transmitted", "Bytes", "Segmentation (s)", "Transfer (s)", "Restoration (s)", "Total (s)"),
        "Less total delay with the label map",
    ),
    "class_colors": ("Restored from the predicted label map", "mIoU", "PSNR (dB)"),
    "lost_slice": (
        "Slice",
        "Inside, map complete",
        "Inside, slice lost",
        "Outside, map complete",
        "Outside, slice lost",
    ),
}
MEASUREMENTS = {  # function and networks of each measurement
    "segmentation": (segmentation, ("segmenter", "evaluation_network")),
    "restoration": (restoration, tuple(WEIGHTS)),
    "bytes": (sizes, ("segmenter", "evaluation_network", "restorer")),
    "delay": (delays, ("segmenter", "restorer")),
    "class_colors": (class_colors, ("segmenter", "evaluation_network", "restorer")),
    "lost_slice": (lost_slice, ("segmenter", "evaluation_network", "restorer")),
}


def parser():
    """Parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    link = delay.PacketLink()
    commands = made.add_subparsers(required=True, metavar="MEASUREMENT")
    for name, (function, parts) in MEASUREMENTS.items():
        command = commands.add_parser(name)
        command.set_defaults(function=function, head=HEADS[name])
        outputs.add_option(command, "CSV file for the table")
        add_weight_options(command, parts)
        command.add_argument("--count", type=whole(2), default={"delay": 9}.get(name), help="number of images")
        if name in ("bytes", "delay"):
            command.add_argument("--quality", type=whole(0, 100), default=75, help="WebP quality; default %(default)s")
        if name == "bytes":
            command.add_argument(
                "--downsampling", type=int, choices=packets.DOWNSAMPLINGS, default=1, help="factor of the map"
            )
        if name == "delay":
            sources = ["streets:test", "streets:test:1024x768"]
            add = command.add_argument
            add("--images", nargs="+", dest="sources", default=sources, help="image sources; default %(default)s")
            add("--height", type=whole(1), default=192, help="largest height of segmentation; default %(default)s")
            add("--threads", type=whole(1), default=torch.get_num_threads(), help="torch threads")
            add("--bfloat16", action="store_true", help="restore in bfloat16")
            add(
                "--symbol-rate",
                type=real(1e-9),
                default=link.symbol_rate_hz,
                help="symbols per second; default %(default)g",
            )
            add("--pause", type=real(0), default=0.0, help="seconds between packets; published script: 0.005")
            add("--packet-error", type=real(0, 1), default=0.0, help="packet error rate")
        else:
            command.add_argument("--images", default="camvid:test", help="image source; default %(default)s")
    return made


def main():
    """Run one measurement."""
    command_line = parser()
    options = command_line.parse_args()
    outputs.check_file(command_line, options, options.head)
    try:
        with torch.inference_mode():
            outputs.write_csv(options.out, options.function(options))
    except UsageError as error:
        command_line.error(str(error))


if __name__ == "__main__":
    main()
