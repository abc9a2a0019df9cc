"""The optimizer Muon."""

import pytest
import torch
from torch import nn

from semcom.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(48, 200), (200, 48), (64, 64)])
def test_newton_schulz_approximates_the_orthogonal_factor(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    near = orthogonal(matrix)
    assert torch.nn.functional.cosine_similarity(near.flatten(), (left @ right).flatten(), 0) > 0.95
    assert ((torch.linalg.svdvals(near) > 0.5) & (torch.linalg.svdvals(near) < 1.4)).all()


def test_muon_solves_least_squares_and_skips_parameters_without_gradient():
    generator = torch.Generator().manual_seed(2)
    target, points = torch.randn(48, 48, generator=generator), torch.randn(200, 48, generator=generator)
    weight, idle = nn.Parameter(torch.zeros(48, 48)), nn.Parameter(torch.ones(48, 48))
    optimizer = Muon([weight, idle], lr=0.1, weight_decay=0.0)
    for step in range(150):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 150)
        loss = (points @ (weight - target)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * 48  # 5 % of the initial loss
    assert (idle == 1).all()
