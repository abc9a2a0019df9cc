"""Flat channels: independence of rows, uses past the end, gradients, MMSE estimates, counted uses."""

import math

import pytest
import torch

from channels import awgn, broadcast, rayleigh, rician, uplink
from channels.base import Medium
from channels.errors import UsageError
from channels.rng import Rng, seed_for

CHANNELS = {
    "awgn": awgn.build(),
    "rayleigh": rayleigh.build(),
    "rayleigh symbol": rayleigh.build(coherence_uses=1),
    "rician 50": rician.build(coherence_uses=50),
    "impaired": rayleigh.build(csi_error_variance=0.05, phase_error_deg=5.0, clipping_db=3.0, adc_bits=5),
}


def streams(rows, label="physics"):
    return Rng([seed_for(label, row) for row in range(rows)])


def gaussian(rows, length, label="symbols"):
    return streams(rows, label).complex_normal(length)[:, None]


@pytest.mark.parametrize("name", CHANNELS)
def test_rows_do_not_depend_on_their_batch(name):
    sent, snr = gaussian(9, 333), torch.linspace(-5, 25, 9)[:, None]
    rng = streams(9)
    uses = torch.arange(333, 324, -1)[:, None]
    together = CHANNELS[name].carry(sent, uses, snr, rng)
    for row in (0, 4, 8):
        part = slice(row, row + 1)
        alone = CHANNELS[name].carry(sent[part], uses[part], snr[part], rng[part])
        torch.testing.assert_close(together.symbols[part], alone.symbols, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.noise_var[part], alone.noise_var, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CHANNELS)
def test_nothing_is_sent_past_a_rows_uses(name):
    sent, uses = gaussian(3, 64), torch.tensor([[64], [10], [0]])
    received = CHANNELS[name].carry(sent, uses, torch.full((3, 1), 10.0), streams(3))
    for row, count in enumerate((64, 10, 0)):
        assert not received.symbols[row, 0, count:].any()
        assert not received.noise_var[row, 0, count:].any()
        assert (received.noise_var[row, 0, :count] > 0).all()
    if name != "impaired":
        energy = [sent[row, 0, :count].abs().square().sum().item() for row, count in enumerate((64, 10, 0))]
        assert received.energy.flatten().tolist() == pytest.approx(energy, rel=1e-5)


@pytest.mark.parametrize("name", CHANNELS)
def test_a_longer_row_has_the_fading_and_noise_of_a_shorter_one(name):
    if name == "impaired":
        pytest.skip("a clipping amplifier mixes the symbols of a row")
    sent = gaussian(2, 500)
    snr = torch.full((2, 1), 3.0)
    long = CHANNELS[name].carry(sent, torch.full((2, 1), 500), snr, streams(2))
    short = CHANNELS[name].carry(sent[..., :77], torch.full((2, 1), 77), snr, streams(2))
    torch.testing.assert_close(long.symbols[..., :77], short.symbols, rtol=1e-6, atol=1e-6)


def test_symbols_get_gradients_and_are_not_changed():
    sent = gaussian(2, 32).requires_grad_()
    before = sent.detach().clone()
    for channel in CHANNELS.values():
        sent.grad = None
        received = channel.carry(sent, torch.tensor([[32], [20]]), torch.full((2, 1), 10.0), streams(2))
        received.symbols.abs().square().sum().backward()
        assert torch.equal(sent.detach(), before)
        assert sent.grad is not None
        assert sent.grad.abs().sum() > 0
        assert not sent.grad[1, 0, 20:].any()


def test_mmse_estimate_has_the_minimum_mean_squared_error():
    sent = gaussian(200, 100)
    received = awgn.build().carry(sent, torch.full((200, 1), 100), torch.full((200, 1), 0.0), streams(200))
    error = (received.mmse_estimate() - sent).abs().square().mean()
    assert float(error) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(20_000))


def test_medium_budget_and_occupied_uses():
    framed = Medium(frame_data=100, frame_uses=140)
    assert framed.budget(1000, 1) == 700
    assert framed.occupied(torch.tensor([[1, 100, 101]])).tolist() == [140 + 140 + 280]
    assert broadcast.build().medium.budget(1000, 4) == 1000
    assert uplink.build().medium.occupied(torch.tensor([[10, 30]])).tolist() == [30]


@pytest.mark.parametrize(
    ("build", "arguments", "word"),
    [
        (rayleigh.build, {"coherence_uses": 0}, "coherence_uses"),
        (rician.build, {"k_factor_db": math.inf}, "k_factor_db"),
        (awgn.build, {"csi_error_variance": 1.0}, "csi_error_variance"),
        (awgn.build, {"csi_error_variance": -0.1}, "csi_error_variance"),
        (awgn.build, {"phase_error_deg": -1.0}, "phase_error_deg"),
        (awgn.build, {"clipping_db": 90.0}, "clipping_db"),
        (awgn.build, {"adc_bits": 0}, "adc_bits"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(build, arguments, word):
    with pytest.raises(UsageError, match=word) as refusal:
        build(**arguments)
    assert "\n" not in str(refusal.value)
