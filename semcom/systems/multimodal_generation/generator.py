"""The generator: candidates for a picture from the features that came in, by a few steps of a diffusion model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from channels._errors import UsageError
from channels._rng import Rng
from semcom.systems.multimodal_generation.air import Heard
from semcom.systems.multimodal_generation.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.clip_guidance import ClipGuidance
from semcom.systems.multimodal_generation.features import GRID, SIDE, ImageFeatures
from semcom.systems.multimodal_generation.flow import TIMES, Latents, Velocity, integrate, normal_velocity

_SPREAD = 0.5  # variance of a latent around its estimate that the untrained generator assumes
_PIXEL_LEVELS = 24  # channels of the received features as the noise predictor sees them


@runtime_checkable
class Draws(Protocol):
    """What makes candidates; the receiver asks for no more."""

    def generate(
        self, image: Heard, text: Heard, rng: Rng, candidates: int, steps: int
    ) -> Float[Tensor, "rows candidates 3 h w"]:
        """Make `candidates` pictures a row, in [0, 1]; number k depends on the row's seed and on k, not on the rest.

        Args:
            image, text: features as they came in.
            rng: one stream a row.
            candidates: how many.
            steps: of the diffusion model.
        """


@dataclass(frozen=True)
class Condition:
    """What the noise predictor is told. A condition that is left out is one whose every number was lost.

    Args:
        latents: estimate from the image features, zero without them.
        image, text: received numbers times their reliability, and these weights.
    """

    latents: Float[Tensor, "rows latent h w"]
    image: Float[Tensor, "rows image_reals"]
    image_weight: Float[Tensor, "rows image_reals"]
    text: Float[Tensor, "rows text_reals"]
    text_weight: Float[Tensor, "rows text_reals"]

    def kept(self, image: Tensor, text: Tensor) -> Condition:
        """The condition where `image` and `text` [rows] are 1, and nothing in place of each where they are 0."""
        of_image, of_text = image[:, None], text[:, None]
        return Condition(
            self.latents * of_image[:, :, None, None],
            self.image * of_image,
            self.image_weight * of_image,
            self.text * of_text,
            self.text_weight * of_text,
        )

    def each(self, function: Callable[[Tensor], Tensor]) -> Condition:
        """The same of all parts, such as repeated rows."""
        parts = (self.latents, self.image, self.image_weight, self.text, self.text_weight)
        return Condition(*map(function, parts))


class Generator(nn.Module):
    """A U-Net of diffusers that predicts the velocity of rectified flow from noisy features.

    x_s = (1 - s) x + s n goes from a latent x to noise n; the network learns v = n - x. It adds to what is best for
    latents that are normal around their estimate e with variance r = 1/2, which the untrained network therefore draws:
    v = (s - r (1 - s)) (x_s - (1 - s) e) / (s^2 + r (1 - s)^2) - e. Received image features are laid beside the noisy
    latent; text features join the embedding of the time.

    Args:
        latent: channels of the latent.
        channels: of the image features, on their grid of 8 x 8.
        text: numbers of the text features.
        widths: channels of the U-Net at each resolution, multiples of 32.
        layers: residual blocks there.

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
            nn.Conv2d(2 * channels, 4 * _PIXEL_LEVELS, 3, padding=1), nn.SiLU(), nn.PixelShuffle(2)
        )
        self.text = nn.Sequential(nn.Linear(text + 2, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.unet = _unet(2 * latent + _PIXEL_LEVELS, latent, tuple(widths), layers)

    def forward(self, noisy: Latents, time: Float[Tensor, " rows"], condition: Condition) -> Latents:
        """The velocity at `noisy` and the time s in [0, 1]."""
        grid = torch.cat([condition.image, condition.image_weight], 1).unflatten(1, (2 * self.channels, GRID, GRID))
        told = [condition.text, condition.text_weight[:, :1], condition.image_weight.mean(1, keepdim=True)]
        beside = torch.cat([noisy, condition.latents, self.image(grid)], 1)
        predicted = self.unet(beside, time * TIMES, class_labels=self.text(torch.cat(told, 1))).sample
        return normal_velocity(noisy, time, condition.latents, _SPREAD) + predicted.float()


def _unet(inputs: int, outputs: int, widths: tuple[int, ...], layers: int) -> Any:
    """A U-Net that returns zeros; attention stands below its first resolution."""
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
        resnet_time_scale_shift="scale_shift",  # a shift alone, before a normalisation, hardly shows the text
    )
    for value in cast(nn.Module, unet).get_submodule("conv_out").parameters():
        nn.init.zeros_(value)
    return unet


@dataclass(frozen=True)
class Guidance:
    """How far to go where each kind of features points: v = v_0 + g_I (v_I - v_0) + g_T (v_IT - v_I).

    v_0 knows nothing, v_I the image features and v_IT both. With 1 and 1 the network is called once a step, otherwise
    for each velocity that counts.

    Args:
        image, text: g_I and g_T, 0 to 20; above 1 exaggerates. The defaults were chosen on training pictures.

    Raises:
        UsageError: out of range.

    Source: Ho and Salimans, "Classifier-free diffusion guidance", 2022; Brooks et al., "InstructPix2Pix", CVPR 2023.
    """

    image: float = 2.0
    text: float = 6.0

    def __post_init__(self) -> None:
        for name, strength in (("image_guidance", self.image), ("text_guidance", self.text)):
            if not 0 <= strength <= 20:
                raise UsageError(f"{name} must be 0 to 20, not {strength:g}")


@dataclass(frozen=True)
class TinyGenerator:
    """The generator of the tiny preset, with what it needs to be told and to show.

    Args:
        autoencoder: whose decoder turns latents to pictures.
        features: whose estimate is part of the condition.
        generator: predicts velocities.
        guidance: how far to go.
        clip_guidance: what gives way to CLIP; None is nothing.
    """

    autoencoder: Autoencoder
    features: ImageFeatures
    generator: Generator
    guidance: Guidance = Guidance()
    clip_guidance: ClipGuidance | None = None

    @torch.no_grad()
    def generate(
        self, image: Heard, text: Heard, rng: Rng, candidates: int, steps: int
    ) -> Float[Tensor, "rows candidates 3 h w"]:
        """See `Draws`; the candidates of all rows go through the network together."""
        side = SIDE // 8
        noise = rng.derive("candidates").normal(candidates, self.generator.latent, side, side)
        condition = told(self.features, image, text)
        repeated = condition.each(lambda part: part.repeat_interleave(candidates, 0))
        velocity = self.velocity(repeated)
        if self.clip_guidance is not None:
            of_each = (part.repeat_interleave(candidates, 0) for part in (text.values, text.noise))
            velocity = self.clip_guidance.guided(velocity, Heard(*of_each))
        latents = integrate(velocity, noise.flatten(0, 1).to(image.values.device), steps)
        pictures = self.autoencoder.decode(latents).clamp(0, 1)
        return pictures.unflatten(0, (len(rng), candidates))

    def velocity(self, condition: Condition) -> Velocity:
        """Where latents go, by the guidance."""
        everybody = torch.ones(len(condition.image), device=condition.image.device)
        nobody = torch.zeros_like(everybody)
        image, text = self.guidance.image, self.guidance.text
        parts = (
            (1 - image, condition.kept(nobody, nobody)),
            (image - text, condition.kept(everybody, nobody)),
            (text, condition),
        )

        def guided(noisy: Latents, time: Float[Tensor, " rows"]) -> Latents:
            moved = torch.zeros_like(noisy)
            for strength, part in parts:
                if strength:
                    moved = moved + strength * self.generator(noisy, time, part)
            return moved

        return guided


def told(features: ImageFeatures, image: Heard, text: Heard) -> Condition:
    """The condition that received features make."""
    image_weight, text_weight = image.reliability, text.reliability
    return Condition(
        features.estimate(image) * (image_weight.amax(1) > 0)[:, None, None, None],
        image.values * image_weight,
        image_weight,
        text.values * text_weight,
        text_weight,
    )
