"""What the networks cannot see by construction, what they cost, and frames that the channel's equations describe."""

import math

import pytest
import torch

from channels.blind_recognition import blind_log_likelihoods
from channels.recognition import posterior
from semcom.recognition import frames
from semcom.recognition.networks import build, load

NAMES = ("bpsk", "qpsk", "8psk", "16qam", "64qam", "256qam", "gaussian")


@pytest.fixture(scope="module")
def received():
    return frames.draw(NAMES, 256, (10.0, 20.0), 8, seed=1, step=0).symbols


def set_network():
    torch.manual_seed(0)
    return build("set", NAMES).eval()


def test_set_network_sees_neither_gain_nor_order_nor_quarter_turns(received):
    network = set_network()
    with torch.inference_mode():
        expected = network(received)
        order = torch.randperm(received.shape[1])
        for same in (7 * received, received[:, order], 1j * received):
            torch.testing.assert_close(network(same), expected, rtol=1e-3, atol=1e-3)


def test_set_network_sees_no_phase_where_it_can_be_estimated():
    sent = frames.draw(("qpsk", "16qam"), 1024, (15.0, 20.0), 4, seed=1, step=0).symbols
    network = set_network()
    with torch.no_grad():  # the plain estimator of Viterbi and Viterbi: all rings weigh the same
        network.radial_weight[2].weight.zero_()
        network.radial_weight[2].bias.copy_(torch.eye(12)[0])
        expected, angle = network.classified(sent)
        turned, later = network.classified(sent * torch.polar(torch.ones(()), torch.tensor(0.2)))
    torch.testing.assert_close(turned, expected, rtol=1e-3, atol=1e-3)
    error = (later - angle - 0.2 + math.pi / 4) % (math.pi / 2) - math.pi / 4
    assert error.abs().max() < 1e-4


def test_phase_of_qpsk_is_found():
    found = frames.draw(("qpsk",), 1024, (15.0, 15.0), 4, seed=1, step=0)
    network = set_network()
    with torch.no_grad():
        network.radial_weight[2].weight.zero_()
        network.radial_weight[2].bias.copy_(torch.eye(12)[0])
        angle = network.classified(found.symbols)[1]
    error = (angle - found.phase + math.pi / 4) % (math.pi / 2) - math.pi / 4
    assert error.abs().max() < 5 / math.sqrt(2 * 1024 * 10**1.5)


@pytest.mark.parametrize("name", ["set", "sequence"])
def test_networks_are_small(name, received):
    """At most 50,000 parameters; a row does not depend on the others; the shortest frame passes."""
    network = build(name, NAMES).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) <= 50_000
    with torch.inference_mode():
        torch.testing.assert_close(network(received[2:3]), network(received)[2:3], rtol=1e-3, atol=1e-4)
        assert network(received[:, :1]).isfinite().all()
        assert network(torch.zeros_like(received)).isfinite().all()


def test_frames_have_the_stated_snr_and_depend_on_their_name_alone():
    batch = frames.draw(("qpsk",), 4096, (7.0, 7.0), 6, seed=3, step=5)
    again = frames.draw(("qpsk",), 4096, (7.0, 7.0), 2, seed=3, step=5)
    assert torch.equal(batch.symbols[:2], again.symbols)
    clean = batch.symbols / batch.symbols.abs().square().mean(1, keepdim=True).sqrt()
    excess = clean.abs().pow(4).mean(1)  # of unit-modulus symbols in noise n: (1 + 4 n + 2 n^2) / (1 + n)^2
    noise = 10**-0.7
    expected = (1 + 4 * noise + 2 * noise**2) / (1 + noise) ** 2
    assert (excess - expected).abs().max() < 5 * 1.5 / math.sqrt(4096)


def test_taps_are_a_convolution_of_mean_energy_one():
    batch = frames.draw(("qpsk",), 256, (60.0, 60.0), 400, seed=3, step=5, taps=2)
    energy = batch.symbols.abs().square().mean(1)
    flat = frames.draw(("qpsk",), 256, (60.0, 60.0), 400, seed=3, step=5).symbols.abs().square().mean(1)
    ratio = energy / flat
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / 20
    assert ratio.std() > 0.5  # two Rayleigh gains


def test_bundled_network_recognizes_what_the_blind_likelihood_recognizes():
    """On frames where the averaged likelihood is sure, the network decides the same, and its log loss is close."""
    network, names, identifier = load()
    assert identifier.startswith("recognition@")
    batch = frames.draw(names, 1024, (-6.0, 22.0), 60, seed=11, step="test")
    with torch.inference_mode():
        learned = torch.softmax(network(batch.symbols).double(), 1)
    averaged = posterior(blind_log_likelihoods(batch.symbols, names).log_likelihood)
    sure = averaged.max(1).values > 0.99
    assert sure.sum() > 15
    assert (learned.argmax(1) == averaged.argmax(1))[sure].double().mean() >= 0.9
    losses = [-found[torch.arange(60), batch.truth].log().mean() for found in (learned, averaged)]
    assert losses[0] < losses[1] + 0.25
