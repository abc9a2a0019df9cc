"""How far the errors of candidates for one picture spread: the units in which a score adds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from channels import awgn
from channels._errors import UsageError
from channels._rng import seed_for
from semcom.images import Picture
from semcom.link import Link
from semcom.system import Sample, System
from semcom.systems.multimodal_generation.selection import Generated

_ROWS = 4  # pictures at a time


@dataclass(frozen=True)
class Scales:
    """Standard deviation over the candidates for one picture, its mean over pictures, of each error."""

    image: float
    text: float


def spreads(system: System, pictures: Sequence[Picture], snr_db: Sequence[float]) -> Scales:
    """Send pictures over AWGN and look at all their candidates.

    Args:
        system: multimodal generation with two candidates or more.
        pictures: of training, all of one size.
        snr_db: average over these.

    Raises:
        UsageError: another system, or one that draws a single candidate.
    """
    link = Link(system, awgn.build())
    image, text = [], []
    for snr in snr_db:
        for first in range(0, len(pictures), _ROWS):
            some = pictures[first : first + _ROWS]
            captions = tuple(picture.caption for picture in some if picture.caption is not None)
            sample = Sample(
                torch.stack([picture.pixels for picture in some]),
                captions=captions if len(captions) == len(some) else None,
            )
            seeds = [seed_for("scales", snr, picture.name) for picture in some]
            reception = link.deliver(sample, snr, seeds).reception
            if not isinstance(reception, Generated) or reception.image_errors is None or reception.text_errors is None:
                raise UsageError(f"{system.name} does not choose among candidates")
            if reception.image_errors.shape[1] < 2:
                raise UsageError("one candidate has no spread: take two or more")
            image.append(reception.image_errors.std(1))
            text.append(reception.text_errors.std(1))
    return Scales(torch.cat(image).mean().item(), torch.cat(text).mean().item())
