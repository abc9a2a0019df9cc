"""Networks of each preset and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from channels.errors import UsageError
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.candidate_generator import CandidateGenerator
from semcom.systems.multimodal_generation.networks.clip import SYSTEM, Clip, load_clip
from semcom.systems.multimodal_generation.networks.features import ImageFeatures, coarse_image
from semcom.systems.multimodal_generation.networks.generator import Guidance
from semcom.systems.multimodal_generation.words import TEMPLATES

Preset = Literal["tiny", "base"]

DEFAULTS = {
    "clip": "multimodal_clip",
    "features": "multimodal_features",
    "autoencoder": "multimodal_autoencoder",
    "generator": "multimodal_generator",
}
"""Bundled weight files of the tiny preset, used for empty names."""


@dataclass(frozen=True)
class Networks:
    """All networks of the system.

    Args:
        clip: CLIP of both ends.
        features: network of the image features of both ends.
        autoencoder: decoder of the coarse image for the structural part of the image error; None excludes it.
        generator: the receiver's generator of candidates.
        weights: ids of all weights, separated by commas.
    """

    clip: Clip
    features: ImageFeatures
    autoencoder: Autoencoder | None
    generator: CandidateGenerator
    weights: str = ""

    @property
    def all(self) -> tuple[nn.Module, ...]:
        """All networks."""
        structure = () if self.autoencoder is None else (self.autoencoder,)
        return (self.clip, self.features, *structure, *self.generator.networks)


def load_encoders(
    preset: Preset, clip: str, features: str, autoencoder: str
) -> tuple[Clip, ImageFeatures, Autoencoder, list[str]]:
    """Return CLIP, image features, autoencoder and the ids of their weights; the last two are the same in all presets.

    Args:
        preset: "tiny", or "base" with CLIP ViT-B/32.
        clip: weights of CLIP as in `build`; empty: those of the preset.
        features: weights of the image features as in `build`; empty: the bundled file.
        autoencoder: weights of the autoencoder as in `build`; empty: the bundled file.

    Raises:
        UsageError: weights not found, or weights that do not belong together.
    """
    from semcom.weights.files import rebuild

    clip_network = load_clip(preset, clip or "none" if preset == "base" else _weight_file("clip", clip))
    features_network, features_id = rebuild(_weight_file("features", features), SYSTEM, ImageFeatures)
    space, space_id = rebuild(_weight_file("autoencoder", autoencoder), SYSTEM, Autoencoder)
    latent = features_network.configuration["latent"]
    if space.latent != latent:
        raise UsageError(
            f"features_weights estimate {latent} latent channels, autoencoder_weights have {space.latent}: use files "
            "that were trained together"
        )
    ids = [clip_network.name, features_id, space_id]
    return clip_network, features_network.requires_grad_(False), space.requires_grad_(False), ids


def load_generator(
    preset: Preset,
    clip: Clip,
    features: ImageFeatures,
    autoencoder: Autoencoder,
    generator: str,
    guidance: Guidance | None = None,
    clip_guidance: float = 0.0,
) -> tuple[CandidateGenerator, str]:
    """Return the generator of a preset and the id of its weights.

    Args:
        preset: "tiny", or "base" with a Stable Diffusion pipeline.
        clip: CLIP of the received text features.
        features: network of the received image features.
        autoencoder: autoencoder of the latents that are generated.
        generator: weights of the generator as in `build`; empty: those of the preset.
        guidance: classifier-free guidance of the tiny generator; None is the default `Guidance`.
        clip_guidance: strength of CLIP guidance of the tiny generator; 0 is off.

    Raises:
        UsageError: weights not found, or weights that do not belong together.
    """
    from semcom.systems.multimodal_generation.networks.clip_guidance import ClipGuidance
    from semcom.systems.multimodal_generation.networks.generator import Generator, TinyGenerator
    from semcom.systems.multimodal_generation.networks.stable_diffusion import TURBO, load_stable_diffusion
    from semcom.weights.files import rebuild

    if preset == "base":
        name = generator or TURBO
        word_features = clip.text_features([TEMPLATES[0].format(word) for word in clip.words])
        pipeline = load_stable_diffusion(
            name, lambda image: coarse_image(autoencoder, features, image), clip.words, word_features
        )
        return pipeline, name
    network, network_id = rebuild(_weight_file("generator", generator), SYSTEM, Generator)
    required = {"latent": autoencoder.latent, "channels": features.channels, "text": clip.dimension}
    actual = {name: network.configuration[name] for name in required}
    if required != actual:
        raise UsageError(
            f"generator_weights are for {actual}, the other weights for {required}: use files that were trained "
            "together"
        )
    by_clip = ClipGuidance(clip, autoencoder, clip_guidance) if clip_guidance else None
    frozen = network.requires_grad_(False)
    return TinyGenerator(autoencoder, features, frozen, guidance or Guidance(), by_clip), network_id


def unique_ids(ids: list[str]) -> str:
    """Join ids of weights with commas, each once."""
    return ", ".join(dict.fromkeys(name for name in ids if name))


def _weight_file(part: str, name: str) -> str:
    """Return the weight file of a part; refuse the bundled file of another part."""
    if name != DEFAULTS[part] and name in DEFAULTS.values():
        raise UsageError(f"{part}_weights: {name} is the file of another part: use {DEFAULTS[part]}")
    return name or DEFAULTS[part]
