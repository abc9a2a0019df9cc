"""MIMO: schemes against direct simulations, capacity and power, and planted faults that the certificate finds."""

import random
from functools import cache

import numpy as np
import pytest
import torch

from channels import UsageError, mimo, modem
from channels.base import Medium
from channels.certificate import subjects, theory
from channels.certificate.runner import certify
from channels.mimo import channel as channel_module
from channels.mimo import gains as gains_module
from channels.mimo.precoding import Alamouti, Multiplexing, water_filling
from channels.rng import Rng
from semcom import Link, Sample
from semcom.contract.channel_properties import CHANNEL_PROPERTIES
from semcom.metrics import channel_uses_by_part
from semcom.systems import analog, capacity, digital

SMALL = 0.1
VARIANTS = {
    "alamouti, fast fading": {"coherence_uses": 1},
    "alamouti, odd coherence time": {"coherence_uses": 7},
    "multiplexing, 5 uses": {"scheme": "multiplexing", "rx_antennas": 3, "coherence_uses": 5},
    "sic, 3 antennas": {"scheme": "multiplexing", "detector": "sic", "tx_antennas": 3, "rx_antennas": 3},
    "svd, delayed": {"scheme": "svd", "csit": "delayed", "tx_antennas": 4, "coherence_uses": 6},
    "beamforming": {"scheme": "svd", "csit": "perfect", "streams": 1},
    "alamouti over TDL": {"delay_profile": "C", "speed_m_s": 30.0},
    "svd over TDL": {"delay_profile": "A", "scheme": "svd", "csit": "delayed"},
}


def qpsk(rows, length, label="qpsk"):
    signs = torch.where(Rng(range(rows)).derive(label).uniform(length, 2) < 0.5, -(0.5**0.5), 0.5**0.5)
    return torch.view_as_complex(signs)[:, None]


def carry(channel, symbols, snr_db=10.0, uses=None):
    rows, _, length = symbols.shape
    counts = torch.full((rows, 1), length if uses is None else uses)
    return channel.carry(symbols, counts, torch.full((rows, 1), snr_db), Rng(range(rows)))


@pytest.fixture
def _ignore_random(monkeypatch):
    """The type checks of these tests use `random`; a test of the contract checks it without them."""
    monkeypatch.setattr(random, "getstate", lambda: None)


@pytest.mark.usefixtures("_ignore_random")
@pytest.mark.parametrize("name", VARIANTS)
def test_the_contract_of_channels_holds(name):
    channel = mimo.build(**VARIANTS[name])
    assert [problem for check in CHANNEL_PROPERTIES if (problem := check(channel))] == []


def test_alamouti_is_the_code_of_the_paper():
    """Transmit the two uses as in the paper and combine with the gains, without any matrix."""
    h1, h2 = torch.tensor(0.8 - 0.3j), torch.tensor(-0.2 + 1.1j)
    x1, x2 = torch.tensor(0.6 + 0.8j), torch.tensor(-1.0 + 0.1j)
    first, second = (h1 * x1 + h2 * x2) / 2**0.5, (-h1 * x2.conj() + h2 * x1.conj()) / 2**0.5
    gains = torch.stack([h1, h2]).expand(1, 1, 2, 1, 2)
    matrix, energy = Alamouti().effective(gains, gains, torch.ones(1))
    np.testing.assert_allclose(matrix[0, 0] @ torch.stack([x1, x2]), torch.stack([first, second.conj()]), rtol=1e-6)
    combined = (h1.conj() * first + h2 * second.conj()) * 2**0.5 / (h1.abs() ** 2 + h2.abs() ** 2)
    assert complex(combined) == pytest.approx(complex(x1), rel=1e-6)
    assert energy.tolist() == [[[1.0, 1.0]]]


def test_power_does_not_depend_on_the_number_of_antennas():
    symbols, known = qpsk(6, 960), {"csit": "perfect", "scheme": "svd"}
    for arguments in ({}, {"scheme": "multiplexing"}, known, {**known, "streams": 1}, {**known, "tx_antennas": 8}):
        channel = mimo.build(**arguments)
        uses = channel.medium.occupied(torch.full((6, 1), 960))
        energy = carry(channel, symbols).energy[:, 0]
        np.testing.assert_allclose(energy, uses, rtol=1e-5)


def test_streams_share_channel_uses():
    assert mimo.build(rx_antennas=1).medium == Medium(frame_data=2, frame_uses=2)
    assert mimo.build(4, 4, "multiplexing").medium == Medium(frame_data=4, frame_uses=1)
    ofdm = mimo.build(2, 2, "multiplexing", delay_profile="A").medium
    assert (ofdm.frame_data, ofdm.frame_uses) == (2 * 12 * 24, 360)
    assert mimo.build(4, 4, "multiplexing").medium.budget(100, 1) == 400


def test_parts_of_a_transmission_add_up_to_the_channel_uses_of_the_medium():
    channel = mimo.build(4, 4, "multiplexing")
    delivery = Link(analog.build(cbr=1 / 8), channel).deliver(Sample(torch.rand(1, 3, 32, 32)), 10.0, seeds=[0])
    parts = channel_uses_by_part(delivery, channel)
    assert sum(parts.values()) == pytest.approx(float(delivery.medium_uses[0]))
    assert float(delivery.medium_uses[0]) == -(-float(delivery.uses[0]) // 4)


def test_water_filling_is_the_best_allocation():
    gain = torch.from_numpy(np.sort(np.random.default_rng(0).exponential(size=(200, 4)))[:, ::-1].copy())
    n0 = torch.linspace(0.01, 2, 200, dtype=torch.float64)
    power = water_filling(gain, n0)
    assert torch.allclose(power.sum(1), torch.ones(200, dtype=torch.float64))
    assert (power >= 0).all()
    rate = torch.log2(1 + power * gain / n0[:, None]).sum(1)
    others = np.random.default_rng(1).dirichlet([0.5] * 4, size=(200, 500))
    rates = np.log2(1 + others * gain.numpy()[:, None] / n0.numpy()[:, None, None]).sum(2)
    assert (rates <= rate.numpy()[:, None] + 1e-12).all()


def sum_rate(channel, snr_db, streams):
    received = carry(channel, qpsk(3000, streams), snr_db)
    return torch.log2(1 + 1 / received.noise_var[:, 0].double()).sum(1)


def test_channel_knowledge_raises_the_sum_rate():
    """Water-filling with perfect knowledge is best in every realization, and outdated knowledge is in between."""
    perfect = sum_rate(mimo.build(2, 2, "svd", csit="perfect"), 0.0, 2)
    equal = sum_rate(mimo.build(2, 2, "svd", csit="perfect", power_allocation="equal"), 0.0, 2)
    outdated = sum_rate(mimo.build(2, 2, "svd", csit="delayed", csit_correlation=0.9), 0.0, 2)
    none = sum_rate(mimo.build(2, 2, "multiplexing"), 0.0, 2)
    assert (perfect >= equal - 4e-3).all()  # 0.1 % of the power is divided equally
    assert float(perfect.mean()) > float(outdated.mean()) > float(none.mean())


def test_outdated_knowledge_with_correlation_1_is_perfect():
    perfect, delayed = (
        mimo.build(2, 2, "svd", csit=csit, csit_correlation=1.0, coherence_uses=8) for csit in ("perfect", "delayed")
    )
    assert torch.equal(carry(perfect, qpsk(4, 100)).symbols, carry(delayed, qpsk(4, 100)).symbols)


@pytest.mark.parametrize("scheme", ["alamouti", "multiplexing", "svd"])
@pytest.mark.parametrize("fading", [{"coherence_uses": 7}, {"delay_profile": "B"}], ids=["flat", "tdl"])
def test_the_known_snr_is_that_of_equal_capacity(scheme, fading):
    channel = mimo.build(2, 2, scheme, csit="perfect", **fading)
    uses, snr = torch.tensor([[100], [31]]), torch.tensor([[10.0], [3.0]])
    received = channel.carry(torch.ones(2, 1, 100, dtype=torch.complex64), uses, snr, Rng([1, 2]))
    rates = torch.log2(1 + 1 / received.noise_var.double()).nan_to_num(posinf=0).sum(-1) / uses
    known = channel.transmitter_snr_db(uses, snr, Rng([1, 2])).double()
    np.testing.assert_allclose(known, 10 * torch.log10(2**rates - 1), atol=2e-3)


@cache
def bit_errors(detector, bits_per_symbol, snr_db, antennas=4, rows=800, length=32):
    """Bit error rate, and that without interference of other streams (matched-filter bound) over the same gains."""
    bits = (Rng(range(rows)).derive("bits").uniform(bits_per_symbol * length) < 0.5).to(torch.uint8)
    symbols = modem.map_bits(bits, bits_per_symbol)[:, None]
    channel = mimo.build(antennas, antennas, "multiplexing", detector)
    received = carry(channel.with_constellation(torch.full(symbols.shape, bits_per_symbol)), symbols, snr_db)
    wrong = (modem.demap(received.symbols, received.noise_var, bits_per_symbol)[:, 0] < 0) != bits.bool()
    power = received.gains[:, 0, :, 0].abs().double().square().unflatten(1, (antennas, antennas)).sum(1)
    bound = theory.ber_awgn(bits_per_symbol, power.numpy() * 10 ** (snr_db / 10) / antennas).mean()
    return float(wrong.double().mean()), float(bound)


@pytest.mark.parametrize("snr_db", [20.0, 27.0])
@pytest.mark.parametrize("bits_per_symbol", [1, 2, 4, 6, 8])
def test_cancellation_has_fewer_errors_than_zero_forcing(bits_per_symbol, snr_db):
    """4 x 4 antennas: the streams that are detected later gain diversity, up to the matched-filter bound."""
    rate, bound = bit_errors("sic", bits_per_symbol, snr_db)
    assert bound < rate < 0.98 * bit_errors("zf", bits_per_symbol, snr_db)[0]


def test_cancellation_of_16qam_has_fewer_errors_than_mmse_at_high_snr():
    """At 20 dB decisions are right often enough, and the gain grows with the SNR."""
    ratios = [bit_errors("sic", 4, snr)[0] / bit_errors("mmse", 4, snr)[0] for snr in (20.0, 27.0)]
    assert ratios[1] < ratios[0] < 1
    assert ratios[1] < 0.6


def test_cancellation_decides_on_symbols_of_a_known_constellation_only():
    """Analog symbols, and all others without a known constellation, have the linear MMSE detector, slot by slot."""
    symbols = qpsk(20, 8)
    linear = carry(mimo.build(2, 2, "multiplexing", "mmse"), symbols)
    channel = mimo.build(2, 2, "multiplexing", "sic")
    assert torch.equal(carry(channel, symbols).symbols, linear.symbols)
    orders = torch.full(symbols.shape, 2)
    orders[..., 2] = 0  # one symbol of the second slot
    mixed = carry(channel.with_constellation(orders), symbols)
    assert torch.equal(mixed.symbols[..., 2:4], linear.symbols[..., 2:4])
    assert torch.equal(mixed.noise_var[..., 2:4], linear.noise_var[..., 2:4])
    for slot in (slice(2), slice(4, None)):
        assert not torch.isclose(mixed.symbols[..., slot], linear.symbols[..., slot]).all(-1).any()
    other = mimo.build(2, 2, "multiplexing", "mmse")
    assert other.with_constellation(orders) is other


def test_cancellation_decodes_every_constellation_of_digital_and_passes_analog_images():
    """Header and payload may have different constellations; analog images are those of the linear MMSE detector."""
    sample = Sample(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    channel = mimo.build(3, 3, "multiplexing", "sic")
    for modulation in ("bpsk", "qpsk", "16qam", "64qam", "256qam"):
        fixed = {"adaptation": "fixed", "modulation": modulation, "code_rate": 0.5}
        delivery = Link(digital.build(cbr=1.0, **fixed), channel).deliver(sample, 50.0, seeds=[0, 1])
        assert not delivery.reception.outage.any(), modulation
    adaptive = Link(digital.build(cbr=1 / 4, margin_db=10.0), channel).deliver(sample, 40.0, seeds=[0, 1])
    assert not adaptive.reception.outage.any()
    noisy = [
        Link(analog.build(cbr=1 / 4), mimo.build(3, 3, "multiplexing", name)).deliver(sample, 20.0, seeds=[0, 1])
        for name in ("sic", "mmse")
    ]
    assert torch.equal(*[delivery.reception.images for delivery in noisy])


def test_digital_states_the_constellation_of_each_use():
    sample = Sample(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    for arguments in ({}, {"adaptation": "fixed", "modulation": "bpsk", "code_rate": 0.9}):
        payload = digital.build(cbr=1 / 2, **arguments).transmitter.encode(sample, torch.tensor([15.0]), Rng([0]))
        assert payload.symbols.shape == payload.bits_per_symbol.shape
        for bits in payload.bits_per_symbol.unique().tolist():
            points = payload.symbols[payload.bits_per_symbol == bits]
            nearest = modem.map_bits((modem.demap(points, 1e-6, bits) < 0).to(torch.uint8), bits)
            torch.testing.assert_close(nearest, points)


def test_the_capacity_bound_refuses_a_receiver_that_decides():
    sample = Sample(torch.rand(1, 3, 32, 32))
    with pytest.raises(UsageError, match="set detector: mmse of the channel"):
        Link(capacity.build(cbr=1 / 4), mimo.build(2, 2, "multiplexing", "sic")).deliver(sample, 10.0, seeds=[0])


def test_every_system_runs_over_it():
    sample = Sample(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    for system in (analog.build(cbr=1 / 4), digital.build(cbr=1 / 4)):
        for arguments in ({}, {"scheme": "svd", "csit": "perfect"}):
            delivery = Link(system, mimo.build(**arguments)).deliver(sample, 20.0, seeds=[0, 1])
            assert delivery.reception.images.shape == (2, 3, 32, 32)


def test_a_long_coherence_time_is_one_realization():
    symbols = qpsk(2, 12)
    one, long = (carry(mimo.build(coherence_uses=uses), symbols) for uses in (None, 10**20))
    assert torch.equal(one.symbols, long.symbols)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tx_antennas": 4}, "alamouti has 2 transmit antennas"),
        ({"tx_antennas": 4, "scheme": "multiplexing"}, "4 streams cannot be separated by 2 antennas"),
        ({"scheme": "svd"}, "set csit: perfect or delayed"),
        ({"scheme": "svd", "csit": "perfect", "streams": 3}, "streams must be 1 to 2"),
        ({"rx_antennas": 9}, "rx_antennas must be 1 to 8"),
        ({"coherence_uses": 0}, "coherence_uses must be 1 or more"),
    ],
)
def test_invalid_arguments_are_one_line(arguments, message):
    with pytest.raises(UsageError, match=message):
        mimo.build(**arguments)


# --- planted faults -------------------------------------------------------------------------------------------------


def failed(name, channel=None):
    subject = channel or mimo.build(**subjects.VARIANTS["mimo"][name])
    return [line.name for line in certify(SMALL, only=["mimo"], channels={name: subject}).lines if not line.passed]


def test_power_per_antenna_in_place_of_the_total_fails(monkeypatch):
    right = Multiplexing.effective

    def loud(self, gains, known, n0):
        matrix, energy = right(self, gains, known, n0)
        return matrix * self.streams**0.5, energy * self.streams

    monkeypatch.setattr(Multiplexing, "effective", loud)
    names = failed("mimo 2x2 zf")
    assert any("energy" in name for name in names)
    assert any("P(SNR" in name for name in names)


def test_a_wrong_sign_of_the_block_code_fails(monkeypatch):
    right = Alamouti.effective

    def wrong(self, gains, known, n0):
        matrix, energy = right(self, gains, known, n0)
        matrix[..., 1:, 1] *= -1
        return matrix, energy

    monkeypatch.setattr(Alamouti, "effective", wrong)
    names = failed("mimo 2x1 alamouti")
    assert any("BER slope" in name for name in names)
    assert any("noise variance" in name for name in names)


def test_antennas_that_fade_together_fail(monkeypatch):
    right = gains_module._stacked
    monkeypatch.setattr(gains_module, "_stacked", lambda pairs: right([[pairs[0][0]] * len(row) for row in pairs]))
    names = failed("mimo 1x2")
    assert any("correlation" in name for name in names)
    assert any("BER" in name for name in names)


def test_power_that_ignores_the_water_level_fails(monkeypatch):
    monkeypatch.setattr("channels.mimo.precoding.water_filling", lambda gain, n0: gain / gain.sum(-1, keepdim=True))
    assert any("sum rate" in name or "noise variance" in name for name in failed("mimo 2x2 svd"))


def test_a_precoder_of_other_gains_fails():
    channel = mimo.build(2, 2, "svd", csit="delayed", csit_correlation=0.5)
    assert any("sum rate" in name for name in failed("mimo 2x2 svd", channel))


def test_interference_that_is_left_out_of_the_noise_variance_fails(monkeypatch):
    right = channel_module.detect

    def overconfident(samples, matrix, n0, sent, detector, orders):
        symbols, _ = right(samples, matrix, n0, sent, detector, orders)
        alone = n0[:, None, None] / matrix.abs().square().sum(-2)
        return symbols, alone[:, :, None].expand(sent.shape)

    monkeypatch.setattr(channel_module, "detect", overconfident)
    for name in ("mimo 2x2 mmse", "mimo 2x2 sic"):
        assert any("error / noise variance" in line for line in failed(name)), name
