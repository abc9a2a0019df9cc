"""Flat channels against closed forms, and the theory that the certificate uses against other forms of itself."""

import math

import pytest
import torch

from channels import _theory, awgn, broadcast, rayleigh, rician, uplink
from channels._base import Medium
from channels._errors import UsageError
from channels._rng import Rng, seed_for

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


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_rayleigh_closed_forms(snr_db):
    snr = 10 ** (snr_db / 10)
    for bits_per_symbol in (1, 2):
        per_bit = snr / bits_per_symbol
        closed = 0.5 * (1 - math.sqrt(per_bit / (1 + per_bit)))
        assert _theory.ber_fading(bits_per_symbol, snr) == pytest.approx(closed, rel=1e-4)


def test_16qam_closed_form_over_awgn_and_rayleigh():
    snr = 10**1.4
    arm = math.sqrt(snr / 10)  # half the distance of levels over the deviation of N0

    def q(x):
        return 0.5 * math.erfc(x)

    nearest = (3 * q(arm) + 2 * q(3 * arm) - q(5 * arm)) / 4
    assert float(_theory.ber_awgn(4, snr)) == pytest.approx(nearest, rel=1e-3)

    def faded(multiple):
        power = multiple**2 * snr / 10
        return 0.5 * (1 - math.sqrt(power / (1 + power)))

    closed = (3 * faded(1) + 2 * faded(3) - faded(5)) / 4
    assert _theory.ber_fading(4, snr) == pytest.approx(closed, rel=1e-2)
    # deciding by posterior can only be better
    assert _theory.ber_fading(4, snr) < closed


def test_strong_line_of_sight_is_awgn_and_moments_of_fading_add_up():
    assert _theory.ber_fading(2, 10.0, k_factor=1000.0) == pytest.approx(float(_theory.ber_awgn(2, 10.0)), rel=0.05)
    assert _theory.ber_fading(2, 10.0, 4.0) > _theory.ber_fading(2, 10.0, 4.0, power=2)


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
    heard = CHANNELS[name].carry(sent, uses, torch.full((3, 1), 10.0), streams(3))
    for row, count in enumerate((64, 10, 0)):
        assert not heard.symbols[row, 0, count:].any()
        assert not heard.noise_var[row, 0, count:].any()
        assert (heard.noise_var[row, 0, :count] > 0).all()
    if name != "impaired":
        energy = [sent[row, 0, :count].abs().square().sum().item() for row, count in enumerate((64, 10, 0))]
        assert heard.energy.flatten().tolist() == pytest.approx(energy, rel=1e-5)


@pytest.mark.parametrize("name", CHANNELS)
def test_a_longer_row_keeps_the_draws_of_a_shorter_one(name):
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
        heard = channel.carry(sent, torch.tensor([[32], [20]]), torch.full((2, 1), 10.0), streams(2))
        heard.symbols.abs().square().sum().backward()
        assert torch.equal(sent.detach(), before)
        assert sent.grad is not None
        assert sent.grad.abs().sum() > 0
        assert not sent.grad[1, 0, 20:].any()


def test_shrunk_symbols_have_least_error():
    sent = gaussian(200, 100)
    heard = awgn.build().carry(sent, torch.full((200, 1), 100), torch.full((200, 1), 0.0), streams(200))
    error = (heard.shrunk() - sent).abs().square().mean()
    assert float(error) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(20_000))


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
def test_told_noise_variance_contains_impairments(channel, arguments):
    rows, length = 800, 256
    sent = gaussian(rows, length)
    air = channel.build(**arguments)
    heard = air.carry(sent, torch.full((rows, 1), length), torch.full((rows, 1), 15.0), streams(rows))
    error = heard.symbols - sent
    ratio = (error.abs().square() / heard.noise_var).mean(-1).flatten()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(rows) + 0.02)
    # unbiased: the error does not contain the symbol
    weight = 1 / heard.noise_var
    share = (weight * error * sent.conj()).sum((1, 2)).real / (weight * sent.abs().square()).sum((1, 2)).mean()
    assert float(share.mean()) == pytest.approx(0, abs=4 * float(share.std()) / math.sqrt(rows) + 0.01)


def test_clipping_reports_the_peak_of_the_oversampled_waveform():
    channel = awgn.build(clipping_db=0.0)
    constant = torch.ones(1, 1, 64, dtype=torch.complex64)
    alternating = constant * torch.tensor([1.0, -1.0]).repeat(32)
    heard = channel.carry(
        torch.cat([constant, alternating]), torch.full((2, 1), 64), torch.full((2, 1), 60.0), streams(2)
    )
    # a tone has one amplitude
    assert heard.papr_db.flatten().tolist() == pytest.approx([0, 0], abs=1e-4)
    random = channel.carry(gaussian(64, 512), torch.full((64, 1), 512), torch.full((64, 1), 60.0), streams(64))
    # E max of 512 to 2048 exponential variables is 8.3 to 9.2 dB; three bits of peaks between samples
    assert 8 < float(random.papr_db.mean()) < 10
    assert random.fold().papr_db.shape == (64,)


def test_medium_counts():
    framed = Medium(frame_data=100, frame_uses=140)
    assert framed.granted(1000, 1) == 700
    assert framed.occupied(torch.tensor([[1, 100, 101]])).tolist() == [140 + 140 + 280]
    assert broadcast.build().medium.granted(1000, 4) == 1000
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
