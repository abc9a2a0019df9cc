"""Measurement `bytes` of scene.py: sizes of label maps and image files, and WebP files of equal mIoU."""

from statistics import median

import numpy as np
from label_map import labeled, lossless_webp, palette_png
from scene_scores import SCORES, Scores, interval, network, percent, print_table, webp_image

from semcom.codecs import label_map
from semcom.images.street_classes import CLASSES
from semcom.results.intervals import estimate
from semcom.systems.scene import delay
from semcom.systems.scene.agreement import downsample, upsample
from semcom.systems.scene.metrics import intersection_and_union

HEAD = (
    "File",
    "Median size (bytes)",
    "Fewer bytes of the predicted map",
    "Higher compression ratio of the predicted map",
)
BUDGETS = (75, 100, 150, 200, 300, 400, 600, 900, 1400, 2000, 3000)  # bytes of the WebP files that are segmented


def sizes(options):
    """Print the size of each image's label map and image files, and mIoU against file size; return a table."""
    images = labeled(options.images, options.count)
    segmenter, evaluation = network(options, "segmenter"), network(options, "evaluation_network")
    restorer, restored = network(options, "restorer"), Scores()
    small_name = f"predicted map, downsampled by {options.downsampling}"
    names = (small_name, "predicted map", "true map", "palette PNG", "lossless WebP", "PNG", "WebP")
    lengths = {name: [] for name in names}
    for image in images:
        labels = segmenter.labels(image.pixels[None])
        predicted = labels[0].numpy()
        small = downsample(labels[0], options.downsampling)
        lengths[small_name].append(len(label_map.encode(small.numpy(), len(CLASSES))))
        lengths["predicted map"].append(len(label_map.encode(predicted, len(CLASSES))))
        lengths["true map"].append(len(label_map.encode(image.labels.numpy(), len(CLASSES) + 1)))
        lengths["palette PNG"].append(palette_png(predicted))
        lengths["lossless WebP"].append(lossless_webp(predicted))
        lengths["PNG"].append(len(delay.file_of(image.pixels, "PNG")))
        lengths["WebP"].append(len(delay.file_of(image.pixels, "WEBP", options.quality)))
        received = upsample(small, options.downsampling, predicted.shape)
        restored.add(evaluation, restorer(received[None]), image)
    height, width = images[0].pixels.shape[1:]
    print(f"{len(images)} images of {options.images}, {width}x{height}; WebP quality {options.quality}")
    size, raw = {name: np.array(values, float) for name, values in lengths.items()}, 3 * height * width
    rows = [
        [name, f"{np.median(of):.0f}", interval(of), interval(raw / of), interval(size["PNG"] / of)]
        for name, of in size.items()
    ]
    print_table(["", "median bytes", "mean bytes", "raw / size", "PNG / size"], rows)
    for name in ("predicted map", "true map"):
        share = size[name] / size["WebP"]
        print(f"{name} against WebP {options.quality}: (a) compression ratio {percent(1 / share - 1)} higher, ", end="")
        print(f"(b) {percent(1 - share)} fewer bytes")
    saving = percent(1 - size["predicted map"] / size["lossless WebP"])
    print(f"predicted map against lossless WebP of the map: {saving} fewer bytes")
    needed = equal_quality(images, evaluation, restored, np.median(size[small_name]))
    table = [HEAD]
    for name, title in (
        ("predicted map", "Predicted label map"),
        (small_name, f"Predicted label map, downsampled by {options.downsampling}"),
        ("true map", "True label map"),
        ("palette PNG", "PNG with a palette of the predicted label map"),
        ("lossless WebP", "Lossless WebP of the predicted label map"),
        ("PNG", "PNG of the image"),
        ("WebP", f"WebP of the image, quality {options.quality}"),
    ):
        share = size["predicted map"] / size[name]
        gains = [percent(1 - share), percent(1 / share - 1)] if name in names[3:] else ["", ""]
        table.append([title, f"{np.median(size[name]):.0f}", *gains])
    title = f"WebP of the image with the mIoU of the restored map, downsampled by {options.downsampling}"
    return [*table, [title, needed, "", ""]]


def equal_quality(images, evaluation, restored, map_bytes):
    """Print and return the size of WebP files with the mIoU of the restored images."""
    target, curve, rows = estimate(*restored.ratio_parts(intersection_and_union), range(len(images))), [], []
    print(f"mIoU of restored images: {target}, from {map_bytes:.0f} bytes (median). mIoU of WebP files by size:")
    for budget in BUDGETS:
        scores, lengths = Scores(), []
        for original in images:
            image, length = webp_image(original, budget)
            lengths.append(length)
            scores.add(evaluation, image, original)
        miou = estimate(*scores.ratio_parts(intersection_and_union), range(len(images)))
        curve.append((median(lengths), miou.mean))
        rows.append([f"{budget} bytes or fewer", f"{curve[-1][0]:.0f}", *scores.cells()])
    print_table(["", "median bytes", *SCORES], rows)
    needed = bytes_for(curve, target.mean)
    if needed is None:
        print(f"WebP files of {curve[-1][0]:.0f} bytes have a lower mIoU")
        return f"more than {curve[-1][0]:.0f}"
    if needed <= curve[0][0]:
        print(f"WebP files of {needed:.0f} bytes have this mIoU or a higher one")
        return f"{needed:.0f} or fewer"
    print(f"WebP files need about {needed:.0f} bytes for this mIoU; the map has a compression ratio ", end="")
    print(f"{needed / map_bytes - 1:+.1%} to WebP (a) and {map_bytes / needed - 1:+.1%} bytes (b)")
    return f"{needed:.0f}"


def bytes_for(curve, target):
    """Bytes at which a curve of (bytes, mIoU) reaches a target, linear in log bytes; None where it does not."""
    for number, (length, miou) in enumerate(curve):
        if miou >= target:
            if not number:
                return length
            shorter, lower = curve[number - 1]
            share = (target - lower) / (miou - lower)
            return shorter ** (1 - share) * length**share
    return None
