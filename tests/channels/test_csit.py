"""Channel knowledge of the transmitter: the known SNR has the capacity of the coming transmission."""

import numpy as np
import pytest
import torch

from channels import (
    UsageError,
    awgn,
    broadcast,
    cdl,
    interference,
    mimo,
    rayleigh,
    relay,
    rician,
    seed_for,
    tdl,
    uplink,
    waveform,
)
from channels.rng import Rng

ROWS = 400
FADING = {
    "rayleigh block": (rayleigh.build, {}),
    "rayleigh, 10 uses": (rayleigh.build, {"coherence_uses": 10}),
    "rician": (rician.build, {"k_factor_db": 3.0, "coherence_uses": 7}),
    "tdl": (tdl.build, {"speed_m_s": 30.0}),
    "tdl, antennas": (tdl.build, {"model": "D", "antennas": 2}),
    "cdl": (cdl.build, {"model": "E"}),
    "mimo": (mimo.build, {"scheme": "multiplexing", "coherence_uses": 10}),
    "broadcast": (broadcast.build, {"fading": "rician", "coherence_uses": 10}),
    "interference": (interference.build, {"sir_db": 3.0, "interferers": 2, "coherence_uses": 10}),
    "relay": (relay.build, {"first_hop_db": 3.0, "coherence_uses": 10}),
    "relay, direct path": (relay.build, {"direct_db": -3.0}),
    "uplink": (uplink.build, {"power_offsets_db": (0.0, 3.0), "coherence_uses": 10}),
    "uplink, joint": (uplink.build, {"antennas": 1, "receiver": "joint"}),
}


def known_db(channel, snr_db=10.0, uses=330, rows=ROWS):
    rng = Rng([seed_for("csit", row) for row in range(rows)])
    counts, snr = torch.full((rows // 2, 2), uses), torch.full((rows // 2, 2), snr_db)
    return channel.transmitter_snr_db(counts, snr, rng).flatten().double().numpy()


def realized_db(channel, snr_db=10.0, uses=330, rows=ROWS):
    """SNR of equal capacity in numpy, from the noise variances of `carry`."""
    rng = Rng([seed_for("csit", row) for row in range(rows)])
    counts, snr = torch.full((rows // 2, 2), uses), torch.full((rows // 2, 2), snr_db)
    received = channel.carry(torch.ones(rows // 2, 2, uses, dtype=torch.complex64), counts, snr, rng)
    capacity = np.log2(1 + 1 / received.noise_var.double().flatten(0, 1).numpy()).mean(1)
    return 10 * np.log10(2**capacity - 1)


@pytest.mark.parametrize("name", FADING)
def test_perfect_knowledge_is_the_snr_of_equal_capacity_of_the_transmission(name):
    build, arguments = FADING[name]
    channel = build(**arguments, csit="perfect")
    np.testing.assert_allclose(known_db(channel, rows=8), realized_db(channel, rows=8), atol=2e-3)


@pytest.mark.parametrize("name", FADING)
def test_delayed_knowledge_with_correlation_1_is_perfect(name):
    build, arguments = FADING[name]
    perfect, delayed = (build(**arguments, csit=csit, csit_correlation=1.0) for csit in ("perfect", "delayed"))
    np.testing.assert_array_equal(known_db(delayed, rows=8), known_db(perfect, rows=8))


@pytest.mark.parametrize("name", FADING)
def test_the_argument_does_not_change_the_draws(name):
    build, arguments = FADING[name]
    symbols, counts, snr = torch.ones(2, 2, 40, dtype=torch.complex64), torch.full((2, 2), 40), torch.full((2, 2), 5.0)
    first, *others = (
        build(**arguments, csit=csit).carry(symbols, counts, snr, Rng(range(4)))
        for csit in ("average", "perfect", "delayed")
    )
    for other in others:
        assert torch.equal(other.symbols, first.symbols)
        assert torch.equal(other.noise_var, first.noise_var)


@pytest.mark.parametrize(
    "channel", [awgn.build(), rayleigh.build(), tdl.build(), broadcast.build(), uplink.build(), waveform.build()]
)
def test_the_default_is_the_average_snr(channel):
    assert channel.csit.is_average
    np.testing.assert_array_equal(known_db(channel, rows=4), 10.0)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_known_and_actual_power_have_the_correlation_of_the_model(rho):
    """|h|^2 and |h'|^2 of Gaussian gains have correlation rho^2, and both are exponential with mean 1."""
    rows = 4000
    delayed = rayleigh.build(csit="delayed", csit_correlation=rho)
    known, actual = (
        10 ** (values / 10) for values in (known_db(delayed, 0.0, 1, rows), realized_db(delayed, 0.0, 1, rows))
    )
    assert known.mean() == pytest.approx(1, abs=4 / np.sqrt(rows))
    assert np.corrcoef(known, actual)[0, 1] == pytest.approx(rho**2, abs=8 / np.sqrt(rows))


@pytest.mark.parametrize("name", ["tdl", "cdl"])
def test_delayed_multipath_keeps_its_mean_power(name):
    build, arguments = FADING[name]
    delayed = build(**arguments, csit="delayed", csit_correlation=0.5)
    power = delayed.responses(1, Rng(range(ROWS)), rho=0.5).abs().square().mean((1, 2, 3, 4))
    assert power.mean().item() == pytest.approx(1, abs=4 * power.std().item() / np.sqrt(ROWS))


@pytest.mark.parametrize("snr_db", [0.0, 15.0])
def test_snr_over_fast_fading_is_that_of_the_ergodic_capacity(snr_db):
    """2^C - 1 with C = integral of log2(1 + snr x) e^-x, by the trapezoidal rule."""
    gain = np.linspace(0, 40, 400_001)
    values = np.log2(1 + 10 ** (snr_db / 10) * gain) * np.exp(-gain)
    capacity = ((values[1:] + values[:-1]) / 2).sum() * (gain[1] - gain[0])
    expected = 10 * np.log10(2**capacity - 1)
    measured = known_db(rayleigh.build(coherence_uses=1, csit="perfect"), snr_db, uses=4000, rows=40)
    assert measured.mean() == pytest.approx(expected, abs=4 * measured.std() / np.sqrt(len(measured)) + 1e-3)


def test_snr_of_block_fading_is_exponential():
    """P(snr_eff < snr) = 1 - e^-1 over Rayleigh block fading."""
    below = (known_db(rayleigh.build(csit="perfect"), 10.0, 4, 4000) < 10.0).mean()
    assert below == pytest.approx(1 - np.exp(-1), abs=4 * 0.5 / np.sqrt(4000))


def test_a_row_without_channel_uses_has_its_average_snr():
    np.testing.assert_array_equal(known_db(rayleigh.build(csit="perfect"), uses=0, rows=2), 10.0)


def test_wrong_values_are_refused():
    with pytest.raises(UsageError, match="csit_correlation must be 0 to 1"):
        tdl.build(csit="delayed", csit_correlation=1.5)
