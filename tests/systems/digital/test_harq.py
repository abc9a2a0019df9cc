"""HARQ gain and counted channel uses; successive interference cancellation of superposed users."""

import math

import pytest
import torch
import yaml

from channels import awgn, modem, rayleigh, uplink
from channels.errors import UsageError
from channels.modem import scheme_header
from channels.rng import Rng, seed_for
from semcom import sweep
from semcom.images.sources import load
from semcom.link import Link
from semcom.metrics.metric import measure
from semcom.results import table, table_formats
from semcom.scenario.load import scenario_from, to_yaml
from semcom.system import Sample
from semcom.systems import digital
from semcom.systems.digital import harq
from semcom.systems.digital.harq import Rounds, versions

QPSK = modem.Mcs(2, 0.5)
INFO_BITS, SHARE = 256, modem.transport_uses(256, QPSK)
FIXED = {"codec": "webp", "adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5}


@pytest.fixture(scope="module")
def photos():
    return torch.stack([image.pixels for image in load("photos", 2, 48)])


def combined(sequence, snr_db, rows, name, mcs=QPSK, share=SHARE):
    """Random payloads over AWGN, `share` channel uses per round."""
    rng = Rng([seed_for("harq", name, row) for row in range(rows)])
    payloads = (rng.derive("bits").normal(INFO_BITS) > 0).to(torch.uint8)
    n0 = torch.full((rows,), 10 ** (-snr_db / 10))
    sent = harq.encode(payloads, mcs, share, sequence)
    received = sent + rng.derive("noise").complex_normal(sent.shape[1], variance=n0)
    return payloads, harq.decode(received, n0[:, None].expand(rows, sent.shape[1]), mcs, INFO_BITS, sequence)


def z_score(first, second):
    """z score of the difference between two success rates."""
    pooled = (first.double().mean() + second.double().mean()) / 2
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / len(first) + 1 / len(second)))
    return float(first.double().mean() - second.double().mean()) / deviation


@pytest.mark.parametrize("rounds", [2, 4])
def test_chase_combining_of_n_rounds_multiplies_the_snr_by_n(rounds):
    snr_db, rows = 0.8, 1500  # half of the blocks fail
    _, once = combined(versions("none", 1), snr_db, rows, "once")
    _, often = combined(versions("chase", rounds), snr_db - 10 * math.log10(rounds), rows, "often")
    assert 0.2 < float(once.ok.double().mean()) < 0.8
    assert abs(z_score(once.ok, often.ok)) < 4
    _, louder = combined(versions("chase", rounds), snr_db - 10 * math.log10(rounds) + 0.5, rows, "louder")
    assert z_score(louder.ok, once.ok) > 4  # a difference of 0.5 dB is significant


def test_incremental_outperforms_chase_outperforms_none():
    high_rate = modem.Mcs(2, 0.8)
    share, rows = modem.transport_uses(INFO_BITS, high_rate), 300

    def met(kind, snr_db):
        return combined(versions(kind, 2), snr_db, rows, "same draws", high_rate, share)[1].ok

    none, chase = met("none", 4.5), met("chase", 4.5)
    assert not (none & ~chase).any()  # rows decoded in one round are decoded in two
    assert z_score(chase, none) > 4
    assert z_score(met("incremental", 2.0), met("chase", 2.0)) > 4


def test_each_row_stops_when_its_crc_passes():
    sequence = versions("incremental", 4)
    payloads, together = combined(sequence, -2.3, 200, "rows")
    assert torch.equal(together.bits[together.ok], payloads[together.ok])
    assert len(together.rounds[together.ok].unique()) >= 2
    assert bool((together.rounds[~together.ok] == 4).all())
    for count in (1, 2, 3):
        _, fewer = combined(sequence[:count], -2.3, 200, "rows")
        assert torch.equal(fewer.ok, together.ok & (together.rounds <= count))


@pytest.mark.parametrize("snr_db", [-30.0, -36.0, -40.0, -100.0])
@pytest.mark.parametrize("kind", ["none", "chase", "incremental"])
def test_noise_never_passes_the_crc(kind, snr_db):
    _, found = combined(versions(kind, 4), snr_db, 300, "noise")
    assert not found.ok.any()
    assert not found.block_ok.any()
    assert bool((found.rounds == (1 if kind == "none" else 4)).all())


def test_an_all_zero_payload_is_decoded():
    zeros = torch.zeros(3, INFO_BITS, dtype=torch.uint8)
    found = harq.decode(
        harq.encode(zeros, QPSK, SHARE, (0, 2)), torch.full((3, 2 * SHARE), 0.1), QPSK, INFO_BITS, (0, 2)
    )
    assert found.ok.all()
    assert found.rounds.tolist() == [1, 1, 1]


@pytest.mark.parametrize("adaptation", [FIXED, {"codec": "webp", "margin_db": -6.0}])
@pytest.mark.parametrize("kind", ["chase", "incremental"])
def test_bit_errors_are_zero_where_the_crc_of_the_last_round_passes(photos, adaptation, kind):
    system = digital.build(cbr=0.2, harq=kind, rounds=3, **adaptation)
    sample, snr_db = Sample(photos.repeat(10, 1, 1, 1)), torch.linspace(-14, 8, 20)
    delivery = Link(system, rayleigh.build(coherence_uses=450)).deliver(sample, snr_db, list(range(20)))
    wrong, sent = measure("ber", delivery)
    met = delivery.reception.block_errors == 0
    assert 2 < int(met.sum()) < 18
    assert torch.equal(wrong == 0, met)
    assert bool((sent > 7).all())


@pytest.mark.parametrize("adaptation", [FIXED, {"codec": "webp", "margin_db": -2.0}])
@pytest.mark.parametrize("kind", ["chase", "incremental"])
def test_only_required_rounds_are_counted(photos, adaptation, kind):
    system = digital.build(cbr=0.2, harq=kind, rounds=3, **adaptation)
    budget = int(0.2 * 3 * 48 * 48)
    header_uses = 0 if adaptation is FIXED else scheme_header.USES
    share = (budget - header_uses) // 3
    sample = Sample(photos.repeat(10, 1, 1, 1))
    link, seeds = Link(system, rayleigh.build(coherence_uses=share)), [seed_for("counted", row) for row in range(20)]
    delivery = link.deliver(sample, 6.0, seeds)
    needed = (delivery.uses - header_uses) / share
    assert bool((needed == needed.round()).all())
    assert len(needed.unique()) >= 2
    assert bool((needed[delivery.reception.outage] == 3).all())
    assert torch.equal(delivery.medium_uses, delivery.uses)
    payload = system.transmitter.encode(sample, torch.full((20,), 6.0), Rng(seeds).derive("encode"))
    assert payload.uses.unique().tolist() == [header_uses + 3 * share]
    squared = payload.symbols.abs().square()
    spent = torch.stack([row[:uses].sum() for row, uses in zip(squared, delivery.uses.tolist(), strict=True)])
    torch.testing.assert_close(delivery.energy, spent, rtol=1e-5, atol=0)
    if adaptation is FIXED:
        clear = link.deliver(sample, 60.0, seeds)
        assert bool((clear.uses == share).all())
        torch.testing.assert_close(clear.energy, torch.full((20,), float(share)), rtol=1e-5, atol=0)
        assert not clear.reception.outage.any()
        lost = link.deliver(sample, -30.0, seeds)
        assert bool((lost.uses == 3 * share).all())
        assert lost.reception.outage.all()
        assert torch.equal(lost.reception.blocks, lost.reception.block_errors)


def test_one_round_equals_no_harq(photos):
    seeds, channel = [1, 2], rayleigh.build(coherence_uses=40)
    plain = Link(digital.build(cbr=0.2, **FIXED), channel).deliver(Sample(photos), 12.0, seeds)
    for kind in ("chase", "incremental"):
        one = digital.build(cbr=0.2, harq=kind, rounds=1, **FIXED)
        delivery = Link(one, channel).deliver(Sample(photos), 12.0, seeds)
        assert torch.equal(plain.reception.images, delivery.reception.images)
        assert torch.equal(plain.uses, delivery.uses)


def test_rounds_divide_the_budget_and_are_interleaved_separately():
    for budget, header_uses, count in ((1003, 64, 4), (50, 64, 2), (64, 64, 3), (999, 0, 3), (2, 0, 4), (0, 0, 1)):
        rounds = Rounds(versions("chase", count), header_uses)
        first, share, order = rounds.first(budget), rounds.share(budget), rounds.order(budget)
        assert rounds.total(budget) == len(order) <= budget
        assert sorted(order.tolist()) == list(range(len(order)))
        assert sorted(order[:first].tolist()) == list(range(first))
        for number in range(1, count):
            part = order[first + (number - 1) * share : first + number * share]
            assert sorted(part.tolist()) == list(range(first + (number - 1) * share, first + number * share))


# --- successive interference cancellation -----------------------------------------------------------------------------


def two_users(joint_users, offsets_db, snr_db, photos, channel=None):
    system = digital.build(cbr=0.2, joint_users=joint_users, **FIXED)
    steady = uplink.build(antennas=1, power_offsets_db=offsets_db, k_factor_db=60.0, receiver="joint")
    sample = Sample(photos[[0, 1, 1, 0]])
    return Link(system, channel or steady).deliver(sample, snr_db, [1, 2, 3, 4], users=2)


@pytest.mark.parametrize("offsets_db", [(0.0, -10.0), (-10.0, 0.0)])
def test_the_weak_user_is_decoded_after_cancellation_of_the_strong_one(photos, offsets_db):
    strong = [offset == 0 for offset in offsets_db] * 2
    linear = two_users(False, offsets_db, 20.0, photos).reception
    assert linear.outage.tolist() == [not is_strong for is_strong in strong]
    joint = two_users(True, offsets_db, 20.0, photos).reception
    assert not joint.outage.any()
    assert joint.block_errors.sum() == 0
    for sent, shown in zip(photos[[0, 1, 1, 0]], joint.images, strict=True):
        assert float((sent - shown).square().mean()) < 0.02  # every user gets its own image


def test_the_strong_user_is_decoded_without_the_weak_one(photos):
    reception = two_users(True, (0.0, -20.0), 14.0, photos).reception
    assert reception.outage.tolist() == [False, True, False, True]
    assert bool((reception.images[1::2] == 0.5).all())


def test_users_of_equal_strength_and_high_rate_are_outages(photos):
    """At a signal-to-interference ratio of 0 dB, 1 bit per use exceeds the capacity of either user."""
    assert two_users(True, (0.0, 0.0), 30.0, photos).reception.outage.all()


@pytest.mark.parametrize("snr_db", [-40.0, -100.0])
def test_no_user_is_decoded_from_noise(photos, snr_db):
    reception = two_users(True, (0.0, -10.0), snr_db, photos).reception
    assert reception.outage.all()
    assert torch.equal(reception.blocks, reception.block_errors)


@pytest.mark.parametrize("channel", [awgn.build(), rayleigh.build(coherence_uses=30)])
def test_without_superposition_it_equals_the_single_user_receiver(photos, channel):
    plain, joint = (two_users(joint, (0.0,), 9.0, photos, channel).reception for joint in (False, True))
    assert torch.equal(plain.images, joint.images)
    assert torch.equal(plain.outage, joint.outage)
    assert torch.equal(plain.counted_uses, joint.counted_uses)


def test_results_of_a_medium_do_not_depend_on_the_batch(photos):
    system = digital.build(cbr=0.2, joint_users=True, **FIXED)
    link = Link(system, uplink.build(antennas=1, power_offsets_db=(0.0, -8.0, -16.0), receiver="joint"))
    sample = Sample(photos[[0, 1, 0] * 12])
    together = link.deliver(sample, 20.0, list(range(36)), users=3).reception
    assert 4 < int(together.outage.sum()) < 32
    for start in (0, 9, 21):
        alone = link.deliver(
            Sample(sample.images[start : start + 3]), 20.0, list(range(start, start + 3)), users=3
        ).reception
        assert torch.equal(alone.images, together.images[start : start + 3])
        assert torch.equal(alone.outage, together.outage[start : start + 3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"harq": "often"}, "often"),
        ({"harq": "chase", "rounds": 0}, "rounds"),
        ({"harq": "chase", "rounds": 17}, "rounds"),
        ({"joint_users": True}, "fixed"),
        ({"joint_users": True, "harq": "chase", **FIXED}, "harq"),
    ],
)
def test_wrong_arguments(arguments, message):
    build = getattr(digital.build, "__wrapped__", digital.build)  # without the type checks of the tests
    with pytest.raises(UsageError, match=message):
        build(**({"cbr": 1 / 16} | arguments))


# --- air time --------------------------------------------------------------------------------------------------------


def test_airtime_is_medium_uses_over_the_symbol_rate(scenario_data, tmp_path):
    scenario_data |= {"metrics": ["medium_cbr"], "symbol_rate_hz": 1e6, "repetitions": 1}
    scenario = scenario_from(scenario_data)
    assert scenario_from(yaml.safe_load(to_yaml(scenario))) == scenario
    rows = table.read(sweep.run(scenario, tmp_path))
    assert table.metrics(rows)["airtime_s"] == "s"
    for airtime_s, medium_cbr in zip(rows["airtime_s"].to_pylist(), rows["medium_cbr"].to_pylist(), strict=True):
        assert airtime_s == pytest.approx(medium_cbr * 3 * 32 * 32 / 1e6, rel=1e-9)
    assert "airtime_s" in table_formats.as_csv(rows)


def test_without_a_symbol_rate_nothing_changes(scenario_data):
    plain = scenario_from(scenario_data)
    timed = scenario_from(scenario_data | {"symbol_rate_hz": 1e6})
    assert "symbol_rate_hz" not in to_yaml(plain)
    assert not {point.key for point in plain.points()} & {point.key for point in timed.points()}


@pytest.mark.parametrize("rate", [0, -1.0, "fast", [1e6, 2e6], math.inf])
def test_wrong_symbol_rates_are_errors(scenario_data, rate):
    with pytest.raises(UsageError, match="symbol_rate_hz must be"):
        scenario_from(scenario_data | {"symbol_rate_hz": rate})
