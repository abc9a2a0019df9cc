"""Training of the autoencoder and of the image features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from channels.rng import Rng
from semcom import weights
from semcom.images.source_image import SourceImage
from semcom.system import Sample
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.clip import SYSTEM
from semcom.systems.multimodal_generation.networks.features import ImageFeatures, coarse_image
from semcom.systems.multimodal_generation.streams.analog import from_symbols, to_symbols
from semcom.systems.multimodal_generation.training.teacher import Teacher, distance
from semcom.systems.multimodal_generation.training.validation import SNR_DB, add_noise, quality, stack_images
from semcom.training.task import Phase, Send, Task
from semcom.weights.imagenet import adopt, tensors

_PERCEPTUAL_WEIGHT = 0.1
_DEEP_WEIGHT, _CLASSES_WEIGHT = 0.5, 0.05
_LATENT_NOISE = 0.1  # standard deviation of noise added to latents, since generated latents are not exact either


def autoencoder_task(initial: str = "imagenet") -> Task:
    """Return the training task of the autoencoder: absolute error and teacher distance, with noise on the latents.

    Args:
        initial: weights of the teacher: "imagenet", or "random" for tests.
    """
    network, teacher = Autoencoder(), Teacher(initial)

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Mapping[str, Tensor]:
        latents = network.encode(sample.images)
        noise = rng.derive("latent").normal(*latents.shape[1:]).to(latents.device)
        decoded = network.decode(latents + _LATENT_NOISE * noise)
        return {
            "absolute": (decoded - sample.images).abs().mean(),
            "perceptual": _PERCEPTUAL_WEIGHT * distance(teacher, decoded, sample.images).mean(),
        }

    def measure(photos: Sequence[SourceImage]) -> dict[str, float]:
        images = stack_images(photos, network)
        decoded = network.decode(network.encode(images)).clamp(0, 1)
        return quality(teacher, decoded, images, "")

    phases = (Phase("autoencoder", network, losses, muon=True),)
    return Task(network, phases, None, network.configuration, measure=measure)


def features_task(autoencoder: str, initial: str = "imagenet") -> Task:
    """Return the training task of the image features, transmitted through the channel.

    Three targets are estimated from the received features: the latent, the backbone's features at stride 16, and the
    teacher's class probabilities.

    Args:
        autoencoder: weight file of the autoencoder whose latent is estimated; "none" is random weights, for tests.
        initial: weights of backbone and teacher: "imagenet", or "random" for tests.
    """
    space = weights.rebuild(autoencoder, SYSTEM, Autoencoder)[0].requires_grad_(False)
    network, teacher = ImageFeatures(latent=space.latent), Teacher(initial)
    adopt(network.backbone, tensors("efficientnet_lite0", initial))
    heads = nn.ModuleDict({"deep": nn.Conv2d(network.hidden, 112, 1), "classes": nn.Linear(network.hidden, 1000)})

    def losses(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> Mapping[str, Tensor]:
        features, deep = network.encode(sample.images)
        received = send(to_symbols(features), snr_db)
        hidden = network.feature_map(from_symbols(received.symbols, received.noise_var, network.dimension))
        with torch.no_grad():
            latents = space.encode(sample.images)
            probabilities = teacher.probabilities(deep)
        logits = heads["classes"](hidden.mean((2, 3))).float()
        cosine = functional.cosine_similarity(heads["deep"](hidden).float(), deep.float())
        return {
            "latent": (network.leave(hidden).float() - latents).square().mean(),
            "deep": _DEEP_WEIGHT * (1 - cosine).mean(),
            "classes": _CLASSES_WEIGHT * functional.cross_entropy(logits, probabilities),
        }

    def measure(photos: Sequence[SourceImage]) -> dict[str, float]:
        images = stack_images(photos, network)
        features = network(images)
        measured: dict[str, float] = {}
        for snr_db in SNR_DB:
            coarse = coarse_image(space, network, add_noise(features, snr_db, "image"))
            measured |= quality(teacher, coarse, images, f" at {snr_db:g} dB")
        return measured

    trained = nn.ModuleDict({"network": network, "heads": heads})
    phases = (Phase("features", trained, losses, muon=True),)
    return Task(network, phases, None, network.configuration, helpers=heads, measure=measure)
