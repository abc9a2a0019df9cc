"""DeepJSCC: symbol energy, channel-use budget, symbol order, gradients through every channel, networks."""

import pytest
import torch

from channels import awgn, rayleigh
from channels.base import Received
from semcom import Link, Sample, UsageError, discover, images
from semcom.system import uses_for
from semcom.systems import deepjscc
from semcom.systems.deepjscc.networks import Decoder, Encoder, color_dct
from semcom.systems.deepjscc.stream import from_symbols, sent_entries, to_symbols


@pytest.fixture(scope="module")
def photos():
    return Sample(torch.stack([image.pixels for image in images.load("photos", count=3, size=96)]))


def psnr(delivery):
    error = (delivery.reception.images - delivery.sample.images).square().mean((1, 2, 3))
    return -10 * error.log10()


@pytest.mark.parametrize("size", [(8, 8), (33, 50), (7, 100), (64, 96)])
@pytest.mark.parametrize("cbr", [1 / 8, 1 / 12, 1 / 16, 0.017])
def test_the_budget_is_used_completely_at_unit_energy(size, cbr):
    system = deepjscc.build(cbr, weights="none")
    sample = Sample(torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)))
    delivery = Link(system, awgn.build()).deliver(sample, 10.0, [1, 2])  # Link checks the energy
    assert delivery.uses.tolist() == [uses_for(cbr, size)] * 2
    assert delivery.reception.images.shape == sample.images.shape


def test_rates_outside_the_range_are_errors():
    for cbr in (0.0, 0.51):
        with pytest.raises(UsageError, match=rf"above 0 and up to 0\.5, not {cbr:g}"):
            deepjscc.build(cbr, weights="none")
    link = Link(deepjscc.build(0.001, weights="none"), awgn.build())
    with pytest.raises(UsageError, match="less than one channel use"):
        link.deliver(Sample(torch.rand(1, 3, 16, 16)), 10.0, [1])


@pytest.mark.parametrize("name", list(discover.entries("channel")))
def test_the_gradient_reaches_the_encoder_through_every_channel(name):
    channel = discover.find("channel", name).load()()
    users = 1 if channel.medium.access == "orthogonal" else 2
    system = deepjscc.build(1 / 16, weights="none")
    images = torch.rand(users, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    delivery = Link(system, channel).deliver(Sample(images), 10.0, list(range(users)), users)
    (delivery.reception.images - images).square().mean().backward()
    for parameter in (system.transmitter.encoder.linear.weight, system.transmitter.encoder.leave.weight):
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0


def test_rows_do_not_depend_on_their_batch(photos):
    link = Link(deepjscc.build(1 / 16), rayleigh.build(coherence_uses=16))
    with torch.inference_mode():
        together = link.deliver(photos, torch.tensor([0.0, 10.0, 20.0]), [1, 2, 3]).reception.images
        alone = link.deliver(Sample(photos.images[1:2]), 10.0, [2]).reception.images
    assert (together[1:2] - alone).abs().max() < 1e-5


# --- symbol order --------------------------------------------------------------------------------------------------


def received(symbols, noise_var):
    uses = torch.full((len(symbols),), symbols.shape[1])
    return Received(symbols, noise_var, uses, uses.float(), torch.ones_like(symbols)[:, None])


@pytest.mark.parametrize("uses", [1, 7, 30, 60])
def test_from_symbols_inverts_to_symbols_and_gives_the_snr(uses):
    generator = torch.Generator().manual_seed(3)
    latent = torch.randn(2, 8, 3, 5, generator=generator)
    symbols = to_symbols(latent, uses)
    assert torch.allclose(symbols.abs().square().mean(1), torch.ones(2), atol=1e-5)
    noise_var = torch.rand(2, uses, generator=generator) + 0.1
    values, snr = from_symbols(received(symbols, noise_var), (8, 3, 5))
    sent = snr > 0
    assert sent.flatten(1).sum(1).tolist() == [2 * uses] * 2
    assert (values[~sent] == 0).all()
    scale = (latent * sent).square().sum((1, 2, 3)) / (2 * uses)  # mean over the sent latents
    assert torch.allclose(values, latent * sent / scale.sqrt()[:, None, None, None], atol=1e-5)
    assert sorted(snr[sent].tolist()) == sorted((1 / noise_var).repeat_interleave(2, 1).flatten().tolist())


def test_fewer_uses_send_the_first_latent_channels():
    positions = 100
    for reals in (100, 250, 4000):
        entries = sent_entries(48, positions, reals)
        assert len(entries.unique()) == reals
        counts = torch.bincount(entries // positions, minlength=48)
        whole = reals // positions
        assert (counts[:whole] == positions).all()
        assert counts[whole:].sum() == reals - whole * positions


def test_a_fade_affects_all_latent_channels_equally():
    """A fade of 64 uses covers 128 of 24 x 192 latents: hypergeometric in each channel, mean 5.33, variance 4.97."""
    channels = (sent_entries(48, 192, 24 * 192) // 192).view(-1, 128)
    counts = torch.stack([torch.bincount(fade, minlength=24) for fade in channels]).double()
    variance = 128 / 24 * (1 - 1 / 24) * (1 - 128 / (24 * 192))
    assert abs(counts.var() / variance - 1) < 5 * (2 / counts.numel()) ** 0.5
    assert counts.max() < 5.33 + 6 * variance**0.5


def test_latents_past_the_end_of_a_row_have_snr_zero():
    symbols = torch.ones(1, 10, dtype=torch.complex64)
    noise_var = torch.full((1, 10), 0.5)
    noise_var[:, 6:] = 0  # channels report noise variance 0 past the end of a row
    _, snr = from_symbols(received(symbols, noise_var), (4, 2, 4))
    assert snr.isfinite().all()
    assert (snr > 0).sum() == 12


# --- networks ------------------------------------------------------------------------------------------------------


def test_untrained_networks_are_the_color_dct_and_its_inverse(photos):
    """With all 192 functions and no noise, the decoder inverts the encoder, up to the scale of the symbols."""
    encoder, decoder = Encoder(192, 96, 16, 0, 0), Decoder(192, 96, 16, 0, 0)
    for levels in (encoder.power, decoder.noise, decoder.level):
        torch.nn.init.zeros_(levels.out.weight)
    conditions = torch.zeros(3, 2)
    with torch.inference_mode():
        decoder.leave.bias.zero_()
        encoder.leave.bias.zero_()
        latent = encoder(photos.images, conditions)
        restored = decoder(latent, torch.full_like(latent, 1e9), conditions)
    scale = color_dct(192)[1].mean().sqrt()  # scale of the symbols for images that follow the model
    assert torch.allclose((restored - 0.5) / scale, photos.images - 0.5, atol=1e-4)


def test_psnr_of_the_bundled_network_increases_gradually_with_snr(photos):
    """PSNR increases with the SNR by at most 2 dB per step of 2 dB."""
    link = Link(deepjscc.build(1 / 16), awgn.build())
    curve = []
    with torch.inference_mode():
        for snr_db in range(-6, 23, 2):
            curve.append(psnr(link.deliver(photos, float(snr_db), [1, 2, 3])).mean().item())
    steps = torch.tensor(curve).diff()
    assert (steps > -0.05).all(), curve
    assert (steps < 2.0).all(), curve
    assert curve[-1] - curve[2] > 4


def test_psnr_of_the_bundled_network_increases_with_the_rate(photos):
    with torch.inference_mode():
        means = [
            psnr(Link(deepjscc.build(cbr), awgn.build()).deliver(photos, 10.0, [1, 2, 3])).mean().item()
            for cbr in (1 / 96, 1 / 48, 1 / 24, 1 / 16, 1 / 12, 1 / 8)
        ]
    assert (torch.tensor(means).diff() > 0.2).all(), means


def test_rows_name_the_weights():
    assert deepjscc.build(1 / 16).weights.startswith("deepjscc@")
    assert deepjscc.build(1 / 16, weights="none").weights == "none"
