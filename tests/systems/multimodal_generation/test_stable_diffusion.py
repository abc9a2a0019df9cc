"""Stable Diffusion pipelines as generators of candidates."""

import pytest
import their_models
import torch
from small_generator import TEXT, received_features, seeds

from channels.errors import UsageError
from semcom.systems.multimodal_generation.networks.stable_diffusion import load_stable_diffusion
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return their_models.stable_diffusion(tmp_path_factory.mktemp("turbo"))


def turbo(folder):
    def coarse(image):
        return (0.5 + 0.2 * image.values[:, :3, None, None]).clamp(0, 1).expand(-1, -1, 16, 16)

    return load_stable_diffusion(str(folder), coarse, ["dog", "boat", "tree", "sky", "car"], torch.eye(5, TEXT))


def test_a_pipeline_is_read_from_a_folder(folder, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    generator = turbo(folder)
    assert generator.side == 64
    three = generator.generate(*received_features(2), seeds(2), 3, 2)
    assert three.shape == (2, 3, 3, 64, 64)
    assert 0 <= three.min() < three.max() <= 1
    assert (three[0, 0] - three[0, 1]).abs().max() > 1e-3
    two = generator.generate(*received_features(1, first=1), seeds(1, first=1), 2, 2)
    torch.testing.assert_close(two[0], three[1, :2], atol=1e-4, rtol=0)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_the_number_of_steps_is_exact(folder, steps):
    generator, taken = turbo(folder), []
    generator.pipeline.unet.register_forward_hook(lambda *_: taken.append(1))
    for reliability in (0, 0.3, 0.5, 1):
        taken.clear()
        noise = 1 / reliability - 1 if reliability else torch.inf
        generator.generate(*received_features(1, noise), seeds(1), 1, steps)
        assert len(taken) == steps


def test_prompts_are_the_closest_words(folder):
    values = torch.tensor([[0.0, 3, 1, 2, 0, 9], [1, 0, 0, 0, 0, 0]])
    text = NoisyFeatures(values, torch.tensor([0.5, torch.inf])[:, None].expand(2, TEXT))
    assert turbo(folder).prompts(text) == ["a photo of a boat, sky, tree", ""]


def test_a_missing_pipeline_is_reported_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in (str(tmp_path), "nobody/nothing"):
        with pytest.raises(UsageError, match="give the path of its folder") as raised:
            load_stable_diffusion(name, lambda image: image.values, ["dog"], torch.eye(1))
        assert "\n" not in str(raised.value)
