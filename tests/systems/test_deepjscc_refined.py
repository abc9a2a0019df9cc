"""DeepJSCC above CBR 1/8: division of the budget, the analog refinement, and quality by rate and SNR."""

import math

import numpy as np
import pytest
import torch

from channels import awgn, rayleigh
from channels.rng import Rng, seed_for
from semcom import Link, Sample, images
from semcom.metrics.fidelity import psnr
from semcom.system import uses_for
from semcom.systems import analog, deepjscc
from semcom.systems.analog import blocks
from semcom.systems.analog.refinement import Refinement, refinement_for
from semcom.systems.deepjscc.refined import division_for


@pytest.fixture(scope="module")
def photos():
    return Sample(torch.stack([image.pixels for image in images.load("photos", count=4, size=128)]))


def mean_psnr(system, sample, snr_db, channel=None):
    link = Link(system, channel or awgn.build())
    with torch.inference_mode():
        delivery = link.deliver(sample, snr_db, [seed_for("refined", row) for row in range(len(sample.images))])
    return psnr(delivery.reception.images, sample.images).mean().item()


@pytest.mark.parametrize("size", [(8, 8), (33, 50), (7, 100), (64, 96), (128, 128)])
@pytest.mark.parametrize("cbr", [0.1251, 1 / 6, 1 / 3, 1 / 2])
def test_the_budget_is_used_completely_at_unit_energy(size, cbr):
    sample = Sample(torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)))
    payload = deepjscc.build(cbr, weights="none").transmitter.encode(sample, torch.tensor([-9.0, 30.0]), Rng([1, 2]))
    uses = uses_for(cbr, size)
    assert payload.uses.tolist() == [uses] * 2
    assert sum(payload.parts.values()).tolist() == [uses] * 2
    analog_energy = payload.symbols.abs().square().sum(1) - payload.digital_uses  # digital symbols have energy 1
    torch.testing.assert_close(analog_energy, (uses - payload.digital_uses).float(), rtol=1e-4, atol=1e-3)
    for row, refine in enumerate((False, True)):
        division = division_for(cbr, 48, size, refine)
        parts = {name: int(counts[row]) for name, counts in payload.parts.items() if counts[row]}
        assert parts == {name: count for name, count in division.parts.items() if count}


def test_psnr_increases_with_the_rate_and_the_snr_across_the_start_of_the_refinement(photos):
    rates = (1 / 12, 1 / 8, 0.13, 1 / 6, 1 / 4, 1 / 2)
    found = np.array([[mean_psnr(deepjscc.build(cbr), photos, snr) for snr in (1.0, 10.0, 20.0)] for cbr in rates])
    assert (np.diff(found, axis=1) > 1).all(), found
    assert (np.diff(found, axis=0) > -0.1).all(), found
    assert (found[3:] - found[1] > (0.2, 1.0, 2.0)).all(), found


@pytest.mark.parametrize("channel", [awgn, rayleigh], ids=["awgn", "rayleigh"])
@pytest.mark.parametrize("cbr", [1 / 6, 1 / 2])
def test_psnr_is_above_that_of_analog_transmission_at_low_snr(photos, cbr, channel):
    for snr_db, least in ((1.0, 1.0), (10.0, 0.5)):
        difference = mean_psnr(deepjscc.build(cbr), photos, snr_db, channel.build()) - mean_psnr(
            analog.build(cbr), photos, snr_db, channel.build()
        )
        assert difference > least


def test_at_low_snr_all_latents_have_the_energy_of_all_uses(photos):
    division = division_for(1 / 2, 48, (128, 128), refine=False)
    assert division.base_energy == pytest.approx(4, rel=0.01)
    repeated = Sample(photos.images.repeat(5, 1, 1, 1))
    latents = mean_psnr(deepjscc.build(1 / 8), repeated, 0.0)
    assert mean_psnr(deepjscc.build(1 / 2), repeated, -6.0) == pytest.approx(latents, abs=0.15)


def test_without_a_header_the_image_is_that_of_half_the_latents(photos):
    """A transmitter that assumes 10 dB at -6 dB: no header is decoded."""
    link, seeds = Link(deepjscc.build(1 / 2), awgn.build()), [1, 2, 3, 4]
    with torch.inference_mode():
        refined = link.deliver(photos, -6.0, seeds, designed_snr_db=10.0).reception.images
        link = Link(deepjscc.build(1 / 16), awgn.build())
        gain_db = 10 * math.log10(division_for(1 / 2, 48, (128, 128), refine=True).base_energy)
        latents = link.deliver(photos, -6.0 + gain_db, seeds, designed_snr_db=10.0 + gain_db).reception.images
    assert psnr(refined, photos.images).mean() == pytest.approx(psnr(latents, photos.images).mean().item(), abs=0.2)


def test_the_block_transform_is_orthonormal():
    image = np.random.default_rng(0).normal(size=(3, 16, 24))
    coefficients = blocks.to_blocks(image)
    assert np.sum(coefficients**2) == pytest.approx(np.sum(image**2))
    np.testing.assert_allclose(blocks.from_blocks(coefficients), image, atol=1e-12)
    gray = blocks.to_blocks(np.ones((3, 8, 8)))
    assert gray[0, 0, 0, 0, 0] == pytest.approx(math.sqrt(3) * 8)  # all energy in the mean of the luminance
    assert np.abs(gray).sum() == pytest.approx(math.sqrt(3) * 8)


@pytest.mark.parametrize("uses", [2048, 4096])
@pytest.mark.parametrize("snr_db", [0.0, 15.0])
def test_the_error_of_a_white_residual_equals_theory(uses, snr_db):
    """Of n white coefficients of variance v, m are sent with equal gains: D = v (n - m + m s / (1 + s)) / n."""
    size, deviation = (64, 64), 0.05
    refinement = Refinement(size, uses, bands=2, grouping="one")
    rng, errors = np.random.default_rng(0), []
    noise_var = 10 ** (-snr_db / 10)
    for _ in range(8):
        residual = deviation * rng.normal(size=(3, *size))
        bits, symbols = refinement.encode(residual, snr_db)
        assert symbols.abs().square().mean() == pytest.approx(1, rel=1e-4)
        noise = math.sqrt(noise_var / 2) * rng.normal(size=(len(symbols), 2)).astype(np.float32)
        received = symbols + torch.view_as_complex(torch.from_numpy(noise))
        estimate = refinement.decode(bits, received, torch.full((len(symbols),), noise_var))
        errors.append(np.mean((residual - estimate) ** 2))
    coefficients = residual.size
    sent = min(2 * (refinement.stream_uses - 1), coefficients)
    snr = refinement.stream_uses / (sent / 2) / noise_var
    expected = deviation**2 * (coefficients - sent + sent / (1 + snr)) / coefficients
    assert np.mean(errors) == pytest.approx(expected, rel=0.03)


def test_activities_raise_the_quality_of_a_residual_that_is_local():
    """Of a residual in one corner, only the cells there are sent."""
    rng = np.random.default_rng(1)
    residual = np.zeros((3, 64, 64))
    residual[:, :32, :32] = 0.05 * rng.normal(size=(3, 32, 32))
    errors = []
    for grouping in ("one", "cells"):
        refinement = Refinement((64, 64), 2000, bands=6, grouping=grouping)
        bits, symbols = refinement.encode(residual, 20.0)
        estimate = refinement.decode(bits, symbols, torch.full((len(symbols),), 0.01))
        errors.append(np.mean((residual - estimate) ** 2))
    assert errors[1] < errors[0] / 3


def test_a_header_takes_at_most_its_share():
    for uses in (40, 200, 500, 1000, 3000, 20_000):
        refinement = refinement_for(uses, (128, 128))
        assert refinement is None if uses < 350 else refinement.header_uses <= 0.3 * uses
    assert refinement_for(20_000, (128, 128)).grouping == "cells"
