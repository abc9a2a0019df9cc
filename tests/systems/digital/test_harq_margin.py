"""SNR margin of HARQ: mutual information of all rounds, and the margin against direct simulation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from channels import awgn, modem, rayleigh, seed_for
from channels.modem import link_adaptation, scheme_header
from channels.rng import Rng
from semcom import Link, Sample
from semcom.images.sources import load
from semcom.systems import digital
from semcom.systems.digital import accumulation, harq, margin
from semcom.systems.digital.margin import best_margin_db

SHARE = 300
USES = SHARE + scheme_header.USES
THRESHOLDS_DB = link_adaptation.thresholds_db(USES)
KINDS = ["chase", "incremental"]


def steady(snr_db, versions):
    """Decodable schemes at an SNR that is the same in all channel uses."""
    snr = np.full((1, len(versions), 8), snr_db)
    return accumulation.decodable(snr, THRESHOLDS_DB, USES, versions)[0]


@pytest.mark.parametrize("versions", [(0,), (0, 0, 0, 0), (0, 2, 3, 1)])
def test_one_good_round_is_enough_and_more_rounds_permit_a_higher_rate(versions):
    for index in (0, 30, 60, 95):
        alone = steady(THRESHOLDS_DB[index] + 1e-6, versions[:1])
        assert alone[index]
        assert steady(THRESHOLDS_DB[index] + 1e-6, versions)[index]
        assert not steady(THRESHOLDS_DB[index] - 0.1, versions[:1])[index]
    assert all((steady(snr_db, versions) >= steady(snr_db, versions[:1])).all() for snr_db in range(-10, 25, 5))


def test_four_equal_rounds_of_chase_combining_gain_6_db_less_the_loss():
    gain_db = 10 * np.log10(4) - 1.0
    for index in (5, 50, 95):
        assert steady(THRESHOLDS_DB[index] - gain_db + 0.01, (0,) * 4)[index]
        assert not steady(THRESHOLDS_DB[index] - gain_db - 0.01, (0,) * 4)[index]


def test_the_coverage_is_that_of_the_rate_matching():
    """Each round sends as many bits as fit, and the parts are those of the bits that `recover` fills."""
    versions, index = (0, 2, 3, 1), 53
    parts = accumulation.coverage(USES, index, versions)
    mcs, length = link_adaptation.adaptive().schemes[index], link_adaptation.adaptive().payload_bytes(USES, index)
    lengths, counts = np.array([part[0] for part in parts]), np.array([part[1] for part in parts])
    assert (lengths @ counts == SHARE * mcs.bits_per_symbol).all()
    sent = [modem.encode(torch.zeros(1, 8 * length, dtype=torch.uint8), mcs, SHARE, rv) for rv in versions]
    soft = [
        modem.decode(one, 0.1, mcs, 8 * length, rv).soft.llr[0] != 0 for one, rv in zip(sent, versions, strict=True)
    ]
    assert int((soft[0] & soft[3]).sum()) == lengths @ (counts[:, 0] * counts[:, 3])
    assert int(torch.stack(soft).any(0).sum()) == lengths.sum()


def failures(kind, rounds, index, loss_db, monkeypatch):
    """Failed words of 12 over AWGN, at the lowest SNR at which a scheme is called decodable with this loss."""
    for name in ("_CHASE_LOSS_DB", "_INCREMENTAL_LOSS_DB"):
        monkeypatch.setattr(accumulation, name, loss_db)
    versions = harq.versions(kind, rounds)
    snr_db = next(snr for snr in THRESHOLDS_DB[index] + np.arange(-22.0, 1.0, 0.1) if steady(snr, versions)[index])
    mcs, bits = link_adaptation.adaptive().schemes[index], 8 * link_adaptation.adaptive().payload_bytes(USES, index)
    rng = Rng([seed_for("accumulation", row) for row in range(12)])
    payloads = (rng.derive("bits").normal(bits) > 0).to(torch.uint8)
    sent, n0 = harq.encode(payloads, mcs, SHARE, versions), torch.full((12, 1), 10 ** (-snr_db / 10))
    noisy = sent + n0.sqrt() * rng.derive("noise").complex_normal(sent.shape[1])
    return int((~harq.decode(noisy, n0.expand_as(noisy.real), mcs, bits, versions).ok).sum())


LOSS_DB = {"chase": accumulation._CHASE_LOSS_DB, "incremental": accumulation._INCREMENTAL_LOSS_DB}


@pytest.mark.parametrize(
    ("kind", "rounds", "index"),
    [(kind, 4, index) for kind in KINDS for index in (30, 73, 95)],
)
def test_schemes_that_are_called_decodable_are_decoded(kind, rounds, index, monkeypatch):
    assert failures(kind, rounds, index, LOSS_DB[kind], monkeypatch) == 0


@pytest.mark.parametrize(("kind", "rounds", "index", "less_db"), [("chase", 4, 84, 1.0), ("incremental", 2, 95, 1.0)])
def test_the_losses_are_at_most_1_db_above_what_the_decoder_requires(kind, rounds, index, less_db, monkeypatch):
    assert failures(kind, rounds, index, LOSS_DB[kind] - less_db, monkeypatch) > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snr_db", [5.0])
def test_the_default_margin_has_nearly_the_highest_expected_psnr_of_simulated_outages(kind, snr_db):
    """Outages are simulated with the decoder, the PSNR by rate is that of the validation images."""
    rows, photo = 100, load("photos", 1, 32)[0].pixels
    sample, seeds = Sample(photo.expand(rows, -1, -1, -1)), [seed_for("harq margin", row) for row in range(rows)]
    measured = json.loads(Path(margin.__file__).with_name("validation_psnr.json").read_text())

    def expected_psnr_db(margin_db):
        system = digital.build(cbr=0.5, codec="webp", harq=kind, rounds=3, margin_db=margin_db)
        delivery = Link(system, rayleigh.build()).deliver(sample, snr_db, seeds)
        payload = delivery.truth["bits"].shape[1] - len(system.transmitter.agreement.header_bits(0))
        rate = np.log(payload / 32**2)
        psnr_db, outage = (
            np.interp(rate, np.log(measured["bits_per_pixel"]), measured["webp"]),
            delivery.reception.outage,
        )
        return psnr_db + outage.float().mean().item() * (measured["outage"] - psnr_db)

    chosen, others = expected_psnr_db(None), [expected_psnr_db(margin_db) for margin_db in (-6.0, -3.0, 0.0, 6.0, 12.0)]
    assert chosen > max(others) - 0.7  # the standard error of 100 realizations is about 0.9 dB
    assert chosen > np.mean(others) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_over_awgn_all_rounds_are_used_without_outage(kind):
    arguments = ("avif", 752 + 64, 128 * 128, 10.0)
    assert best_margin_db(awgn.build(), *arguments, harq.versions(kind, 4)) < -4
    photo = load("photos", 1, 32)[0].pixels
    system = digital.build(cbr=0.5, codec="webp", harq=kind, rounds=3)
    delivery = Link(system, awgn.build()).deliver(Sample(photo.expand(10, -1, -1, -1)), 10.0, list(range(10)))
    assert not delivery.reception.outage.any()
    assert (delivery.uses > 0.5 * 3 * 32 * 32 / 3).all()
