"""Parts of carrier images: symbols, tiles, harmonic inpainting and training."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from channels import awgn
from channels.rng import Rng
from semcom.system import Sample
from semcom.systems.carrier_image.agreement import from_tiles, random_masks, to_tiles
from semcom.systems.carrier_image.harmonic import harmonic_fill
from semcom.systems.carrier_image.symbols import from_symbols, scale_of_bits, scale_to_bits, to_symbols
from semcom.systems.carrier_image.training import random_mask_and_uses, training

# --- symbols and tiles ----------------------------------------------------------------------------------------------


def test_from_symbols_inverts_to_symbols_and_marks_latents_that_were_not_sent():
    latents = torch.randn(2, 7, 6)
    symbols, scale = to_symbols(latents, uses=11)  # 22 of 42 latents: three of each token, and the fourth of one
    decoded, noise_var = from_symbols(symbols, torch.full((2, 11), 0.5), scale, 7, 6)
    sent = noise_var.isfinite()
    assert sent[:, :, :3].all()
    assert sent[0, :, 3].tolist() == [True] + [False] * 6
    assert not sent[:, :, 4:].any()
    torch.testing.assert_close(decoded[sent], latents[sent])
    torch.testing.assert_close(symbols.abs().square().mean(1), torch.ones(2))
    torch.testing.assert_close(noise_var[:, 0, 0], 0.5 * scale.square())


def test_latent_error_has_the_reported_noise_variance():
    latents = 3 * torch.randn(1, 128, 96)
    symbols, scale = to_symbols(latents, uses=6144)
    received = awgn.build().carry(symbols[:, None], torch.tensor([[6144]]), torch.tensor([[4.0]]), Rng([1])).fold()
    decoded, noise_var = from_symbols(received.symbols, received.noise_var, scale, 128, 96)
    ratio = ((decoded - latents).square() / noise_var).mean()
    assert abs(float(ratio) - 1) < 4 * math.sqrt(2 / latents.numel())


def test_zero_latents_give_symbols_of_unit_energy():
    symbols, _ = to_symbols(torch.zeros(1, 4, 6), uses=12)
    torch.testing.assert_close(symbols.abs().square().mean(1), torch.ones(1))


@pytest.mark.parametrize("scale", [0.001, 0.0123, 0.37, 1.0, 21.0, 60.0])
def test_scale_is_quantized_to_half_a_percent(scale):
    assert scale_of_bits(scale_to_bits(scale)) == pytest.approx(scale, rel=0.0055)


@pytest.mark.parametrize("size", [(128, 128), (200, 300), (37, 53), (256, 129)])
def test_from_tiles_inverts_to_tiles(size):
    images = torch.rand(2, 3, *size)
    tiles = to_tiles(images, 128)
    assert len(tiles) == 2 * math.ceil(size[0] / 128) * math.ceil(size[1] / 128)
    torch.testing.assert_close(from_tiles(tiles, size), images)


def test_harmonic_fill_solves_laplaces_equation():
    """Reference: direct sparse solution with the same boundary condition."""
    from scipy.sparse import lil_matrix
    from scipy.sparse.linalg import spsolve

    side = 32
    known = torch.from_numpy(~random_masks(Rng([3]), 1, 16, 9)).float().view(1, 1, 4, 4)
    known = nn.functional.interpolate(known, scale_factor=8.0)
    pixels = torch.rand(1, 1, side, side)
    system, right = lil_matrix((side * side, side * side)), np.zeros(side * side)
    for place in range(side * side):
        row, column = divmod(place, side)
        system[place, place] = 1
        if known[0, 0, row, column]:
            right[place] = pixels[0, 0, row, column]
            continue
        for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            other = min(max(row + down, 0), side - 1) * side + min(max(column + across, 0), side - 1)
            system[place, other] -= 0.25
    exact = torch.from_numpy(spsolve(system.tocsr(), right)).view(1, 1, side, side).float()
    filled = harmonic_fill(pixels * known, known, (200, 200, 200, 2000))
    torch.testing.assert_close(filled, exact, atol=1e-4, rtol=0)


# --- training -------------------------------------------------------------------------------------------------------


def test_training_gives_every_weight_a_gradient():
    task = training()
    sample = Sample(torch.rand(2, 3, 128, 128))

    def send(symbols, snr_db):
        uses = torch.full((len(symbols), 1), symbols.shape[1])
        return awgn.build().carry(symbols[:, None], uses, snr_db[:, None], Rng([3, 4])).fold()

    for value in task.network.parameters():  # weights initialized to zero would block the gradient of earlier layers
        value.data.add_(0.01 * torch.ones_like(value))
    losses = task.phases[0].losses(sample, torch.tensor([0.0, 20.0]), send, Rng([1, 2]))
    sum(losses.values()).backward()
    missing = [name for name, value in task.network.named_parameters() if value.grad is None or not value.grad.any()]
    assert missing == []


def test_training_covers_all_mask_ratios_and_budgets():
    plans = [random_mask_and_uses(2, 256, 96, Rng([step, 1])) for step in range(200)]
    visible = [places.shape[1] for places, _ in plans]
    per_patch = [2 * uses / places.shape[1] for places, uses in plans]
    assert min(visible) < 20
    assert max(visible) > 185
    assert min(per_patch) < 24
    assert max(per_patch) > 90
    assert all((places.diff(dim=1) > 0).all() for places, _ in plans)
