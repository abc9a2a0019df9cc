"""Parts of the tests of multimodal generation: a system around small networks, and a generator of fixed images."""

from dataclasses import dataclass, field, replace

import torch

from channels import awgn
from channels.rng import Rng, seed_for
from semcom.link import Link
from semcom.system import Sample
from semcom.systems.multimodal_generation import build_from_networks
from semcom.systems.multimodal_generation.selection import Criterion

CBR = 1 / 64  # 768 channel uses for an image of 128 x 128
TEXTS = ("two dogs run", "a red boat", "a girl climbs")


@dataclass
class FixedImages:
    """Generator that returns the same images for every row and records the received features."""

    images: torch.Tensor
    received: list = field(default_factory=list)
    networks: tuple = ()

    def generate(self, image, text, rng, candidates, steps):
        self.received.append((image, text))
        return self.images[:candidates].expand(len(rng), -1, -1, -1, -1)


def build_small(networks, generator=None, criterion=None, **arguments):
    """Return the system with two candidates, two steps and the given arguments."""
    arguments = {"cbr": CBR, "candidates": 2, "steps": 2} | arguments
    used = networks if generator is None else replace(networks, generator=generator)
    return build_from_networks(used, criterion or Criterion(), **arguments)


def deliver(system, images, snr_db=10.0, users=1, channel=None, categories=None, first=0):
    """Send images with the captions and seeds of the rows from `first` on."""
    rows = slice(first, first + len(images))
    sample = Sample(images, captions=TEXTS[rows], categories=categories)
    return Link(system, channel or awgn.build()).deliver(sample, snr_db, list(range(rows.start, rows.stop)), users)


def unit_rows(rows, reals):
    """Return normal numbers of unit mean square in each row."""
    values = Rng([seed_for("unit", row) for row in range(rows)]).normal(reals)
    return values * values.square().mean(1, keepdim=True).rsqrt()
