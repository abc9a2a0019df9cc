"""Parts of the tests of the generator: received features and random streams."""

import torch

from channels.rng import Rng, seed_for
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures

TEXT = 6  # number of text features


def received_features(rows, noise_var=0.3, first=0):
    """Return received features of image and text."""
    rng = Rng([seed_for("features", first + row) for row in range(rows)])
    image, text = rng.normal(128), rng.normal(TEXT)
    return NoisyFeatures(image, torch.full_like(image, noise_var)), NoisyFeatures(
        text, torch.full_like(text, noise_var)
    )


def seeds(rows, first=0):
    return Rng([seed_for("row", first + row) for row in range(rows)])
