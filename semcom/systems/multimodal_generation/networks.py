"""Which networks a system is built around, by preset, and where their weights come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from channels._errors import UsageError
from semcom.systems.multimodal_generation import clip as clips
from semcom.systems.multimodal_generation.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.clip import SYSTEM, Clip
from semcom.systems.multimodal_generation.features import ImageFeatures, coarse
from semcom.systems.multimodal_generation.generator import Draws, Guidance
from semcom.systems.multimodal_generation.words import TEMPLATES

Preset = Literal["tiny", "base"]

DEFAULTS = {
    "clip": "multimodal_clip",
    "features": "multimodal_features",
    "autoencoder": "multimodal_autoencoder",
    "generator": "multimodal_generator",
}
"""Weight files that an empty name stands for, of the tiny preset."""


@dataclass(frozen=True)
class Networks:
    """What both ends see with, and what draws.

    Args:
        clip, features: of both ends.
        autoencoder: shows the picture that image features alone tell, if its structure has a say in the choice.
        draws: of the receiver.
        weights: ids of all of them.
    """

    clip: Clip
    features: ImageFeatures
    autoencoder: Autoencoder | None
    draws: Draws
    weights: str = ""


def seeing(
    preset: Preset, clip: str, features: str, autoencoder: str
) -> tuple[Clip, ImageFeatures, Autoencoder, list[str]]:
    """CLIP of a preset, image features and autoencoder, which are this project's in both, and the ids of their weights.

    Args:
        preset: "tiny", or "base" with CLIP ViT-B/32.
        clip, features, autoencoder: names of weights as in `build`; empty is the preset's.

    Raises:
        UsageError: no such weights, or weights that do not belong together.
    """
    from semcom.weights import rebuild

    sees = clips.load(preset, clip or "none" if preset == "base" else _file("clip", clip))
    image, identity = rebuild(_file("features", features), SYSTEM, ImageFeatures)
    space, space_id = rebuild(_file("autoencoder", autoencoder), SYSTEM, Autoencoder)
    latent = image.configuration["latent"]
    if space.latent != latent:
        raise UsageError(
            f"features_weights tell {latent} channels of a latent, autoencoder_weights have {space.latent}: take files "
            "that were trained together"
        )
    return sees, image.requires_grad_(False), space.requires_grad_(False), [sees.name, identity, space_id]


def drawing(
    preset: Preset,
    clip: Clip,
    features: ImageFeatures,
    autoencoder: Autoencoder,
    generator: str,
    guidance: Guidance | None = None,
    clip_guidance: float = 0.0,
) -> tuple[Draws, str]:
    """The generator of a preset and the id of its weights.

    Args:
        preset: "tiny", or "base" with a Stable Diffusion pipeline.
        clip, features: what it is told by.
        autoencoder: whose latents it draws.
        generator: name of weights as in `build`; empty is the preset's.
        guidance: of the tiny generator; None is what suits the bundled one.
        clip_guidance: of the tiny generator, its strength; 0 is none.

    Raises:
        UsageError: no such weights, or weights that do not belong together.
    """
    from semcom.systems.multimodal_generation.clip_guidance import ClipGuidance
    from semcom.systems.multimodal_generation.generator import Generator, TinyGenerator
    from semcom.systems.multimodal_generation.pretrained import TURBO, load_stable_diffusion
    from semcom.weights import rebuild

    if preset == "base":
        name = generator or TURBO
        directions = clip.text_features([TEMPLATES[0].format(word) for word in clip.words])
        made = load_stable_diffusion(name, lambda image: coarse(autoencoder, features, image), clip.words, directions)
        return made, name
    network, network_id = rebuild(_file("generator", generator), SYSTEM, Generator)
    wanted = {"latent": autoencoder.latent, "channels": features.channels, "text": clip.dimension}
    found = {name: network.configuration[name] for name in wanted}
    if wanted != found:
        raise UsageError(f"generator_weights are for {found}, the other weights for {wanted}: take files that agree")
    by_clip = ClipGuidance(clip, autoencoder, clip_guidance) if clip_guidance else None
    return TinyGenerator(
        autoencoder, features, network.requires_grad_(False), guidance or Guidance(), by_clip
    ), network_id


def _file(part: str, name: str) -> str:
    """The weight file of a part that a name means; the bundled files are mistaken for each other."""
    if name != DEFAULTS[part] and name in DEFAULTS.values():
        raise UsageError(f"{part}_weights: {name} is another part's file: take {DEFAULTS[part]}")
    return name or DEFAULTS[part]


def named(ids: list[str]) -> str:
    """Ids of weights, each once."""
    return ", ".join(dict.fromkeys(name for name in ids if name))
