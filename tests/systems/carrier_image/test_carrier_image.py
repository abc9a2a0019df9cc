"""Carrier images: transmitted symbols, decoded messages and images, and message errors."""

import math

import pytest
import torch
from delivering import deliver, rate
from torch import nn

from channels import awgn, rayleigh
from channels.errors import UsageError
from channels.modem.transport_block import Mcs, decode, encode
from channels.rng import Rng
from semcom.images.sources import load
from semcom.metrics.metric import measure
from semcom.system import Sample, uses_for
from semcom.systems import carrier_image, deepjscc, harmonic_inpainting, multiplexed_message
from semcom.systems.carrier_image.agreement import random_masks
from semcom.systems.carrier_image.autoencoder import MaskedAutoencoder, TileDecoder, TileEncoder
from semcom.systems.carrier_image.networks import Networks
from semcom.systems.carrier_image.receiver import ERASED_BIT
from semcom.systems.carrier_image.symbols import from_symbols, to_symbols


@pytest.fixture(scope="module")
def photos():
    return torch.stack([image.pixels for image in load("photos", 3, size=128)])


@pytest.fixture(scope="module")
def networks():
    """Untrained networks: linear code and harmonic inpainting."""
    torch.random.default_generator.manual_seed(0)
    return Networks().eval().requires_grad_(False)


class NoNetworks(MaskedAutoencoder):
    """Replacement of the networks for tests of bits: constant latents, gray images."""

    tile, patches, latents, extra_tokens, requires_all_latents = 128, 256, 96, 0, False

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Latents(), Gray()


class Latents(TileEncoder):
    def forward(self, images, visible):
        return torch.linspace(-1, 1, visible.shape[1] * 96).view(1, -1, 96).repeat(len(images), 1, 1)


class Gray(TileDecoder):
    def forward(self, latents, noise_var, visible):
        return torch.full((len(latents), 3, 128, 128), 0.5)

    def decode_without_mask(self, latents, noise_var):
        return torch.full((len(latents), 3, 128, 128), 0.5)


# --- transmitter ----------------------------------------------------------------------------------------------------


def test_masked_patches_are_not_transmitted(networks, photos):
    """With the same message, changing every masked pixel changes no symbol."""
    system = carrier_image.build_from_networks(networks, cbr=1 / 8)
    message = torch.randint(2, (1, 251), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    mask = torch.from_numpy(system.transmitter.agreement.code.embed(message.numpy()))
    pixels = nn.functional.interpolate(mask.float().view(1, 1, 16, 16), scale_factor=8.0)
    other = torch.where(pixels > 0, torch.rand(1, 3, 128, 128), photos[:1])
    symbols = [
        system.transmitter.encode(Sample(images, message=message), torch.tensor([10.0]), Rng([1])).symbols
        for images in (photos[:1], other)
    ]
    assert torch.equal(*symbols)


@pytest.mark.parametrize(("visible_ratio", "bits"), [(0.75, 203), (0.5, 251), (0.25, 203), (0.1, 117), (0.05, 71)])
def test_message_is_decoded_at_every_mask_ratio(networks, photos, visible_ratio, bits):
    system = carrier_image.build_from_networks(networks, cbr=1 / 8, visible_ratio=visible_ratio)
    message = torch.randint(2, (3, bits), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    delivery = deliver(system, photos, message=message)
    assert torch.equal(delivery.reception.message, message)
    assert measure("message_bits", delivery).tolist() == [bits] * 3
    assert rate("message_success_rate", delivery) == 1


@pytest.mark.parametrize("mask_code", ["bitmap", "index_list", "enumerative"])
def test_channel_uses_follow_from_the_length_of_the_mask_code(networks, photos, mask_code):
    system = carrier_image.build_from_networks(networks, cbr=1 / 4, visible_ratio=0.25, mask_code=mask_code)
    delivery = deliver(system, photos[:1])
    assert rate("message_ber", delivery) == 0
    bits = {"bitmap": 256, "index_list": 64 * 8, "enumerative": 204}[mask_code]
    digital = math.ceil((10 + bits + 16) / 0.5)  # scale, mask, CRC; QPSK at rate 1/4
    assert delivery.uses.tolist() == [digital + 64 * 96 // 2]


def test_bit_per_patch_sends_the_visible_patches(networks, photos):
    system = carrier_image.build_from_networks(networks, cbr=1 / 8, mapping="bit_per_patch")
    message = torch.zeros(3, 256, dtype=torch.uint8)
    message[1] = 1  # no patch is visible
    message[2, ::4] = 1
    delivery = deliver(system, photos, message=message)
    assert torch.equal(delivery.reception.message, message)
    digital = math.ceil((10 + 256 + 16) / 0.5)
    assert delivery.uses.tolist() == [6144, digital, 6144]
    scores = measure("psnr", delivery)
    assert scores[1] < scores[2] < scores[0]


def test_channel_uses_are_limited_by_budget_and_latents(networks, photos):
    for cbr in (1 / 32, 1 / 16, 1 / 4):
        delivery = deliver(carrier_image.build_from_networks(networks, cbr=cbr, visible_ratio=0.25), photos[:1])
        full = math.ceil((10 + 204 + 16) / 0.5) + 64 * 96 // 2
        assert delivery.uses.tolist() == [min(uses_for(cbr, (128, 128)), full)]


def test_masks_are_detected_when_all_tokens_are_sent(networks, photos):
    visible, full = (
        deliver(
            carrier_image.build_from_networks(networks, cbr=1 / 2, visible_ratio=0.25, sent_tokens=sent_tokens), photos
        )
        for sent_tokens in ("visible", "all")
    )
    assert rate("message_ber", full) == 0
    header = math.ceil((10 + 11) / 0.5)
    assert full.uses.tolist() == [header + 256 * 96 // 2] * 3
    assert (visible.uses < 0.3 * full.uses).all()


def test_message_length_is_proportional_to_the_number_of_tiles(networks):
    system = carrier_image.build_from_networks(networks, cbr=1 / 8)
    delivery = deliver(system, torch.rand(1, 3, 200, 300))
    assert delivery.reception.message.shape == (1, 6 * 251)
    assert rate("message_ber", delivery) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cbr": 0.001}, "raise cbr to"),
        ({"cbr": 0.125, "visible_ratio": 1.5}, "visible_ratio must be 0 to 1"),
        ({"cbr": 0.125, "visible_ratio": 0.0}, "must leave 1 or more"),
        ({"cbr": 0.125, "visible_ratio": 1.0}, "a message requires 1 or more masked"),
        ({"cbr": 0.125, "mapping": "bit_per_patch", "mask_code": "index_list"}, "bitmap"),
        ({"cbr": 0.125, "mapping": "bit_per_patch", "sent_tokens": "all"}, "constant_weight"),
        ({"cbr": 0.125, "mapping": "bit_per_patch", "mask": "random"}, "constant_weight"),
    ],
)
def test_wrong_arguments(networks, photos, arguments, message):
    with pytest.raises(UsageError, match=message):
        deliver(carrier_image.build_from_networks(networks, **arguments), photos[:1])


def test_message_of_another_length_is_an_error(networks, photos):
    with pytest.raises(UsageError, match="hold 251 bits, the message has 250"):
        deliver(carrier_image.build_from_networks(networks), photos[:1], message=torch.zeros(1, 250, dtype=torch.uint8))


# --- receiver -------------------------------------------------------------------------------------------------------


def test_header_failure_is_an_outage_and_erases_the_message(networks, photos):
    delivery = deliver(carrier_image.build_from_networks(networks), photos, snr_db=-12.0)
    assert delivery.reception.outage.all()
    assert (delivery.reception.message == ERASED_BIT).all()
    assert rate("message_ber", delivery) == 1
    assert rate("message_success_rate", delivery) == 0
    assert rate("outage", delivery) == 1


def test_decoding_without_mask_is_better_than_mid_gray(networks, photos):
    visible = torch.from_numpy(~random_masks(Rng([1, 2, 3]), 1, 256, 128)).nonzero()[:, 1].view(3, 128)
    symbols, _ = to_symbols(networks.encoder(photos, visible), uses=6144)
    latents, noise_var = from_symbols(symbols, torch.full((3, 6144), 0.5), torch.ones(3), 128, 96)
    estimate = networks.decoder.decode_without_mask(latents, noise_var)
    assert ((estimate - photos).square().mean((1, 2, 3)) < 0.9 * (photos - 0.5).square().mean((1, 2, 3))).all()


def test_message_failure_rate_equals_the_block_error_rate_of_the_modem():
    """A message is not received exactly when the CRC fails, without undetected errors."""
    system = carrier_image.build_from_networks(NoNetworks(), cbr=1 / 64)
    rows, digital, mcs = 600, system.transmitter.agreement.digital_uses((128, 128)), Mcs(2, 0.25)
    delivery = deliver(system, torch.zeros(rows, 3, 128, 128), snr_db=-3.2)
    lost = delivery.reception.outage
    assert 0.02 < float(lost.float().mean()) < 0.98
    wrong = (delivery.reception.message != delivery.truth["message"]).any(1)
    assert torch.equal(wrong, lost)

    payload = torch.randint(2, (rows, 10 + 252), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    symbols = encode(payload, mcs, digital)[:, None]
    uses, snr_db = torch.full((rows, 1), digital), torch.full((rows, 1), -3.2)
    received = awgn.build().carry(symbols, uses, snr_db, Rng(range(10_000, 10_000 + rows))).fold()
    modem = ~decode(received.symbols, received.noise_var, mcs, 10 + 252).ok
    shares = [float(each.float().mean()) for each in (lost, modem)]
    pooled = sum(shares) / 2
    assert abs(shares[0] - shares[1]) < 4 * math.sqrt(2 * pooled * (1 - pooled) / rows)


def test_deep_fades_give_finite_images(networks, photos):
    delivery = deliver(
        carrier_image.build_from_networks(networks), photos.repeat(4, 1, 1, 1), 0.0, channel=rayleigh.build()
    )
    assert delivery.reception.images.isfinite().all()
    assert 0 < float(delivery.reception.outage.float().mean()) < 1


def test_masks_without_message_and_best_of_64(networks, photos):
    for mask in ("random", "best_of_64"):
        delivery = deliver(carrier_image.build_from_networks(NoNetworks(), mask=mask, visible_ratio=0.1), photos[:1])
        assert delivery.reception.message is None
        assert rate("outage", delivery) == 0
    transmitter = carrier_image.build_from_networks(networks, mask="best_of_64", visible_ratio=0.1).transmitter
    masks = random_masks(Rng([5]), 6, 256, 230)
    best = transmitter.best(photos[0], masks)

    def error(mask):
        visible = torch.from_numpy(~mask).nonzero()[:, 0][None]
        latents = networks.encoder(photos[:1], visible)
        return float((networks.decoder(latents, torch.zeros_like(latents), visible) - photos[:1]).square().mean())

    assert error(best) <= min(error(mask) for mask in masks) + 1e-6


def test_harmonic_inpainting_uses_the_random_masks_of_carrier_image(networks, photos):
    """Without noise and training, the system is harmonic inpainting of linearly coded visible patches."""
    bound = deliver(harmonic_inpainting.build(cbr=1 / 4), photos)
    system = deliver(carrier_image.build_from_networks(networks, cbr=1 / 4, mask="random"), photos, snr_db=60.0)
    assert (measure("psnr", bound) - measure("psnr", system)).abs().max() < 1


@pytest.mark.parametrize(
    ("build", "arguments", "words"),
    [
        (multiplexed_message.build, {"code_rate": 1e-30}, "raise cbr or code_rate"),
        (multiplexed_message.build, {"bits": 10**6}, "a message of 1000000 bits requires"),
        (carrier_image.build, {"weights": "none", "visible_ratio": math.inf}, "visible_ratio must be 0 to 1"),
    ],
)
def test_extreme_arguments_are_refused(photos, build, arguments, words):
    with pytest.raises(UsageError, match=words):
        deliver(build(cbr=1 / 8, **arguments), photos)


def test_multiplexed_message_leaves_the_remaining_uses_to_the_image(photos):
    system = multiplexed_message.build(cbr=1 / 8, image_system="deepjscc", bits=203, weights="none")
    high, low = (deliver(system, photos, snr_db=snr_db) for snr_db in (10.0, -12.0))
    assert high.uses.tolist() == [6144] * 3
    assert rate("message_ber", high) == 0
    assert rate("message_ber", low) == 1
    digital = math.ceil((203 + 16) / 0.5)
    alone = deliver(deepjscc.build(cbr=(6144 - digital) / 49152, weights="none"), photos, snr_db=60.0)
    multiplexed = deliver(system, photos, snr_db=60.0)
    torch.testing.assert_close(multiplexed.reception.images, alone.reception.images, atol=0.02, rtol=0)
