"""Guidance of the tiny generator by the gradient of CLIP's text error."""

from dataclasses import replace

import pytest
import torch
from small_generator import TEXT, received_features, seeds

from channels.errors import UsageError
from channels.rng import Rng, seed_for
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.clip import tiny_clip
from semcom.systems.multimodal_generation.networks.clip_guidance import ClipGuidance
from semcom.systems.multimodal_generation.networks.generator import Condition
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures
from semcom.systems.multimodal_generation.selection import text_errors
from semcom.weights.files import seeded


@pytest.fixture(scope="module")
def guidance(tiny):
    with seeded(6):
        clip = tiny_clip(words=["dog"], dimension=TEXT, width=16, trunk="test_efficientnet")
    return ClipGuidance(clip.eval().requires_grad_(False), tiny.autoencoder, 0.05)


def test_the_gradient_changes_the_text_error_most(tiny, guidance):
    latents, text = seeds(3).normal(4, 16, 16), received_features(3)[1]

    def errors(moved):
        images = tiny.autoencoder.decode(moved).clamp(0, 1)
        return sum(text_errors(guidance.clip.image_features(view), text) for view in (images, images.flip(3)))

    gradient = guidance.gradient(latents, text)
    torch.testing.assert_close(gradient.square().mean((1, 2, 3)), torch.ones(3))
    with torch.no_grad():
        along = errors(latents + 0.02 * gradient) - errors(latents - 0.02 * gradient)
        for number in range(5):
            other = Rng([seed_for("other", number, row) for row in range(3)]).normal(4, 16, 16)
            other = other / other.square().mean((1, 2, 3), keepdim=True).sqrt()
            across = errors(latents + 0.02 * other) - errors(latents - 0.02 * other)
            assert (along > 3 * across.abs()).all()


def test_end_points_move_by_the_gradient_of_received_text_only(tiny, guidance):
    noisy, time = seeds(2).normal(4, 16, 16), torch.tensor([0.25, 0.5])
    received = received_features(2)[1]
    text = NoisyFeatures(received.values, torch.stack([received.noise_var[0], torch.full((TEXT,), torch.inf)]))
    velocity = tiny.velocity(Condition.from_received(tiny.features, received_features(2)[0], text))
    with torch.no_grad():
        plain, steered = velocity(noisy, time), guidance.guided(velocity, text)(noisy, time)
        moved = time[:, None, None, None] * (plain - steered)  # change of the end points x - s v
        gradient = guidance.gradient(noisy - time[:, None, None, None] * plain, text)
    torch.testing.assert_close(moved, -0.05 * gradient, atol=1e-5, rtol=1e-4)
    assert moved[0].abs().max() > 0.05
    assert not moved[1].any()
    assert torch.equal(guidance.guided(velocity, text)(noisy, time + 0.3), velocity(noisy, time + 0.3))


def test_candidates_change_also_in_inference_mode(tiny, guidance):
    with torch.inference_mode():
        three = replace(tiny, clip_guidance=guidance).generate(*received_features(7), seeds(7), 3, 2)
    assert 0 <= three.min() < three.max() <= 1
    assert ((three - tiny.generate(*received_features(7), seeds(7), 3, 2)).abs().amax((2, 3, 4)) > 1e-3).all()


def test_wrong_use_is_refused(guidance):
    with pytest.raises(UsageError, match="clip_guidance must be 0 to 1, not 2"):
        replace(guidance, strength=2.0)
    with torch.inference_mode():
        built = replace(guidance, autoencoder=Autoencoder(4, 8))
    with pytest.raises(UsageError, match=r"build the system outside torch\.inference_mode"):
        built.guided(lambda noisy, time: noisy, received_features(1)[1])
