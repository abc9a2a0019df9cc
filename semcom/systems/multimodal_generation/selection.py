"""Which candidate is kept: by its own features and structure against what came in, or otherwise after the fact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from channels._base import positive
from channels._errors import UsageError
from channels._rng import Rng
from semcom.metrics import ms_ssim
from semcom.system import Reception
from semcom.systems.multimodal_generation.air import Heard
from semcom.systems.multimodal_generation.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.choices import one_of
from semcom.systems.multimodal_generation.features import ImageFeatures, coarse

Keep = Literal["best", "first", "random"]

IMAGE_SCALE, TEXT_SCALE = 0.0247, 0.04872
"""How far the errors of candidates for the same picture spread, on average over training pictures, with the bundled
weights and clip_guidance 0.1 (`python -m semcom.systems.multimodal_generation scales
--set multimodal_generation.clip_guidance=0.1`): the units in which both errors are added."""
_STRUCTURE = 1.5  # weight of the structure beside the readings


@dataclass(frozen=True)
class Criterion:
    """Score of a candidate x: w e_I / s_I + (1 - w) e_T / s_T, the least is best.

    Args:
        image_weight: w; 0 looks at the text features alone, 1 at the image features alone. The default was chosen on
            natural:val and on pictures of imagenette:val behind the first 200.
        image_scale, text_scale: s_I and s_T, constants, so that a score does not depend on the other candidates.
    """

    image_weight: float = 0.7
    image_scale: float = IMAGE_SCALE
    text_scale: float = TEXT_SCALE

    def __post_init__(self) -> None:
        if not 0 <= self.image_weight <= 1:
            raise UsageError(f"image_weight must be 0 to 1, not {self.image_weight:g}")
        positive("image_scale", self.image_scale)
        positive("text_scale", self.text_scale)

    def scores(
        self, image_errors: Float[Tensor, "rows candidates"], text_errors: Float[Tensor, "rows candidates"]
    ) -> Float[Tensor, "rows candidates"]:
        """Both errors in one number."""
        image, text = self.image_weight / self.image_scale, (1 - self.image_weight) / self.text_scale
        return image * image_errors + text * text_errors


@dataclass(frozen=True)
class Generated(Reception):
    """A reception that knows why it kept what it kept.

    Args:
        image_errors: of each candidate, as in `image_errors`; None where nothing was generated.
        text_errors: of each candidate, as in `text_errors`.
    """

    image_errors: Float[Tensor, "rows candidates"] | None = None
    text_errors: Float[Tensor, "rows candidates"] | None = None


@dataclass(frozen=True)
class Understood:
    """What the receiver's networks understand of image features that came in, or see in pictures.

    Args:
        reading: of the features, a unit vector at each position; zeros where nothing came in.
        pictures: that the features alone tell, or that are seen; None has no say.
    """

    reading: Float[Tensor, "rows hidden h w"]
    pictures: Float[Tensor, "rows 3 side side"] | None

    @classmethod
    def of_features(cls, features: ImageFeatures, autoencoder: Autoencoder | None, heard: Heard) -> Understood:
        """Of features that came in."""
        told = None if autoencoder is None else coarse(autoencoder, features, heard)
        return cls(features.unit_reading(heard), told)

    @classmethod
    def of_pictures(cls, features: ImageFeatures, pictures: Float[Tensor, "rows 3 side side"]) -> Understood:
        """Of pictures in [0, 1], of the size that has features."""
        return cls(features.unit_reading(Heard.exact(features(pictures))), pictures)


def reading_errors(
    found: Float[Tensor, "candidates hidden h w"], told: Float[Tensor, "1 hidden h w"]
) -> Float[Tensor, " candidates"]:
    """1 - cosine between readings, mean over positions: of candidates and of one row that came in; 1 without any.

    Noise moves the numbers themselves further than candidates differ, so what is compared is what the receiver's
    network reads from them (`ImageFeatures.unit_reading`).
    """
    return 1 - (found * told).sum(1).mean((1, 2))


def image_errors(found: Understood, told: Understood) -> Float[Tensor, " candidates"]:
    """`reading_errors` + 1.5 (1 - MS-SSIM) with the picture that the features alone tell; 1 if nothing came in.

    Readings tell what is there, structure where: with the factor both spread about alike over the candidates for a
    picture.

    Args:
        found: of candidates.
        told: of the one row that came in.
    """
    errors = reading_errors(found.reading, told.reading)
    if found.pictures is None or told.pictures is None:
        return errors
    unlike = 1 - ms_ssim(found.pictures, told.pictures.expand_as(found.pictures))
    came = told.reading.square().sum((1, 2, 3)) > 0
    return errors + _STRUCTURE * unlike * came


def text_errors(found: Float[Tensor, "candidates reals"], heard: Heard) -> Float[Tensor, " candidates"]:
    """1 - cosine with what came in, one row or one each, numbers weighted by their reliability; 1 without any."""
    return 1 - torch.nn.functional.cosine_similarity(found, heard.values * heard.reliability)


def kept(scores: Float[Tensor, "rows candidates"], keep: Keep, rng: Rng) -> Int[Tensor, " rows"]:
    """The candidate of each row: the one with the least score, the first, or any."""
    one_of("keep", keep, get_args(Keep))
    if keep == "best":
        return scores.argmin(1)
    if keep == "first":
        return torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    return (rng.derive("keep").uniform(1)[:, 0] * scores.shape[1]).long().to(scores.device)


def reselected(
    reception: Generated,
    criterion: Criterion,
    keep: Keep = "best",
    candidates: int | None = None,
    rng: Rng | None = None,
) -> Generated:
    """The reception as it would have been with fewer candidates, another criterion or another choice.

    Seeds are nested: the first M candidates are those of a receiver that makes M. So one generated set gives every row
    of an ablation.

    Args:
        reception: of this system.
        criterion: by which candidates are scored anew.
        keep: as in `build`.
        candidates: how many of the first are there; None is all.
        rng: one stream a row, the receiver's, for keep: random.

    Raises:
        UsageError: more candidates than were made, or no such choice.
    """
    whole, image, text = _parts(reception)
    count = whole.shape[1] if candidates is None else candidates
    if not 1 <= count <= whole.shape[1]:
        raise UsageError(f"{whole.shape[1]} candidates were made, {count} cannot be chosen from")
    if keep == "random" and rng is None:
        raise UsageError("a random choice needs rng")
    scores = criterion.scores(image[:, :count], text[:, :count])
    chosen = kept(scores, keep, rng or Rng(range(len(scores))))
    few = replace(
        reception,
        candidates=whole[:, :count],
        scores=scores,
        image_errors=image[:, :count],
        text_errors=text[:, :count],
    )
    return _showing(few, chosen)


def oracle(reception: Generated, quality: Float[Tensor, "rows candidates"]) -> Generated:
    """The reception if a genie chose: a bound, for it compares candidates with the picture that was sent.

    Args:
        reception: of this system, or reselected.
        quality: of each candidate, by whatever measure; the most is best.

    Raises:
        UsageError: qualities of other candidates than these.
    """
    rows, candidates = _parts(reception)[0].shape[:2]
    if quality.shape != (rows, candidates):
        raise UsageError(f"{rows} rows of {candidates} candidates need as many qualities, not {list(quality.shape)}")
    return _showing(reception, quality.argmax(1))


def _parts(reception: Generated) -> tuple[Tensor, Tensor, Tensor]:
    if reception.candidates is None or reception.image_errors is None or reception.text_errors is None:
        raise UsageError("only what multimodal_generation received has candidates to choose from")
    return reception.candidates, reception.image_errors, reception.text_errors


def _showing(reception: Generated, chosen: Int[Tensor, " rows"]) -> Generated:
    candidates, _, _ = _parts(reception)
    return replace(reception, images=candidates[torch.arange(len(chosen)), chosen], chosen=chosen)
