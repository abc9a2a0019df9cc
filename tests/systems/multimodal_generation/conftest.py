import jaxtyping
import pytest
import torch
from small_generator import TEXT

from semcom.images.sources import load
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.clip import tiny_clip
from semcom.systems.multimodal_generation.networks.features import ImageFeatures
from semcom.systems.multimodal_generation.networks.generator import Generator, TinyGenerator
from semcom.systems.multimodal_generation.networks.presets import Networks
from semcom.weights.files import seeded

TOKENS = 49408


@pytest.fixture(scope="session")
def networks():
    """All networks, as small as possible, but CLIP with its full token vocabulary."""
    with seeded(5):
        clip = tiny_clip(TOKENS, dimension=8, width=16, trunk="test_efficientnet")
        features, autoencoder = ImageFeatures(2, 8, 4), Autoencoder(4, 8)
        generator = Generator(latent=4, channels=2, text=8, widths=(32, 32))
    for network in (clip, features, autoencoder, generator):
        network.eval().requires_grad_(False)
    return Networks(clip, features, autoencoder, TinyGenerator(autoencoder, features, generator))


@pytest.fixture(scope="session")
def photos():
    return torch.stack([image.pixels for image in load("photos", 4, 128)])


@pytest.fixture
def unchecked(monkeypatch):
    """Arguments are not checked against their annotations, as outside the tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def tiny():
    """A tiny generator whose output depends on its condition."""
    with seeded(3):
        generator = Generator(latent=4, channels=2, text=TEXT, widths=(32, 32))
        torch.nn.init.normal_(generator.unet.conv_out.weight, std=0.1)  # zero initially, which hides the condition
        networks = Autoencoder(4, 8), ImageFeatures(2, 8, 4), generator
    return TinyGenerator(*(network.eval().requires_grad_(False) for network in networks))
