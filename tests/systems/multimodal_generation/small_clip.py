"""Parts of the tests of CLIP: a small CLIP, a source of colored images, and training runs."""

import sys
import types

import numpy as np
from PIL import Image

from semcom import images, weights
from semcom.systems.multimodal_generation.networks.clip import tiny_clip
from semcom.systems.multimodal_generation.training import clip as clip_training
from semcom.training import trainer
from semcom.training.settings import Settings

COLORS = ("red", "green", "blue", "yellow")
TEXTS = [f"a {color} wall" for color in COLORS for _ in range(4)]


def small_clip(monkeypatch, **arguments):
    """Return a CLIP for the captions `TEXTS`, on a small image encoder."""
    given = {"trunk": "test_efficientnet", "width": 32, "dimension": 16, "side": 32} | arguments
    monkeypatch.setattr(clip_training, "tiny_clip", lambda vocabulary: tiny_clip(vocabulary=vocabulary, **given))
    with weights.seeded(0):
        return clip_training.clip_for_captions(TEXTS, None)


def training_run(monkeypatch, tmp_path, training, **settings):
    """Return a training run of a toy system with the task that `training` returns."""
    module = types.ModuleType("semcom.systems.toy.training")
    module.training = training
    monkeypatch.setitem(sys.modules, "semcom.systems.toy", types.ModuleType("semcom.systems.toy"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(trainer, "_WARM_UP", 4)
    fixed = {"rows": 8, "crop": 32, "zoom": 1.0, "precision": "float32", "data": ("walls",), "validation": "walls"}
    return trainer.Trainer(Settings("toy", **(fixed | {"steps": 100, "learning_rate": 3e-3} | settings)), tmp_path)


def add_walls(monkeypatch):
    """Add an image source of noisy walls in four colors, each with two captions and the class of its color."""
    rng = np.random.default_rng(1)
    levels = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200), "yellow": (200, 200, 40)}
    entries = []
    for number in range(16):
        color = COLORS[number % 4]
        pixels = np.clip(levels[color] + rng.normal(0, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
        captions = (f"a {color} wall", f"this wall is {color}")
        entries.append(
            images.Entry(
                str(number), lambda pixels=pixels: Image.fromarray(pixels), captions[0], None, number % 4, captions
            )
        )
    monkeypatch.setitem(images.SOURCES, "walls", lambda argument: entries)
