"""Harmonic inpainting of noiseless patches: what smooth interpolation makes of a masked picture, with no channel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from channels._base import Channel
from channels._errors import UsageError
from channels._rng import Rng
from semcom.system import Bound, Reception, Sample, uses_for
from semcom.systems.carrier_image.agreement import from_tiles, random_masks, to_tiles
from semcom.systems.carrier_image.harmonic import harmonic_fill
from semcom.systems.carrier_image.networks import PATCH, TILE

BIBTEX = """
@article{chan2002mathematical,
  author = {Chan, Tony F. and Shen, Jianhong},
  title = {Mathematical Models for Local Nontexture Inpaintings},
  journal = {SIAM Journal on Applied Mathematics},
  volume = {62}, number = {3}, pages = {1019--1043}, year = {2002}
}
"""

_SWEEPS = (200, 200, 200, 400)  # converged to 0.01 dB


@dataclass(frozen=True)
class HarmonicInpainting(Bound):
    """The kept patches exactly as they are, and the smoothest picture through them.

    Args:
        cbr: complex uses per real number of the picture that the result is drawn at; none are needed.
        masked: masked patches of a tile of 128 x 128 pixels, 256 patches.
    """

    cbr: float
    masked: int

    def reach(
        self, sample: Sample, snr_db: Float[Tensor, "batch users"], channel: Channel, rng: Rng
    ) -> tuple[Int[Tensor, " rows"], Reception]:
        tiles, side = to_tiles(sample.images, TILE), TILE // PATCH
        masks = random_masks(rng.derive("encode"), len(tiles) // len(rng), side**2, self.masked)
        known = torch.from_numpy(~masks).float().view(len(tiles), 1, side, side)
        known = functional.interpolate(known, scale_factor=float(PATCH))
        filled = harmonic_fill(tiles, known, _SWEEPS).clamp(0, 1)
        uses = torch.full((len(sample.images),), uses_for(self.cbr, sample.size))
        return uses, Reception(images=from_tiles(filled, sample.size), uses_charged=uses)


def build(cbr: float, keep: float = 0.5) -> HarmonicInpainting:
    """Harmonic inpainting of the noiseless kept patches, at the masks of `carrier_image` with `mask: random`.

    Args:
        cbr: complex channel uses per real number of the picture, at which it is drawn.
        keep: share of the patches of 8 x 8 pixels that are known.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"keep is a share of the patches above 0 and up to 1, not {keep}")
    patches = (TILE // PATCH) ** 2
    return HarmonicInpainting(
        name="harmonic_inpainting",
        paper="T. F. Chan, J. Shen, Mathematical models for local nontexture inpaintings, SIAM J. Appl. Math., 2002",
        cbr=cbr,
        masked=patches - round(keep * patches),
    )
