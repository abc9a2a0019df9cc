"""Likelihoods of modulations: against direct sums, theory of detection, and what a receiver need not know."""

import math

import pytest
import torch

from channels import Rng, rayleigh
from channels.certificate.measurement import streams, transmit
from channels.errors import UsageError
from channels.modem import map_bits
from channels.recognition import MODULATIONS, chernoff, log_likelihoods, posterior

FIVE = ["bpsk", "qpsk", "16qam", "64qam", "256qam"]


def frames(names, count, uses, snr_db, seed=0):
    """Received frames of unit gain, `count` of each modulation, and the index of the modulation of each."""
    noise = 10 ** (-snr_db / 10)
    found = []
    for index, name in enumerate(names):
        rng = Rng([1000 * seed + 100 * index + row for row in range(count)])
        found.append(MODULATIONS[name].draw(uses, rng) + math.sqrt(noise) * rng.derive("noise").complex_normal(uses))
    return torch.cat(found), torch.arange(len(names)).repeat_interleave(count), noise


def accuracy(found, truth):
    return (found.argmax(1) == truth).double().mean().item()


def points(name, parity=0):
    """All points of a modulation, from its definition in the literature."""
    diagonal = complex(math.sqrt(0.5), math.sqrt(0.5))
    if name == "bpsk":
        return [diagonal, -diagonal]
    if name == "ook":
        return [0, math.sqrt(2)]
    if name == "8psk":
        return [complex(math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)) for k in range(8)]
    if name == "pi/4-qpsk":
        return [point * diagonal if parity else point for point in points("qpsk")]
    side = {"qpsk": 2, "16qam": 4, "64qam": 8, "256qam": 16}[name]
    line = [2 * k + 1 - side for k in range(side)]
    scale = math.sqrt(2 * sum(level**2 for level in line) / side)
    return [complex(a, b) / scale for a in line for b in line]


@pytest.mark.parametrize("name", [name for name in MODULATIONS if name != "gaussian"])
def test_likelihood_is_the_sum_over_all_points(name):
    """Fast sums over levels equal ln(1/M sum_a exp(-|y - h a|^2 / N0) / (pi N0)) in double precision."""
    symbols, _, _ = frames([name], 2, 7, 9.0)
    gain, noise = 0.8 * complex(math.cos(1.1), math.sin(1.1)), 0.2
    received = symbols * gain
    expected = torch.zeros(2, dtype=torch.float64)
    for use in range(7):
        each = torch.tensor(points(name, use % 2), dtype=torch.complex128)
        distance = (received[:, use, None].to(torch.complex128) - gain * each).abs().square()
        expected += (torch.exp(-distance / noise).mean(1) / (math.pi * noise)).log()
    found = log_likelihoods(received, [name], noise_variance=noise, gain=gain)[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", MODULATIONS)
def test_drawn_symbols_have_unit_energy(name):
    symbols = MODULATIONS[name].draw(50_000, Rng([1]))
    power = symbols.abs().square().double()
    assert abs(power.mean() - 1) < 4 * power.std() / math.sqrt(50_000) + 1e-6


def test_qam_is_that_of_the_modem():
    bits = torch.randint(0, 2, (1, 6 * 4000), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    sent = {(round(x.real, 4), round(x.imag, 4)) for x in map_bits(bits, 6)[0].tolist()}
    assert sent == {(round(x.real, 4), round(x.imag, 4)) for x in map(complex, points("64qam"))}


def test_an_unknown_phase_costs_nothing_from_512_uses():
    """Within one point of the receiver that knows the phase, at SNRs where it errs."""
    for snr_db in (4.0, 12.0):
        received, truth, noise = frames(FIVE, 40, 512, snr_db)
        turned = received * torch.polar(torch.ones(()), torch.tensor(2.0))
        known = log_likelihoods(received, FIVE, noise_variance=noise, gain=1.0)
        unknown = log_likelihoods(turned, FIVE, noise_variance=noise, gain=1.0, phase="unknown")
        assert 0.6 < accuracy(known, truth) < 0.95
        assert accuracy(unknown, truth) > accuracy(known, truth) - 0.01


def test_an_averaged_phase_is_the_integral_over_the_circle():
    """The adaptive angles against ten thousand equally spaced ones, also where the likelihood is narrow."""
    for snr_db in (-5.0, 10.0, 30.0):
        received, _, noise = frames(["qpsk"], 2, 128, snr_db)
        angles = torch.arange(10_000) / 10_000 * 2 * math.pi
        for name in ("qpsk", "ook"):
            found = log_likelihoods(received, [name], noise_variance=noise, gain=1.0, phase="unknown")[:, 0]
            for row in range(2):
                turned = received[row] * torch.polar(torch.ones(10_000), -angles)[:, None]
                each = log_likelihoods(turned, [name], noise_variance=noise, gain=1.0)[:, 0]
                assert found[row].item() == pytest.approx((each.logsumexp(0) - math.log(10_000)).item(), abs=0.2)


def test_the_gain_and_the_noise_need_not_be_known():
    """At 20 dB and 512 uses QPSK, 8PSK and 16QAM are recognized from frames of any level and angle."""
    names = ["qpsk", "8psk", "16qam"]
    received, truth, _ = frames(names, 10, 512, 20.0)
    found = log_likelihoods(received * complex(-3.0, 40.0), names)
    assert accuracy(found, truth) == 1.0
    assert posterior(found).max(1).values.min() > 0.999


def test_equal_laws_are_undecided():
    """Noise alone, with unknown gain and noise, is as likely Gaussian as anything: no confident decision."""
    noise = Rng([1, 2, 3]).complex_normal(512)
    found = posterior(log_likelihoods(noise, ["qpsk", "gaussian"]))
    assert (found[:, 0] < 0.99).all()


def test_a_faded_frame_is_recognized_with_its_gain():
    """Before equalization, y = h a + w: equalized symbols times the gain."""
    rng = streams("faded", 40)
    sent = MODULATIONS["16qam"].draw(256, rng)
    received = transmit(rayleigh.build(), sent, 18.0, rng)
    gains = received.gains[:, 0]
    found = log_likelihoods(received.symbols * gains, FIVE, noise_variance=10**-1.8, gain=gains)
    assert accuracy(found, torch.full((40,), 2)) > 0.85


def test_chernoff_bounds_the_error_and_is_symmetric():
    for first, second, snr_db in (("qpsk", "8psk", 6.0), ("ook", "bpsk", -3.0), ("qpsk", "gaussian", 3.0)):
        information = chernoff(first, second, snr_db)
        assert information == pytest.approx(chernoff(second, first, snr_db), rel=1e-6)
        received, truth, noise = frames([first, second], 400, 32, snr_db)
        wrong = 1 - accuracy(log_likelihoods(received, [first, second], noise_variance=noise, gain=1.0), truth)
        bound = math.exp(-32 * information) / 2
        assert 0.05 * bound < wrong < bound + 4 * math.sqrt(bound / 800)
    assert chernoff("qpsk", "qpsk", 10.0) == pytest.approx(0.0, abs=1e-3)
    assert chernoff("qpsk", "pi/4-qpsk", 10.0) > 0.1  # every second symbol distinguishes them


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_likelihoods(torch.zeros(1, 4), FIVE), "must be complex"),
        (lambda: log_likelihoods(torch.zeros(1, 0, dtype=torch.complex64), FIVE), "one use or more"),
        (lambda: log_likelihoods(torch.zeros(1, 4, dtype=torch.complex64), []), "one modulation or more"),
        (lambda: log_likelihoods(torch.zeros(1, 4, dtype=torch.complex64), ["fm"]), "modulation must be"),
        (lambda: chernoff("qpsk", "fm", 3.0), "modulation must be"),
        (lambda: chernoff("qpsk", "bpsk", 90.0), "at most 40 dB"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_silence_is_not_an_error():
    found = log_likelihoods(torch.zeros(1, 8, dtype=torch.complex64), FIVE)
    assert found.isfinite().all()
