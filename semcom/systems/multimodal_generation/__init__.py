"""Multimodal generation: send CNN and CLIP features, generate candidate images, select the closest one.

The transmitter sends image features of a convolutional network and CLIP features of a text. The receiver generates
several candidates from the noisy features with a diffusion model, extracts the same features from each candidate, and
selects the one whose image features, structure and text features are closest to those received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from semcom.system import System

if TYPE_CHECKING:
    from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
    from semcom.systems.multimodal_generation.networks.candidate_generator import CandidateGenerator
    from semcom.systems.multimodal_generation.networks.presets import Networks
    from semcom.systems.multimodal_generation.selection import Criterion

TITLE = "Multimodal generation"
EXTRA = "semantic"
PAPER = (
    "Liang and Li, Image generation with multimodule semantic feature-aided selection for semantic communications, "
    "arXiv:2411.17428; IEEE Transactions on Communications 73(12), 14469-14485, 2025 (networks, weights of the score, "
    "coding and link are this project's interpretation)"
)


def build(
    cbr: float,
    candidates: int = 4,
    selection: Literal["best", "first", "random"] = "best",
    image_weight: float = 0.7,
    image_stream: Literal["analog", "digital", "none"] = "analog",
    text_stream: Literal["analog", "digital", "caption", "class", "none"] = "analog",
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
    """Multimodal generation: images generated from transmitted features, the closest one selected.

    Images are resized to 128 x 128 pixels for the networks; the output is resized back. The channel uses are divided
    between the image stream and the text stream in proportion to their number of features. An analog stream repeats
    its features as often as all of them fit, and the receiver combines the repetitions; if they do not fit once, the
    first ones are sent. A digital stream or caption is sent with the most robust modulation and coding scheme (MCS)
    that holds all its bits, at most with the highest MCS whose block error rate is below 1e-3 on AWGN
    at the average SNR. The MCS is sent in the header of the system `digital`, whose channel uses are counted.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image, above 0.
        candidates: number of candidates generated for each image, 1 to 256.
        selection: rule that selects the candidate to output: "best", the lowest score; "first", no selection; "random",
            a random one.
        image_weight: weight of the image error in the score, 0 to 1; the text error has weight 1 - image_weight.
        image_stream: transmission of the image features: "analog", two features per channel use; "digital", quantized,
            with CRC and LDPC code; "none", not sent.
        text_stream: transmission of the text: "analog" or "digital", its CLIP features, sent like the image features;
            "caption", its tokens as coded bits; "class", one of Imagenette's 10 classes as 4 coded bits, predicted by
            CLIP if the image has none; "none", not sent.
        description: text that is sent: "caption", the image's caption if it has one; "words", the words of a vocabulary
            that are closest to the image, also used without a caption.
        generator: source of the candidates: "diffusion", a diffusion model; "retrieval", nearest neighbors in a gallery
            of images, as a baseline.
        gallery: image sources of the gallery, joined by "+".
        gallery_count: number of images taken from each source of the gallery, from its start; null: all.
        steps: number of diffusion steps, 1 to 500.
        image_guidance: strength of classifier-free guidance by the image features, 0 to 20; above 1 amplifies; preset
            tiny only.
        text_guidance: strength of classifier-free guidance by the text features, 0 to 20; above 1 amplifies; preset
            tiny only.
        clip_guidance: step length of guidance by the gradient of CLIP's text error, in standard deviations of a latent,
            0 (off) to 1; preset tiny only. Roughly doubles the run time; results may differ by about 0.01 between batch
            sizes.
        image_scale: image error that counts as 1 in the score, above 0; null: 0.0247, measured with the bundled
            weights.
        text_scale: text error that counts as 1 in the score, above 0; null: 0.04872, measured with the bundled
            weights.
        preset: networks: "tiny", small networks of this project; "base", CLIP ViT-B/32 and a Stable Diffusion pipeline.
        clip_weights: weights of CLIP. tiny: name of a weight file, or "none" for random weights; base: folder, file or
            hub repository in open_clip's format. Empty: the bundled file (tiny) or LAION's from the hub (base).
        features_weights: weights of the image features: name of a weight file, or "none" for random weights. Empty:
            the bundled file.
        autoencoder_weights: weights of the autoencoder: name of a weight file, or "none" for random weights. Empty:
            the bundled file.
        generator_weights: weights of the generator. tiny: name of a weight file, or "none" for random weights; base:
            folder or hub repository in the diffusers format. Empty: the bundled file (tiny) or
            "stabilityai/sd-turbo" (base).

    Raises:
        UsageError: an argument is out of range, or arguments exclude each other.
    """
    from channels.arguments import one_of
    from channels.errors import UsageError
    from semcom.systems.multimodal_generation.networks.clip_guidance import check_strength
    from semcom.systems.multimodal_generation.networks.generator import Guidance
    from semcom.systems.multimodal_generation.networks.presets import (
        Networks,
        load_encoders,
        load_generator,
        unique_ids,
    )
    from semcom.systems.multimodal_generation.retrieval import load_gallery
    from semcom.systems.multimodal_generation.selection import IMAGE_SCALE, TEXT_SCALE, Criterion

    _check(cbr, candidates, steps)  # before networks are loaded
    one_of("generator", generator, ("diffusion", "retrieval"))
    if gallery_count is not None and generator != "retrieval":
        raise UsageError("gallery_count requires generator: retrieval")
    guidance, strength = Guidance(image_guidance, text_guidance), check_strength(clip_guidance)
    if preset == "base" and (strength or guidance != Guidance()):
        raise UsageError("image_guidance, text_guidance and clip_guidance require preset: tiny")
    criterion = Criterion(
        image_weight,
        IMAGE_SCALE if image_scale is None else image_scale,
        TEXT_SCALE if text_scale is None else text_scale,
    )
    source: CandidateGenerator
    structure: Autoencoder | None
    clip, features, autoencoder, ids = load_encoders(preset, clip_weights, features_weights, autoencoder_weights)
    if generator == "retrieval":
        ids = ids[:2]  # the gallery uses CLIP and the image features only
        found = load_gallery(gallery, clip, features, unique_ids(ids), criterion, gallery_count, candidates)
        source, ids = found, [*ids, found.identity]
        structure = None  # the receiver then orders candidates as the gallery does
    else:
        source, generator_id = load_generator(
            preset, clip, features, autoencoder, generator_weights, guidance, strength
        )
        ids, structure = [*ids, generator_id], autoencoder
    networks = Networks(clip, features, structure, source, unique_ids(ids))
    return build_from_networks(
        networks, criterion, cbr, candidates, selection, image_stream, text_stream, description, steps
    )


def build_from_networks(
    networks: Networks,
    criterion: Criterion,
    cbr: float,
    candidates: int = 4,
    selection: Literal["best", "first", "random"] = "best",
    image_stream: Literal["analog", "digital", "none"] = "analog",
    text_stream: Literal["analog", "digital", "caption", "class", "none"] = "analog",
    description: Literal["caption", "words"] = "caption",
    steps: int = 8,
) -> System:
    """Return the system for given networks and criterion; the other arguments are those of `build`.

    Raises:
        UsageError: an argument is out of range.
    """
    from semcom.systems.multimodal_generation.agreement import Agreement
    from semcom.systems.multimodal_generation.receiver import GenerationReceiver
    from semcom.systems.multimodal_generation.streams.captions import token_bits
    from semcom.systems.multimodal_generation.transmitter import GenerationTransmitter

    _check(cbr, candidates, steps)
    clip, features = networks.clip, networks.features
    agreement = Agreement(cbr, image_stream, text_stream, features.dimension, clip.dimension, token_bits(clip))
    return System(
        name="multimodal_generation",
        paper=PAPER,
        transmitter=GenerationTransmitter(clip, features, agreement, description),
        receiver=GenerationReceiver(
            clip,
            features,
            networks.autoencoder,
            networks.generator,
            agreement,
            criterion,
            selection,
            candidates,
            steps,
        ),
        agreement="networks, cbr, image size, transmission of each stream, MCS table, score of candidates",
        weights=networks.weights,
        cbr=cbr,
        networks=networks.all,
    )


def _check(cbr: float, candidates: int, steps: int) -> None:
    from channels.arguments import positive, within

    positive("cbr", cbr)
    within("candidates", candidates, 1, 256)
    within("steps", steps, 1, 500)  # preset: base counts up to twice the steps, of 1000 noise levels
