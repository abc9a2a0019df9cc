"""The tiny generator: image features, flow, U-Net and classifier-free guidance."""

from dataclasses import replace

import pytest
import torch
from small_generator import TEXT, received_features, seeds

from channels.errors import UsageError
from channels.rng import Rng
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.features import ImageFeatures
from semcom.systems.multimodal_generation.networks.flow import integrate, normal_velocity
from semcom.systems.multimodal_generation.networks.generator import Condition, Generator, Guidance
from semcom.weights.files import seeded


def test_features_have_unit_power_and_do_not_depend_on_the_batch():
    with seeded(0):
        network = ImageFeatures(channels=4, width=8).eval()
    images = Rng([1, 2, 3]).uniform(3, 128, 128)
    with torch.no_grad():
        together, alone = network(images), network(images[1:2])
    torch.testing.assert_close(together.square().mean(1), torch.ones(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_images_of_another_size_are_refused():
    with pytest.raises(UsageError, match="128x128 pixels, not 96x64: resize"):
        ImageFeatures(channels=2, width=8)(torch.zeros(1, 3, 64, 96))
    with pytest.raises(UsageError, match="multiples of 8"):
        Autoencoder(4, 8).encode(torch.zeros(1, 3, 20, 32))


def test_velocity_is_the_conditional_expectation():
    """Compare a regression of n - x on x_s over random draws with the closed form."""
    mean, variance, count = 0.7, 0.4, 200_000
    x, n = Rng([8]).normal(2, count)[0]
    x = mean + variance**0.5 * x
    for s in (0.15, 0.5, 0.9):
        noisy = (1 - s) * x + s * n
        slope = torch.cov(torch.stack([noisy, n - x]))[0, 1] / noisy.var()
        intercept = (n - x).mean() - slope * noisy.mean()
        at = torch.tensor([-1.0, 2.0]).view(1, 1, 1, 2)
        found = normal_velocity(at, torch.tensor([s]), torch.full_like(at, mean), variance)
        torch.testing.assert_close(found.flatten(), slope * at.flatten() + intercept, atol=0.03, rtol=0)


def test_sampler_reaches_a_normal_distribution_at_first_order():
    """The exact flow maps noise n to mean + deviation n; the error of Euler steps is proportional to the step."""
    noise = Rng([4]).normal(2, 4, 4)
    mean, variance = Rng([5]).normal(2, 4, 4), 0.25

    def error(steps):
        latents = integrate(lambda noisy, time: normal_velocity(noisy, time, mean, variance), noise, steps)
        return (latents - (mean + variance**0.5 * noise)).abs().max().item()

    assert error(200) < 0.02
    assert error(50) / error(200) == pytest.approx(4, rel=0.15)


def test_untrained_generator_is_normal_around_the_estimate():
    with seeded(1):
        networks = Autoencoder(4, 8).eval(), ImageFeatures(2, 8, 4).eval(), Generator(4, 2, TEXT, (32, 32)).eval()
    condition = Condition.from_received(networks[1], *received_features(2))
    noise = seeds(2).normal(4, 16, 16)
    with torch.no_grad():
        latents = integrate(lambda noisy, time: networks[2](noisy, time, condition), noise, 20)
    torch.testing.assert_close(latents, condition.latents + 0.5**0.5 * noise, atol=0.2, rtol=0)


def test_candidates_are_nested_and_do_not_depend_on_other_rows(tiny):
    four = tiny.generate(*received_features(2), seeds(2), 4, 3)
    assert four.shape == (2, 4, 3, 128, 128)
    assert 0 <= four.min() < four.max() <= 1
    two = tiny.generate(*received_features(2), seeds(2), 2, 3)
    torch.testing.assert_close(two, four[:, :2], atol=1e-5, rtol=0)
    alone = tiny.generate(*received_features(1, first=1), seeds(1, first=1), 4, 3)
    torch.testing.assert_close(alone[0], four[1], atol=1e-5, rtol=0)
    assert (four[0, 0] - four[0, 1]).abs().max() > 0.01


def test_generator_leaves_the_global_random_state_alone(tiny):
    before = torch.random.get_rng_state()
    tiny.generate(*received_features(1), seeds(1), 1, 1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_missing_features_equal_an_omitted_condition(tiny):
    missing = Condition.from_received(tiny.features, *received_features(2, torch.inf))
    omitted = Condition.from_received(tiny.features, *received_features(2)).masked(torch.zeros(2), torch.zeros(2))
    noisy, time = seeds(2).normal(4, 16, 16), torch.tensor([0.2, 0.8])
    torch.testing.assert_close(tiny.generator(noisy, time, missing), tiny.generator(noisy, time, omitted))
    assert torch.isfinite(tiny.generate(*received_features(2, torch.inf), seeds(2), 1, 2)).all()


@pytest.mark.parametrize("part", ["image", "text"])
def test_each_condition_matters(tiny, part):
    condition = Condition.from_received(tiny.features, *received_features(1))
    has = {"image": torch.ones(1), "text": torch.ones(1)} | {part: torch.zeros(1)}
    noisy, time = seeds(1).normal(4, 16, 16), torch.tensor([0.5])
    with_both = tiny.generator(noisy, time, condition)
    assert (with_both - tiny.generator(noisy, time, condition.masked(**has))).abs().max() > 1e-4


@pytest.mark.parametrize(("image", "text"), [(1.0, 1.0), (2.0, 2.0), (1.0, 3.0), (2.0, 6.0), (0.0, 0.0)])
def test_guidance_adds_the_scaled_velocity_differences(tiny, image, text):
    condition = Condition.from_received(tiny.features, *received_features(2))
    noisy, time = seeds(2).normal(4, 16, 16), torch.tensor([0.2, 0.8])

    def velocity(has_image, has_text):
        has = torch.full((2,), has_image), torch.full((2,), has_text)
        return tiny.generator(noisy, time, condition.masked(*has))

    neither, image_only, both = velocity(0.0, 0.0), velocity(1.0, 0.0), velocity(1.0, 1.0)
    expected = neither + image * (image_only - neither) + text * (both - image_only)
    guided = replace(tiny, guidance=Guidance(image, text))
    torch.testing.assert_close(guided.velocity(condition)(noisy, time), expected, atol=1e-4, rtol=1e-4)


def test_guidance_skips_velocities_without_effect(tiny):
    calls = []
    handle = tiny.generator.register_forward_hook(lambda *_: calls.append(1))
    for guidance, expected in (
        (Guidance(1.0, 1.0), 1),
        (Guidance(2.0, 2.0), 2),
        (Guidance(1.0, 3.0), 2),
        (Guidance(2.0, 6.0), 3),
    ):
        calls.clear()
        replace(tiny, guidance=guidance).generate(*received_features(1), seeds(1), 1, 1)
        assert len(calls) == expected
    handle.remove()
