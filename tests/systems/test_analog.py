import math

import numpy as np
import pytest
import torch

from channels import awgn, rayleigh
from channels.base import Received
from channels.errors import UsageError
from channels.rng import Rng, seed_for
from semcom.images.sources import load
from semcom.link import Link
from semcom.system import Sample, uses_for
from semcom.systems import analog
from semcom.systems.analog import header, layout
from semcom.systems.analog import stream as analog_stream
from semcom.systems.analog.header import Header


def smooth_images(rows, height, width, seed=0):
    """Smooth random images whose spectrum falls like that of natural images."""
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
def test_gains_equal_the_numerical_optimum(noise_var):
    from scipy.optimize import minimize

    variances = np.array([30.0, 8.0, 2.0, 0.5, 0.01])
    energy = 5.0
    gains = analog_stream.squared_gains(variances, energy, noise_var)
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


def test_gains_equal_softcast_at_high_snr():
    variances = np.array([100.0, 9.0, 4.0, 0.3])
    softcast = analog_stream.squared_gains(variances, 4.0, 0.0)
    np.testing.assert_allclose(softcast / softcast[0], (variances / variances[0]) ** -0.5)
    np.testing.assert_allclose(analog_stream.squared_gains(variances, 4.0, 1e-9), softcast, rtol=1e-6)


def test_softcast_exponent_is_optimal_at_high_snr():
    variances = np.geomspace(100, 0.1, 50)

    def error(exponent):
        gains = variances**exponent
        return mean_squared_error(gains * 50 / np.sum(gains * variances), variances, 1e-3)

    assert all(error(-0.5) < error(exponent) for exponent in (0.0, -0.4, -0.6, -1.0))


def expected_error(image, plan, side_information, noise_var):
    """Mean squared error of linear estimation for given coefficients c: (1 - k)^2 c^2 + k^2 s / g^2, summed over the
    selected coefficients, plus c^2 of the others."""
    from scipy.fft import dctn

    coefficients = dctn(image.double().numpy() - 0.5, norm="ortho")
    selection = plan.selection(side_information)
    values = coefficients.ravel()[selection.places]
    energy = np.sum(values**2 * selection.squared_gains)
    squared = selection.squared_gains * plan.stream_uses / energy
    weight = squared * selection.variances / (squared * selection.variances + noise_var)
    unsent = np.sum(coefficients**2) - np.sum(values**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.where(squared > 0, weight**2 * noise_var / squared, 0)
    return (np.sum((1 - weight) ** 2 * values**2 + noise) + unsent) / coefficients.size


@pytest.mark.parametrize(
    ("snr_db", "allocation", "cbr"),
    [
        *((snr_db, "softcast", 1 / 8) for snr_db in (0.0, 10.0)),
        *((snr_db, "matched", 1 / 8) for snr_db in (2.0, 18.0)),
        *((10.0, "matched", cbr) for cbr in (1 / 6, 1 / 3, 1 / 2)),
    ],
)
def test_error_equals_the_prediction(snr_db, allocation, cbr):
    from scipy.fft import dctn

    # mid-range pixel values, so that clamping has no effect
    image = 0.5 + 0.3 * (smooth_images(1, 64, 96, seed=3)[0] - 0.5)
    repeats = 24
    seeds = [seed_for("softcast", row) for row in range(repeats)]
    delivery = Link(analog.build(cbr=cbr, allocation=allocation), awgn.build()).deliver(
        Sample(image.expand(repeats, -1, -1, -1)), snr_db, seeds
    )
    assert not delivery.reception.outage.any()
    errors = (delivery.reception.images - image).double().square().mean((1, 2, 3)).numpy()
    plan = layout.layout_for(cbr, (64, 96))
    levels = plan.levels(dctn(image.double().numpy() - 0.5, norm="ortho"))
    side_information = Header(levels, scale=0, snr=header.quantized_snr(None if allocation == "softcast" else snr_db))
    expected = expected_error(image, plan, side_information, 0.5 * 10 ** (-snr_db / 10))
    deviation = errors.std(ddof=1) / math.sqrt(repeats)
    # 0.1 dB quantization of the scale
    assert abs(errors.mean() - expected) < 4 * deviation + 0.025 * expected


def test_photographs_at_the_rates_of_papers():
    """At CBR 1/2 nearly all coefficients are sent, and PSNR rises with the SNR; at 1/6 the others limit it."""
    photos = torch.stack([image.pixels for image in load("photos", count=4, size=128)])
    quality = {}
    for cbr in (1 / 6, 1 / 3, 1 / 2):
        link = Link(analog.build(cbr=cbr), awgn.build())
        for snr_db in (0.0, 10.0, 20.0, 30.0):
            delivery = link.deliver(Sample(photos), snr_db, [1, 2, 3, 4])
            assert not delivery.reception.outage.any()
            assert (delivery.uses == uses_for(cbr, (128, 128))).all()
            quality[cbr, snr_db] = psnr(delivery).mean().item()
    for snr_db in (0.0, 10.0, 20.0, 30.0):
        assert quality[1 / 6, snr_db] < quality[1 / 3, snr_db] < quality[1 / 2, snr_db]
    assert quality[1 / 2, 30.0] - quality[1 / 2, 20.0] == pytest.approx(10, abs=1.5)
    assert quality[1 / 6, 30.0] - quality[1 / 6, 20.0] < 4
    assert quality[1 / 6, 0.0] > 20
    assert 35 < quality[1 / 2, 20.0] < 45


def test_fading_becomes_white_noise_after_despreading():
    """The error variance of a unit-power stream is (1 - d) / d with d = mean 1 / (1 + noise_var)."""
    uses = 20_000
    rng = Rng([seed_for("white")])
    stream = rng.derive("stream").complex_normal(uses)[0].to(torch.complex128)
    received = rayleigh.build(coherence_uses=100).carry(
        analog_stream.spread(stream).to(torch.complex64)[None, None],
        torch.tensor([[uses]]),
        torch.tensor([[6.0]]),
        rng.derive("carry"),
    )
    shrink = 1 / (1 + received.noise_var[0, 0].double())
    gain = shrink.mean()
    error = analog_stream.despread(received.symbols[0, 0].to(torch.complex128) * shrink) / gain - stream
    expected = (1 - gain) / gain
    assert error.abs().square().mean() == pytest.approx(float(expected), rel=0.05)
    assert abs(torch.sum(error * stream.conj()) / uses) < 5 * math.sqrt(float(expected) / uses)


def test_spread_is_unitary_and_despread_inverts_it():
    stream = torch.view_as_complex(torch.randn(37, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    spread = analog_stream.spread(stream)
    assert spread.abs().square().sum() == pytest.approx(float(stream.abs().square().sum()))
    torch.testing.assert_close(analog_stream.despread(spread), stream)


def test_psnr_increases_gradually_from_minus_5_db():
    images = smooth_images(3, 96, 128, seed=1)
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
def test_header_failure_is_an_outage_and_a_gray_image(snr_db):
    images = smooth_images(1, 64, 64).expand(40, -1, -1, -1)
    delivery = Link(analog.build(cbr=1 / 6), awgn.build()).deliver(Sample(images), snr_db, list(range(40)))
    assert delivery.reception.outage.all()
    assert bool((delivery.reception.images == 0.5).all())
    assert delivery.uses.tolist() == [uses_for(1 / 6, (64, 64))] * 40


def test_all_channel_uses_are_counted_and_energy_is_one():
    rng = np.random.default_rng(5)
    for _ in range(12):
        height, width = (int(side) for side in rng.integers(1, 90, 2))
        cbr = float(rng.choice([1 / 24, 1 / 16, 1 / 6, 0.5, 1.3]))
        images = smooth_images(2, height, width, seed=height)
        payload = analog.build(cbr=cbr).transmitter.encode(Sample(images), torch.tensor([3.0, 12.0]), Rng([1, 2]))
        plan = layout.layout_for(cbr, (height, width))
        budget = uses_for(cbr, (height, width))
        if plan is None:
            assert payload.uses.tolist() == [0, 0]
            assert payload.symbols.shape == (2, 0)
            continue
        assert plan.header_uses + plan.stream_uses == budget == payload.symbols.shape[1]
        assert payload.uses.tolist() == [budget] * 2
        energy = payload.symbols.abs().square().sum(1) / budget
        torch.testing.assert_close(energy, torch.ones(2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_images_have_unit_energy_symbols(value):
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


def test_symbols_do_not_depend_on_the_batch():
    images = smooth_images(3, 48, 64)
    transmitter = analog.build(cbr=1 / 6).transmitter
    together = transmitter.encode(Sample(images), torch.tensor([0.0, 5.0, 9.0]), Rng([1, 2, 3]))
    alone = transmitter.encode(Sample(images[1:2]), torch.tensor([5.0]), Rng([2]))
    torch.testing.assert_close(together.symbols[1:2], alone.symbols, rtol=0, atol=1e-6)


def test_receiver_requires_only_the_received_symbols():
    images = smooth_images(1, 64, 64)
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
