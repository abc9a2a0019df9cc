"""Harmonic inpainting of masked images without a channel: a bound for smooth interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from channels.arguments import within
from channels.base import Channel
from channels.rng import Rng
from semcom.system import Bound, Reception, Sample, uses_for
from semcom.systems.carrier_image.agreement import from_tiles, random_masks, to_tiles
from semcom.systems.carrier_image.harmonic import harmonic_fill
from semcom.systems.carrier_image.networks import PATCH, TILE

TITLE = "Harmonic inpainting"
CITATION_KEYS = "chan2002mathematical"

_ITERATIONS = (200, 200, 200, 400)  # converged to 0.01 dB


@dataclass(frozen=True)
class HarmonicInpainting(Bound):
    """Error-free visible patches, masked patches filled by harmonic inpainting.

    Args:
        cbr: channel bandwidth ratio at which the bound is plotted, complex channel uses per real number of the image.
        masked: number of masked patches per tile of 128 x 128 pixels (256 patches).
    """

    cbr: float
    masked: int

    def best_reception(
        self, sample: Sample, snr_db: Float[Tensor, "batch users"], channel: Channel, rng: Rng
    ) -> tuple[Int[Tensor, " rows"], Reception]:
        tiles, side = to_tiles(sample.images, TILE), TILE // PATCH
        masks = random_masks(rng.derive("encode"), len(tiles) // len(rng), side**2, self.masked)
        known = torch.from_numpy(~masks).to(tiles.device).float().view(len(tiles), 1, side, side)
        known = functional.interpolate(known, scale_factor=float(PATCH))
        filled = harmonic_fill(tiles, known, _ITERATIONS).clamp(0, 1)
        uses = torch.full((len(sample.images),), uses_for(self.cbr, sample.size))
        return uses, Reception(images=from_tiles(filled, sample.size), counted_uses=uses)


def build(cbr: float, visible_ratio: float = 0.5) -> HarmonicInpainting:
    """Harmonic inpainting of a masked image from error-free visible patches: a bound without a channel.

    The masks are those of `carrier_image` with `mask: random`.

    Args:
        cbr: channel bandwidth ratio at which the bound is plotted, complex channel uses per real number of the image.
        visible_ratio: fraction of the patches of 8 x 8 pixels that are visible, above 0 and up to 1.

    Source: Chan and Shen, SIAM J. Appl. Math. 62(3), 2002.

    >>> build(cbr=1 / 16).masked
    128
    """
    within("visible_ratio", visible_ratio, 0, 1, excluded="least")
    patches = (TILE // PATCH) ** 2
    return HarmonicInpainting(
        name="harmonic_inpainting",
        paper="T. F. Chan, J. Shen, Mathematical models for local nontexture inpaintings, SIAM J. Appl. Math., 2002",
        cbr=cbr,
        masked=patches - round(visible_ratio * patches),
    )
