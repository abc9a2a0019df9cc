"""Multimodal generation over a channel: received features, outages, users and image sizes."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from small_system import TEXTS, FixedImages, build_small, deliver

from channels import awgn, broadcast, rayleigh, tdl, uplink
from channels.errors import UsageError
from channels.rng import Rng
from semcom import contract
from semcom.link import Link
from semcom.system import Sample
from semcom.systems.multimodal_generation.words import CLASSES, sentence


@pytest.mark.parametrize("streams", [("analog", "analog"), ("digital", "caption"), ("analog", "digital")])
def test_features_are_received_correctly_at_high_snr(networks, photos, streams):
    generator = FixedImages(photos)
    system = build_small(networks, generator, image_stream=streams[0], text_stream=streams[1])
    delivery = deliver(system, photos[:2], snr_db=40.0)
    expected = networks.features(photos[:2]), 8**0.5 * networks.clip.text_features(TEXTS[:2])
    for received, right in zip(generator.received[0], expected, strict=True):
        bound = 2 * received.noise_var + 1e-4
        assert ((received.values - right).square().mean(1) < bound.mean(1) + 0.02).all()
        assert (received.noise_var < 0.02).all()
    allocation = system.transmitter.agreement.allocate((128, 128))
    assert delivery.uses.tolist() == [allocation.total] * 2
    coded = sum(stream != "analog" for stream in streams)
    blocks = delivery.reception.blocks
    assert (blocks is None and not coded) or blocks.tolist() == [coded] * 2


def test_the_class_is_received_at_low_snr(networks, photos):
    generator = FixedImages(photos)
    system = build_small(networks, generator, image_stream="none", text_stream="class")
    delivery = deliver(system, photos[:2], snr_db=-10.0, categories=torch.tensor([3, 9]))
    image, text = generator.received[0]
    assert image.noise_var.isinf().all()
    assert not text.noise_var.any()
    names = networks.clip.text_features([sentence(CLASSES[3]), sentence(CLASSES[9])])
    torch.testing.assert_close(text.values, names * 8**0.5)
    assert not delivery.reception.outage.any()
    with pytest.raises(UsageError, match="0 to 9, not 10"):
        deliver(system, photos[:1], categories=torch.tensor([10]))


def test_decoding_failures_are_reported(networks, photos):
    generator = FixedImages(photos)
    system = build_small(networks, generator, image_stream="digital", text_stream="caption")
    delivery = deliver(system, photos[:2], snr_db=-30.0)
    for received in generator.received[0]:
        assert received.noise_var.isinf().all()
        assert not received.values.any()
    assert delivery.reception.outage.all()
    assert delivery.reception.block_errors.tolist() == delivery.reception.blocks.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("image", "text", "cbr"),
    [
        ("digital", "caption", 0.0005),
        ("digital", "none", 0.0005),
        ("none", "caption", 0.0005),
        ("none", "class", 0.0005),
        ("analog", "analog", 1e-6),
    ],
)
def test_streams_that_do_not_fit_are_an_outage(networks, photos, image, text, cbr):
    system = build_small(networks, FixedImages(photos), cbr=cbr, image_stream=image, text_stream=text)
    delivery = deliver(system, photos[:2], snr_db=40.0, categories=torch.tensor([3, 9]))
    assert not delivery.uses.any()
    assert delivery.reception.outage.all()
    assert delivery.reception.blocks is None


def test_one_stream_that_does_not_fit_is_no_outage(networks, photos):
    def received(image):
        system = build_small(networks, FixedImages(photos), cbr=0.002, image_stream=image, text_stream="class")
        assert not system.transmitter.agreement.allocate((128, 128)).text
        return deliver(system, photos[:2], snr_db=40.0, categories=torch.tensor([3, 9])).reception

    assert received("analog").outage is None
    digital = received("digital")
    assert not digital.outage.any()
    assert (digital.blocks.tolist(), digital.block_errors.tolist()) == ([1, 1], [0, 0])


def test_an_image_without_a_caption_is_described_by_words(networks, photos):
    sample, snr_db = Sample(photos[:1]), torch.tensor([5.0])

    def text(transmitter, sample):
        return transmitter.encode(sample, snr_db, Rng([1])).truth["description"]

    words = networks.clip.best_words(photos[:1])
    assert text(build_small(networks).transmitter, sample) == words
    transmitter = build_small(networks, description="words").transmitter
    assert text(transmitter, replace(sample, captions=TEXTS[:1])) == words


@pytest.mark.parametrize(
    "name",
    [
        "draws_do_not_depend_on_the_batch",
        "receiver_needs_only_received_symbols",
        "symbols_have_unit_mean_energy",
        "counted_uses_stay_within_the_budget",
        "transmitted_uses_stay_within_the_budget",
    ],
)
def test_coded_streams_have_the_contract_properties(networks, name):
    (check,) = (check for check in contract.SYSTEM_PROPERTIES if check.__name__ == name)
    build = partial(build_small, networks, image_stream="digital", text_stream="caption")
    assert check(contract.Trial(lambda cbr: build(cbr=cbr), 64, 1 / 16)) is None


@pytest.mark.parametrize(
    "channel", [awgn.build(), rayleigh.build(), tdl.build(csi="ls")], ids=["awgn", "rayleigh", "tdl"]
)
def test_users_on_orthogonal_channels_are_independent(networks, photos, channel):
    together = deliver(build_small(networks), photos[:3], users=3, channel=channel)
    for user in range(3):
        alone = deliver(build_small(networks), photos[user : user + 1], channel=channel, first=user)
        assert together.medium_uses.tolist() == [3 * int(alone.medium_uses[0])] * 3
        row = slice(user, user + 1)
        torch.testing.assert_close(together.reception.images[row], alone.reception.images, atol=1e-5, rtol=0)
        torch.testing.assert_close(together.reception.scores[row], alone.reception.scores, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("channel", "sources"),
    [(uplink.build(antennas=16), [0, 1, 2]), (broadcast.build(fading="rayleigh"), [0, 0, 0])],
    ids=["uplink", "broadcast"],
)
def test_each_user_receives_its_features_with_the_reported_noise(networks, photos, channel, sources):
    media, generator = 10, FixedImages(photos)
    sample = Sample(photos[:3].repeat(media, 1, 1, 1), captions=TEXTS * media)
    Link(build_small(networks, generator), channel).deliver(sample, 15.0, list(range(3 * media)), users=3)
    with torch.no_grad():
        images = networks.features(photos[sources])
        texts = networks.clip.text_features([sentence(TEXTS[row]) for row in sources]) * networks.clip.dimension**0.5
    for received, expected in zip(generator.received[0], (images, texts), strict=True):
        normal = (received.values - expected.repeat(media, 1)) / received.noise_var.sqrt()
        variance = normal.square().unflatten(0, (media, 3)).mean((0, 2))
        tolerance = 6 * (2 / (media * expected.shape[1])) ** 0.5
        torch.testing.assert_close(variance, torch.ones(3), atol=tolerance, rtol=0)


def test_images_are_returned_in_their_own_size(networks, photos):
    delivery = deliver(build_small(networks), photos[:1, :, :72, :101])
    assert delivery.reception.images.shape == (1, 3, 72, 101)
    assert delivery.reception.candidates.shape == (1, 2, 3, 72, 101)
