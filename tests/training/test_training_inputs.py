"""A run resumes with the images and weight files of its start only."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from channels.errors import UsageError
from semcom.training import loop
from semcom.training.settings import Settings
from semcom.training.trainer import Trainer

DEEPJSCC = Settings("deepjscc", steps=2, rows=2, crop=16, precision="float32", validation_count=1)


def noise(path, seed):
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(path)


def test_replaced_images_are_refused(tmp_path, two_images):
    (tmp_path / "validation").mkdir()
    noise(tmp_path / "validation" / "a.png", 5)
    settings = replace(DEEPJSCC, data=(two_images,), validation=f"folder:{tmp_path / 'validation'}")
    loop.run(settings, tmp_path / "run")
    for changed, option in ((tmp_path / "1.png", "--data"), (tmp_path / "validation" / "a.png", "--validation")):
        before = changed.read_bytes()
        noise(changed, 9)
        with pytest.raises(UsageError, match=rf"trained with other files: {option} folder:\S+ changed; restore"):
            loop.resume(tmp_path / "run", steps=3)
        changed.write_bytes(before)
    noise(tmp_path / "2.png", 9)
    with pytest.raises(UsageError, match="trained with other files"):
        loop.resume(tmp_path / "run", steps=3)
    (tmp_path / "2.png").unlink()
    loop.resume(tmp_path / "run", steps=3)


def test_replaced_weights_are_refused(tmp_path, two_images):
    settings = replace(DEEPJSCC, data=(two_images,), validation=two_images)
    loop.run(settings, tmp_path / "first")
    start = Path(tmp_path / "first" / "deepjscc.safetensors")
    loop.run(replace(settings, start=str(start)), tmp_path / "second")
    loop.resume(tmp_path / "first", steps=3)  # replaces the weights that the second run started from
    with pytest.raises(UsageError, match=r"--start \S+ changed"):
        loop.resume(tmp_path / "second", steps=3)


def test_runs_of_version_0_1_resume(tmp_path, two_images):
    Trainer(replace(DEEPJSCC, data=(two_images,), validation=two_images), tmp_path).save()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["inputs"]
    torch.save(state, tmp_path / "checkpoint.pt")
    loop.resume(tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["inputs"]
