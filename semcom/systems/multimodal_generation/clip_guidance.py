"""Guidance by gradients: each step of the diffusion model gives way to what CLIP sees where it leads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from channels._errors import UsageError
from semcom.systems.multimodal_generation.air import Heard
from semcom.systems.multimodal_generation.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.clip import Clip
from semcom.systems.multimodal_generation.flow import Latents, Velocity
from semcom.systems.multimodal_generation.selection import text_errors

_FROM = 0.5  # time of the flow, which goes from 1 to 0
_AT_ONCE = 16  # pictures whose gradient is found together: their activations take memory


@dataclass(frozen=True)
class ClipGuidance:
    """Move the end that a step leads to down the gradient of the text features' error.

    e = x_s - s v is the latent where velocity v leads from x_s; g = de_T(D(e)) / de with D the decoder and e_T the mean
    error of the picture and of its mirror image, which is shown the same; e' = e - strength g / rms(g), so
    v' = v + strength g / (s rms(g)). Nothing moves where no text came in, nor in the first half of the way, s > 1/2: it
    costs as much and changes no more. A network's gradient has jumps, which blow up the rounding by which a picture
    drawn alone differs from itself among others: pictures agree to some 1e-2 only, and to 1e-5 without this guidance.

    Args:
        clip: of the receiver.
        autoencoder: whose latents are drawn.
        strength: how far, in standard deviations of a latent, above 0 and up to 1.

    Raises:
        UsageError: out of range; when used, networks that were built in `torch.inference_mode`.

    Source: Bansal et al., "Universal guidance for diffusion models", CVPR workshops 2023.

    >>> from semcom.systems.multimodal_generation.clip import tiny
    >>> clip = tiny(trunk="test_efficientnet", dimension=8, width=16).eval()
    >>> guidance = ClipGuidance(clip, Autoencoder().eval(), strength=0.1)
    >>> followed = guidance.guided(lambda noisy, time: noisy, Heard.exact(torch.ones(2, 8)))
    >>> noisy, time = torch.randn(2, 8, 16, 16), torch.full((2,), 0.5)
    >>> (followed(noisy, time) - noisy).square().mean().sqrt()  # strength over time
    tensor(0.2000)
    """

    clip: Clip
    autoencoder: Autoencoder
    strength: float

    def __post_init__(self) -> None:
        in_range(self.strength)

    def guided(self, velocity: Velocity, text: Heard) -> Velocity:
        """The velocity of rows to which `text` was told; all are at the same time."""
        if next(self.autoencoder.parameters()).is_inference():
            raise UsageError("clip_guidance needs gradients: build the system outside torch.inference_mode")

        def moved(noisy: Latents, time: Float[Tensor, " rows"]) -> Latents:
            followed, s = velocity(noisy, time), time[:, None, None, None]
            if time.max() > _FROM:
                return followed
            ends = noisy - s * followed
            rows = range(0, len(ends), _AT_ONCE)
            parts = [self.gradient(ends[row : row + _AT_ONCE], text[row : row + _AT_ONCE]) for row in rows]
            return followed + self.strength * torch.cat(parts) / s

        return moved

    def gradient(self, latents: Latents, text: Heard) -> Latents:
        """Of the text features' error, with unit mean square in each row; 0 where there is none."""
        with torch.inference_mode(False), torch.enable_grad():
            ends = latents.clone().requires_grad_()
            pictures = self.autoencoder.decode(ends).clamp(0, 1)
            told = Heard(text.values.clone(), text.noise.clone())
            errors = [text_errors(self.clip.image_features(seen), told) for seen in (pictures, pictures.flip(3))]
            (found,) = torch.autograd.grad(torch.stack(errors).sum(), ends)
        size = found.square().mean((1, 2, 3), keepdim=True).sqrt()
        return torch.where(size > 0, found / size.clamp(min=1e-12), 0)


def in_range(strength: float) -> float:
    """A strength that can be.

    Raises:
        UsageError: it cannot.
    """
    if not 0 <= strength <= 1:
        raise UsageError(f"clip_guidance must be 0 to 1, not {strength:g}")
    return strength
