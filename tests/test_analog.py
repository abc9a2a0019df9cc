import math

import numpy as np
import pytest
import torch

from channels import awgn, rayleigh
from channels._base import Received
from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom.link import Link
from semcom.system import Sample, uses_for
from semcom.systems import analog
from semcom.systems.analog import header, layout, system
from semcom.systems.analog.header import Header


def pictures(rows, height, width, seed=0):
    """Smooth random pictures: their spectrum falls as a photograph's does."""
    rng = np.random.default_rng(seed)
    spectrum = rng.normal(size=(rows, 3, height, width))
    frequency = np.hypot(*np.meshgrid(np.arange(height), np.arange(width), indexing="ij"))
    from scipy.fft import idctn

    smooth = idctn(spectrum / (1 + frequency) ** 1.3, axes=(2, 3), norm="ortho")
    smooth = smooth / smooth.std(axis=(1, 2, 3), keepdims=True)
    return torch.from_numpy(0.5 + 0.15 * smooth).float().clamp(0, 1)


def psnr(delivery):
    error = (delivery.reception.images - delivery.sample.images).square().mean((1, 2, 3))
    return -10 * error.log10()


def mean_squared_error(gains, variances, noise_var):
    return np.sum(variances * noise_var / (gains * variances + noise_var))


@pytest.mark.parametrize("noise_var", [0.01, 0.5, 20.0])
def test_gains_reach_the_numerical_optimum(noise_var):
    from scipy.optimize import minimize

    variances = np.array([30.0, 8.0, 2.0, 0.5, 0.01])
    energy = 5.0
    gains = layout.squared_gains(variances, energy, noise_var)
    assert np.sum(gains * variances) == pytest.approx(energy)

    def error(shares):
        return mean_squared_error(shares / variances, variances, noise_var)

    found = minimize(
        error,
        np.full(5, energy / 5),
        bounds=[(0, energy)] * 5,
        constraints={"type": "eq", "fun": lambda shares: shares.sum() - energy},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 1000},
    )
    assert found.success
    assert error(gains * variances) == pytest.approx(found.fun, rel=1e-5)
    assert error(gains * variances) <= found.fun * (1 + 1e-9)


def test_gains_are_those_of_softcast_at_high_snr():
    variances = np.array([100.0, 9.0, 4.0, 0.3])
    softcast = layout.squared_gains(variances, 4.0, 0.0)
    np.testing.assert_allclose(softcast / softcast[0], (variances / variances[0]) ** -0.5)
    np.testing.assert_allclose(layout.squared_gains(variances, 4.0, 1e-9), softcast, rtol=1e-6)


def test_gains_beat_other_power_laws_at_high_snr():
    variances = np.geomspace(100, 0.1, 50)

    def error(exponent):
        gains = variances**exponent
        return mean_squared_error(gains * 50 / np.sum(gains * variances), variances, 1e-3)

    assert all(error(-0.5) < error(exponent) for exponent in (0.0, -0.4, -0.6, -1.0))


def expected_error(image, plan, told, noise_var):
    """Mean-squared error of linear estimation, given the picture's own coefficients: sum over those sent of
    (1 - k)^2 c^2 + k^2 s / g^2, and c^2 of the others."""
    from scipy.fft import dctn

    coefficients = dctn(image.double().numpy() - 0.5, norm="ortho")
    sent = plan.sent(told)
    values = coefficients.ravel()[sent.places]
    energy = np.sum(values**2 * sent.squared_gains)
    squared = sent.squared_gains * plan.stream_uses / energy
    weight = squared * sent.variances / (squared * sent.variances + noise_var)
    lost = np.sum(coefficients**2) - np.sum(values**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.where(squared > 0, weight**2 * noise_var / squared, 0)
    return (np.sum((1 - weight) ** 2 * values**2 + noise) + lost) / coefficients.size


@pytest.mark.parametrize(
    ("snr_db", "allocation"), [(0.0, "softcast"), (10.0, "softcast"), (2.0, "matched"), (18.0, "matched")]
)
def test_error_is_the_predicted_one(snr_db, allocation):
    from scipy.fft import dctn

    # never near black or white, so that clamping the picture changes nothing
    image = 0.5 + 0.3 * (pictures(1, 64, 96, seed=3)[0] - 0.5)
    repeats = 24
    seeds = [seed_for("softcast", row) for row in range(repeats)]
    delivery = Link(analog.build(cbr=1 / 8, allocation=allocation), awgn.build()).deliver(
        Sample(image.expand(repeats, -1, -1, -1)), snr_db, seeds
    )
    assert not delivery.reception.outage.any()
    errors = (delivery.reception.images - image).double().square().mean((1, 2, 3)).numpy()
    plan = layout.layout_for(1 / 8, (64, 96))
    levels = plan.levels(dctn(image.double().numpy() - 0.5, norm="ortho"))
    told = Header(levels, scale=0, snr=header.quantised_snr(None if allocation == "softcast" else snr_db))
    expected = expected_error(image, plan, told, 0.5 * 10 ** (-snr_db / 10))
    deviation = errors.std(ddof=1) / math.sqrt(repeats)
    # 0.1 dB of the scale is lost to its rounding
    assert abs(errors.mean() - expected) < 4 * deviation + 0.025 * expected


def test_fading_becomes_white_noise_of_the_mean_shrinkage():
    """After the spreading is undone the error of a unit-power stream is (1 - d) / d, d = mean 1 / (1 + noise_var)."""
    uses = 20_000
    rng = Rng([seed_for("white")])
    stream = rng.derive("stream").complex_normal(uses)[0].to(torch.complex128)
    received = rayleigh.build(coherence_uses=100).carry(
        system.spread(stream).to(torch.complex64)[None, None],
        torch.tensor([[uses]]),
        torch.tensor([[6.0]]),
        rng.derive("carry"),
    )
    shrink = 1 / (1 + received.noise_var[0, 0].double())
    gain = shrink.mean()
    error = system.gathered(received.symbols[0, 0].to(torch.complex128) * shrink) / gain - stream
    expected = (1 - gain) / gain
    assert error.abs().square().mean() == pytest.approx(float(expected), rel=0.05)
    assert abs(torch.sum(error * stream.conj()) / uses) < 5 * math.sqrt(float(expected) / uses)


def test_spreading_is_unitary_and_undone():
    stream = torch.view_as_complex(torch.randn(37, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    spread = system.spread(stream)
    assert spread.abs().square().sum() == pytest.approx(float(stream.abs().square().sum()))
    torch.testing.assert_close(system.gathered(spread), stream)


def test_quality_rises_gracefully_from_minus_5_db():
    images = pictures(3, 96, 128, seed=1)
    link = Link(analog.build(cbr=1 / 8), awgn.build())
    qualities = []
    for snr_db in (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0):
        delivery = link.deliver(Sample(images), snr_db, [1, 2, 3])
        assert not delivery.reception.outage.any()
        qualities.append(psnr(delivery).mean().item())
    steps = np.diff(qualities)
    assert (steps > 0.2).all()
    assert (steps < 6).all()


@pytest.mark.parametrize("snr_db", [-15.0, -30.0, -33.0, -36.0, -40.0, -60.0, -100.0])
def test_header_that_cannot_be_read_is_an_outage_and_grey(snr_db):
    images = pictures(1, 64, 64).expand(40, -1, -1, -1)
    delivery = Link(analog.build(cbr=1 / 6), awgn.build()).deliver(Sample(images), snr_db, list(range(40)))
    assert delivery.reception.outage.all()
    assert bool((delivery.reception.images == 0.5).all())
    assert delivery.uses.tolist() == [uses_for(1 / 6, (64, 64))] * 40


def test_every_use_is_paid_and_energy_is_one():
    rng = np.random.default_rng(5)
    for _ in range(12):
        height, width = (int(side) for side in rng.integers(1, 90, 2))
        cbr = float(rng.choice([1 / 24, 1 / 16, 1 / 6, 0.5, 1.3]))
        images = pictures(2, height, width, seed=height)
        payload = analog.build(cbr=cbr).transmitter.encode(Sample(images), torch.tensor([3.0, 12.0]), Rng([1, 2]))
        plan = layout.layout_for(cbr, (height, width))
        granted = uses_for(cbr, (height, width))
        if plan is None:
            assert payload.uses.tolist() == [0, 0]
            assert payload.symbols.shape == (2, 0)
            continue
        assert plan.header_uses + plan.stream_uses == granted == payload.symbols.shape[1]
        assert payload.uses.tolist() == [granted] * 2
        energy = payload.symbols.abs().square().sum(1) / granted
        torch.testing.assert_close(energy, torch.ones(2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_pictures_keep_the_energy_law(value):
    images = torch.full((1, 3, 64, 64), value)
    delivery = Link(analog.build(cbr=1 / 6), awgn.build()).deliver(Sample(images), 20.0, [4])
    assert delivery.energy.item() == pytest.approx(delivery.uses.item(), rel=1e-4)
    assert psnr(delivery).item() > 30


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 200), (31, 17)])
def test_any_size(size):
    delivery = Link(analog.build(cbr=1.0), rayleigh.build(coherence_uses=20)).deliver(
        Sample(torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2))), 20.0, [1]
    )
    assert delivery.reception.images.shape == (1, 3, *size)
    assert delivery.reception.outage.item() == (layout.layout_for(1.0, size) is None)


def test_a_row_does_not_know_its_batch():
    images = pictures(3, 48, 64)
    transmitter = analog.build(cbr=1 / 6).transmitter
    together = transmitter.encode(Sample(images), torch.tensor([0.0, 5.0, 9.0]), Rng([1, 2, 3]))
    alone = transmitter.encode(Sample(images[1:2]), torch.tensor([5.0]), Rng([2]))
    torch.testing.assert_close(together.symbols[1:2], alone.symbols, rtol=0, atol=1e-6)


def test_receiver_needs_only_what_crossed_the_channel():
    images = pictures(1, 64, 64)
    payload = analog.build(cbr=1 / 6).transmitter.encode(Sample(images), torch.tensor([30.0]), Rng([1]))
    received = Received(
        symbols=payload.symbols,
        noise_var=torch.full(payload.symbols.shape, 1e-3),
        uses=payload.uses,
        energy=payload.uses.float(),
        gains=torch.ones(1, 1, payload.symbols.shape[1], dtype=torch.complex64),
    )
    reception = analog.build(cbr=1 / 6, allocation="softcast").receiver.decode(received, (64, 64), Rng([9]))
    assert not reception.outage.any()
    assert (reception.images - images).square().mean() < 10**-2.6


def test_wrong_arguments():
    with pytest.raises(UsageError, match="cbr"):
        analog.build(cbr=0.0)
