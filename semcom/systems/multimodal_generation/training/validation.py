"""Validation shared by the training tasks: images, noisy features and quality measures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from channels.rng import Rng, seed_for
from semcom.images.source_image import SourceImage
from semcom.metrics.fidelity import psnr
from semcom.systems.multimodal_generation.networks.features import resized
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures
from semcom.systems.multimodal_generation.training.teacher import Teacher, distance

SNR_DB = (-5.0, 5.0, 15.0)


def stack_images(images: Sequence[SourceImage], network: torch.nn.Module) -> Float[Tensor, "rows 3 side side"]:
    """Return images of any size, resized as by the transmitter, on the device of a network."""
    return torch.cat([resized(image.pixels[None]) for image in images]).to(next(network.parameters()).device)


def add_noise(values: Float[Tensor, "rows reals"], snr_db: float, name: str) -> NoisyFeatures:
    """Return features as received over AWGN; the noise depends on the row and `name` only."""
    rng = Rng([seed_for("validate", name, row) for row in range(len(values))])
    noise_var = torch.full_like(values, 10 ** (-snr_db / 10))
    return NoisyFeatures(values + noise_var.sqrt() * rng.normal(values.shape[1]).to(values.device), noise_var)


def quality(teacher: Teacher, images: Tensor, targets: Tensor, suffix: str) -> dict[str, float]:
    """Return mean PSNR and teacher distance of images to targets, with `suffix` appended to the names."""
    return {
        f"psnr_db{suffix}": round(psnr(images, targets).mean().item(), 3),
        f"teacher_distance{suffix}": round(distance(teacher, images, targets, 5).mean().item(), 4),
    }
