"""Pretrained Stable Diffusion pipelines in the on-disk format of diffusers, as generators of candidates.

Such a pipeline has its own text encoder and cannot be conditioned on noisy CLIP features. The received text features
are therefore converted to a prompt of the closest words of a vocabulary, and the received image features to a coarse
image, from which the pipeline starts; the noisier the features, the more noise is added to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from channels.errors import UsageError
from channels.extras import extra
from channels.rng import Rng, seed_for
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures
from semcom.systems.multimodal_generation.words import TEMPLATES
from semcom.weights import hub
from semcom.weights.connection import offline

TURBO = "stabilityai/sd-turbo"

_WORDS = 3  # words in a prompt
_LEAST_STRENGTH = 0.5  # image-to-image strength for features without noise; 1, pure noise, for missing features

CoarseImage = Callable[[NoisyFeatures], Float[Tensor, "rows 3 h w"]]


@dataclass(frozen=True)
class StableDiffusion:
    """Image-to-image pipeline as a generator of candidates, in the pipeline's own image size.

    Args:
        pipeline: pipeline of diffusers.
        coarse_image: function from received image features to an image.
        words: vocabulary of the prompts.
        word_features: float32 [words, dimension], unit vectors of the words in the space of the text features.
    """

    pipeline: Any  # diffusers' pipelines have no common type
    coarse_image: CoarseImage
    words: Sequence[str]
    word_features: Float[Tensor, "words dimension"]

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """Networks of the pipeline."""
        return tuple(part for part in self.pipeline.components.values() if isinstance(part, nn.Module))

    @property
    def side(self) -> int:
        """Side of generated images in pixels."""
        return int(self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor)

    @torch.no_grad()
    def generate(
        self, image: NoisyFeatures, text: NoisyFeatures, rng: Rng, candidates: int, steps: int
    ) -> Float[Tensor, "rows candidates 3 h w"]:
        """Implement `CandidateGenerator`; rows are processed one by one, since their starting noise differs."""
        starts = functional.interpolate(
            self.coarse_image(image), (self.side, self.side), mode="bicubic", antialias=True
        ).clamp(0, 1)
        generated = []
        for row, prompt in enumerate(self.prompts(text)):
            steps_from_noise = math.ceil(steps / _strength(image.reliability[row]))
            seed = rng.derive("candidates").seeds[row]
            output = self.pipeline(
                prompt=[prompt] * candidates,
                image=starts[row : row + 1].repeat(candidates, 1, 1, 1),
                num_inference_steps=steps_from_noise,
                # The last `steps` are run; half a step more avoids rounding down in diffusers.
                strength=min(1.0, (steps + 0.5) / steps_from_noise),
                guidance_scale=0.0,  # turbo pipelines were distilled for this value
                generator=Rng([seed_for(seed, number) for number in range(candidates)]).generators,
                output_type="pt",
            )
            generated.append(output.images.float().to(starts.device))
        return torch.stack(generated)

    def prompts(self, text: NoisyFeatures) -> list[str]:
        """Return a prompt of the closest words for each row of received text features; "" if nothing was received."""
        received = (text.values * text.reliability).to(self.word_features.device)
        best = (received @ self.word_features.T).topk(min(_WORDS, len(self.words))).indices.tolist()
        prompts = [TEMPLATES[0].format(", ".join(self.words[index] for index in row)) for row in best]
        return [prompt if row.any() else "" for prompt, row in zip(prompts, received, strict=True)]


def load_stable_diffusion(
    name: str,
    coarse_image: CoarseImage,
    words: Sequence[str],
    word_features: Float[Tensor, "words dimension"],
) -> StableDiffusion:
    """Read a Stable Diffusion pipeline from a local folder or, unless offline, from the Hugging Face hub.

    Args:
        name: folder with model_index.json, or "owner/repository" on the hub, such as `TURBO`.
        coarse_image: function from received image features to an image.
        words: vocabulary of the prompts.
        word_features: float32 [words, dimension], unit vectors of the words in the space of the text features.

    Raises:
        UsageError: no such pipeline, a pipeline of another kind, or damaged files.
    """
    hub.refuse_missing_path(name, "Stable Diffusion pipeline")
    hub.check_connection(name, "Stable Diffusion pipeline")
    with extra("semantic"):
        from diffusers import AutoPipelineForImage2Image

    try:
        pipeline = AutoPipelineForImage2Image.from_pretrained(
            name,
            safety_checker=None,
            requires_safety_checker=False,
            local_files_only=offline(),
            low_cpu_mem_usage=False,  # True requires the package accelerate
        )
    except Exception as error:  # diffusers and the hub's client raise many types
        raise UsageError(f"no Stable Diffusion pipeline {name!r}; {hub.fix(error)}") from None
    pipeline.set_progress_bar_config(disable=True)
    return StableDiffusion(pipeline, coarse_image, words, word_features)


def _strength(reliability: Float[Tensor, " reals"]) -> float:
    """Return the image-to-image strength for received features: 0.5 without noise to 1 if all are missing."""
    unreliable = 1 - reliability.mean().item()
    return _LEAST_STRENGTH + (1 - _LEAST_STRENGTH) * unreliable
