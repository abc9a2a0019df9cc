"""Training of the autoencoder, the image features and the generator."""

import inspect
from dataclasses import replace

import pytest
import torch
from small_generator import received_features, seeds

from semcom.images.sources import load
from semcom.systems.multimodal_generation import training
from semcom.systems.multimodal_generation.networks.flow import integrate
from semcom.systems.multimodal_generation.networks.generator import Condition
from semcom.systems.multimodal_generation.networks.presets import DEFAULTS
from semcom.systems.multimodal_generation.training.encoders import autoencoder_task, features_task
from semcom.systems.multimodal_generation.training.generator import (
    fine_tuning_task,
    generate_with_gradient,
    generator_task,
)
from semcom.systems.multimodal_generation.training.teacher import Teacher, distance
from semcom.training.crops import Crops
from semcom.training.settings import Settings
from semcom.training.trainer import Trainer
from semcom.weights.files import seeded


@pytest.mark.parametrize(
    ("part", "crop", "loss"),
    [
        ("autoencoder", 32, "absolute"),
        ("features", 128, "latent"),
        ("generator", 128, "velocity"),
        ("fine_tuning", 128, "perceptual"),
    ],
)
def test_training_lowers_the_loss(tmp_path, monkeypatch, part, crop, loss):
    tasks = {
        "autoencoder": lambda: autoencoder_task("random"),
        "features": lambda: features_task("none", "random"),
        "generator": lambda: generator_task("none", "none", "none", "random"),
        "fine_tuning": lambda: replace(fine_tuning_task("none", "none", "none", "random"), continues=""),
    }
    monkeypatch.setattr(training, "training", tasks[part])
    settings = Settings(
        "multimodal_generation", rows=2, crop=crop, steps=1000, learning_rate=0.02, snr_db=(-10.0, 20.0)
    )
    run = Trainer(settings, tmp_path)
    sample = Crops(["photos"], 2, crop, 1.0, 0).sample(0)
    sample = type(sample)(sample.images, captions=("a dog", "a boat"))
    first = run.advance(sample)[loss]
    for _ in range(8):
        run.advance(sample)
    run.step = 0  # the same random numbers as at first
    assert run.advance(sample)[loss] < first


def test_training_builds_on_the_bundled_networks():
    defaults = {name: parameter.default for name, parameter in inspect.signature(training.training).parameters.items()}
    around = ("autoencoder", "features", "clip")
    assert {name: defaults[name] for name in around} == {name: DEFAULTS[name] for name in around}


def test_validation_takes_images_of_any_size():
    images = load("photos", 2)
    assert images[0].pixels.shape != images[1].pixels.shape
    found = autoencoder_task("random").measure(images)
    assert 0 < found["psnr_db"] < 40


def test_gradients_reach_the_chosen_steps_with_their_inputs_constant(tiny):
    network, condition, noise = (
        tiny.generator,
        Condition.from_received(tiny.features, *received_features(2)),
        seeds(2).normal(4, 16, 16),
    )
    places = []

    def velocity(noisy, time):
        places.append((noisy, time))
        return network(noisy, time, condition)

    parameter = network.image[0].weight.requires_grad_(True)
    with torch.no_grad():
        expected = integrate(velocity, noise, 8)
    latents = generate_with_gradient(lambda noisy, time: network(noisy, time, condition), noise, (1, 6))
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
    (found,) = torch.autograd.grad(latents.square().sum(), parameter)
    share = sum(-network(*places[step], condition) / 8 for step in (1, 6))
    (wanted,) = torch.autograd.grad(share, parameter, grad_outputs=2 * expected)
    parameter.requires_grad_(False)
    assert wanted.abs().max() > 0
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_stages_of_the_teacher_give_its_outputs_and_distances():
    with seeded(1):
        teacher = Teacher("random")
    images, others = seeds(4).uniform(3, 64, 64).split(2)
    with torch.no_grad():
        stages = teacher.stages(images, 5)
        whole = teacher.network((images * 255 - 127) / 128).softmax(1)
        torch.testing.assert_close(teacher.probabilities(stages[3]), whole)
        torch.testing.assert_close(teacher.logits(stages[4]).softmax(1), whole)
        torch.testing.assert_close(distance(teacher, images, images), torch.zeros(2))
        by_hand = sum(
            2 - 2 * torch.nn.functional.cosine_similarity(one, other, 1).mean((1, 2))
            for one, other in zip(stages[:3], teacher.stages(others, 3), strict=True)
        )
        torch.testing.assert_close(distance(teacher, images, others), by_hand, atol=1e-5, rtol=1e-4)
