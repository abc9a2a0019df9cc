"""Training of the generator, and its fine-tuning by generated images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from channels.errors import UsageError
from channels.rng import Rng, seed_for
from semcom import weights
from semcom.images.source_image import SourceImage
from semcom.system import Sample
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.clip import SYSTEM, load_clip
from semcom.systems.multimodal_generation.networks.features import ImageFeatures
from semcom.systems.multimodal_generation.networks.flow import Latents, Velocity, integrate
from semcom.systems.multimodal_generation.networks.generator import Condition, Generator, TinyGenerator
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures
from semcom.systems.multimodal_generation.streams.analog import from_symbols, to_symbols
from semcom.systems.multimodal_generation.training.teacher import Teacher, distance, feature_distance
from semcom.systems.multimodal_generation.training.validation import SNR_DB, add_noise, quality, stack_images
from semcom.training.task import Phase, Send, Task

_DROPPED = 0.1  # share of the rows without both kinds of features, without the image's, and without the text's
_PERCEPTUAL_WEIGHT = 0.2
_CLASSES_WEIGHT = 0.05
_STEPS, _GRADIENT_STEPS = 8, 1  # diffusion steps in fine-tuning and validation, and those with gradients
_TIMES = 2  # noisy latents per image, which is encoded once
_TEXT_SNR_DB = (-10.0, 20.0)


def generator_task(autoencoder: str, features: str, clip: str, initial: str = "imagenet") -> Task:
    """Return the training task of the generator: squared error of the velocity, and teacher distance of end points.

    With the squared error alone, a small network with few steps generates images with the right colors and without
    recognizable content. The decoded end point predicted from a noisy latent is therefore also compared with the sent
    image by the teacher.

    In half of the rows, both kinds of features have the SNR of the row, as if transmitted in the same way; in the other
    half, the text features have another SNR, as if repeated or sent digitally. A tenth of the rows has no features, a
    tenth no image features, and a tenth no text features.

    Args:
        autoencoder: weight file of the autoencoder; "none" is random weights, for tests.
        features: weight file of the image features; "none" is random weights, for tests.
        clip: weight file of the CLIP that extracts text features; "none" is random text features, for tests.
        initial: weights of the teacher: "imagenet", or "random" for tests.
    """
    frozen = _FrozenNetworks(autoencoder, features, clip, initial)
    network = Generator(frozen.space.latent, frozen.features.channels, frozen.text_reals)

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Mapping[str, Tensor]:
        with torch.no_grad():
            condition = frozen.condition(sample, snr_db, send, rng)
            condition = condition.map(lambda part: part.repeat_interleave(_TIMES, 0))
            latents = frozen.space.encode(sample.images).repeat_interleave(_TIMES, 0)
            time = rng.derive("time").normal(_TIMES).flatten().to(latents.device).sigmoid()
            noise = rng.derive("noise").normal(_TIMES, *latents.shape[1:]).flatten(0, 1).to(latents.device)
            s = time[:, None, None, None]
            noisy = (1 - s) * latents + s * noise
        velocity = network(noisy, time, condition)
        ends = (noisy - s * velocity)[:: 2 * _TIMES]  # end point of the first path of every other image
        images = frozen.space.decode(ends)
        return {
            "velocity": (velocity - (noise - latents)).square().mean(),
            "perceptual": _PERCEPTUAL_WEIGHT * distance(frozen.teacher, images, sample.images[::2], 5).mean(),
        }

    phases = (Phase("generator", network, losses, muon=True),)
    return Task(network, phases, None, network.configuration, measure=frozen.measure(network))


def fine_tuning_task(autoencoder: str, features: str, clip: str, initial: str = "imagenet") -> Task:
    """Return the task that fine-tunes a trained generator by its generated images: teacher distance and classes.

    All diffusion steps are run under the default `Guidance`, and the teacher compares the generated image with the sent
    one. The gradient flows through the velocities of some steps only, with the latent at their input held constant.
    The generated latent is the noise minus the sum of all velocities, so this gradient is exact except for the effect
    of a velocity on later ones.

    Args:
        autoencoder: weight file of the autoencoder, as in `generator_task`.
        features: weight file of the image features, as in `generator_task`.
        clip: weight file of CLIP, as in `generator_task`.
        initial: weights of the teacher, as in `generator_task`.

    Source: Wu et al., "Deep reward supervisions for tuning text-to-image diffusion models", ECCV 2024.
    """
    frozen = _FrozenNetworks(autoencoder, features, clip, initial)
    network = Generator(frozen.space.latent, frozen.features.channels, frozen.text_reals)

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Mapping[str, Tensor]:
        with torch.no_grad():
            condition = frozen.condition(sample, snr_db, send, rng)
            noise = rng.derive("noise").normal(*condition.latents.shape[1:]).to(sample.images.device)
        order = rng[:1].derive("steps").uniform(_STEPS)[0].argsort().tolist()
        velocity = TinyGenerator(frozen.space, frozen.features, network).velocity(condition)
        images = frozen.space.decode(generate_with_gradient(velocity, noise, order[:_GRADIENT_STEPS]))
        with torch.autocast(images.device.type, enabled=False):
            with torch.no_grad():
                targets = frozen.teacher.stages(sample.images, 5)
            stages = frozen.teacher.stages(images.float(), 5)
            probabilities = frozen.teacher.logits(targets[-1]).softmax(1)
            cross_entropy = functional.cross_entropy(frozen.teacher.logits(stages[-1]), probabilities)
        return {
            "perceptual": _PERCEPTUAL_WEIGHT * feature_distance(stages, targets).mean(),
            "classes": _CLASSES_WEIGHT * cross_entropy,
        }

    phases = (Phase("fine_tuning", network, losses, muon=True),)
    measure = frozen.measure(network)
    return Task(network, phases, None, network.configuration, measure=measure, continues="generator")


def generate_with_gradient(velocity: Velocity, noise: Latents, gradient_steps: Sequence[int]) -> Latents:
    """Return the latents after all steps; gradients reach `velocity` in the steps with numbers `gradient_steps`."""
    step = count()

    def velocity_of_step(noisy: Latents, time: Tensor) -> Latents:
        torch.clear_autocast_cache()  # weights cast in a step without gradients would have none
        with torch.set_grad_enabled(next(step) in gradient_steps):
            return velocity(noisy.detach(), time)

    return integrate(velocity_of_step, noise, _STEPS)


class _FrozenNetworks:
    """Networks that the generator builds on.

    Args:
        autoencoder: weight file of the autoencoder, as in `generator_task`.
        features: weight file of the image features, as in `generator_task`.
        clip: weight file of CLIP, as in `generator_task`.
        initial: weights of the teacher, as in `generator_task`.
    """

    def __init__(self, autoencoder: str, features: str, clip: str, initial: str) -> None:
        self.space = weights.rebuild(autoencoder, SYSTEM, Autoencoder)[0].requires_grad_(False)
        self.features = weights.rebuild(features, SYSTEM, ImageFeatures)[0].requires_grad_(False)
        self.text_reals, self.text_features = _text_features(clip)
        self.teacher = Teacher(initial)

    def condition(self, sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Condition:
        """Return the condition from features sent through the channel, some of them dropped."""
        device, text_reals, features = sample.images.device, self.text_reals, self.features
        nn.ModuleList([self.space, features, self.teacher]).to(device)
        image, text = features(sample.images), self.text_features(_captions(sample)).to(device) * text_reals**0.5
        received = send(to_symbols(torch.cat([image, text], 1)), snr_db)
        both = from_symbols(received.symbols, received.noise_var, features.dimension + text_reals)
        received_image, received_text = (
            NoisyFeatures(values, noise_var)
            for values, noise_var in zip(
                both.values.split([features.dimension, text_reals], 1),
                both.noise_var.split([features.dimension, text_reals], 1),
                strict=True,
            )
        )
        ratio = _text_noise_ratio(rng.derive("text SNR"), snr_db)
        received_text = NoisyFeatures(
            text + (received_text.values - text) * ratio.sqrt(), received_text.noise_var * ratio
        )
        draw = rng.derive("lost").uniform(1)[:, 0].to(device)
        has_image, has_text = draw > 2 * _DROPPED, (draw > _DROPPED) & (draw < 1 - _DROPPED)
        condition = Condition.from_received(features, received_image, received_text)
        return condition.masked(has_image.float(), has_text.float())

    def measure(self, network: Generator) -> Callable[[Sequence[SourceImage]], dict[str, float]]:
        """Return a function that measures the quality of images generated for validation images."""

        def measure(photos: Sequence[SourceImage]) -> dict[str, float]:
            images = stack_images(photos, network)
            nn.ModuleList([self.space, self.features, self.teacher]).to(images.device)
            generator = TinyGenerator(self.space, self.features, network)
            image = self.features(images)
            measured: dict[str, float] = {}
            text = self.text_features([photo.caption or "" for photo in photos]).to(images.device)
            for snr_db in SNR_DB:
                rng = Rng([seed_for("validate", photo.name) for photo in photos])
                received_image = add_noise(image, snr_db, "image")
                received_text = add_noise(text * self.text_reals**0.5, snr_db, "text")
                generated = generator.generate(received_image, received_text, rng, 1, _STEPS)[:, 0]
                measured |= quality(self.teacher, generated, images, f" at {snr_db:g} dB")
            return measured

        return measure


def _text_features(clip: str) -> tuple[int, Callable[[Sequence[str]], Tensor]]:
    """Return the number of text features, and a function from captions to their unit vectors."""
    if clip != "none":
        network = load_clip("tiny", clip)
        return network.dimension, network.text_features

    def random_features(captions: Sequence[str]) -> Tensor:
        return functional.normalize(Rng([seed_for(caption) for caption in captions]).normal(256))

    return 256, random_features


def _captions(sample: Sample) -> tuple[str, ...]:
    if sample.captions is None:
        raise UsageError("the generator requires images with captions: use --data natural:train or imagenette:train")
    return sample.captions


def _text_noise_ratio(rng: Rng, snr_db: Float[Tensor, " rows"]) -> Float[Tensor, "rows 1"]:
    """Return the noise variance of the text features over that of the row: 1 in half of the rows."""
    own, value = rng.uniform(2).to(snr_db.device).T
    low, high = _TEXT_SNR_DB
    other = 10 ** ((snr_db - low - (high - low) * value) / 10)
    return torch.where(own < 0.5, 1, other)[:, None]
