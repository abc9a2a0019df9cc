"""What the link itself vouches for: who sees what, who pays, and the SNR that it reports."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from channels import UsageError, awgn, broadcast, rayleigh, rician, seed_for, uplink
from channels._rng import Rng
from semcom import Link, Payload, Receiver, Reception, Sample, System, Transmitter
from semcom.metrics import measure

USES = 400


class Waves(Transmitter):
    """Constant-modulus symbols with random phases; remembers what the link handed on."""

    def encode(self, sample, snr_db, rng):
        symbols = torch.polar(torch.ones(len(sample.images), USES), 2 * math.pi * rng.uniform(USES))
        uses = torch.full((len(symbols),), USES)
        return Payload(symbols, uses, torch.zeros_like(uses), truth={"message": torch.arange(len(symbols))})


class Grey(Receiver):
    """Mid-grey pictures at a price."""

    def __init__(self, charge=lambda uses: uses):
        self.charge, self.heard = charge, None

    def decode(self, received, size, rng):
        self.heard = received
        return Reception(torch.full((len(received.uses), 3, *size), 0.5), self.charge(received.uses))


def system(charge=lambda uses: uses, repeats=False):
    return System("waves", "", Waves(), Grey(charge), "", repeats=repeats)


def deliver(subject, channel, rows=4, users=1, snr_db=7.0):
    seeds = [seed_for("link", row) for row in range(rows)]
    return Link(subject, channel).deliver(Sample(torch.zeros(rows, 3, 8, 8)), snr_db, seeds, users)


@pytest.mark.parametrize("channel", [awgn.build(), rayleigh.build(coherence_uses=1)], ids=["awgn", "rayleigh"])
def test_realised_snr_is_spread_as_honest_noise_is(channel):
    """Over AWGN 10 log10 of a mean of n exponentials: deviation 4.34 / sqrt(n) dB. A fade a use adds its own spread."""
    rows = 600
    realised = deliver(system(), channel, rows).snr_realised_db
    fading = 2 if len(realised) and "Flat" in type(channel).__name__ else 1
    expected = 10 / math.log(10) * math.sqrt(fading / USES)
    assert realised.std().item() == pytest.approx(expected, rel=4 / math.sqrt(2 * rows))
    assert realised.mean().item() == pytest.approx(7.0, abs=4 * expected / math.sqrt(rows) + 0.02)


def test_receivers_do_not_see_what_only_the_sender_knows():
    subject = system()
    deliver(subject, awgn.build(clipping_db=3.0))
    assert subject.receiver.heard.papr_db is None
    assert not subject.receiver.heard.energy.any()


@pytest.mark.parametrize("charge", [torch.zeros_like, lambda uses: uses - 1, lambda uses: uses + 1])
def test_every_use_that_was_sent_is_paid(charge):
    with pytest.raises(ValueError, match="is charged"):
        deliver(system(charge), awgn.build())


def test_repeats_that_were_not_needed_are_not_charged():
    delivery = deliver(system(lambda uses: uses // 4, repeats=True), awgn.build())
    assert delivery.uses.tolist() == [USES // 4] * 4
    with pytest.raises(ValueError, match="is charged"):
        deliver(system(lambda uses: uses + 1, repeats=True), awgn.build())


@pytest.mark.parametrize("offset_db", [0.0, 10.0])
def test_energy_is_that_of_the_charged_uses(offset_db):
    """Waves of rising energy, and receivers that pay for the first k uses: k (k + 1) / (USES + 1)."""
    ramp = 2 * torch.arange(1, USES + 1) / (USES + 1)

    class Rising(Waves):
        def encode(self, sample, snr_db, rng):
            level = super().encode(sample, snr_db, rng)
            return replace(level, symbols=level.symbols * ramp.sqrt())

    charged = torch.tensor([0, 1, USES // 4, USES])
    subject = replace(system(lambda uses: charged, repeats=True), transmitter=Rising())
    delivery = deliver(subject, uplink.build(antennas=1, power_offsets_db=(offset_db,)))
    expected = charged * (charged + 1) / (USES + 1) * 10 ** (offset_db / 10)
    torch.testing.assert_close(delivery.energy, expected, rtol=1e-5, atol=0)
    assert torch.equal(delivery.uses, charged)


def test_papr_is_that_of_the_oversampled_waveform():
    """Against the sum of tones itself, at four instants a use; and none where there is no amplifier to clip."""
    subject, rows, clipped = system(), 3, awgn.build(clipping_db=3.0)
    delivery = deliver(subject, clipped, rows)
    seeds = [seed_for("link", row) for row in range(rows)]
    sent = Waves().encode(delivery.sample, delivery.snr_db, Rng(seeds).derive("encode")).symbols.numpy()
    tones = np.arange(-USES // 2, USES // 2)
    instants, uses = np.arange(4 * USES) / 4, np.arange(USES)
    spectrum = sent @ np.exp(-2j * np.pi * np.outer(uses, tones) / USES)
    power = np.abs(spectrum @ np.exp(2j * np.pi * np.outer(tones, instants) / USES)) ** 2
    expected = 10 * np.log10(power.max(1) / power.mean(1))
    assert (expected > 3).all()
    values, counts = measure("papr_db", delivery)
    assert values.tolist() == pytest.approx(expected.tolist(), abs=1e-3)
    assert counts.tolist() == [1] * rows
    without = deliver(subject, awgn.build(phase_error_deg=3.0), rows)
    assert without.papr_db is None
    assert [part.tolist() for part in measure("papr_db", without)] == [[0] * rows] * 2


@pytest.mark.parametrize("channel", [rayleigh, rician, awgn], ids=["rayleigh", "rician", "awgn"])
def test_noise_of_an_unknown_gain_is_right_for_every_known_gain_of_rayleigh_only(channel):
    """|error|^2 |known|^2 is |g - known|^2, told as 0.3: on average always; for weak and for strong known gains where
    g is Gaussian. Of g = 1 a weak known gain is further off than a strong one."""
    rows, lost = 20_000, 0.3
    sent, uses = torch.ones(rows, 1, 1, dtype=torch.complex64), torch.ones(rows, 1, dtype=torch.int64)
    rng = Rng([seed_for("unknown gain", row) for row in range(rows)])
    heard = channel.build(csi_error_variance=lost).carry(sent, uses, torch.full((rows, 1), 60.0), rng)
    known = heard.gains.abs().square().flatten()
    missing = (heard.symbols - sent).abs().square().flatten() * known
    torch.testing.assert_close(heard.noise_var.flatten() * known, torch.full((rows,), lost), rtol=1e-4, atol=0)

    def z(part):
        return float((part.mean() - lost) / part.std()) * math.sqrt(len(part))

    weak, strong = (missing[chosen] for chosen in (known < known.median(), known >= known.median()))
    assert abs(z(missing)) < 4
    assert (max(abs(z(weak)), abs(z(strong))) < 4) == (channel is rayleigh)


def test_a_common_transmission_has_one_truth_for_all_its_users():
    delivery = deliver(system(), broadcast.build(), rows=4, users=2)
    assert delivery.truth["message"].tolist() == [0, 0, 1, 1]


def test_a_fade_of_zero_is_never_drawn(monkeypatch):
    """Where float32 rounds u to 1, whose logarithm is 0, the gain is still finite."""
    from channels import _rng, _rng_kernel

    monkeypatch.setattr(_rng_kernel, "fill_polar", lambda states, level, phase: (level.fill(1), phase.fill(0)))
    symbols = torch.ones(1, 1, 8, dtype=torch.complex64)
    received = rayleigh.build().carry(symbols, torch.tensor([[8]]), torch.tensor([[0.0]]), _rng.Rng([1]))
    assert received.symbols.isfinite().all()
    assert received.noise_var.isfinite().all()


@pytest.mark.parametrize("snr_db", [math.nan, math.inf, 100.5, -500.0])
def test_an_snr_that_is_no_snr_is_refused(snr_db):
    with pytest.raises(UsageError, match="SNR"):
        deliver(system(), awgn.build(), snr_db=snr_db)


def test_symbols_that_are_too_loud_are_refused():
    class Loud(Waves):
        def encode(self, sample, snr_db, rng):
            quiet = super().encode(sample, snr_db, rng)
            return replace(quiet, symbols=1.01 * quiet.symbols)

    with pytest.raises(ValueError, match="power rule"):
        deliver(replace(system(), transmitter=Loud()), awgn.build())
