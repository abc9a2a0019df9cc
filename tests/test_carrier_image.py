"""Carrier images: what is sent, what comes back, and that the message costs no errors of its own."""

import math

import pytest
import torch
from delivering import deliver, rate
from torch import nn

from channels import awgn, rayleigh
from channels._errors import UsageError
from channels._rng import Rng
from channels.modem import Mcs, decode, encode
from semcom.images import load
from semcom.metrics import measure
from semcom.system import Sample, uses_for
from semcom.systems import bits_beside, carrier_image, deepjscc, harmonic_inpainting
from semcom.systems.carrier_image.agreement import random_masks
from semcom.systems.carrier_image.autoencoder import MaskedAutoencoder, TileDecoder, TileEncoder
from semcom.systems.carrier_image.networks import Networks
from semcom.systems.carrier_image.receiver import LOST
from semcom.systems.carrier_image.symbols import from_symbols, to_symbols


@pytest.fixture(scope="module")
def photos():
    return torch.stack([picture.pixels for picture in load("photos", 3, size=128)])


@pytest.fixture(scope="module")
def networks():
    """Untrained: the linear code, harmonic filling and nothing learned."""
    torch.random.default_generator.manual_seed(0)
    return Networks().eval().requires_grad_(False)


class NoNetworks(MaskedAutoencoder):
    """In place of the networks where only bits matter: latents of fixed numbers, grey pictures."""

    tile, patches, latents, extra, every_latent = 128, 256, 96, 0, False

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Latents(), Grey()


class Latents(TileEncoder):
    def forward(self, images, kept):
        return torch.linspace(-1, 1, kept.shape[1] * 96).view(1, -1, 96).repeat(len(images), 1, 1)


class Grey(TileDecoder):
    def forward(self, latents, noise_var, kept):
        return torch.full((len(latents), 3, 128, 128), 0.5)

    def guess(self, latents, noise_var):
        return torch.full((len(latents), 3, 128, 128), 0.5)


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_masked_patches_never_reach_the_air(networks, photos):
    """With the same message, changing every masked pixel leaves all symbols as they were."""
    system = carrier_image.system_around(networks, cbr=1 / 8)
    message = torch.randint(2, (1, 251), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    mask = torch.from_numpy(system.transmitter.agreement.code.embed(message.numpy()))
    pixels = nn.functional.interpolate(mask.float().view(1, 1, 16, 16), scale_factor=8.0)
    other = torch.where(pixels > 0, torch.rand(1, 3, 128, 128), photos[:1])
    sent = [
        system.transmitter.encode(Sample(images, message=message), torch.tensor([10.0]), Rng([1])).symbols
        for images in (photos[:1], other)
    ]
    assert torch.equal(*sent)


@pytest.mark.parametrize(("keep", "bits"), [(0.75, 203), (0.5, 251), (0.25, 203), (0.1, 117), (0.05, 71)])
def test_the_message_comes_back_at_every_mask_ratio(networks, photos, keep, bits):
    system = carrier_image.system_around(networks, cbr=1 / 8, keep=keep)
    message = torch.randint(2, (3, bits), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    delivery = deliver(system, photos, message=message)
    assert torch.equal(delivery.reception.message, message)
    assert measure("payload_bits", delivery).tolist() == [bits] * 3
    assert rate("payload_ok", delivery) == 1


@pytest.mark.parametrize("wire", ["bitmap", "list", "enumerative"])
def test_every_wire_form_carries_the_same_picture_at_its_own_price(networks, photos, wire):
    system = carrier_image.system_around(networks, cbr=1 / 4, keep=0.25, wire=wire)
    delivery = deliver(system, photos[:1])
    assert rate("payload_ber", delivery) == 0
    bits = {"bitmap": 256, "list": 64 * 8, "enumerative": 204}[wire]
    digital = math.ceil((10 + bits + 16) / 0.5)  # scale, mask, CRC; QPSK at rate 1/4
    assert delivery.uses.tolist() == [digital + 64 * 96 // 2]


def test_a_bit_per_patch_sends_what_the_bits_leave(networks, photos):
    system = carrier_image.system_around(networks, cbr=1 / 8, mapping="bit_per_patch")
    message = torch.zeros(3, 256, dtype=torch.uint8)
    message[1] = 1  # no patch at all is kept
    message[2, ::4] = 1
    delivery = deliver(system, photos, message=message)
    assert torch.equal(delivery.reception.message, message)
    digital = math.ceil((10 + 256 + 16) / 0.5)
    assert delivery.uses.tolist() == [6144, digital, 6144]
    scores = measure("psnr", delivery)
    assert scores[1] < scores[2] < scores[0]


def test_the_uses_are_the_grant_or_what_the_latents_fill(networks, photos):
    for cbr in (1 / 32, 1 / 16, 1 / 4):
        delivery = deliver(carrier_image.system_around(networks, cbr=cbr, keep=0.25), photos[:1])
        full = math.ceil((10 + 204 + 16) / 0.5) + 64 * 96 // 2
        assert delivery.uses.tolist() == [min(uses_for(cbr, (128, 128)), full)]


def test_a_full_sequence_needs_no_mask_and_is_found_again(networks, photos):
    sparse, full = (
        deliver(carrier_image.system_around(networks, cbr=1 / 2, keep=0.25, sequence=sequence), photos)
        for sequence in ("sparse", "full")
    )
    assert rate("payload_ber", full) == 0
    header = math.ceil((10 + 11) / 0.5)
    assert full.uses.tolist() == [header + 256 * 96 // 2] * 3
    assert (sparse.uses < 0.3 * full.uses).all()


def test_large_pictures_carry_more(networks):
    system = carrier_image.system_around(networks, cbr=1 / 8)
    delivery = deliver(system, torch.rand(1, 3, 200, 300))
    assert delivery.reception.message.shape == (1, 6 * 251)
    assert rate("payload_ber", delivery) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"cbr": 0.001}, "raise cbr to"),
        ({"cbr": 0.125, "keep": 1.5}, "keeps 384 of 256"),
        ({"cbr": 0.125, "keep": 0.0}, "keep one or more"),
        ({"cbr": 0.125, "keep": 1.0}, "mask one or more for a message"),
        ({"cbr": 0.125, "mapping": "bit_per_patch", "wire": "list"}, "bitmap"),
        ({"cbr": 0.125, "mapping": "bit_per_patch", "sequence": "full"}, "constant_weight"),
        ({"cbr": 0.125, "mapping": "bit_per_patch", "mask": "random"}, "constant weight"),
    ],
)
def test_what_cannot_be_is_said(networks, photos, arguments, says):
    with pytest.raises(UsageError, match=says):
        deliver(carrier_image.system_around(networks, **arguments), photos[:1])


def test_a_message_of_another_length_is_refused_with_the_right_one(networks, photos):
    with pytest.raises(UsageError, match="carry 251 bits, the message has 250"):
        deliver(carrier_image.system_around(networks), photos[:1], message=torch.zeros(1, 250, dtype=torch.uint8))


# --- what comes back ------------------------------------------------------------------------------------------------


def test_a_lost_mask_is_an_outage_that_loses_every_bit(networks, photos):
    delivery = deliver(carrier_image.system_around(networks), photos, snr_db=-12.0)
    assert delivery.reception.outage.all()
    assert (delivery.reception.message == LOST).all()
    assert rate("payload_ber", delivery) == 1
    assert rate("payload_ok", delivery) == 0
    assert rate("outage", delivery) == 1


def test_a_guess_without_places_is_better_than_grey(networks, photos):
    kept = torch.from_numpy(~random_masks(Rng([1, 2, 3]), 1, 256, 128)).nonzero()[:, 1].view(3, 128)
    symbols, _ = to_symbols(networks.encoder(photos, kept), uses=6144)
    latents, noise_var = from_symbols(symbols, torch.full((3, 6144), 0.5), torch.ones(3), 128, 96)
    guess = networks.decoder.guess(latents, noise_var)
    assert ((guess - photos).square().mean((1, 2, 3)) < 0.9 * (photos - 0.5).square().mean((1, 2, 3))).all()


def test_the_payload_adds_no_errors_to_those_of_the_modem():
    """A message is lost exactly when the CRC fails, is never wrong, and as often lost as the modem alone loses it."""
    system = carrier_image.system_around(NoNetworks(), cbr=1 / 64)
    rows, digital, mcs = 600, system.transmitter.agreement.digital_uses((128, 128)), Mcs(2, 0.25)
    delivery = deliver(system, torch.zeros(rows, 3, 128, 128), snr_db=-3.2)
    lost = delivery.reception.outage
    assert 0.02 < float(lost.float().mean()) < 0.98
    wrong = (delivery.reception.message != delivery.truth["message"]).any(1)
    assert torch.equal(wrong, lost)

    payload = torch.randint(2, (rows, 10 + 252), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    symbols = encode(payload, mcs, digital)[:, None]
    uses, snr_db = torch.full((rows, 1), digital), torch.full((rows, 1), -3.2)
    heard = awgn.build().carry(symbols, uses, snr_db, Rng(range(10_000, 10_000 + rows))).fold()
    modem = ~decode(heard.symbols, heard.noise_var, mcs, 10 + 252).ok
    shares = [float(each.float().mean()) for each in (lost, modem)]
    pooled = sum(shares) / 2
    assert abs(shares[0] - shares[1]) < 4 * math.sqrt(2 * pooled * (1 - pooled) / rows)


def test_a_deep_fade_is_survived(networks, photos):
    delivery = deliver(carrier_image.system_around(networks), photos.repeat(4, 1, 1, 1), 0.0, channel=rayleigh.build())
    assert delivery.reception.images.isfinite().all()
    assert 0 < float(delivery.reception.outage.float().mean()) < 1


def test_random_masks_carry_nothing_and_the_best_of_64_is_the_best(networks, photos):
    for mask in ("random", "best_of_64"):
        delivery = deliver(carrier_image.system_around(NoNetworks(), mask=mask, keep=0.1), photos[:1])
        assert delivery.reception.message is None
        assert rate("outage", delivery) == 0
    transmitter = carrier_image.system_around(networks, mask="best_of_64", keep=0.1).transmitter
    masks = random_masks(Rng([5]), 6, 256, 230)
    best = transmitter.best(photos[0], masks)

    def error(mask):
        kept = torch.from_numpy(~mask).nonzero()[:, 0][None]
        latents = networks.encoder(photos[:1], kept)
        return float((networks.decoder(latents, torch.zeros_like(latents), kept) - photos[:1]).square().mean())

    assert error(best) <= min(error(mask) for mask in masks) + 1e-6


def test_the_harmonic_bound_takes_the_masks_of_random_choice(networks, photos):
    """Without noise and training, the system is harmonic filling of what its linear code leaves of the kept patches."""
    bound = deliver(harmonic_inpainting.build(cbr=1 / 4), photos)
    system = deliver(carrier_image.system_around(networks, cbr=1 / 4, mask="random"), photos, snr_db=60.0)
    assert (measure("psnr", bound) - measure("psnr", system)).abs().max() < 1


def test_bits_beside_a_picture_need_no_mask_and_leave_it_the_rest(photos):
    system = bits_beside.build(cbr=1 / 8, picture="deepjscc", bits=203, weights="none")
    clear, hopeless = (deliver(system, photos, snr_db=snr_db) for snr_db in (10.0, -12.0))
    assert clear.uses.tolist() == [6144] * 3
    assert rate("payload_ber", clear) == 0
    assert rate("payload_ber", hopeless) == 1
    digital = math.ceil((203 + 16) / 0.5)
    alone = deliver(deepjscc.build(cbr=(6144 - digital) / 49152, weights="none"), photos, snr_db=60.0)
    beside = deliver(system, photos, snr_db=60.0)
    torch.testing.assert_close(beside.reception.images, alone.reception.images, atol=0.02, rtol=0)
