"""Guidance of the diffusion model by the gradient of CLIP's text error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from channels.arguments import within
from channels.errors import UsageError
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.clip import Clip
from semcom.systems.multimodal_generation.networks.flow import Latents, Velocity
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures
from semcom.systems.multimodal_generation.selection import text_errors

_START_TIME = 0.5  # guidance starts here; the time of the flow runs from 1 to 0
_BATCH = 16  # images per gradient computation, limited by the memory of their activations


@dataclass(frozen=True)
class ClipGuidance:
    """Moves the predicted end point of each step down the gradient of the text error.

    e = x_s - s v is the end point predicted from latent x_s with velocity v at time s; g = de_T(D(e)) / de, with D the
    decoder and e_T the mean text error of the image and of its mirror image. The new end point is
    e' = e - strength g / rms(g), so v' = v + strength g / (s rms(g)). Rows without received text are not changed, nor
    is the first half of the steps, s > 1/2, where guidance costs as much and has no further effect. The gradient is
    discontinuous and amplifies rounding differences: the same image generated in another batch differs by about 0.01,
    and by at most 1e-5 without this guidance.

    Args:
        clip: the receiver's CLIP.
        autoencoder: autoencoder of the latents.
        strength: length of the move in standard deviations of a latent, above 0, at most 1.

    Raises:
        UsageError: strength is out of range; in use, networks were built in `torch.inference_mode`.

    Source: Bansal et al., "Universal guidance for diffusion models", CVPR workshops 2023.

    >>> from semcom.systems.multimodal_generation.networks.clip import tiny_clip
    >>> clip = tiny_clip(trunk="test_efficientnet", dimension=8, width=16).eval()
    >>> guidance = ClipGuidance(clip, Autoencoder().eval(), strength=0.1)
    >>> guided = guidance.guided(lambda noisy, time: noisy, NoisyFeatures.exact(torch.ones(2, 8)))
    >>> noisy, time = torch.randn(2, 8, 16, 16), torch.full((2,), 0.5)
    >>> (guided(noisy, time) - noisy).square().mean().sqrt()  # strength / time
    tensor(0.2000)
    """

    clip: Clip
    autoencoder: Autoencoder
    strength: float

    def __post_init__(self) -> None:
        check_strength(self.strength)

    def guided(self, velocity: Velocity, text: NoisyFeatures) -> Velocity:
        """Return the guided velocity; all rows must be at the same time.

        Args:
            velocity: velocity without this guidance.
            text: received text features of each row.
        """
        if next(self.autoencoder.parameters()).is_inference():
            raise UsageError("clip_guidance requires gradients: build the system outside torch.inference_mode")

        def guided_velocity(noisy: Latents, time: Float[Tensor, " rows"]) -> Latents:
            unguided, s = velocity(noisy, time), time[:, None, None, None]
            if time.max() > _START_TIME:
                return unguided
            ends = noisy - s * unguided
            rows = range(0, len(ends), _BATCH)
            parts = [self.gradient(ends[row : row + _BATCH], text[row : row + _BATCH]) for row in rows]
            return unguided + self.strength * torch.cat(parts) / s

        return guided_velocity

    def gradient(self, latents: Latents, text: NoisyFeatures) -> Latents:
        """Return the gradient of the text error, normalized to unit mean square in each row; 0 where it vanishes."""
        with torch.inference_mode(False), torch.enable_grad():
            ends = latents.clone().requires_grad_()
            images = self.autoencoder.decode(ends).clamp(0, 1)
            received = NoisyFeatures(text.values.clone(), text.noise_var.clone())
            errors = [text_errors(self.clip.image_features(view), received) for view in (images, images.flip(3))]
            (gradient,) = torch.autograd.grad(torch.stack(errors).sum(), ends)
        size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
        return torch.where(size > 0, gradient / size.clamp(min=1e-12), 0)


def check_strength(strength: float) -> float:
    """Return a guidance strength that is in range.

    Raises:
        UsageError: it is not 0 to 1.
    """
    within("clip_guidance", strength, 0, 1)
    return strength
