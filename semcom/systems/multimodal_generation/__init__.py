"""Multimodal generation: CNN and CLIP features over the air, diffusion at the receiver, the best candidate kept.

The transmitter sends what a convolutional network tells of a picture and what CLIP tells of a sentence about it. The
receiver draws several candidates from the noisy features with a diffusion model, sees each of them with the same
networks, and keeps the one that comes nearest to what it received: in both kinds of features, and in structure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from semcom.system import System

if TYPE_CHECKING:
    from semcom.systems.multimodal_generation.autoencoder import Autoencoder
    from semcom.systems.multimodal_generation.networks import Draws, Networks
    from semcom.systems.multimodal_generation.selection import Criterion

PAPER = (
    "Liang and Li, Image generation with multimodule semantic feature-aided selection for semantic communications, "
    "arXiv:2411.17428; IEEE Transactions on Communications 73(12), 14469-14485, 2025 (networks, weights of the score, "
    "coding and link are this project's reading)"
)


def build(
    cbr: float,
    candidates: int = 4,
    keep: Literal["best", "first", "random"] = "best",
    image_weight: float = 0.7,
    image_stream: Literal["analogue", "digital", "none"] = "analogue",
    text_stream: Literal["analogue", "digital", "caption", "class", "none"] = "analogue",
    description: Literal["caption", "words"] = "caption",
    generator: Literal["diffusion", "retrieval"] = "diffusion",
    gallery: str = "natural:train + imagenette:train",
    gallery_count: int | None = None,
    steps: int = 8,
    image_guidance: float = 2.0,
    text_guidance: float = 6.0,
    clip_guidance: float = 0.0,
    image_scale: float | None = None,
    text_scale: float | None = None,
    preset: Literal["tiny", "base"] = "tiny",
    clip_weights: str = "",
    features_weights: str = "",
    autoencoder_weights: str = "",
    generator_weights: str = "",
) -> System:
    """Features of picture and sentence over the air, candidates drawn from them, the best of them kept.

    Pictures are seen at 128 x 128 pixels and shown in their own size. The streams share the grant in proportion to
    their numbers; an analogue one sends its numbers as often as they fit whole, and the receiver combines the repeats;
    in a grant too small for that, it sends its first numbers. A coded one takes the scheme that is safe on AWGN at the
    average SNR, and the most robust of those that hold all it has to say; the header is that of `digital`.

    Args:
        cbr: complex channel uses per real number of the picture.
        candidates: how many pictures are drawn, 1 to 256.
        keep: "best" by the score; "first" is no selection; "random" is one by chance.
        image_weight: of the image features in the score, 0 to 1; the text features have the rest.
        image_stream: two numbers to a use; quantised, with CRC and LDPC code; or not sent.
        text_stream: CLIP's features likewise; or the caption as coded tokens; or the class as 4 coded bits, CLIP's
            guess where the picture has none; or not sent.
        description: the text sent is the caption where there is one, or the words of a bank nearest to the picture.
        generator: "retrieval" draws nothing and shows the nearest of known pictures.
        gallery: known pictures, sources with + between them.
        gallery_count: the first so many of each source; all by default.
        steps: of the diffusion model, 1 to 500.
        image_guidance: how far tiny's diffusion model goes where the image features point, 0 to 20.
        text_guidance: how far it goes from there where the text features point; above 1 exaggerates.
        clip_guidance: how far each end of tiny's later steps moves down CLIP's text error, in standard deviations of a
            latent, 0 (off) to 1; takes about twice as long, and a picture then hangs on rounding to some 1e-2.
        image_scale: error of the image features that counts as one; by default the bundled weights'.
        text_scale: error of the text features that counts as one; by default the bundled weights'.
        preset: networks; "tiny" are this project's, "base" CLIP ViT-B/32 and a Stable Diffusion pipeline.
        clip_weights: tiny: a weight file's name, or "none"; base: a folder, a file or a hub repository in open_clip's
            format. Empty is the bundled file for tiny, and for base LAION's on the hub.
        features_weights: of the image features; a weight file's name, or "none". Empty is the bundled file.
        autoencoder_weights: of the autoencoder; a weight file's name, or "none". Empty is the bundled file.
        generator_weights: tiny: a weight file's name, or "none"; base: a folder or hub repository in the diffusers
            format. Empty is the bundled file for tiny, and "stabilityai/sd-turbo" for base.

    Raises:
        UsageError: arguments that do not belong together or are out of range.
    """
    from channels._errors import UsageError
    from semcom.systems.multimodal_generation import networks, retrieval
    from semcom.systems.multimodal_generation.choices import one_of
    from semcom.systems.multimodal_generation.clip_guidance import in_range
    from semcom.systems.multimodal_generation.generator import Guidance
    from semcom.systems.multimodal_generation.selection import IMAGE_SCALE, TEXT_SCALE, Criterion

    one_of("generator", generator, ("diffusion", "retrieval"))
    if gallery_count is not None and generator != "retrieval":
        raise UsageError("gallery_count is of generator: retrieval alone")
    guidance, strength = Guidance(image_guidance, text_guidance), in_range(clip_guidance)
    if preset == "base" and (strength or guidance != Guidance()):
        raise UsageError("image_guidance, text_guidance and clip_guidance are of preset: tiny alone")
    criterion = Criterion(
        image_weight,
        IMAGE_SCALE if image_scale is None else image_scale,
        TEXT_SCALE if text_scale is None else text_scale,
    )
    draws: Draws
    compared: Autoencoder | None
    clip, features, space, ids = networks.seeing(preset, clip_weights, features_weights, autoencoder_weights)
    if generator == "retrieval":
        ids = ids[:2]  # of CLIP and features, which see its pictures
        known = networks.named(ids)
        draws = retrieval.gallery(gallery, clip, features, known, criterion, gallery_count, candidates)
        compared = None  # so that the receiver, too, finds the nearest first
    else:
        draws, identity = networks.drawing(preset, clip, features, space, generator_weights, guidance, strength)
        ids, compared = [*ids, identity], space
    around = networks.Networks(clip, features, compared, draws, networks.named(ids))
    return system_around(around, criterion, cbr, candidates, keep, image_stream, text_stream, description, steps)


def system_around(
    networks: Networks,
    criterion: Criterion,
    cbr: float,
    candidates: int = 4,
    keep: Literal["best", "first", "random"] = "best",
    image_stream: Literal["analogue", "digital", "none"] = "analogue",
    text_stream: Literal["analogue", "digital", "caption", "class", "none"] = "analogue",
    description: Literal["caption", "words"] = "caption",
    steps: int = 8,
) -> System:
    """The system around networks; the other arguments are those of `build`."""
    from channels._base import positive
    from channels._errors import UsageError
    from semcom.systems.multimodal_generation.captions import token_bits
    from semcom.systems.multimodal_generation.receiver import GenerationReceiver
    from semcom.systems.multimodal_generation.transmitter import GenerationTransmitter
    from semcom.systems.multimodal_generation.wire import Wire

    positive("cbr", cbr)
    if not (1 <= candidates <= 256 and 1 <= steps <= 500):  # base may count twice the steps, and has 1000 noise levels
        raise UsageError(f"candidates must be 1 to 256 and steps 1 to 500, not {candidates} and {steps}")
    clip, features, space, draws = networks.clip, networks.features, networks.autoencoder, networks.draws
    agreement = Wire(cbr, image_stream, text_stream, features.dimension, clip.dimension, token_bits(clip))
    return System(
        name="multimodal_generation",
        paper=PAPER,
        transmitter=GenerationTransmitter(clip, features, agreement, description),
        receiver=GenerationReceiver(clip, features, space, draws, agreement, criterion, keep, candidates, steps),
        agreement="networks, cbr, size, how each stream travels, the schemes, how candidates are scored",
        weights=networks.weights,
    )
