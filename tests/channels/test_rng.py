"""The draws of a row do not depend on the batch, the order or the length, and no global state is changed."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats

from channels import rng_kernel, rng_numpy, tdl, uplink
from channels.rng import Rng, seed_for
from channels.rng_kernel import fill

SEEDS = [seed_for("test", row) for row in range(40)]
DRAWS = ["normal", "complex_normal", "uniform"]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("length", [1, 2, 15, 17, 768, 20_011])
def test_draws_do_not_depend_on_the_batch(draw, length):
    together = getattr(Rng(SEEDS), draw)(length)
    for row in (0, 7, 39):
        assert torch.equal(together[row], getattr(Rng([SEEDS[row]]), draw)(length)[0])


@pytest.mark.parametrize("draw", DRAWS)
def test_a_longer_draw_begins_with_the_shorter(draw):
    long = getattr(Rng(SEEDS[:2]), draw)(70_001)
    for length in (1, 3, 16, 16_385, 65_536):
        assert torch.equal(getattr(Rng(SEEDS[:2]), draw)(length), long[:, :length])


@pytest.mark.parametrize("draw", DRAWS)
def test_the_first_dimension_of_a_shape_may_grow(draw):
    assert torch.equal(getattr(Rng(SEEDS[:2]), draw)(3, 5), getattr(Rng(SEEDS[:2]), draw)(9, 5)[:, :3])


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("length", [1, 17, 40_011])
def test_compiled_loops_and_numpy_draw_the_same_bits(monkeypatch, draw, length):
    found = []
    for loops in (rng_kernel, rng_numpy):
        monkeypatch.setattr(Rng, "_loops", lambda self, loops=loops: loops)
        rng = Rng(SEEDS[:3])
        found.append([getattr(rng, draw)(length) for _ in range(2)])
    for compiled, plain in zip(*found, strict=True):
        assert torch.equal(torch.view_as_real(compiled + 0j), torch.view_as_real(plain + 0j))


def test_a_few_rows_are_drawn_without_loading_numba():
    code = "import sys; from channels.rng import Rng; Rng([1]).normal(9); sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_second_draw_is_new_and_does_not_depend_on_the_length_of_the_first():
    one, other = Rng(SEEDS), Rng(SEEDS)
    first = one.normal(10)
    other.normal(1000)
    second = one.normal(10)
    assert torch.equal(second, other.normal(10))
    assert not torch.equal(first, second)


def test_rows_and_stages_are_uncorrelated():
    rng = Rng(SEEDS)
    values = torch.cat([rng.derive(name).normal(5000) for name in ("noise", "fading")] + [rng.normal(5000)])
    correlation = values @ values.T / 5000
    off_diagonal = correlation[~torch.eye(len(values), dtype=torch.bool)] * math.sqrt(5000)
    assert off_diagonal.abs().max() < 5.2  # 14280 pairs: P(|z| > 5.2) = 2e-7 each
    assert off_diagonal.std() == pytest.approx(1, abs=0.03)


def test_moments_of_the_normal_distribution():
    values = Rng(SEEDS).complex_normal(25_000)
    count = values.numel()
    parts = torch.view_as_real(values).double()
    for part in parts.unbind(-1):
        assert abs(part.mean()) * math.sqrt(2 * count) < 4
        assert abs((2 * part.square()).mean() - 1) * math.sqrt(count / 2) < 4
        assert abs((4 * part**4).mean() - 3) * math.sqrt(count / 96) < 4
        # tails: P(|x| > 3 sigma) = 0.0026998
        beyond = (part.abs() > 3 * math.sqrt(0.5)).double().mean()
        assert abs(beyond - 0.0026998) * math.sqrt(count / 0.0026925) < 4
    assert abs((2 * parts.prod(-1)).mean()) * math.sqrt(count) < 4


def test_words_equal_an_independent_sfc64():
    states = Rng(SEEDS[:5])._states()
    words = np.empty((5, 2000), np.uint64)
    updated = states.copy()
    fill(updated, words[:, :700])
    fill(updated, words[:, 700:])
    for row in range(5):
        reference = np.random.SFC64(0)
        reference.state = reference.state | {"state": {"state": states[row]}}
        assert (reference.random_raw(2000) == words[row]).all()
        assert (reference.state["state"]["state"] == updated[row]).all()


def test_normal_variates_are_the_box_muller_transform_of_those_words():
    words = np.empty((3, 40_000), np.uint64)
    fill(Rng(SEEDS[:3])._states(), words)
    halves = words.view(np.int32).astype(np.float64)
    level, phase = (np.abs(halves[:, 0::2]) + 1) / 2**31, halves[:, 1::2] * np.pi / 2**31
    expected = np.sqrt(-np.log(level)) * np.exp(1j * phase)
    values = Rng(SEEDS[:3]).complex_normal(40_000).numpy()
    assert np.abs(values - expected).max() < 3e-4  # where u rounds to 1, the radius has an absolute error of 2^-13
    assert np.abs(values - expected).mean() < 1e-6


def test_distributions_pass_the_kolmogorov_smirnov_test():
    values = Rng(SEEDS).complex_normal(25_000)
    assert stats.kstest(values.real.flatten().numpy(), stats.norm(scale=math.sqrt(0.5)).cdf).pvalue > 1e-4
    assert stats.kstest(values.abs().square().flatten().numpy(), stats.expon.cdf).pvalue > 1e-4
    assert stats.kstest(values.angle().flatten().numpy(), stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-4
    # far tail: |n|^2 > 10 has probability e^-10
    count = int((values.abs().square() > 10).sum())
    assert abs(count - values.numel() * math.exp(-10)) < 4 * math.sqrt(values.numel() * math.exp(-10))


def test_variance_scales_the_same_draws():
    variance = torch.linspace(0.1, 9, len(SEEDS))
    scaled = Rng(SEEDS).complex_normal(100, variance=variance)
    torch.testing.assert_close(scaled, Rng(SEEDS).complex_normal(100) * variance.sqrt()[:, None])


def test_uniform_covers_its_interval_evenly():
    values = Rng(SEEDS).uniform(25_000).flatten()
    assert values.min() >= 0
    assert values.max() < 1
    counts = torch.histc(values, 64, 0, 1)
    expected = len(values) / 64
    assert ((counts - expected) ** 2 / expected).sum() < 63 + 4.5 * math.sqrt(2 * 63)


def test_global_random_state_is_not_changed():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    rng = Rng(SEEDS[:2])
    rng.normal(5)
    sent = torch.ones(1, 2, 400, dtype=torch.complex64)
    for channel in (tdl.build(csi="lmmse"), uplink.build()):
        channel.carry(sent, torch.full((1, 2), 400), torch.full((1, 2), 10.0), rng)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_seeds_depend_on_types_and_order():
    names = [("a", 1), ("a", "1"), (1, "a"), ("a", 1.0), ("a",), ("a", 1, "")]
    assert len({seed_for(*name) for name in names}) == len(names)
    assert all(0 <= seed_for(*name) < 2**63 for name in names)


def test_derived_streams_have_the_seeds_of_their_names():
    assert Rng([5]).derive("noise").seeds == (seed_for(5, "noise"),)
    assert Rng(SEEDS)[3:5].seeds == tuple(SEEDS[3:5])
    assert len(Rng(SEEDS).generators) == len(SEEDS)
