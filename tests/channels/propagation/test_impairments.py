"""Impairments of flat channels: reported noise variance, unbiased symbols, peak-to-average power ratio."""

import math

import pytest
import torch

from channels import awgn, rayleigh
from channels.rng import Rng, seed_for


def streams(rows, label="impairments"):
    return Rng([seed_for(label, row) for row in range(rows)])


def gaussian(rows, length, label="symbols"):
    return streams(rows, label).complex_normal(length)[:, None]


@pytest.mark.parametrize(
    "arguments",
    [
        {"csi_error_variance": 0.1},
        {"phase_error_deg": 8.0},
        {"clipping_db": 1.0},
        {"adc_bits": 3},
        {"adc_bits": 6},
        {"csi_error_variance": 0.02, "phase_error_deg": 3.0, "clipping_db": 4.0, "adc_bits": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("channel", [awgn, rayleigh], ids=["awgn", "rayleigh"])
def test_noise_variance_contains_impairments(channel, arguments):
    rows, length = 800, 256
    sent = gaussian(rows, length)
    subject = channel.build(**arguments)
    received = subject.carry(sent, torch.full((rows, 1), length), torch.full((rows, 1), 15.0), streams(rows))
    error = received.symbols - sent
    ratio = (error.abs().square() / received.noise_var).mean(-1).flatten()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(rows) + 0.02)
    # unbiased: the error does not contain the symbol
    weight = 1 / received.noise_var
    share = (weight * error * sent.conj()).sum((1, 2)).real / (weight * sent.abs().square()).sum((1, 2)).mean()
    assert float(share.mean()) == pytest.approx(0, abs=4 * float(share.std()) / math.sqrt(rows) + 0.01)


def test_clipping_reports_the_peak_of_the_oversampled_waveform():
    channel = awgn.build(clipping_db=0.0)
    constant = torch.ones(1, 1, 64, dtype=torch.complex64)
    alternating = constant * torch.tensor([1.0, -1.0]).repeat(32)
    received = channel.carry(
        torch.cat([constant, alternating]), torch.full((2, 1), 64), torch.full((2, 1), 60.0), streams(2)
    )
    # a tone has constant amplitude
    assert received.papr_db.flatten().tolist() == pytest.approx([0, 0], abs=1e-4)
    random = channel.carry(gaussian(64, 512), torch.full((64, 1), 512), torch.full((64, 1), 60.0), streams(64))
    # E max of 512 to 2048 exponential variables is 8.3 to 9.2 dB
    assert 8 < float(random.papr_db.mean()) < 10
    assert random.fold().papr_db.shape == (64,)
