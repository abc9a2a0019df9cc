"""Measures of sets of restored scenes, and the benchmark that prints them."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm

from channels._errors import UsageError
from semcom.systems.scene import delay, measures
from semcom.systems.scene.judge import Judge
from semcom.systems.scene.palette import painted
from semcom.systems.scene.realism import frechet_distance_of_judge_features, judge_features
from semcom.weights import seeded

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def _whitened(rows, columns, seed):
    """Points whose sample mean is exactly zero and whose sample covariance is exactly the identity."""
    points = np.random.default_rng(seed).normal(size=(rows, columns))
    points -= points.mean(0)
    return points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T


def test_gaussians_are_as_far_apart_as_the_closed_form_says():
    first, second = _whitened(60, 5, seed=1), _whitened(40, 5, seed=2)
    deviations = np.array([[1.0, 2.0, 0.5, 3.0, 0.0], [2.0, 1.0, 0.5, 0.0, 1.0]])
    shift = np.array([1.0, 0, -2, 0, 0.5])
    distance = frechet_distance_of_judge_features(
        torch.from_numpy(first * deviations[0]), torch.from_numpy(second * deviations[1] + shift)
    )
    assert distance == pytest.approx(np.square(shift).sum() + np.square(deviations[0] - deviations[1]).sum())


@pytest.mark.parametrize("rows", [(30, 50), (4, 6)])  # more and fewer than the features
def test_covariances_that_do_not_commute_agree_with_the_root_of_their_product(rows):
    rng = np.random.default_rng(3)
    sets = [rng.normal(size=(count, 8)) @ rng.normal(size=(8, 8)) for count in rows]
    first, second = (np.cov(points.T) for points in sets)
    apart = np.square(sets[0].mean(0) - sets[1].mean(0)).sum()
    noise = 1e-9 * np.eye(8)  # scipy's root needs a regular matrix
    root = sqrtm((first + noise) @ (second + noise)).real
    expected = apart + np.trace(first) + np.trace(second) - 2 * np.trace(root)
    found = frechet_distance_of_judge_features(*(torch.from_numpy(points) for points in sets))
    assert found == pytest.approx(expected, rel=1e-3)
    assert frechet_distance_of_judge_features(*(torch.from_numpy(sets[0]),) * 2) == pytest.approx(0, abs=1e-9)


def test_one_picture_has_no_covariance():
    with pytest.raises(UsageError, match="two pictures"):
        frechet_distance_of_judge_features(torch.zeros(1, 3), torch.zeros(5, 3))


@pytest.fixture(scope="module")
def judge():
    with seeded(1):
        return Judge(width=8).eval()


def test_features_are_of_each_picture_alone(judge):
    with seeded(0):
        images = torch.rand(2, 3, 40, 64)
    features = judge_features(judge, images)
    assert torch.allclose(features[1:], judge_features(judge, images[1:]), rtol=1e-3, atol=1e-3)
    assert (features[0] - features[1]).abs().max() > 0.1


def test_several_measures_of_a_delivery_read_it_once(judge):
    read = []

    class Counts(torch.nn.Module):
        def labels(self, images):
            read.append(len(images))
            return judge.labels(images)

    counting, images, truth = Counts(), torch.rand(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.long)
    first = measures._confusion(counting, images, truth)
    assert torch.equal(measures._confusion(counting, images, truth), first)
    assert read == [1, 1]
    measures._confusion(counting, images.clone(), truth)
    assert read == [1, 1, 1, 1]


class Rows:
    """Sees sky above and road below, and keeps the sizes it was shown."""

    def __init__(self):
        self.sizes = []

    def labels(self, images):
        self.sizes.append(tuple(images.shape[2:]))
        classes = torch.zeros(len(images), *images.shape[2:], dtype=torch.long)
        classes[:, images.shape[2] // 2 :] = 3
        return classes


def test_large_scenes_are_segmented_small_and_come_back_large(monkeypatch):
    sees, shown = Rows(), []

    def restore(labels, palette, sent):
        shown.append(tuple(labels.shape[1:]))
        return painted(labels, palette, sent)

    pixels, air_s = torch.rand(3, 48, 80), delay.PacketLink().air_s
    monkeypatch.setattr(delay, "seconds", lambda action: (action(), 1.0)[1])
    small = delay.of_map(pixels, sees, restore, air_s, height=24)
    assert set(sees.sizes) == set(shown) == {(24, 40)}
    whole = delay.of_map(pixels, sees, restore, air_s, height=48)
    assert sees.sizes[-1] == shown[-1] == (48, 80)
    assert small.size_bytes <= whole.size_bytes


EVERY_MEASURE = """
import runpy, sys

source, untrained = ["--images", "streets:test:64x48", "--count", "4"], ["--segmenter", "none"]
judged, restored = ["--judge", "none"], ["--restorer", "none"]
both = [*restored, "--cyclegan", "none"]
sys.path.insert(0, sys.argv[1])
strip = ["--coarseness", "1", "--colour", "--show", "0", "2", "--out", sys.argv[2], *source[:2], *both]
for name, arguments in (
    ("scene", ["segmenter", *judged, *source]),
    ("scene", ["recovery", *judged, *both, *source]),
    ("scene", ["bytes", *judged, *restored, *source]),
    ("scene", ["delay", *restored, *source]),
    ("scene", ["colour", *judged, *restored, *source]),
    ("scene", ["lost", *judged, *restored, *source]),
    ("scene_strip", strip),
):
    sys.argv[1:] = [*arguments, *untrained]
    runpy.run_path(f"{sys.path[0]}/{name}.py", run_name="__main__")
"""


def test_the_benchmark_prints_every_measure(tmp_path):
    """Untrained networks on four small street scenes: every figure is there, none is judged."""
    command = [sys.executable, "-c", EVERY_MEASURE, str(BENCHMARKS), str(tmp_path / "strip.png")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr
    for says in (
        "pedestrian",
        "ours over CycleGAN, predicted maps: mIoU",
        "fewer bytes (b)",
        "total delay against PNG",
        "each byte buys",
        "elsewhere, band lost",
    ):
        assert says in ran.stdout
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.width > 800


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("label_map --source photos", "photos has no label maps"),
        ("label_map --source streets:winter", "no split 'winter'"),
        ("label_map --fuzz -1", "must be 0 or more"),
        ("scene recovery --images photos", "photos has no label maps"),
        ("scene recovery --count 1", "must be 2 or more"),
        ("scene bytes --coarseness 9", "must be 0 to 7"),
        ("scene bytes --quality 500", "must be 0 to 100"),
        ("scene delay --threads 0", "must be 1 or more"),
        ("scene delay --height 0", "must be 1 or more"),
        ("scene delay --symbol-rate 0", "symbol_rate_hz"),
        ("scene_strip --coarseness -1", "must be 0 to 7"),
        ("scene_strip --show -1", "must be 0 or more"),
        ("scene_strip --show 200", "fewer than the 201"),
    ],
)
def test_benchmarks_refuse_wrong_input_in_a_line(monkeypatch, capsys, command, says):
    name, *arguments = command.split()
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
    assert left.value.code == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("curve", "wanted", "bytes_needed"),
    [([(100, 0.2), (400, 0.4)], 0.3, 200), ([(100, 0.2), (400, 0.4)], 0.1, 100), ([(100, 0.2), (400, 0.4)], 0.5, None)],
)
def test_bytes_between_two_points_of_a_curve(monkeypatch, curve, wanted, bytes_needed):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    crossing = runpy.run_path(str(BENCHMARKS / "scene.py"))["crossing"]
    assert crossing(curve, wanted) == (None if bytes_needed is None else pytest.approx(bytes_needed))
