"""OFDM over TR 38.901: counted uses, noise variances, independence of rows, and comparison with Sionna."""

import math
from contextlib import contextmanager

import pytest
import torch

from channels import cdl, tdl
from channels.certificate import theory
from channels.errors import UsageError
from channels.propagation.ofdm import Ofdm
from channels.rng import Rng, seed_for


def streams(rows, label="ofdm"):
    return Rng([seed_for(label, row) for row in range(rows)])


@contextmanager
def sionna_seed(seed):
    """Set the global generator of Sionna to `seed`, and restore the global random state of torch afterwards."""
    with torch.random.fork_rng():
        from sionna.phy import config

        config.seed = seed
        yield


def qpsk(rows, length):
    return torch.view_as_complex(
        torch.where(streams(rows, "qpsk").uniform(length, 2) < 0.5, -1.0, 1.0) * math.sqrt(0.5)
    )[:, None]


def carry(channel, rows, length, snr_db, sent=None):
    sent = qpsk(rows, length) if sent is None else sent
    snr = torch.as_tensor(snr_db, dtype=torch.float32).expand(rows)[:, None]
    return sent, channel.carry(sent, torch.full((rows, 1), length), snr, streams(rows))


@pytest.mark.parametrize("csi", ["perfect", "ls", "lmmse"])
@pytest.mark.parametrize("model", ["A", "D"])
@pytest.mark.parametrize("channel", [tdl, cdl], ids=["tdl", "cdl"])
def test_error_has_the_reported_noise_variance(channel, model, csi):
    rows, length = 400, 400
    subject = channel.build(model=model, csi=csi, speed_m_s=20.0)
    sent, received = carry(subject, rows, length, torch.linspace(0, 25, rows))
    ratio = ((received.symbols - sent).abs().square() / received.noise_var).mean((1, 2))
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(rows))


def test_antennas_are_combined_by_maximum_ratio():
    rows = 300
    sent, received = carry(tdl.build(antennas=4, csi="lmmse"), rows, 312, 5.0)
    ratio = ((received.symbols - sent).abs().square() / received.noise_var).mean((1, 2))
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(rows))
    # E 1 / sum of 4 unit exponentials = 1/3
    _, known = carry(tdl.build(antennas=4), rows, 312, 5.0)
    mean = known.noise_var.mean((1, 2))
    assert float(mean.mean()) == pytest.approx(10**-0.5 / 3, abs=4 * float(mean.std()) / math.sqrt(rows))


def test_lmmse_is_better_than_least_squares_and_worse_than_perfect_knowledge():
    error = {}
    for csi in ("perfect", "lmmse", "ls"):
        sent, received = carry(tdl.build(csi=csi), 300, 312, 5.0)
        error[csi] = float((received.mmse_estimate() - sent).abs().square().mean())
    assert error["perfect"] < error["lmmse"] < error["ls"]


FLAT = {"model": "C", "delay_spread_s": 1e-12, "speed_m_s": 0.0, "subcarriers": 1, "pilot_comb": 1}


def test_one_pilot_at_the_snr_of_the_data_costs_three_decibels():
    """A receiver with one pilot has y = h x + n and g = h + e with e ~ CN(0, N0); the test measures its error.

    E[h | g] = g / (1 + N0), so y - E[h | g] x has variance v / (1 + v) + N0 with v = N0, over an estimate of power
    1 / (1 + v): an SNR of 1 / (N0 (1 + v) + v), of both the channel and the formula.
    """
    rows, snr = 4000, 100.0
    subject = tdl.build(**FLAT, pilot_symbols=1, csi="lmmse")
    sent, received = carry(subject, rows, 13, 10 * math.log10(snr))
    known = received.gains.flatten(1).abs().square()
    error = ((received.symbols - sent).flatten(1).abs().square() * known).mean(1)
    power = known.mean(1)
    measured = float(power.mean() / error.mean())
    spread = float((power - measured * error).std()) / math.sqrt(rows) / float(error.mean())
    assert measured == pytest.approx(theory.estimated_snr(snr, 1 / snr), abs=4 * spread)
    assert spread < 0.05 * measured  # precise enough to distinguish it from the SNR itself, which is twice as large


@pytest.mark.parametrize("csi", ["perfect", "ls", "lmmse"])
@pytest.mark.parametrize("channel", [tdl, cdl], ids=["tdl", "cdl"])
def test_rows_depend_on_their_own_seed_only(channel, csi):
    subject = channel.build(model="D", csi=csi)
    sent, snr, rng = qpsk(5, 700), torch.linspace(0, 20, 5)[:, None], streams(5)
    state = torch.get_rng_state()
    together = subject.carry(sent, torch.full((5, 1), 700), snr, rng)
    assert torch.equal(state, torch.get_rng_state())
    alone = subject.carry(sent[2:3], torch.full((1, 1), 700), snr[2:3], rng[2:3])
    torch.testing.assert_close(together.symbols[2:3], alone.symbols, rtol=1e-4, atol=1e-5)
    short = subject.carry(sent[..., :320], torch.full((5, 1), 320), snr, rng)
    torch.testing.assert_close(together.symbols[..., :320], short.symbols, rtol=1e-4, atol=1e-5)


def test_pilots_prefix_and_guards_are_counted():
    medium = tdl.build(subcarriers=24, guard_subcarriers=6, cyclic_prefix=0.1, pilot_symbols=2, pilot_comb=2).medium
    assert medium.frame_data == 24 * 14 - 24
    assert medium.frame_uses == 462
    # with 8 users and 3072 medium uses (128 x 128 pixels, CBR 1/16) each user has one frame
    assert tdl.build().medium.budget(3072, users=8) == 312
    sent = torch.ones(2, 1, 400, dtype=torch.complex64)
    received = tdl.build().carry(sent, torch.tensor([[400], [0]]), torch.zeros(2, 1), streams(2))
    assert received.energy.flatten().tolist() == [400 + 2 * 24, 0]
    assert not received.symbols[1].any()


def test_gains_of_a_receiver_at_rest_are_constant_in_time():
    _, received = carry(tdl.build(speed_m_s=0.0), 3, 312, 80.0)
    # without motion the gains of OFDM symbols 0 and 1 are equal
    torch.testing.assert_close(received.gains[..., :24], received.gains[..., 24:48])


def test_gains_without_line_of_sight_are_rayleigh():
    _, received = carry(tdl.build(model="C"), 4000, 1, 10.0)
    power = received.gains.abs().square().flatten()
    for level in (0.1, 0.5, 1.0, 2.0):
        below = float((power < level).double().mean())
        expected = 1 - math.exp(-level)
        assert below == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 4000))


def test_tdl_of_sionna_has_the_same_second_moments():
    rows, times, rate = 3000, 4, 2000.0
    for model in ("A", "E"):
        ours = tdl.build(model=model, speed_m_s=30.0, delay_spread_s=30e-9).paths
        with sionna_seed(3):
            from sionna.phy.channel.tr38901 import TDL

            theirs = TDL(model, 30e-9, 3.5e9, min_speed=30.0)
            taps, delays = theirs(rows, times, rate)
        torch.testing.assert_close(delays[0, 0, 0].double(), ours.delays_s, rtol=1e-5, atol=1e-15)
        taps = taps[:, 0, 0, 0, 0].to(torch.complex128)
        product = taps * taps[..., :1].conj()
        expected = ours.autocorrelation(torch.arange(times) / rate)
        error = (product - expected).real
        z = error.mean(0) / (error.std(0) / math.sqrt(rows))
        assert float(z.abs().max()) < 5


def test_cdl_of_sionna_has_the_same_delay_profile():
    rows = 600
    for model in ("B", "D"):
        ours = cdl.build(model=model, delay_spread_s=30e-9).paths
        with sionna_seed(5):
            from sionna.phy.channel.tr38901 import CDL, Antenna

            antenna = Antenna(
                polarization="single", polarization_type="V", antenna_pattern="omni", carrier_frequency=3.5e9
            )
            theirs = CDL(model, 30e-9, 3.5e9, antenna, antenna, "downlink", min_speed=10.0)
            taps, delays = theirs(rows, 1, 1000.0)
        # Sionna sorts the clusters
        order = ours.delays_s.argsort()
        torch.testing.assert_close(delays[0, 0, 0].double(), ours.delays_s[order], rtol=1e-4, atol=1e-13)
        power = taps[:, 0, 0, 0, 0, :, 0].abs().double().square()
        z = (power.mean(0) - ours.powers[order]) / (power.std(0) / math.sqrt(rows)).clamp(min=1e-4)
        assert float(z.abs().max()) < 5


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"delay_spread_s": -1e-9}, "delay_spread_s"),
        ({"delay_spread_s": 1e-6}, "cyclic prefix"),
        ({"speed_m_s": -1.0}, "speed_m_s"),
        ({"speed_m_s": 300.0}, "Doppler"),
        ({"carrier_hz": 0.0}, "carrier_hz"),
        ({"subcarrier_spacing_hz": 0.0}, "subcarrier_spacing_hz"),
        ({"subcarriers": 0}, "subcarriers"),
        ({"pilot_symbols": 14, "pilot_comb": 1}, "no room"),
        ({"pilot_symbols": 15}, "pilot"),
        ({"cyclic_prefix": -0.1}, "cyclic_prefix"),
    ],
)
@pytest.mark.parametrize("channel", [tdl, cdl], ids=["tdl", "cdl"])
def test_wrong_arguments_are_refused_in_one_line(channel, arguments, word):
    with pytest.raises(UsageError, match=word) as refusal:
        channel.build(**arguments)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("paths", [tdl.TappedDelayLine, cdl.ClusteredDelayLine])
def test_unknown_models_and_csi_are_refused(paths):
    with pytest.raises(UsageError, match="model must be one of"):
        paths("F", 1e-7, 10.0)
    subject = tdl.build()
    with pytest.raises(UsageError, match="csi must be"):
        Ofdm(subject.grid, subject.paths, "oracle", 1, subject.csit)
