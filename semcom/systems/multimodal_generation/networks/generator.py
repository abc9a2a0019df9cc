"""Tiny generator: candidates from received features by a few steps of a rectified flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from channels.arguments import within
from channels.extras import extra
from channels.rng import Rng
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.clip_guidance import ClipGuidance
from semcom.systems.multimodal_generation.networks.features import GRID, SIDE, ImageFeatures
from semcom.systems.multimodal_generation.networks.flow import TIMES, Latents, Velocity, integrate, normal_velocity
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures

_VARIANCE = 0.5  # variance of a latent around its estimate, assumed by the untrained generator
_FEATURE_CHANNELS = 24  # channels of the received image features at the U-Net's input


@dataclass(frozen=True)
class Condition:
    """Condition of the generator. An omitted part equals one of which nothing was received.

    Args:
        latents: latent estimated from the image features; zero without them.
        image: received image features times their reliability.
        image_weight: reliability of the image features.
        text: received text features times their reliability.
        text_weight: reliability of the text features.
    """

    latents: Float[Tensor, "rows latent h w"]
    image: Float[Tensor, "rows image_reals"]
    image_weight: Float[Tensor, "rows image_reals"]
    text: Float[Tensor, "rows text_reals"]
    text_weight: Float[Tensor, "rows text_reals"]

    @classmethod
    def from_received(cls, features: ImageFeatures, image: NoisyFeatures, text: NoisyFeatures) -> Condition:
        """Return the condition for received features."""
        image_weight, text_weight = image.reliability, text.reliability
        return cls(
            features.estimate(image) * (image_weight.amax(1) > 0)[:, None, None, None],
            image.values * image_weight,
            image_weight,
            text.values * text_weight,
            text_weight,
        )

    def masked(self, image: Tensor, text: Tensor) -> Condition:
        """Return the condition without the image (text) features of rows where `image` (`text`) [rows] is 0."""
        image_mask, text_mask = image[:, None], text[:, None]
        return Condition(
            self.latents * image_mask[:, :, None, None],
            self.image * image_mask,
            self.image_weight * image_mask,
            self.text * text_mask,
            self.text_weight * text_mask,
        )

    def map(self, function: Callable[[Tensor], Tensor]) -> Condition:
        """Apply a function to all parts."""
        parts = (self.latents, self.image, self.image_weight, self.text, self.text_weight)
        return Condition(*map(function, parts))


class Generator(nn.Module):
    """U-Net of diffusers that predicts the velocity of a rectified flow, conditioned on received features.

    x_s = (1 - s) x + s n leads from a latent x to noise n; the network learns the velocity v = n - x. Its output is
    added to the best prediction for latents that are normal around their estimate e with variance r = 1/2:
    v = (s - r (1 - s)) (x_s - (1 - s) e) / (s^2 + r (1 - s)^2) - e. The untrained network therefore generates such
    latents. Received image features are concatenated to the noisy latent; text features are added to the time
    embedding.

    Args:
        latent: number of latent channels.
        channels: number of image features at each position of their 8 x 8 grid.
        text: number of text features.
        widths: number of channels of the U-Net at each resolution, multiples of 32.
        layers: number of residual blocks at each resolution.

    Source: Lipman et al., "Flow matching for generative modeling", ICLR 2023.
    """

    def __init__(
        self,
        latent: int = 8,
        channels: int = 8,
        text: int = 256,
        widths: Sequence[int] = (64, 160),
        layers: int = 1,
    ) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {
            "latent": latent, "channels": channels, "text": text, "widths": list(widths), "layers": layers,
        }  # fmt: skip
        self.latent, self.channels = latent, channels
        embedding = 4 * widths[0]
        self.image = nn.Sequential(
            nn.Conv2d(2 * channels, 4 * _FEATURE_CHANNELS, 3, padding=1), nn.SiLU(), nn.PixelShuffle(2)
        )
        self.text = nn.Sequential(nn.Linear(text + 2, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.unet = _unet(2 * latent + _FEATURE_CHANNELS, latent, tuple(widths), layers)

    def forward(self, noisy: Latents, time: Float[Tensor, " rows"], condition: Condition) -> Latents:
        """Return the velocity of noisy latents at time s in [0, 1]."""
        grid = torch.cat([condition.image, condition.image_weight], 1).unflatten(1, (2 * self.channels, GRID, GRID))
        text = [condition.text, condition.text_weight[:, :1], condition.image_weight.mean(1, keepdim=True)]
        inputs = torch.cat([noisy, condition.latents, self.image(grid)], 1)
        predicted = self.unet(inputs, time * TIMES, class_labels=self.text(torch.cat(text, 1))).sample
        return normal_velocity(noisy, time, condition.latents, _VARIANCE) + predicted.float()


def _unet(inputs: int, outputs: int, widths: tuple[int, ...], layers: int) -> Any:
    """Return a U-Net whose output is initially zero, with attention below its first resolution."""
    with extra("semantic"):
        from diffusers import UNet2DModel

    below = len(widths) - 1
    unet = UNet2DModel(
        in_channels=inputs,
        out_channels=outputs,
        block_out_channels=widths,
        layers_per_block=layers,
        down_block_types=("DownBlock2D", *["AttnDownBlock2D"] * below),
        up_block_types=(*["AttnUpBlock2D"] * below, "UpBlock2D"),
        attention_head_dim=32,
        class_embed_type="identity",
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",  # a shift alone, before a normalization, hardly conveys the text
    )
    for value in cast(nn.Module, unet).get_submodule("conv_out").parameters():
        nn.init.zeros_(value)
    return unet


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance by image and text features: v = v_0 + g_I (v_I - v_0) + g_T (v_IT - v_I).

    v_0 is the unconditional velocity, v_I that for the image features, and v_IT that for both. With g_I = g_T = 1 the
    network is called once a step, otherwise once for each velocity with a nonzero coefficient.

    Args:
        image: g_I, 0 to 20; above 1 amplifies. The default was chosen on training images.
        text: g_T, 0 to 20; above 1 amplifies. The default was chosen on training images.

    Raises:
        UsageError: a value is out of range.

    Source: Ho and Salimans, "Classifier-free diffusion guidance", 2022; Brooks et al., "InstructPix2Pix", CVPR 2023.
    """

    image: float = 2.0
    text: float = 6.0

    def __post_init__(self) -> None:
        for name, strength in (("image_guidance", self.image), ("text_guidance", self.text)):
            within(name, strength, 0, 20)


@dataclass(frozen=True)
class TinyGenerator:
    """Generator of candidates of the tiny preset.

    Args:
        autoencoder: autoencoder whose decoder turns latents into images.
        features: network that estimates a latent from the received image features.
        generator: network that predicts velocities.
        guidance: classifier-free guidance.
        clip_guidance: guidance by CLIP's gradient; None is off.
    """

    autoencoder: Autoencoder
    features: ImageFeatures
    generator: Generator
    guidance: Guidance = Guidance()
    clip_guidance: ClipGuidance | None = None

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """Autoencoder, image features and generator; the CLIP of the guidance is the receiver's."""
        return self.autoencoder, self.features, self.generator

    @torch.no_grad()
    def generate(
        self, image: NoisyFeatures, text: NoisyFeatures, rng: Rng, candidates: int, steps: int
    ) -> Float[Tensor, "rows candidates 3 h w"]:
        """Implement `CandidateGenerator`; the candidates of all rows go through the network in one batch."""
        side = SIDE // 8
        noise = rng.derive("candidates").normal(candidates, self.generator.latent, side, side)
        condition = Condition.from_received(self.features, image, text)
        velocity = self.velocity(condition.map(lambda part: part.repeat_interleave(candidates, 0)))
        if self.clip_guidance is not None:
            repeated_text = (part.repeat_interleave(candidates, 0) for part in (text.values, text.noise_var))
            velocity = self.clip_guidance.guided(velocity, NoisyFeatures(*repeated_text))
        latents = integrate(velocity, noise.flatten(0, 1).to(image.values.device), steps)
        images = self.autoencoder.decode(latents).clamp(0, 1)
        return images.unflatten(0, (len(rng), candidates))

    def velocity(self, condition: Condition) -> Velocity:
        """Return the velocity with classifier-free guidance."""
        ones = torch.ones(len(condition.image), device=condition.image.device)
        zeros = torch.zeros_like(ones)
        image, text = self.guidance.image, self.guidance.text
        parts = (
            (1 - image, condition.masked(zeros, zeros)),
            (image - text, condition.masked(ones, zeros)),
            (text, condition),
        )

        def guided(noisy: Latents, time: Float[Tensor, " rows"]) -> Latents:
            total = torch.zeros_like(noisy)
            for coefficient, part in parts:
                if coefficient:
                    total = total + coefficient * self.generator(noisy, time, part)
            return total

        return guided
