"""Multimodal generation with pretrained models in their own formats, end to end."""

import pytest
import their_models
import torch
from huggingface_hub import constants

from channels import awgn
from semcom.images.sources import load
from semcom.link import Link
from semcom.system import Sample
from semcom.systems import multimodal_generation
from semcom.systems.multimodal_generation.networks.clip import load_clip
from semcom.systems.multimodal_generation.words import sentence

CBR = 1 / 64


def in_folders(path, _):
    return str(their_models.clip(path / "clip")), str(their_models.stable_diffusion(path / "pipeline"))


def from_the_hub(path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(path))
    return (
        their_models.cached(path, "somebody/clip", their_models.clip),
        their_models.cached(path, "somebody/pipeline", their_models.stable_diffusion),
    )


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument")  # passed by diffusers to the hub's client
@pytest.mark.parametrize("models", [in_folders, from_the_hub])
def test_candidates_are_generated_and_selected_by_the_given_models(models, tmp_path, monkeypatch):
    clip, pipeline = models(tmp_path, monkeypatch)
    base = multimodal_generation.build(
        CBR, candidates=3, steps=2, preset="base", clip_weights=clip, generator_weights=pipeline
    )
    photos = torch.stack([photo.pixels for photo in load("photos", 2, 128)])
    sample = Sample(photos, captions=("a wall", "two dogs"))
    reception = Link(base, awgn.build()).deliver(sample, 60.0, [1, 2]).reception
    assert reception.candidates.shape == (2, 3, 3, 128, 128)
    assert torch.equal(reception.chosen, reception.scores.argmin(1))
    assert torch.equal(reception.images, reception.candidates[torch.arange(2), reception.chosen])
    assert (reception.candidates[:, 0] - reception.candidates[:, 1]).abs().amax((1, 2, 3)).min() > 1e-3
    assert {clip, pipeline} <= set(base.weights.split(", "))
    clip_network = load_clip("base", clip)
    texts = clip_network.text_features([sentence(caption) for caption in sample.captions])
    for row, candidates in enumerate(reception.candidates):
        errors = 1 - clip_network.image_features(candidates) @ texts[row]
        torch.testing.assert_close(reception.details.text_errors[row], errors, atol=1e-3, rtol=0)
    alone = Link(base, awgn.build()).deliver(Sample(photos[1:], captions=("two dogs",)), 60.0, [2]).reception
    torch.testing.assert_close(alone.images, reception.images[1:], atol=1e-3, rtol=0)
