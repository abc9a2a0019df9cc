import math
from dataclasses import replace

import pytest
import torch

from channels import awgn, rayleigh, rician
from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom.images import load
from semcom.link import Link
from semcom.metrics import measure, psnr
from semcom.system import Sample, uses_for
from semcom.systems import capacity, digital


@pytest.fixture(scope="module")
def photograph():
    return load("photos", 1, 32)[0].pixels[None]


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 7.3, 25.0])
def test_awgn_is_shannons_formula(snr_db):
    expected = math.log2(1 + 10 ** (snr_db / 10))
    channel = awgn.build()
    assert capacity.ergodic_capacity(channel, snr_db) == pytest.approx(expected, rel=1e-5)
    assert capacity.outage_rate(channel, snr_db, 500, 0.1) == pytest.approx(expected, rel=1e-5)


def test_a_bound_has_no_energy_and_no_noise(photograph):
    delivery = Link(capacity.build(cbr=1 / 6, codec="webp"), awgn.build()).deliver(Sample(photograph), 10.0, [1])
    for name in ("energy", "snr_realised_db"):
        assert [part.tolist() for part in measure(name, delivery)] == [[0], [0]]


@pytest.mark.parametrize("coherence_uses", [None, 1])
@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_ergodic_capacity_of_rayleigh_fading(coherence_uses, snr_db):
    """E log2(1 + s |h|^2) = e^(1/s) E1(1/s) / ln 2."""
    from scipy.integrate import quad
    from scipy.special import exp1

    snr = 10 ** (snr_db / 10)
    expected = math.exp(1 / snr) * exp1(1 / snr) / math.log(2)
    square = quad(lambda x: math.log2(1 + snr * x) ** 2 * math.exp(-x), 0, 60)[0]
    fades = capacity._ERGODIC_USES if coherence_uses == 1 else capacity._ERGODIC_USES // 16
    deviation = math.sqrt((square - expected**2) / fades)
    measured = capacity.ergodic_capacity(rayleigh.build(coherence_uses=coherence_uses), snr_db)
    assert abs(measured - expected) < 4 * deviation + 1e-5


@pytest.mark.parametrize("probability", [0.02, 0.1, 0.5])
def test_outage_rate_of_rayleigh_fading(probability):
    """P(log2(1 + s |h|^2) < R) = 1 - exp(-(2^R - 1) / s), within the deviation of a quantile of 1000."""
    snr = 10**0.8
    rate = capacity.outage_rate(rayleigh.build(), 8.0, 20, probability)
    reached = 1 - math.exp(-(2**rate - 1) / snr)
    assert abs(reached - probability) < 4 * math.sqrt(probability * (1 - probability) / 1000)


def test_fast_fading_has_no_outage_capacity_of_its_own():
    """When a transmission sees every fade both forms agree."""
    channel = rayleigh.build(coherence_uses=1)
    assert capacity.outage_rate(channel, 10.0, 4000, 0.1) == pytest.approx(
        capacity.ergodic_capacity(channel, 10.0), rel=0.02
    )


def test_a_strong_line_of_sight_is_nearly_awgn():
    channel = rician.build(k_factor_db=40.0)
    assert capacity.ergodic_capacity(channel, 10.0) == pytest.approx(math.log2(11), rel=1e-3)


def test_pictures_are_lost_exactly_when_their_fade_carries_less(photograph):
    rows, snr_db = 400, 12.0
    channel = rayleigh.build()
    bound = capacity.build(cbr=1 / 6, codec="webp", form="outage", outage_probability=0.2)
    seeds = [seed_for("outage", row) for row in range(rows)]
    delivery = Link(bound, channel).deliver(Sample(photograph.expand(rows, -1, -1, -1)), snr_db, seeds)
    uses = uses_for(1 / 6, (32, 32))
    received = channel.carry(
        torch.ones(rows, 1, uses, dtype=torch.complex64),
        torch.full((rows, 1), uses),
        torch.full((rows, 1), snr_db),
        Rng(seeds).derive("carry"),
    )
    rate = capacity.outage_rate(channel, snr_db, uses, 0.2)
    carried = torch.log2(1 + 1 / received.noise_var[:, 0, 0].double())
    assert torch.equal(delivery.reception.outage, carried < rate)
    share = delivery.reception.outage.double().mean().item()
    assert abs(share - 0.2) < 4 * math.sqrt(0.16 / rows + 0.16 / 1000)
    assert bool((delivery.reception.images[delivery.reception.outage] == 0.5).all())


def test_capacity_is_above_digital(photograph):
    for snr_db in (0.0, 8.0, 16.0):
        qualities = [
            psnr(
                Link(build(cbr=1 / 4, codec="webp"), awgn.build())
                .deliver(Sample(photograph), snr_db, [1])
                .reception.images,
                photograph,
            ).item()
            for build in (capacity.build, digital.build)
        ]
        assert qualities[0] > qualities[1] + 0.2


def test_users_on_shares_of_their_own_and_common_transmissions(photograph):
    sample = Sample(photograph.expand(2, -1, -1, -1))
    bound = capacity.build(cbr=1 / 4, codec="webp")
    snr_db = torch.tensor([2.0, 14.0])
    channel = awgn.build()
    own = Link(bound, channel).deliver(sample, snr_db, [1, 2], users=2).reception
    assert psnr(own.images, sample.images).diff().item() > 1
    channel.medium = replace(channel.medium, access="common")
    common = Link(bound, channel).deliver(sample, snr_db, [1, 2], users=2).reception
    assert torch.equal(common.images[0], common.images[1])
    assert torch.equal(common.images[0], own.images[0])
    channel.medium = replace(channel.medium, access="superposed")
    with pytest.raises(UsageError, match="superposed"):
        Link(bound, channel).deliver(sample, snr_db, [1, 2], users=2)


@pytest.mark.parametrize("form", ["ergodic", "outage"])
@pytest.mark.parametrize("size", [(1, 1), (2, 9)])
def test_any_size(form, size):
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    delivery = Link(capacity.build(cbr=1 / 16, form=form), rayleigh.build()).deliver(Sample(images), 10.0, [1])
    assert delivery.reception.images.shape == images.shape
    assert delivery.reception.outage.item()


def test_wrong_arguments():
    build = getattr(capacity.build, "__wrapped__", capacity.build)  # what users have: no type checks
    for arguments in ({"form": "mean"}, {"outage_probability": 0.0}, {"codec": "gif"}, {"speed": -1}, {"cbr": 0.0}):
        with pytest.raises(UsageError):
            build(**({"cbr": 1 / 16} | arguments))
