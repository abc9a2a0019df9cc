"""Metrics compared with independent implementations and with their definitions."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from channels.errors import UsageError
from semcom import discover
from semcom.images.sources import load
from semcom.link import Delivery
from semcom.metrics import perceptual
from semcom.metrics.fidelity import ms_ssim, psnr, ssim
from semcom.metrics.metric import measure
from semcom.system import Reception, Sample
from semcom.weights.files import seeded


@pytest.fixture(scope="module")
def pair():
    images = torch.stack([image.pixels for image in load("photos", count=3, size=192)])
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    strength = torch.tensor([0.01, 0.05, 0.2])[:, None, None, None]
    return (images + strength * noise).clamp(0, 1), images


def delivery(images, shown, **reception):
    rows = len(images)
    uses = torch.full((rows,), 96)
    return Delivery(
        sample=Sample(images, message=reception.pop("transmitted", None)),
        reception=Reception(shown, counted_uses=uses, **reception),
        truth={},
        uses=uses,
        medium_uses=2 * uses,
        energy=uses.float(),
        snr_db=torch.zeros(rows),
        snr_realized_db=torch.full((rows,), 0.3),
    )


@pytest.fixture
def alexnet(monkeypatch, tmp_path):
    """An AlexNet with random weights in place of the file of torchvision."""
    from torchvision.models import alexnet

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    perceptual._network.cache_clear()
    with seeded(0):
        network = alexnet().eval().requires_grad_(False)
    file = tmp_path / "checkpoints" / perceptual.BACKBONE
    file.parent.mkdir()
    torch.save(network.state_dict(), file)
    monkeypatch.setattr(perceptual, "HASH", hashlib.sha256(file.read_bytes()).hexdigest())
    yield network, file
    perceptual._network.cache_clear()


def pixels(image):
    return image.permute(1, 2, 0).double().numpy()


def test_psnr_and_ssim_agree_with_scikit_image(pair):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    shown, images = pair
    for row in range(3):
        x, y = pixels(images[row]), pixels(shown[row])
        assert psnr(shown, images)[row] == pytest.approx(peak_signal_noise_ratio(x, y, data_range=1), abs=1e-4)
        reference = structural_similarity(
            x, y, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim(shown, images)[row] == pytest.approx(reference, abs=1e-4)


def test_ms_ssim_agrees_with_pytorch_msssim(pair):
    from pytorch_msssim import ms_ssim as reference

    shown, images = pair
    assert torch.allclose(ms_ssim(shown, images), reference(shown, images, data_range=1, size_average=False), atol=1e-4)


@pytest.mark.parametrize("side", [1, 2, 7, 16, 33, 64, 128, 160])
def test_similarity_of_small_images(pair, side):
    shown, images = (part[..., :side, :side] for part in pair)
    for similarity in (ssim, ms_ssim):
        assert torch.allclose(similarity(images, images), torch.ones(3), atol=1e-6)
        values = similarity(shown, images)
        assert torch.all((values >= 0) & (values < 1))


def test_smaller_window_changes_ms_ssim_little(pair):
    """At 160 pixels only the coarsest window is cut (to 9 taps), so values stay near those of 161 pixels."""
    shown, images = pair
    cut, whole = (ms_ssim(shown[..., :side, :side], images[..., :side, :side]) for side in (160, 161))
    assert torch.allclose(cut, whole, atol=2e-3)


def test_largest_psnr_is_that_of_rounding_to_8_bits(pair):
    """10 log10(12 * 255^2) = 58.92 dB, for identical images and for those rounded to 8 bits."""
    _, images = pair
    smooth = images[..., 1:] * 0.7 + images[..., :-1] * 0.3
    assert psnr(images, images).tolist() == pytest.approx([58.923] * 3, abs=1e-3)
    assert psnr((smooth * 255).round() / 255, smooth).tolist() == pytest.approx([58.923] * 3, abs=0.3)


def test_rows_are_independent(pair):
    shown, images = pair
    for metric in (psnr, ssim, ms_ssim):
        alone = torch.cat([metric(shown[row : row + 1], images[row : row + 1]) for row in range(3)])
        assert torch.allclose(metric(shown, images), alone, atol=1e-6)
        assert torch.all(alone.diff() < 0)  # the noise grows from row to row


def test_similarity_is_differentiable(pair):
    shown, images = pair
    shown = shown.clone().requires_grad_()
    ms_ssim(shown, images).sum().backward()
    assert shown.grad.isfinite().all()
    assert shown.grad.abs().sum() > 0


def test_counts(pair):
    shown, images = pair
    sent = torch.tensor([[0, 1, 1, 0]] * 3, dtype=torch.uint8)
    recovered = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 1], [1, 0, 0, 1]], dtype=torch.uint8)
    measured = delivery(
        images,
        shown,
        transmitted=sent,
        message=recovered,
        outage=torch.tensor([False, True, False]),
        blocks=torch.tensor([5, 5, 6]),
        block_errors=torch.tensor([0, 2, 6]),
    )
    counts = {name: [part.tolist() for part in measure(name, measured)] for name in ("message_ber", "bler", "outage")}
    assert counts == {
        "message_ber": [[0, 2, 4], [4, 4, 4]],
        "bler": [[0, 2, 6], [5, 5, 6]],
        "outage": [[0, 1, 0], [1, 1, 1]],
    }


def test_bits_without_a_decision_count_as_wrong(pair):
    """Rows of three and four bits with two decisions each."""
    shown, images = (part[:2] for part in pair)
    uses = torch.full((2,), 96)
    measured = replace(
        delivery(images, shown),
        truth={"bits": torch.tensor([[0, 1, 1, 2], [1, 0, 1, 1]], dtype=torch.uint8)},
        reception=Reception(shown, uses, bits=torch.tensor([[0, 1], [1, 1]], dtype=torch.uint8)),
    )
    assert [part.tolist() for part in measure("ber", measured)] == [[1, 3], [3, 4]]
    longer = torch.tensor([[0, 1, 1, 0, 1], [1, 0, 0, 1, 0]], dtype=torch.uint8)
    measured = replace(measured, reception=Reception(shown, uses, bits=longer))
    assert [part.tolist() for part in measure("ber", measured)] == [[0, 1], [3, 4]]


def test_metrics_that_do_not_apply_are_0_of_0(pair):
    shown, images = pair
    for name in ("ber", "message_ber", "bler", "outage", "papr_db"):
        assert [part.tolist() for part in measure(name, delivery(images, shown))] == [[0, 0, 0], [0, 0, 0]]


def test_rows_without_transmission_have_no_papr(pair):
    shown, images = pair
    measured = replace(delivery(images, shown), uses=torch.tensor([96, 0, 96]), papr_db=torch.tensor([7.0, 0.0, 9.0]))
    assert [part.tolist() for part in measure("papr_db", measured)] == [[7, 0, 9], [1, 0, 1]]


def test_bandwidth_ratios(pair):
    shown, images = pair
    measured = delivery(images, shown)
    assert measure("cbr", measured).tolist() == [96 / (3 * 192 * 192)] * 3
    assert measure("medium_cbr", measured).tolist() == [192 / (3 * 192 * 192)] * 3


def test_every_metric_returns_rows_without_nan(pair, alexnet):
    shown, images = pair
    for name in discover.metrics():
        values = measure(name, delivery(images, shown))
        for part in values if isinstance(values, tuple) else (values,):
            assert part.shape[0] == 3
            assert part.dim() == 1 or "miou" in name  # a column of each class
            assert not np.isnan(part.numpy()).any()


def test_nan_and_unknown_metrics_are_refused(pair):
    _, images = pair
    with pytest.raises(ValueError, match="psnr"):
        measure("psnr", delivery(images, images * torch.nan))
    with pytest.raises(UsageError, match="did you mean 'psnr'"):
        measure("pnsr", delivery(images, images))


# --- LPIPS, with random weights in place of AlexNet's ---------------------------------------------------------------


def test_lpips_equals_its_formula(alexnet, pair):
    import lpips

    shown, images = (photos[:, :, :64, :64] for photos in pair)
    weights = torch.load(Path(lpips.__file__).parent / "weights/v0.1/alex.pth", "cpu")
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    expected = torch.zeros(3)
    both = [(2 * photos - 1 - shift[:, None, None]) / scale[:, None, None] for photos in (shown, images)]
    relus = iter(range(5))
    for layer in alexnet[0].features[:12]:
        both = [layer(photos) for photos in both]
        if isinstance(layer, torch.nn.ReLU):
            one, other = (features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10) for features in both)
            weight = weights[f"lin{next(relus)}.model.1.weight"]
            expected += ((one - other).square() * weight).sum(1).mean((1, 2))
    torch.testing.assert_close(measure("lpips", delivery(images, shown)), expected, rtol=1e-4, atol=1e-6)
    assert measure("lpips", delivery(images, images)).tolist() == [0, 0, 0]


def test_lpips_requires_its_backbone(alexnet, monkeypatch, pair):
    shown, images = pair
    with pytest.raises(UsageError, match="sides of at least 31 pixels, not 30x40"):
        measure("lpips", delivery(images[:, :, :40, :30], shown[:, :, :40, :30]))
    monkeypatch.setattr(perceptual, "HASH", "7be5be79")
    with pytest.raises(UsageError, match="is not torchvision's AlexNet"):
        measure("lpips", delivery(images, shown))
    alexnet[1].unlink()
    with pytest.raises(UsageError, match=f"put it in {alexnet[1].parent}"):
        measure("lpips", delivery(images, shown))
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(UsageError, match="pip install"):
        measure("lpips", delivery(images, shown))


def test_ssim_of_constant_images_has_no_rounding_error():
    """Variances of zero leave the luminance term alone."""
    for level, other in ((0.75, 0.7495), (0.9, 0.9), (1.0, 0.2), (0.31, 0.3)):
        expected = (2 * level * other + 1e-4) / (level**2 + other**2 + 1e-4)
        one, two = (torch.full((1, 3, 192, 192), value) for value in (level, other))
        assert ssim(one, two).item() == pytest.approx(expected, abs=2e-7)
        assert ssim(one, two).item() <= 1


def test_ssim_of_nearly_constant_images_equals_float64():
    ramp = 0.8 + torch.linspace(0, 0.05, 64).expand(1, 3, 64, 64)
    assert ssim(ramp, ramp.mT).item() == pytest.approx(ssim(ramp.double(), ramp.mT.double()).item(), abs=1e-6)
