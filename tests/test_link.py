"""What the link itself vouches for: who sees what, who pays, and the SNR that it reports."""

import math
from dataclasses import replace

import pytest
import torch

from channels import UsageError, awgn, broadcast, rayleigh, seed_for
from semcom import Link, Payload, Receiver, Reception, Sample, System, Transmitter

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
