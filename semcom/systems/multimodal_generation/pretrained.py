"""Pipelines of Stable Diffusion that others trained, in the on-disk format of diffusers.

They were trained on text towers of their own, to which noisy features of another CLIP mean nothing. So the received
features are put into what such a pipeline understands: the text features into the words of a bank that lie nearest to
them, which become the prompt; the image features into the coarse picture that they tell, from which the pipeline
starts, the further away the noisier they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom.systems.multimodal_generation import hub
from semcom.systems.multimodal_generation.air import Heard
from semcom.systems.multimodal_generation.words import TEMPLATES
from semcom.weights import offline

TURBO = "stabilityai/sd-turbo"

_WORDS = 3  # in a prompt
_LEAST_STRENGTH = 0.5  # of the way to pure noise, where the features are clear; all of it where they are lost

Coarse = Callable[[Heard], Float[Tensor, "rows 3 h w"]]


@dataclass(frozen=True)
class StableDiffusion:
    """An image-to-image pipeline as a generator of candidates, in the pipeline's own size.

    Args:
        pipeline: of diffusers.
        coarse: received image features to a picture.
        words: that prompts are made of, and `directions` [words, dimension] their unit vectors in the space of the
            received text features.
    """

    pipeline: Any  # diffusers' pipelines have no common type
    coarse: Coarse
    words: Sequence[str]
    directions: Float[Tensor, "words dimension"]

    @property
    def side(self) -> int:
        """Pixels a side of what it makes."""
        return int(self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor)

    @torch.no_grad()
    def generate(
        self, image: Heard, text: Heard, rng: Rng, candidates: int, steps: int
    ) -> Float[Tensor, "rows candidates 3 h w"]:
        """See `generator.Draws`; rows go one by one, because each starts as far away as its own noise asks."""
        starts = functional.interpolate(
            self.coarse(image), (self.side, self.side), mode="bicubic", antialias=True
        ).clamp(0, 1)
        drawn = []
        for row, prompt in enumerate(self.prompts(text)):
            whole = math.ceil(steps / _strength(image.reliability[row]))  # steps from pure noise
            seed = rng.derive("candidates").seeds[row]
            made = self.pipeline(
                prompt=[prompt] * candidates,
                image=starts[row : row + 1].repeat(candidates, 1, 1, 1),
                num_inference_steps=whole,
                strength=min(1.0, (steps + 0.5) / whole),  # the last `steps`, half a step clear of diffusers' rounding
                guidance_scale=0.0,  # what turbo pipelines were distilled for
                generator=Rng([seed_for(seed, number) for number in range(candidates)]).generators,
                output_type="pt",
            )
            drawn.append(made.images.float().to(starts.device))
        return torch.stack(drawn)

    def prompts(self, text: Heard) -> list[str]:
        """The nearest words to each row of received text features, as a sentence; "" where nothing came in."""
        heard = (text.values * text.reliability).to(self.directions.device)
        best = (heard @ self.directions.T).topk(min(_WORDS, len(self.words))).indices.tolist()
        sentences = [TEMPLATES[0].format(", ".join(self.words[index] for index in row)) for row in best]
        return [said if row.any() else "" for said, row in zip(sentences, heard, strict=True)]


def load_stable_diffusion(
    name: str,
    coarse: Coarse,
    words: Sequence[str],
    directions: Float[Tensor, "words dimension"],
) -> StableDiffusion:
    """Read a Stable Diffusion pipeline from a local folder or, unless offline, from the hub.

    Args:
        name: a folder with model_index.json, or "owner/repository", such as `TURBO`.
        coarse, words, directions: as in `StableDiffusion`.

    Raises:
        UsageError: no such pipeline, one of another kind, or one that is damaged.
    """
    from diffusers import AutoPipelineForImage2Image

    try:
        pipeline = AutoPipelineForImage2Image.from_pretrained(
            name,
            safety_checker=None,
            requires_safety_checker=False,
            local_files_only=offline(),
            low_cpu_mem_usage=False,  # anything else needs the package accelerate
        )
    except Exception as error:  # diffusers and the hub's client raise what they stumble over
        raise UsageError(f"no Stable Diffusion pipeline {name!r}; {hub.fix(error)}") from None
    pipeline.set_progress_bar_config(disable=True)
    return StableDiffusion(pipeline, coarse, words, directions)


def _strength(reliability: Float[Tensor, " reals"]) -> float:
    """How far from the coarse picture to start: the share of noise in what came in, from a half to one."""
    lost = 1 - reliability.mean().item()
    return _LEAST_STRENGTH + (1 - _LEAST_STRENGTH) * lost
