"""Selection among candidates: errors of their features against the received features, and the score from both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels.arguments import one_of, positive, within
from channels.errors import UsageError
from channels.rng import Rng
from semcom.metrics.fidelity import ms_ssim
from semcom.system import Reception
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.features import ImageFeatures, coarse_image
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures

Selection = Literal["best", "first", "random"]

IMAGE_SCALE, TEXT_SCALE = 0.0247, 0.04872
"""Standard deviations of the image and text errors over the candidates of an image, averaged over training images, with
the bundled weights and clip_guidance 0.1. Measured by `python -m semcom.systems.multimodal_generation scales --set
multimodal_generation.clip_guidance=0.1`."""
_STRUCTURE_WEIGHT = 1.5


@dataclass(frozen=True)
class Criterion:
    """Score of a candidate: w e_I / s_I + (1 - w) e_T / s_T; the lowest score is best.

    Args:
        image_weight: w, weight of the image error, 0 to 1; the text error has weight 1 - w. The default was chosen on
            natural:val and on images of imagenette:val after the first 200.
        image_scale: s_I, image error that counts as 1, above 0.
        text_scale: s_T, text error that counts as 1, above 0. Both are constants, so the score of a candidate does not
            depend on the other candidates.

    Raises:
        UsageError: a value is out of range.
    """

    image_weight: float = 0.7
    image_scale: float = IMAGE_SCALE
    text_scale: float = TEXT_SCALE

    def __post_init__(self) -> None:
        within("image_weight", self.image_weight, 0, 1)
        positive("image_scale", self.image_scale)
        positive("text_scale", self.text_scale)

    def scores(
        self, image_errors: Float[Tensor, "rows candidates"], text_errors: Float[Tensor, "rows candidates"]
    ) -> Float[Tensor, "rows candidates"]:
        """Return the score of each candidate."""
        image, text = self.image_weight / self.image_scale, (1 - self.image_weight) / self.text_scale
        return image * image_errors + text * text_errors


@dataclass(frozen=True)
class CandidateErrors:
    """Errors of all candidates: the `details` of a reception of this system.

    Args:
        image_errors: float32 [rows, candidates], as computed by the function `image_errors`.
        text_errors: float32 [rows, candidates], as computed by the function `text_errors`.
    """

    image_errors: Float[Tensor, "rows candidates"]
    text_errors: Float[Tensor, "rows candidates"]


@dataclass(frozen=True)
class ExtractedFeatures:
    """What the receiver's networks extract from received image features, or from images.

    Args:
        feature_map: float32 [rows, hidden, h, w], a unit vector at each position; zeros where nothing was received.
        images: float32 [rows, 3, side, side], coarse images estimated from the received features, or the images
            themselves; None excludes structure from the error.
    """

    feature_map: Float[Tensor, "rows hidden h w"]
    images: Float[Tensor, "rows 3 side side"] | None

    @classmethod
    def from_received(
        cls, features: ImageFeatures, autoencoder: Autoencoder | None, received: NoisyFeatures
    ) -> ExtractedFeatures:
        """Extract from received image features."""
        coarse = None if autoencoder is None else coarse_image(autoencoder, features, received)
        return cls(features.unit_feature_map(received), coarse)

    @classmethod
    def from_images(cls, features: ImageFeatures, images: Float[Tensor, "rows 3 side side"]) -> ExtractedFeatures:
        """Extract from images in [0, 1] of 128 x 128 pixels."""
        return cls(features.unit_feature_map(NoisyFeatures.exact(features(images))), images)


def feature_map_errors(
    candidates: Float[Tensor, "candidates hidden h w"], received: Float[Tensor, "1 hidden h w"]
) -> Float[Tensor, " candidates"]:
    """Return 1 - cosine between feature maps, mean over positions; 1 if nothing was received.

    Feature maps are compared rather than the features themselves, because noise changes the features more than
    candidates differ.

    Args:
        candidates: feature maps of the candidates, from `ImageFeatures.unit_feature_map`.
        received: feature map of one row of received features.
    """
    return 1 - (candidates * received).sum(1).mean((1, 2))


def image_errors(candidates: ExtractedFeatures, received: ExtractedFeatures) -> Float[Tensor, " candidates"]:
    """Return `feature_map_errors` + 1.5 (1 - MS-SSIM with the coarse image); 1 if nothing was received.

    Feature maps represent the content and MS-SSIM its position. With the factor 1.5, both terms have about the same
    spread over the candidates of an image.

    Args:
        candidates: extracted from the candidates.
        received: extracted from one row of received features.
    """
    errors = feature_map_errors(candidates.feature_map, received.feature_map)
    if candidates.images is None or received.images is None:
        return errors
    dissimilarity = 1 - ms_ssim(candidates.images, received.images.expand_as(candidates.images))
    is_received = received.feature_map.square().sum((1, 2, 3)) > 0
    return errors + _STRUCTURE_WEIGHT * dissimilarity * is_received


def text_errors(candidates: Float[Tensor, "candidates reals"], received: NoisyFeatures) -> Float[Tensor, " candidates"]:
    """Return 1 - cosine with the received text features, weighted by their reliability; 1 if nothing was received.

    Args:
        candidates: CLIP's image features of the candidates.
        received: received text features, one row for all candidates or one row for each.
    """
    return 1 - torch.nn.functional.cosine_similarity(candidates, received.values * received.reliability)


def select(scores: Float[Tensor, "rows candidates"], selection: Selection, rng: Rng) -> Int[Tensor, " rows"]:
    """Return the index of the selected candidate of each row.

    Args:
        scores: float32 [rows, candidates], lower is better.
        selection: "best", the lowest score; "first"; or "random".
        rng: one stream a row, for "random".

    Raises:
        UsageError: unknown selection.
    """
    one_of("selection", selection, get_args(Selection))
    if selection == "best":
        return scores.argmin(1)
    if selection == "first":
        return torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    # "keep" is part of the seed and must not change.
    return (rng.derive("keep").uniform(1)[:, 0] * scores.shape[1]).long().to(scores.device)


def reselected(
    reception: Reception,
    criterion: Criterion,
    selection: Selection = "best",
    candidates: int | None = None,
    rng: Rng | None = None,
) -> Reception:
    """Return the reception with fewer candidates, another criterion or another selection; nothing is generated again.

    Seeds are nested: the first M candidates are those of a receiver that generates M. One reception therefore serves
    all rows of an ablation.

    Args:
        reception: reception of multimodal_generation.
        criterion: criterion for the new scores.
        selection: selection rule as in `build`.
        candidates: number of candidates, the first ones; None: all.
        rng: the receiver's random streams, one a row, for selection "random".

    Raises:
        UsageError: reception of another system, too many candidates, or unknown selection.
    """
    images, errors = candidates_of(reception)
    count = images.shape[1] if candidates is None else candidates
    if not 1 <= count <= images.shape[1]:
        raise UsageError(f"candidates must be 1 to {images.shape[1]}, the number generated, not {count}")
    if selection == "random" and rng is None:
        raise UsageError("selection: random requires rng")
    first = CandidateErrors(errors.image_errors[:, :count], errors.text_errors[:, :count])
    scores = criterion.scores(first.image_errors, first.text_errors)
    chosen = select(scores, selection, rng or Rng(range(len(scores))))
    return _with_choice(replace(reception, candidates=images[:, :count], scores=scores, details=first), chosen)


def oracle(reception: Reception, quality: Float[Tensor, "rows candidates"]) -> Reception:
    """Return the reception with the candidate of highest quality: an upper bound, since quality uses the sent image.

    Args:
        reception: reception of multimodal_generation, or a result of `reselected`.
        quality: quality of each candidate against the image that was sent; higher is better.

    Raises:
        UsageError: reception of another system, or quality of another shape.
    """
    rows, candidates = candidates_of(reception)[0].shape[:2]
    if quality.shape != (rows, candidates):
        raise UsageError(
            f"quality must have shape [{rows}, {candidates}] (rows, candidates), not {list(quality.shape)}"
        )
    return _with_choice(reception, quality.argmax(1))


def candidates_of(reception: Reception) -> tuple[Float[Tensor, "rows candidates 3 h w"], CandidateErrors]:
    """Return the candidates of a reception and their errors.

    Raises:
        UsageError: reception of another system.
    """
    if reception.candidates is None or not isinstance(reception.details, CandidateErrors):
        raise UsageError("the reception has no candidates with errors; only receptions of multimodal_generation do")
    return reception.candidates, reception.details


def _with_choice(reception: Reception, chosen: Int[Tensor, " rows"]) -> Reception:
    images, _ = candidates_of(reception)
    rows = torch.arange(len(chosen), device=chosen.device)
    return replace(reception, images=images[rows, chosen], chosen=chosen)
