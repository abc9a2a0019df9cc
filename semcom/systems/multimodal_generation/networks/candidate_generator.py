"""Interface of candidate generators."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from channels.rng import Rng
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures


@runtime_checkable
class CandidateGenerator(Protocol):
    """Generator of candidates from received features."""

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """Networks of the generator, which run on the device of the features."""

    def generate(
        self, image: NoisyFeatures, text: NoisyFeatures, rng: Rng, candidates: int, steps: int
    ) -> Float[Tensor, "rows candidates 3 h w"]:
        """Return `candidates` images for each row, in [0, 1].

        Candidate k of a row depends only on the row's features, the row's seed and k, not on other rows or on the
        number of candidates.

        Args:
            image: received image features.
            text: received text features.
            rng: one random stream a row.
            candidates: number of candidates for each row.
            steps: number of diffusion steps.
        """
