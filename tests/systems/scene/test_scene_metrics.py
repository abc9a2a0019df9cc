"""Feature distance, segmentation metrics, and the scene benchmarks."""

import csv
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm

from channels.errors import UsageError
from semcom.images.street_classes import StreetClass
from semcom.systems.scene import delay, metrics
from semcom.systems.scene.class_colors import fill_with_class_colors
from semcom.systems.scene.evaluation_network import EvaluationNetwork
from semcom.systems.scene.feature_distance import evaluation_features, frechet_feature_distance
from semcom.weights.files import seeded

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def _whitened(rows, columns, seed):
    """Points whose sample mean is exactly zero and whose sample covariance is exactly the identity."""
    points = np.random.default_rng(seed).normal(size=(rows, columns))
    points -= points.mean(0)
    return points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T


def test_feature_distance_of_gaussians_matches_the_closed_form():
    first, second = _whitened(60, 5, seed=1), _whitened(40, 5, seed=2)
    deviations = np.array([[1.0, 2.0, 0.5, 3.0, 0.0], [2.0, 1.0, 0.5, 0.0, 1.0]])
    shift = np.array([1.0, 0, -2, 0, 0.5])
    distance = frechet_feature_distance(
        torch.from_numpy(first * deviations[0]), torch.from_numpy(second * deviations[1] + shift)
    )
    assert distance == pytest.approx(np.square(shift).sum() + np.square(deviations[0] - deviations[1]).sum())


@pytest.mark.parametrize("rows", [(30, 50), (4, 6)])  # more and fewer rows than features
def test_feature_distance_matches_the_matrix_square_root(rows):
    rng = np.random.default_rng(3)
    sets = [rng.normal(size=(count, 8)) @ rng.normal(size=(8, 8)) for count in rows]
    first, second = (np.cov(points.T) for points in sets)
    means = np.square(sets[0].mean(0) - sets[1].mean(0)).sum()
    noise = 1e-9 * np.eye(8)  # scipy's square root needs a regular matrix
    root = sqrtm((first + noise) @ (second + noise)).real
    expected = means + np.trace(first) + np.trace(second) - 2 * np.trace(root)
    found = frechet_feature_distance(*(torch.from_numpy(points) for points in sets))
    assert found == pytest.approx(expected, rel=1e-3)
    assert frechet_feature_distance(*(torch.from_numpy(sets[0]),) * 2) == pytest.approx(0, abs=1e-9)


def test_feature_distance_needs_two_images():
    with pytest.raises(UsageError, match="two images"):
        frechet_feature_distance(torch.zeros(1, 3), torch.zeros(5, 3))


@pytest.fixture(scope="module")
def evaluation_network():
    with seeded(1):
        return EvaluationNetwork(width=8).eval()


def test_features_of_an_image_do_not_depend_on_other_images(evaluation_network):
    with seeded(0):
        images = torch.rand(2, 3, 40, 64)
    features = evaluation_features(evaluation_network, images)
    assert torch.allclose(features[1:], evaluation_features(evaluation_network, images[1:]), rtol=1e-3, atol=1e-3)
    assert (features[0] - features[1]).abs().max() > 0.1


def test_metrics_of_a_delivery_share_one_segmentation(evaluation_network):
    calls = []

    class Counts(torch.nn.Module):
        def labels(self, images):
            calls.append(len(images))
            return evaluation_network.labels(images)

    counting, images, truth = Counts(), torch.rand(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.long)
    first = metrics._confusion(counting, images, truth)
    assert torch.equal(metrics._confusion(counting, images, truth), first)
    assert calls == [1, 1]
    metrics._confusion(counting, images.clone(), truth)
    assert calls == [1, 1, 1, 1]


class Rows:
    """Segmentation network that predicts sky above and road below, and records the image sizes."""

    def __init__(self):
        self.sizes = []

    def labels(self, images):
        self.sizes.append(tuple(images.shape[2:]))
        classes = torch.zeros(len(images), *images.shape[2:], dtype=torch.long)
        classes[:, images.shape[2] // 2 :] = StreetClass.ROAD
        return classes


def test_large_scenes_are_segmented_and_restored_at_a_smaller_size(monkeypatch):
    segmenter, restored_sizes = Rows(), []

    def restore(labels, class_colors, has_colors):
        restored_sizes.append(tuple(labels.shape[1:]))
        return fill_with_class_colors(labels, class_colors, has_colors)

    pixels, transfer_s = torch.rand(3, 48, 80), delay.PacketLink().transfer_s
    monkeypatch.setattr(delay, "median_seconds", lambda action: (action(), 1.0)[1])
    small = delay.delay_of_map(pixels, segmenter, restore, transfer_s, height=24)
    assert set(segmenter.sizes) == set(restored_sizes) == {(24, 40)}
    whole = delay.delay_of_map(pixels, segmenter, restore, transfer_s, height=48)
    assert segmenter.sizes[-1] == restored_sizes[-1] == (48, 80)
    assert small.size_bytes <= whole.size_bytes


EVERY_MEASUREMENT = """
import runpy, sys

source, untrained = ["--images", "streets:test:64x48", "--count", "4"], ["--segmenter", "none"]
evaluated, restored = ["--evaluation-network", "none"], ["--restorer", "none"]
both = [*restored, "--cyclegan", "none"]
sys.path.insert(0, sys.argv[1])
folder = sys.argv[2].rpartition("/")[0]
strip = ["--downsampling", "2", "--send-class-colors", "--show", "0", "2", "--out", sys.argv[2], *source[:2], *both]
for name, arguments in (
    ("scene", ["segmentation", *evaluated, *source]),
    ("scene", ["restoration", *evaluated, *both, *source]),
    ("scene", ["bytes", *evaluated, *restored, *source]),
    ("scene", ["delay", *restored, *source]),
    ("scene", ["class_colors", *evaluated, *restored, *source]),
    ("scene", ["lost_slice", *evaluated, *restored, *source]),
    ("scene_strip", strip),
):
    table = [] if name == "scene_strip" else ["--out", f"{folder}/{arguments[0]}.csv"]
    sys.argv[1:] = [*arguments, *untrained, *table]
    runpy.run_path(f"{sys.path[0]}/{name}.py", run_name="__main__")
"""


def test_the_benchmarks_print_every_measurement(tmp_path):
    """Untrained networks on four small street scenes: the values are not checked."""
    command = [sys.executable, "-c", EVERY_MEASUREMENT, str(BENCHMARKS), str(tmp_path / "strip.png")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr
    for says in (
        "pedestrian",
        "GAN relative to CycleGAN, predicted maps: mIoU",
        "fewer bytes",
        "total delay relative to PNG",
        "gain per byte",
        "Outside, slice lost",
    ):
        assert says in ran.stdout
    rows = {"segmentation": 2, "restoration": 4, "bytes": 8, "delay": 3, "class_colors": 4, "lost_slice": 4}
    for name, count in rows.items():
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            head, *body = csv.reader(file)
        assert [len(row) for row in body] == [len(head)] * count, name
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.width > 800


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("label_map --source photos", "photos has no label maps"),
        ("label_map --source streets:winter", "no split 'winter'"),
        ("label_map --fuzz -1", "must be 0 or more"),
        ("scene restoration --images photos", "photos has no label maps"),
        ("scene restoration --count 1", "must be 2 or more"),
        ("scene bytes --downsampling 9", "invalid choice: 9"),
        ("scene bytes --quality 500", "must be 0 to 100"),
        ("scene delay --threads 0", "must be 1 or more"),
        ("scene delay --height 0", "must be 1 or more"),
        ("scene delay --symbol-rate 0", "--symbol-rate: the value must be"),
        ("scene_strip --downsampling -1", "invalid choice: -1"),
        ("scene_strip --show -1", "must be 0 or more"),
        ("scene_strip --show 200", "fewer than count: 201"),
    ],
)
def test_benchmarks_report_wrong_input_in_one_line(monkeypatch, capsys, command, says):
    name, *arguments = command.split()
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
    assert exit_.value.code == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("curve", "target", "expected"),
    [([(100, 0.2), (400, 0.4)], 0.3, 200), ([(100, 0.2), (400, 0.4)], 0.1, 100), ([(100, 0.2), (400, 0.4)], 0.5, None)],
)
def test_bytes_are_interpolated_between_two_points_of_a_curve(monkeypatch, curve, target, expected):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    bytes_for = runpy.run_path(str(BENCHMARKS / "scene_sizes.py"))["bytes_for"]
    assert bytes_for(curve, target) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("label", [-1, 12, 255])
def test_labels_out_of_range_are_refused(label):
    truth = torch.zeros(1, 4, 4, dtype=torch.int64)
    truth[0, 1, 2] = label
    with pytest.raises(UsageError, match=f"labels must be 0 to 10, or 11 for pixels without a class, not {label}"):
        metrics.confusion_matrices(torch.zeros_like(truth), truth)
