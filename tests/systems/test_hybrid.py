"""Hybrid transmission: the file is that of `digital`, the residual improves it with the SNR, both ends agree."""

import numpy as np
import pytest
import torch

from channels import awgn, rayleigh
from channels.rng import Rng
from semcom import Link, Sample, UsageError, images
from semcom.metrics.fidelity import psnr
from semcom.system import uses_for
from semcom.systems import digital, hybrid
from semcom.systems.analog.refinement import Refinement, refinement_for


@pytest.fixture(scope="module")
def photos():
    return Sample(torch.stack([image.pixels for image in images.load("photos", count=2, size=128)]))


def deliver(system, sample, snr_db, designed_snr_db=None, channel=None):
    seeds = list(range(len(sample.images)))
    link = Link(system, channel or awgn.build())  # Link checks the energy and the counted uses
    return link.deliver(sample, snr_db, seeds, designed_snr_db=designed_snr_db)


def test_psnr_increases_above_the_designed_snr_and_never_falls_below_the_file(photos):
    system = hybrid.build(1 / 8, codec="webp", file_share=0.3)
    found = [psnr(deliver(system, photos, snr, 4.0).reception.images, photos.images) for snr in (4.0, 10.0, 16.0)]
    file = digital.build(1 / 8 * 0.3, codec="webp")
    alone = psnr(deliver(file, photos, 4.0).reception.images, photos.images)
    assert (found[0] > alone).all()
    assert (found[1] > found[0] + 0.5).all()
    assert (found[2] > found[1]).all()


def test_a_lost_file_is_an_outage_and_a_gray_image(photos):
    delivery = deliver(hybrid.build(1 / 8, codec="webp"), photos, -25.0, 4.0)
    assert delivery.reception.outage.all()
    assert (delivery.reception.images == 0.5).all()


@pytest.mark.parametrize("size", [(16, 16), (37, 53), (64, 96)])
def test_the_budget_is_used_completely(size):
    sample = Sample(torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)))
    delivery = deliver(hybrid.build(1 / 4, codec="webp"), sample, 12.0, channel=rayleigh.build(coherence_uses=50))
    assert delivery.uses.tolist() == [uses_for(1 / 4, size)] * 2
    assert sum(delivery.parts.values()).tolist() == delivery.uses.tolist()


def test_an_image_too_small_for_a_refinement_is_transmitted_as_a_file_alone():
    sample = Sample(torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)))
    symbols = [
        build(1 / 8, codec="webp").transmitter.encode(sample, torch.tensor([10.0]), Rng([1])).symbols
        for build in (hybrid.build, digital.build)
    ]
    assert torch.equal(symbols[0], symbols[1])


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_out_of_range_is_an_error(share):
    with pytest.raises(UsageError, match="file_share"):
        hybrid.build(1 / 16, file_share=share)


def test_classes_follow_the_gradients_of_the_guide():
    """A residual in the textured half of a guide gets nearly all the energy, without bits for the places."""
    rng = np.random.default_rng(0)
    guide = np.full((3, 128, 128), 0.5)
    guide[:, :, 64:] = np.rint(255 * rng.uniform(size=(3, 128, 64))) / 255
    residual = np.zeros((3, 128, 128))
    residual[:, :, 64:] = 0.05 * rng.normal(size=(3, 128, 64))
    errors = []
    for refinement in (refinement_for(6000, (128, 128), guided=True), Refinement((128, 128), 6000, 6, "one")):
        bits, symbols = refinement.encode(residual, 20.0, guide)
        estimate = refinement.decode(bits, symbols, torch.full((len(symbols),), 0.01), guide)
        errors.append(np.mean((residual - estimate) ** 2))
    assert refinement_for(6000, (128, 128), guided=True).grouping == "classes"
    assert errors[0] < 0.75 * errors[1]
