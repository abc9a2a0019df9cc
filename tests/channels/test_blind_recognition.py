"""Averaged likelihoods against a direct average of the likelihoods of another module, and what they recognize."""

import math

import pytest
import torch

from channels import Rng
from channels.blind_recognition import blind_log_likelihoods
from channels.errors import UsageError
from channels.recognition import MODULATIONS, log_likelihoods, posterior


def frames(name, snr_db, uses, rows=1, gain=1.0):
    rng = Rng([100 + row for row in range(rows)])
    noise = math.sqrt(10 ** (-snr_db / 10)) * rng.derive("noise").complex_normal(uses)
    return gain * (MODULATIONS[name].draw(uses, rng) + noise)


@pytest.mark.parametrize("name", MODULATIONS)
def test_equals_the_average_over_a_fine_grid(name):
    """Within 0.15 nats of a sum over steps of 1 dB, each averaged over the circle by the other module."""
    received = frames("16qam", 6.0, 32, gain=2.0)
    power = float(received.abs().square().mean())
    levels = torch.arange(-6.0, 22.01, 1.0).tolist()
    each = [
        log_likelihoods(received, [name], noise_variance=power / (1 + 10 ** (level / 10)), phase="unknown")[0, 0]
        for level in levels
    ]
    weight = torch.ones(len(levels))
    weight[0] = weight[-1] = 0.5
    expected = torch.logsumexp(torch.stack(each) + (weight / weight.sum()).log(), 0)
    assert blind_log_likelihoods(received, [name]).log_likelihood[0, 0] == pytest.approx(expected.item(), abs=0.15)


@pytest.mark.parametrize("gain", [1e-6, 1.0, 3j, 1e6])
def test_gain_changes_nothing_but_the_density(gain):
    names = ["qpsk", "16qam", "64qam"]
    received = frames("16qam", 12.0, 128, gain=gain)
    found = blind_log_likelihoods(received, names)
    same = blind_log_likelihoods(frames("16qam", 12.0, 128), names)
    shift = -2 * 128 * math.log(abs(gain))
    torch.testing.assert_close(found.log_likelihood, same.log_likelihood + shift, rtol=0, atol=0.1)


@pytest.mark.parametrize(("name", "snr_db"), [("bpsk", 0.0), ("8psk", 12.0), ("16qam", 12.0), ("64qam", 18.0)])
def test_finds_modulation_snr_and_phase(name, snr_db):
    names = ["bpsk", "qpsk", "8psk", "16qam", "64qam", "256qam"]
    angle = 0.3
    received = frames(name, snr_db, 1024, rows=2, gain=2 * complex(math.cos(angle), math.sin(angle)))
    found = blind_log_likelihoods(received, names)
    index = names.index(name)
    assert found.log_likelihood.argmax(1).tolist() == [index, index]
    assert (found.snr_db[:, index] - snr_db).abs().max() < 1
    turn = 2 * math.pi / MODULATIONS[name].symmetry
    error = (found.phase[:, index] - angle + turn / 2) % turn - turn / 2
    assert error.abs().max() < 0.1


def test_posterior_is_calibrated():
    """Over frames of the prior, the mean of the largest posterior is the share of correct decisions."""
    names, count, uses = ["qpsk", "16qam", "64qam", "256qam"], 50, 128
    rng = Rng(list(range(len(names) * count)))
    truth = torch.arange(len(names)).repeat_interleave(count)
    sent = torch.cat([MODULATIONS[names[row // count]].draw(uses, rng[row : row + 1]) for row in range(len(truth))])
    levels = -6 + 28 * rng.derive("snr").uniform(1)[:, 0]
    received = sent + rng.derive("noise").complex_normal(uses, variance=10 ** (-levels / 10))
    found = posterior(blind_log_likelihoods(received, names).log_likelihood)
    expected = found.max(1).values
    deviation = (expected * (1 - expected)).sum().sqrt() / len(truth)
    assert abs((found.argmax(1) == truth).double().mean() - expected.mean()) < 4 * deviation


def test_wrong_input_is_refused():
    symbols = torch.ones(1, 4, dtype=torch.complex64)
    with pytest.raises(UsageError, match="ascend"):
        blind_log_likelihoods(symbols, ["qpsk"], (10.0, 0.0))
    with pytest.raises(UsageError, match="one use or more"):
        blind_log_likelihoods(symbols[:, :0], ["qpsk"])
    with pytest.raises(UsageError, match="modulation"):
        blind_log_likelihoods(symbols, ["qpks"])
    assert blind_log_likelihoods(symbols[:, :1], ["qpsk", "bpsk"]).log_likelihood.isfinite().all()
    assert blind_log_likelihoods(torch.zeros_like(symbols), ["qpsk", "bpsk"]).log_likelihood.isfinite().all()
