"""Calibration of the score: the spread of image and text errors over the candidates of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from channels import awgn
from channels.errors import UsageError
from channels.rng import seed_for
from semcom.images.source_image import SourceImage
from semcom.link import Link
from semcom.system import Sample, System
from semcom.systems.multimodal_generation.selection import candidates_of

_ROWS = 4  # images sent at a time


@dataclass(frozen=True)
class Scales:
    """Scales of the two errors in the score.

    Args:
        image: standard deviation of the image error over the candidates of an image, mean over images.
        text: standard deviation of the text error over the candidates of an image, mean over images.
    """

    image: float
    text: float


def measure_scales(system: System, images: Sequence[SourceImage], snr_db: Sequence[float]) -> Scales:
    """Send images over AWGN and measure the scales of the errors of their candidates.

    Args:
        system: multimodal_generation with at least two candidates.
        images: training images, all of the same size.
        snr_db: Es/N0 values in dB that are averaged over.

    Raises:
        UsageError: another system, or a single candidate.
    """
    link = Link(system, awgn.build())
    image, text = [], []
    for snr in snr_db:
        for first in range(0, len(images), _ROWS):
            group = images[first : first + _ROWS]
            captions = tuple(photo.caption for photo in group if photo.caption is not None)
            sample = Sample(
                torch.stack([photo.pixels for photo in group]),
                captions=captions if len(captions) == len(group) else None,
            )
            seeds = [seed_for("scales", snr, photo.name) for photo in group]
            _, errors = candidates_of(link.deliver(sample, snr, seeds).reception)
            if errors.image_errors.shape[1] < 2:
                raise UsageError("the scales require 2 candidates or more")
            image.append(errors.image_errors.std(1))
            text.append(errors.text_errors.std(1))
    return Scales(torch.cat(image).mean().item(), torch.cat(text).mean().item())
