"""Digital transmission with channel knowledge at the transmitter, and the margin for a fading channel."""

import numpy as np
import pytest
import torch

from channels import UsageError, awgn, mimo, rayleigh, rician, seed_for, uplink
from channels.modem.mutual_information import mutual_information
from channels.superposed_user import superposed_user
from semcom import Link, Sample, System
from semcom.images.sources import load
from semcom.systems import analog, capacity, digital
from semcom.systems.digital.margin import best_margin_db

ROWS = 300


@pytest.fixture(scope="module")
def photo():
    return load("photos", 1, 32)[0].pixels


def deliver(photo, system, channel, snr_db=20.0, rows=ROWS, users=1):
    return Link(system, channel).deliver(
        Sample(photo.expand(rows, -1, -1, -1)), snr_db, [seed_for("csit", row) for row in range(rows)], users
    )


def outage(photo, margin_db=0.0, **arguments):
    system = digital.build(cbr=1 / 6, codec="webp", margin_db=margin_db)
    return deliver(photo, system, rayleigh.build(**arguments)).reception.outage.float().mean().item()


def test_perfect_knowledge_avoids_outage_over_block_fading(photo):
    assert outage(photo, csit="perfect") < 1e-2
    assert outage(photo) > 0.4


def test_outdated_knowledge_is_between_perfect_and_none(photo):
    delayed = [outage(photo, csit="delayed", csit_correlation=rho) for rho in (0.0, 0.99, 1.0)]
    assert delayed[0] > delayed[1] > delayed[2] == outage(photo, csit="perfect")
    assert delayed[0] > 0.4


def test_every_transmitter_has_the_known_snr_and_every_row_its_fading(photo):
    """Analog reception differs, because the transmitter allocates power for the known SNR; the fading is the same."""
    average, perfect = (
        deliver(photo, analog.build(cbr=1 / 6), rayleigh.build(csit=csit), rows=20) for csit in ("average", "perfect")
    )
    assert torch.equal(average.transmitter_snr_db, average.snr_db)
    assert not torch.equal(perfect.reception.images, average.reception.images)
    known, realized = perfect.transmitter_snr_db, average.snr_realized_db
    assert (known - realized).abs().max() < 2.0  # the noise of 512 symbols


def test_a_system_without_a_budget_is_refused_only_where_it_is_needed(photo):
    built = analog.build(cbr=1 / 6)
    system = System("mine", "", built.transmitter, built.receiver, "")
    deliver(photo, system, rayleigh.build(), rows=1)
    with pytest.raises(UsageError, match="mine does not state its channel-use budget"):
        deliver(photo, system, rayleigh.build(csit="perfect"), rows=1)


@pytest.mark.parametrize("bits_per_symbol", [1, 2, 4, 6, 8])
def test_mutual_information_is_below_capacity_and_near_it_at_low_snr(bits_per_symbol):
    snr_db = np.arange(-20.0, 40.0, 0.5)
    values, capacity = mutual_information(bits_per_symbol, snr_db), np.log2(1 + 10 ** (snr_db / 10))
    assert (np.diff(values) > -1e-9).all()
    assert (values < capacity + 1e-6).all()
    assert values[-1] == pytest.approx(bits_per_symbol, abs=1e-3)
    assert values[0] == pytest.approx(capacity[0], rel=0.02)


def test_the_margin_is_0_without_fading_and_grows_with_it():
    arguments = ("avif", 3072, 128 * 128, 12.0)
    assert [best_margin_db(awgn.build(), "avif", 3072, 128 * 128, snr_db) for snr_db in (-15.0, 0.0, 7.3, 25.0)] == [
        0
    ] * 4
    weak, strong = (best_margin_db(rician.build(k_factor_db=k), *arguments) for k in (20.0, 3.0))
    block = best_margin_db(rayleigh.build(), *arguments)
    assert 0 < weak < strong < block
    assert 5 <= block <= 15
    perfect, delayed = (
        best_margin_db(rayleigh.build(csit=csit), *arguments[:3], snr_db=None) for csit in ("perfect", "delayed")
    )
    assert perfect <= 0.5 < delayed < block


def test_the_gain_of_several_antennas_is_used():
    """4 receive antennas with fast fading have 6 dB more than the average SNR of one."""
    antennas = mimo.build(1, 4, "multiplexing", coherence_uses=1)
    assert -6 < best_margin_db(antennas, "avif", 3072, 128 * 128, 5.0) < -4


@pytest.mark.parametrize("coherence_uses", [None, 1])
def test_the_chosen_margin_prevents_most_outages(photo, coherence_uses):
    chosen = outage(photo, None, coherence_uses=coherence_uses)
    assert chosen < 0.3
    assert outage(photo, coherence_uses=coherence_uses) > 0.4


@pytest.mark.parametrize("antennas", [2, 4])
def test_the_margin_of_superposed_users_grows_with_their_number(antennas):
    """Zero-forcing of the others costs diversity: of A antennas, A - U + 1 are left to each of U users."""
    channel, arguments = uplink.build(antennas=antennas), ("avif", 3072, 128 * 128, 12.0)
    margins = [best_margin_db(superposed_user(channel, users), *arguments) for users in (2, antennas)]
    assert best_margin_db(channel, *arguments) < margins[0] <= margins[1]
    assert margins[1] > 5


def test_the_margin_of_superposed_users_has_a_higher_quality_than_none(photo):
    psnr_db, outages = [], []
    for margin_db in (None, 0.0):
        system = digital.build(cbr=1 / 6, codec="webp", margin_db=margin_db)
        delivery = deliver(photo, system, uplink.build(), users=2)
        error = (delivery.reception.images - delivery.sample.images).square().mean((1, 2, 3))
        psnr_db.append((-10 * error.log10()).mean().item())
        outages.append(delivery.reception.outage.float().mean().item())
    assert psnr_db[0] > psnr_db[1] + 1
    assert outages[0] < 0.15 < 0.4 < outages[1]


def test_a_given_margin_and_a_fixed_scheme_need_no_choice():
    for system, channel in (
        (digital.build(cbr=1 / 6, margin_db=0.0), rayleigh.build()),
        (digital.build(cbr=1 / 6, margin_db=0.0, harq="chase"), rayleigh.build()),
        (digital.build(cbr=1 / 6, adaptation="fixed", modulation="qpsk", code_rate=0.5), rayleigh.build()),
    ):
        assert Link(system, channel).transmitter is system.transmitter


def test_the_outage_bound_is_refused_where_the_transmitter_knows_the_fading(photo):
    with pytest.raises(UsageError, match="requires a channel with csit: average"):
        deliver(photo, capacity.build(cbr=1 / 6, form="outage"), rayleigh.build(csit="perfect"), rows=1)
