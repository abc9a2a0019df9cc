"""Shared parts of the scene benchmarks: networks, scores with 95 % intervals over the images, tables."""

from dataclasses import dataclass, field

import numpy as np
import torch

from channels.errors import UsageError
from semcom.codecs import image_file
from semcom.images.files import to_bytes
from semcom.metrics.fidelity import psnr, ssim
from semcom.results.intervals import Estimate, estimate, is_share, proportion, student
from semcom.systems.scene.class_colors import fill_with_class_colors
from semcom.systems.scene.cyclegan import CycleGan
from semcom.systems.scene.evaluation_network import EvaluationNetwork
from semcom.systems.scene.feature_distance import evaluation_features
from semcom.systems.scene.metrics import confusion_matrices, correct_pixels, intersection_and_union
from semcom.systems.scene.restorer import Restorer
from semcom.systems.scene.segmenter import Segmenter
from semcom.weights.files import rebuild

WEIGHTS = {
    "segmenter": ("scene_segmenter", Segmenter),
    "evaluation_network": ("scene_evaluation_network", EvaluationNetwork),
    "restorer": ("scene_restorer", Restorer),
    "cyclegan": ("scene_cyclegan", CycleGan),
}
SCORES = ["mIoU", "pixel accuracy", "PSNR (dB)", "SSIM"]


def add_weight_options(parser, parts):
    """Add an option for the weight file of each network."""
    for part in parts:
        parser.add_argument(
            f"--{part.replace('_', '-')}", default=WEIGHTS[part][0], help="weight file or none; default %(default)s"
        )


def network(options, part):
    """Network with the weights that the options name."""
    return rebuild(getattr(options, part), "scene", WEIGHTS[part][1])[0].requires_grad_(False)


def restorers(options):
    """The restorers that the benchmarks compare."""
    gan, cyclegan = network(options, "restorer"), network(options, "cyclegan")
    return {"GAN": gan, "CycleGAN": cyclegan, "class colors": fill_with_class_colors}


@dataclass
class Scores:
    """Confusion matrices, features, PSNR and SSIM of one version of each image."""

    counts: list = field(default_factory=list)
    features: list = field(default_factory=list)
    fidelity: dict = field(default_factory=lambda: {"psnr": [], "ssim": []})

    def add(self, evaluation, image, original):
        """Segment an image [1, 3, h, w] with the evaluation network and compare it with the original."""
        self.counts.append(confusion_matrices(evaluation.labels(image), original.labels[None])[0])
        self.features.append(evaluation_features(evaluation, image)[0])
        for name, metric in (("psnr", psnr), ("ssim", ssim)):
            self.fidelity[name].append(metric(image, original.pixels[None]).item())

    def ratio_parts(self, metric):
        """Numerators and denominators, one row per image, of `intersection_and_union` or `correct_pixels`."""
        return (part.double().numpy() for part in metric(torch.stack(self.counts)))

    def cells(self):
        """Table cells of `SCORES`."""
        segmentation = [interval(*self.ratio_parts(metric)) for metric in (intersection_and_union, correct_pixels)]
        return [*segmentation, *(interval(values) for values in self.fidelity.values())]


def interval(numerators, denominators=None):
    """Mean or ratio of sums over the images, with its 95 % interval, as text."""
    numerators = np.asarray(numerators, float)
    denominators = np.ones(len(numerators)) if denominators is None else denominators
    return str(_estimate(numerators, denominators))


def percent(values):
    """Mean over the images with its 95 % interval, in percent, as text."""
    found = _estimate(np.asarray(values), np.ones(len(values)))
    return f"{found.mean:.2%} [{found.low:.2%}, {found.high:.2%}]"


def _estimate(numerators, denominators) -> Estimate:
    kind = proportion if is_share(numerators, denominators) else estimate
    return kind(numerators, denominators, range(len(numerators)))


def compare(first, second, metric, combine):
    """`combine` of two systems' scores, with the paired 95 % t interval over the images (jackknife)."""
    count = len(first.counts)
    images = np.vstack([np.ones(count), 1 - np.eye(count)])  # all of them, and without each one in turn
    values = []
    for scores in (first, second):
        numerators, denominators = (part.reshape(count, -1) for part in scores.ratio_parts(metric))
        with np.errstate(invalid="ignore"):
            values.append(np.nanmean((images @ numerators) / (images @ denominators), 1))
    mean, *without = combine(*values)
    return mean, *student(mean, np.array(without), np.nanmax(np.abs(values)))


def print_table(head, rows):
    """Print aligned columns, the first one to the left."""
    grid = [head, *rows]
    widths = [max(len(str(row[column])) for row in grid) for column in range(len(head))]
    for row in grid:
        first, *others = (str(cell) for cell in row)
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        print("  ".join(cells))


def webp_image(image, budget):
    """Image [1, 3, h, w] decoded from the best WebP file of at most `budget` bytes, and the length of the file."""
    pixels = to_bytes(image.pixels)
    stream = image_file.fit(pixels, "webp", budget)
    if stream is None:
        raise UsageError(f"no WebP file has {budget} bytes; use a budget of 3 or more")
    decoded = image_file.decode(stream, "webp", pixels.shape[:2])
    return torch.from_numpy(decoded.copy()).permute(2, 0, 1)[None].float() / 255, len(stream)
