import math
from dataclasses import replace

import pytest
import torch

from channels import awgn, rayleigh, rician
from channels.errors import UsageError
from channels.rng import Rng, seed_for
from semcom.images.sources import load
from semcom.link import Link
from semcom.metrics.fidelity import psnr
from semcom.metrics.metric import measure
from semcom.system import Sample, uses_for
from semcom.systems import capacity, digital


@pytest.fixture(scope="module")
def photo():
    return load("photos", 1, 32)[0].pixels[None]


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 7.3, 25.0])
def test_capacity_of_awgn(snr_db):
    expected = math.log2(1 + 10 ** (snr_db / 10))
    channel = awgn.build()
    assert capacity.ergodic_capacity(channel, snr_db) == pytest.approx(expected, rel=1e-5)
    assert capacity.outage_rate(channel, snr_db, 500, 0.1) == pytest.approx(expected, rel=1e-5)


def test_a_bound_has_no_energy_and_no_realized_snr(photo):
    delivery = Link(capacity.build(cbr=1 / 6, codec="webp"), awgn.build()).deliver(Sample(photo), 10.0, [1])
    for name in ("energy", "snr_realized_db"):
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
    realizations = capacity._ERGODIC_USES if coherence_uses == 1 else capacity._ERGODIC_USES // 16
    deviation = math.sqrt((square - expected**2) / realizations)
    measured = capacity.ergodic_capacity(rayleigh.build(coherence_uses=coherence_uses), snr_db)
    assert abs(measured - expected) < 4 * deviation + 1e-5


@pytest.mark.parametrize(
    ("snr_db", "probability", "rate"), [(10.0, 0.0952, 1.000), (20.0, 0.01, 1.004), (8.0, 0.5, 2.4254)]
)
def test_outage_rate_of_rayleigh_fading(snr_db, probability, rate):
    """P(log2(1 + s |h|^2) < R) = 1 - exp(-(2^R - 1) / s); the simulated quantile agrees within its standard error."""
    channel = rayleigh.build()
    assert capacity.outage_rate(channel, snr_db, 20, probability) == pytest.approx(rate, abs=1e-3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capacity, "_power_quantile", lambda *_: None)
        simulated = capacity.outage_rate.__wrapped__(channel, snr_db, 20, probability)
    reached = 1 - math.exp(-(2**simulated - 1) / 10 ** (snr_db / 10))
    error = max(0.05 * probability, math.sqrt(probability * (1 - probability) / 40_000))
    assert abs(reached - probability) < 4 * error


def test_outage_rate_of_rician_fading():
    """The capacity of a share `probability` of the simulated transmissions is below the exact rate."""
    channel = rician.build(k_factor_db=6.0)
    rate, realized = capacity.outage_rate(channel, 5.0, 16, 0.1), capacity._capacities(channel, 5.0, 16, 4000)
    assert abs((realized < rate).double().mean().item() - 0.1) < 4 * math.sqrt(0.09 / 4000)
    assert capacity._power_quantile(rician.build(k_factor_db=6.0, coherence_uses=8), 16, 0.1) is None
    assert capacity._power_quantile(awgn.build(adc_bits=4), 16, 0.1) is None


def test_outage_rate_equals_ergodic_capacity_over_fast_fading():
    """A long transmission spans all fading states."""
    channel = rayleigh.build(coherence_uses=1)
    assert capacity.outage_rate(channel, 10.0, 4000, 0.1) == pytest.approx(
        capacity.ergodic_capacity(channel, 10.0), rel=0.02
    )


def test_a_strong_line_of_sight_is_nearly_awgn():
    channel = rician.build(k_factor_db=40.0)
    assert capacity.ergodic_capacity(channel, 10.0) == pytest.approx(math.log2(11), rel=1e-3)


def test_outage_occurs_exactly_when_the_realized_capacity_is_below_the_rate(photo):
    rows, snr_db = 400, 12.0
    channel = rayleigh.build()
    bound = capacity.build(cbr=1 / 6, codec="webp", form="outage", outage_probability=0.2)
    seeds = [seed_for("outage", row) for row in range(rows)]
    delivery = Link(bound, channel).deliver(Sample(photo.expand(rows, -1, -1, -1)), snr_db, seeds)
    uses = uses_for(1 / 6, (32, 32))
    received = channel.carry(
        torch.ones(rows, 1, uses, dtype=torch.complex64),
        torch.full((rows, 1), uses),
        torch.full((rows, 1), snr_db),
        Rng(seeds).derive("carry"),
    )
    rate = capacity.outage_rate(channel, snr_db, uses, 0.2)
    realized = torch.log2(1 + 1 / received.noise_var[:, 0, 0].double())
    assert torch.equal(delivery.reception.outage, realized < rate)
    outage_rate = delivery.reception.outage.double().mean().item()
    assert abs(outage_rate - 0.2) < 4 * math.sqrt(0.16 / rows + 0.16 / 1000)
    assert bool((delivery.reception.images[delivery.reception.outage] == 0.5).all())


def test_capacity_is_above_digital(photo):
    for snr_db in (0.0, 8.0, 16.0):
        qualities = [
            psnr(
                Link(build(cbr=1 / 4, codec="webp"), awgn.build()).deliver(Sample(photo), snr_db, [1]).reception.images,
                photo,
            ).item()
            for build in (capacity.build, digital.build)
        ]
        assert qualities[0] > qualities[1] + 0.2


def test_orthogonal_common_and_superposed_access(photo):
    sample = Sample(photo.expand(2, -1, -1, -1))
    bound = capacity.build(cbr=1 / 4, codec="webp")
    snr_db = torch.tensor([2.0, 14.0])
    channel = awgn.build()
    orthogonal = Link(bound, channel).deliver(sample, snr_db, [1, 2], users=2).reception
    assert psnr(orthogonal.images, sample.images).diff().item() > 1
    channel.medium = replace(channel.medium, access="common")
    common = Link(bound, channel).deliver(sample, snr_db, [1, 2], users=2).reception
    assert torch.equal(common.images[0], common.images[1])
    assert torch.equal(common.images[0], orthogonal.images[0])
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
    build = getattr(capacity.build, "__wrapped__", capacity.build)  # without the type checks of the tests
    for arguments in ({"form": "mean"}, {"outage_probability": 0.0}, {"codec": "gif"}, {"speed": -1}, {"cbr": 0.0}):
        with pytest.raises(UsageError):
            build(**({"cbr": 1 / 16} | arguments))
