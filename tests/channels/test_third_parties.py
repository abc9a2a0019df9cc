"""Relay and co-channel interference: limits, a simulation of the paper's equations, planted faults."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from channels import UsageError, interference, rayleigh, relay
from channels.base import Medium, noise_variance
from channels.certificate.runner import certify
from channels.rng import Rng
from semcom.contract.channel_properties import CHANNEL_PROPERTIES

VARIANTS = {
    "relay": relay.build(),
    "relay, direct path": relay.build(3.0, -2.0, -6.0, coherence_uses=7),
    "interference": interference.build(),
    "4 interferers": interference.build(3.0, 4, coherence_uses=5),
}
SMALL = 0.1


@pytest.mark.parametrize("name", VARIANTS)
def test_the_contract_of_channels_holds(name, monkeypatch):
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests use it
    assert [problem for check in CHANNEL_PROPERTIES if (problem := check(VARIANTS[name]))] == []


def carry(channel, rows=2000, length=16, snr_db=10.0):
    symbols = torch.ones(rows, 1, length, dtype=torch.complex64)
    return channel.carry(symbols, torch.full((rows, 1), length), torch.full((rows, 1), snr_db), Rng(range(rows)))


def test_the_snr_behind_the_relay_is_that_of_the_paper():
    received = carry(relay.build(2.0, 5.0, -3.0))
    first, second, direct = (
        10 ** (1 + gain_db / 10) * received.gains[:, 0, path, 0].abs().double().square()
        for path, gain_db in enumerate((2.0, 5.0, -3.0))
    )
    expected = first * second / (first + second + 1) + direct
    np.testing.assert_allclose(1 / received.noise_var[:, 0, 0].double(), expected, rtol=1e-4)


def test_a_strong_second_hop_leaves_the_first():
    """The relay adds nothing but its noise: with a perfect second hop the SNR is that of the first."""
    received = carry(relay.build(second_hop_db=90.0))
    power = received.gains[:, 0, 0, 0].abs().double().square()
    np.testing.assert_allclose(received.noise_var[:, 0, 0].double() * power, 0.1, rtol=1e-4)


def test_the_relay_takes_time_and_energy():
    channel = relay.build()
    assert channel.medium == Medium(frame_data=1, frame_uses=2, overhead=(("relay", 1),))
    np.testing.assert_allclose(carry(channel, 8).energy, 32.0, rtol=1e-5)


def test_weak_interference_is_rayleigh_fading():
    quiet, plain = carry(interference.build(sir_db=100.0), 4), carry(rayleigh.build(), 4)
    np.testing.assert_allclose(quiet.noise_var, plain.noise_var, rtol=1e-4)
    np.testing.assert_array_equal(quiet.gains, plain.gains)


def test_many_interferers_are_noise_of_their_power():
    """64 interferers: their power in a block is nearly constant, as by the law of large numbers."""
    received = carry(interference.build(sir_db=0.0, interferers=64), snr_db=10.0)
    level = received.noise_var[:, 0, 0] * received.gains[:, 0, 0, 0].abs().square()
    assert float(level.mean()) == pytest.approx(1.1, abs=4 / 8 / 2000**0.5)
    assert float(level.std()) == pytest.approx(1 / 8, rel=0.15)


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        (interference.build, {"interferers": 0}, "interferers must be 1 to 64"),
        (interference.build, {"sir_db": float("nan")}, "sir_db must be -100 to 100"),
        (relay.build, {"direct_db": 200.0}, "direct_db must be -100 to 100, or null for no direct path"),
    ],
)
def test_invalid_arguments_are_one_line(build, arguments, message):
    with pytest.raises(UsageError, match=message):
        build(**arguments)


def failed(name, channel):
    group = name.split()[0]
    return [line.name for line in certify(SMALL, only=[group], channels={name: channel}).lines if not line.passed]


def faulty(channel, fault):
    class Faulty(type(channel)):
        def carry(self, symbols, uses, snr_db, rng):
            received = super().carry(symbols, uses, snr_db, rng)
            return replace(received, **fault(received, snr_db))

    channel.__class__ = Faulty
    return channel


def test_interference_that_is_left_out_of_the_noise_variance_fails():
    def alone(received, snr_db):
        return {"noise_var": noise_variance(snr_db)[..., None] / received.gains[:, :, 0].abs().square()}

    names = failed("interference", faulty(interference.build(sir_db=6.0), alone))
    assert any("error / noise variance" in name for name in names)
    assert any("P(SNR" in name for name in names)


def test_a_relay_without_noise_of_its_own_fails():
    def quiet(received, snr_db):
        first, second = received.gains[:, :, 0].abs().square(), received.gains[:, :, 1].abs().square() * 10**0.3
        n0 = noise_variance(snr_db)[..., None]
        return {"noise_var": n0 * (first + n0) / (first * second)}

    names = failed("relay", faulty(relay.build(second_hop_db=3.0), quiet))
    assert any("error / noise variance" in name for name in names)


def test_another_interference_power_or_hop_fails():
    assert any("P(SNR" in name for name in failed("interference", interference.build(sir_db=3.0)))
    assert any("P(SNR" in name for name in failed("relay", relay.build(second_hop_db=0.0)))


def test_energy_without_the_relay_fails():
    def halved(received, snr_db):
        return {"energy": received.energy / 2}

    assert any("energy" in name for name in failed("relay", faulty(relay.build(second_hop_db=3.0), halved)))
