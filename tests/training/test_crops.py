"""Random crops of training images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from semcom import images
from semcom.training.crops import Crops


@pytest.fixture
def labeled(monkeypatch):
    """A source of one image whose red channel is its label map."""
    classes = np.arange(40 * 50, dtype=np.uint8).reshape(40, 50) // 8
    image = Image.fromarray(np.stack([classes] * 3, -1))
    entry = images.Entry("one", lambda: image, "a caption", lambda: Image.fromarray(classes))
    monkeypatch.setitem(images.SOURCES, "labeled", lambda argument: [entry])


def test_labels_are_cut_as_the_image(labeled):
    sample = Crops(["labeled"], rows=16, side=32, zoom=1.0, seed=3).sample(0)
    assert torch.equal((sample.images[:, 0] * 255).round().long(), sample.labels)
    assert sample.captions == ("a caption",) * 16
    assert len({bytes(labels.numpy().tobytes()) for labels in sample.labels}) > 12  # places and mirrors differ


def test_captions_are_chosen_at_random_and_do_not_change_the_crops(labeled, monkeypatch):
    before = Crops(["labeled"], rows=400, side=8, zoom=1.0, seed=5).sample(0)
    entry = replace(images.SOURCES["labeled"]("")[0], captions=tuple("abcde"), category=3)
    monkeypatch.setitem(images.SOURCES, "labeled", lambda argument: [entry])
    sample = Crops(["labeled"], rows=400, side=8, zoom=1.0, seed=5).sample(0)
    assert torch.equal(sample.images, before.images)
    counts = np.array([sample.captions.count(caption) for caption in "abcde"])
    assert counts.sum() == 400
    assert (abs(counts - 80) < 5 * (400 * 0.2 * 0.8) ** 0.5).all()
    assert sample.categories.tolist() == [3] * 400
    assert before.categories is None


def test_crops_depend_on_the_step_alone_and_half_are_magnified(labeled):
    crops = Crops(["labeled"], rows=64, side=16, zoom=2.0, seed=3)
    late = crops.sample(9).images
    crops.sample(2)
    assert torch.equal(crops.sample(9).images, late)
    assert not torch.equal(crops.sample(10).images, late)
    exact = sum(bool(((row * 255) % 1 < 1e-3).all()) and len(row.unique()) > 30 for row in late)
    assert exact > 0


def test_an_image_smaller_than_the_crop_is_enlarged(labeled):
    assert Crops(["labeled"], rows=1, side=64, zoom=1.0, seed=0).sample(0).images.shape == (1, 3, 64, 64)
