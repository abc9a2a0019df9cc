"""The scene link: packets, label maps, class colors, transmission, arguments, delay and metrics."""

import io
import math

import pytest
import torch
from PIL import Image

from channels import awgn
from channels.errors import UsageError
from channels.modem.link_adaptation import Frame
from channels.modem.transport_block import Mcs
from channels.rng import Rng
from semcom.images import streets
from semcom.images.files import to_pil
from semcom.images.street_classes import CITYSCAPES_TO_CAMVID, CLASSES, IGNORED, StreetClass
from semcom.link import Link
from semcom.system import Sample, uses_for
from semcom.systems import scene
from semcom.systems.scene import delay, metrics, packets
from semcom.systems.scene.agreement import (
    COLOR_BYTES,
    Agreement,
    decode_colors,
    decode_map,
    downsample,
    encode_colors,
    encode_map,
)
from semcom.systems.scene.class_colors import MEANS, fill_with_class_colors
from semcom.weights.files import seeded

SIZE = (96, 128)
FRAME = Frame((Mcs(2, 0.5),))


@pytest.fixture(scope="module")
def sample():
    scenes = [streets.render_street(seed, SIZE) for seed in (1, 2)]
    images = torch.stack([torch.from_numpy(d.pixels).permute(2, 0, 1).float() / 255 for d in scenes])
    return Sample(images, labels=torch.stack([torch.from_numpy(d.labels).long() for d in scenes]))


class TrueLabels:
    """Segmentation network that returns the true labels of a sample's images."""

    def __init__(self, sample):
        self.sample = sample

    def labels(self, images):
        return torch.stack([self._of(image) for image in images])

    def _of(self, image):
        return next(m for x, m in zip(self.sample.images, self.sample.labels, strict=True) if torch.equal(x, image))


def link(sample, cbr=1 / 8, **arguments):
    system = scene.build(cbr=cbr, **{"weights": "none", "restorer": "class_colors"} | arguments)
    system.transmitter.segmenter = TrueLabels(sample)
    return Link(system, awgn.build())


# --- packets --------------------------------------------------------------------------------------------------------


def _slices(rng, count):
    return [bytes(rng.integers(0, 256, int(rng.integers(1, 200)))) for _ in range(count)]


@pytest.mark.parametrize("first", [b"", b"colors"])
def test_a_lost_packet_loses_exactly_its_slices(first):
    import numpy as np

    rng = np.random.default_rng(0)
    for _ in range(200):
        slices = _slices(rng, int(rng.integers(1, 9)))
        stream = len(first) + sum(len(packets.with_length(piece)) for piece in slices)
        count, size = int(rng.integers(1, 7)), 3 + int(rng.integers(8, 150))
        if packets.payload_bytes(count, size) < stream:
            continue
        packed = packets.pack(first, slices, 4, count, size)
        assert {len(packet) for packet in packed} == {size}
        assert packets.unpack(packed) == slices
        lost = rng.random(count) < 0.4
        received = [None if missing else packet for missing, packet in zip(lost, packed, strict=True)]
        start, expected = len(first), []
        for piece in slices:
            end = start + len(packets.with_length(piece))
            if not lost[start // (size - 3) : (end - 1) // (size - 3) + 1].any():
                expected.append(piece)
            start = end
        assert packets.unpack(received) == expected
        assert packets.downsampling_of(received) == (None if lost.all() else 4)
        assert packets.colors_of(received, 6) == (b"colors" if first and not lost[0] else None)


def test_random_packets_are_rejected_without_an_error():
    import numpy as np

    rng = np.random.default_rng(1)
    agreement = Agreement(1 / 8, FRAME, 4, True)
    for _ in range(300):
        received = [bytes(rng.integers(0, 256, 40)) for _ in range(4)]
        found = decode_map(packets.unpack(received), agreement, SIZE, packets.downsampling_of(received))
        assert (found == IGNORED).all()  # a slice passes its CRC with probability 2e-10


# --- maps and colors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (37, 53)])
@pytest.mark.parametrize("downsampling", [1, 2, 8])
def test_map_coding_is_lossless_up_to_downsampling(size, downsampling):
    agreement = Agreement(1 / 8, FRAME, 4, False)
    labels = torch.randint(0, len(CLASSES), size)
    found = decode_map(encode_map(labels, agreement, downsampling), agreement, size, downsampling)
    expected = downsample(labels, downsampling).repeat_interleave(downsampling, 0).repeat_interleave(downsampling, 1)
    assert torch.equal(found, expected[: size[0], : size[1]])
    if downsampling == 1:
        assert torch.equal(found, labels)


def test_class_colors_are_quantized_to_five_bits():
    colors = torch.rand(len(CLASSES), 3)
    data = encode_colors(colors)
    assert len(data) == COLOR_BYTES == 21
    assert (decode_colors(data) - colors).abs().max() <= 0.5 / 31 + 1e-6


def test_the_class_color_restorer_uses_received_colors_or_mean_colors():
    labels = torch.tensor([[[0, IGNORED]], [[0, IGNORED]]])
    class_colors = torch.full((2, len(CLASSES), 3), 0.25)
    images = fill_with_class_colors(labels, class_colors, torch.tensor([True, False]))
    assert torch.allclose(images[0, :, 0, 0], torch.tensor(0.25))
    assert torch.allclose(images[1, :, 0, 0], torch.tensor(MEANS[0]) / 255)
    assert torch.allclose(images[:, :, 0, 1], torch.tensor(128 / 255))


# --- the link -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [{}, {"send_class_colors": True, "packets": 1}, {"adaptation": "fixed", "modulation": "16qam", "code_rate": 0.5}],
)
def test_a_map_is_received_without_loss_within_the_channel_use_budget(sample, arguments):
    delivery = link(sample, **arguments).deliver(sample, 15.0, [1, 2])
    assert torch.equal(delivery.reception.labels, sample.labels)
    assert not delivery.reception.outage.any()
    budget = uses_for(1 / 8, SIZE)
    assert ((budget - 8 < delivery.uses) & (delivery.uses <= budget)).all()
    assert (delivery.truth["downsampling"] == 1).all()


def test_class_colors_reduce_the_error_of_a_dark_scene(sample):
    dark = Sample(sample.images * 0.3, labels=sample.labels)
    errors = [
        (link(dark, send_class_colors=send).deliver(dark, 15.0, [1, 2]).reception.images - dark.images).square().mean()
        for send in (False, True)
    ]
    assert errors[1] < 0.2 * errors[0]


def test_fewer_channel_uses_increase_the_downsampling_until_nothing_fits(sample):
    downsampling, accuracy = [], []
    for cbr in (1 / 8, 1 / 32, 1 / 64):
        delivery = link(sample, cbr=cbr).deliver(sample, 5.0, [1, 2])
        downsampling.append(float(delivery.truth["downsampling"].float().mean()))
        accuracy.append(float((delivery.reception.labels == sample.labels).float().mean()))
    assert downsampling == sorted(downsampling)
    assert downsampling[-1] > downsampling[0] == 1
    assert accuracy == sorted(accuracy, reverse=True)
    assert accuracy[-1] > 0.7
    nothing = link(sample, cbr=1 / 400).deliver(sample, 5.0, [1, 2])
    assert nothing.uses.tolist() == [0, 0]
    assert nothing.reception.outage.all()
    assert (nothing.reception.labels == IGNORED).all()


def test_a_downsampled_map_uses_a_more_robust_scheme(sample):
    full, downsampled = (link(sample, cbr=1 / 16, downsampling=factor) for factor in (1, 4))
    plans = [
        one.system.transmitter._plan(sample.labels[0], torch.zeros(len(CLASSES), 3), 12.0, uses_for(1 / 16, SIZE))
        for one in (full, downsampled)
    ]
    assert [plan.downsampling for plan in plans] == [1, 4]
    assert plans[1].scheme < plans[0].scheme
    whole, small = (one.deliver(sample, 12.0, [1, 2]).reception.labels for one in (full, downsampled))
    assert torch.equal(whole, sample.labels)
    assert torch.equal(small[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2), small)


def test_lost_packets_lose_only_their_bands(sample):
    arguments = {"adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5, "packets": 8}
    system = link(sample, **arguments).system
    with torch.no_grad():
        payload = system.transmitter.encode(sample, torch.zeros(2), Rng([1, 2]))
        snr_db = torch.full((2, 1), 12.0)
        received = awgn.build().carry(payload.symbols[:, None], payload.uses[:, None], snr_db, Rng([1, 2])).fold()
        uses = system.transmitter.agreement.packet_uses(payload.symbols.shape[1])
        order = scene.receiver.interleaver(8 * uses)
        received.symbols[0, order[2 * uses : 3 * uses]] = 0  # the third packet of the first row
        found = system.receiver.decode(received.for_receiver(), SIZE, Rng([3, 4]))
    lost = found.labels[0] == IGNORED
    assert torch.equal(found.labels[1], sample.labels[1])
    assert (lost.any(1) == lost.all(1)).all()
    assert 0 < lost.float().mean() < 0.6
    assert torch.equal(found.labels[0][~lost], sample.labels[0][~lost])
    assert found.block_errors.tolist() == [1, 0]
    assert not found.outage.any()
    assert torch.allclose(found.images[0][:, lost], torch.tensor(128 / 255))


def test_the_most_robust_scheme_that_fits_is_used(sample):
    plans = {
        snr_db: link(sample).system.transmitter._plan(
            sample.labels[0], torch.zeros(len(CLASSES), 3), snr_db, uses_for(1 / 8, SIZE)
        )
        for snr_db in (8.0, 20.0)
    }
    assert plans[8.0] == plans[20.0]


@pytest.mark.parametrize("restorer", ["gan", "cyclegan"])
def test_untrained_networks_deliver_images(sample, restorer):
    arguments = {"weights": "none", "restorer_weights": "none", "send_class_colors": restorer == "gan"}
    system = scene.build(cbr=1 / 8, restorer=restorer, **arguments)
    delivery = Link(system, awgn.build()).deliver(sample, 15.0, [1, 2])
    assert torch.equal(delivery.reception.labels, delivery.truth["labels"])
    assert system.weights == "none, none"


def test_empty_names_are_the_bundled_weights(monkeypatch):
    class Network(torch.nn.Identity):
        def labels(self, images):
            raise AssertionError("nothing is transmitted")

    names = []
    monkeypatch.setattr(
        "semcom.weights.files.rebuild", lambda name, system, make: (Network(), names.append(name) or name)
    )
    for restorer in ("gan", "cyclegan", "class_colors"):
        scene.build(cbr=1 / 8, restorer=restorer, weights="", restorer_weights="")
    assert names == ["scene_segmenter", "scene_restorer", "scene_segmenter", "scene_cyclegan", "scene_segmenter"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"packets": 0}, "packets"),
        ({"downsampling": 256}, "downsampling"),
        ({"downsampling": 3}, "one of 1, 2, 4, 8"),
        ({"adaptation": "fixed"}, "modulation and code_rate"),
        ({"adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5, "margin_db": 1.0}, "margin_db"),
        ({"modulation": "qpsk"}, "adaptation: fixed"),
        ({"restorer": "class_colors", "restorer_weights": "x"}, "class_colors has no weights"),
        ({"weights": "deepjscc"}, "belong to deepjscc"),
        ({"restorer": "cyclegan", "restorer_weights": "none", "send_class_colors": True}, "send_class_colors is for"),
        ({"restorer_weights": "scene_cyclegan"}, "restorer: gan requires weights such as scene_restorer"),
    ],
)
def test_contradictory_arguments_are_rejected(arguments, says):
    with pytest.raises(UsageError, match=says):
        scene.build(cbr=1 / 8, **{"weights": "none"} | arguments)


# --- preset base ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def segformer(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    names = dict(enumerate(CITYSCAPES_TO_CAMVID))
    config = transformers.SegformerConfig(
        num_encoder_blocks=4,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 8, 8],
        num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8,
        num_labels=len(names),
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    folder = tmp_path_factory.mktemp("segformer")
    with seeded(0):
        transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    return folder


def test_base_is_a_segformer_whose_classes_are_merged(segformer, sample):
    from semcom.systems.scene.segformer import load_segformer

    system = scene.build(cbr=1 / 8, preset="base", weights=str(segformer), restorer="class_colors")
    delivery = Link(system, awgn.build()).deliver(sample, 15.0, [1, 2])
    assert delivery.reception.labels.shape == sample.labels.shape
    network = load_segformer(str(segformer))
    with torch.no_grad():
        network.model.decode_head.classifier.weight.zero_()
        network.model.decode_head.classifier.bias.copy_(
            torch.tensor([0.0] * 13 + [1.0] + [0.0] * 5)
        )  # logits: car 1, other classes 0
        # four of the nineteen classes merge to car, probability (3 + e) / (18 + e); three to bicyclist, 3 / (18 + e)
        assert (network.labels(sample.images) == StreetClass.CAR).all()


def test_unsuitable_checkpoints_are_rejected(segformer, tmp_path):
    import json
    import shutil

    from semcom.systems.scene.segformer import load_segformer

    with pytest.raises(UsageError, match="no segmenter"):
        load_segformer(str(tmp_path / "nothing"))
    other = tmp_path / "other"
    shutil.copytree(segformer, other)
    config = json.loads((other / "config.json").read_text())
    config["id2label"]["0"] = "moon"
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="moon"):
        load_segformer(str(other))


# --- delay ----------------------------------------------------------------------------------------------------------


def test_the_demonstration_link_has_the_published_rate():
    demo = delay.PacketLink(acknowledgement_s=0.0)
    assert 8 * demo.file_bytes / demo.packet_s == pytest.approx(195e3, rel=0.01)
    assert demo.packets(2_139_228) == 10_091
    assert demo.transfer_s(20_863) == pytest.approx(99 * 8.688e-3)
    # each packet is transmitted 1 / (1 - p) times on average, for any window
    assert demo.transfer_s(212 * 50, 0.2) == pytest.approx(50 * demo.packet_s / 0.8)
    assert demo.transfer_s(0) == 0


def test_the_parts_of_a_delay_add_up_and_file_sizes_are_exact(sample):
    transfer_s = delay.PacketLink().transfer_s
    found = delay.delay_of_map(sample.images[0], TrueLabels(sample), fill_with_class_colors, transfer_s)
    assert found.total_s == found.segment_s + transfer_s(found.size_bytes) + found.restore_s
    assert min(found.segment_s, found.restore_s) > 0
    file = io.BytesIO()
    to_pil(sample.images[0]).save(file, format="PNG")
    photo = delay.delay_of_file(sample.images[0], transfer_s, "PNG")
    assert photo.size_bytes == len(file.getvalue()) > found.size_bytes
    assert photo.total_s == transfer_s(photo.size_bytes)
    assert delay.delay_of_file(sample.images[0], transfer_s, "WEBP", 10).size_bytes < photo.size_bytes
    assert Image.open(file).size == SIZE[::-1]


# --- metrics --------------------------------------------------------------------------------------------------------


def test_metrics_by_hand(sample, monkeypatch):
    delivery = link(sample).deliver(sample, 15.0, [1, 2])
    person = StreetClass.PEDESTRIAN

    class Evaluation(torch.nn.Module):
        """Returns the true labels of original images, and road for restored ones."""

        def labels(self, images):
            original = any(torch.equal(images[0], image) for image in sample.images)
            return TrueLabels(sample).labels(images) if original else torch.full((1, *SIZE), StreetClass.ROAD)

    monkeypatch.setattr(metrics, "_evaluation_network", lambda name: Evaluation())
    road = (sample.labels == StreetClass.ROAD).flatten(1).sum(1)
    both, either = metrics.label_map_miou(delivery)
    assert torch.equal(both, either)
    assert torch.equal(both.sum(1), (sample.labels != IGNORED).flatten(1).sum(1))
    both, either = metrics.miou_ceiling(delivery)
    assert torch.equal(both, either)
    both, either = metrics.miou(delivery)
    assert torch.equal(both[:, StreetClass.ROAD], road)
    assert (either[:, StreetClass.ROAD] == SIZE[0] * SIZE[1]).all()
    assert torch.equal(metrics.pixel_accuracy(delivery)[0], road)
    assert torch.equal(metrics.road_iou(delivery)[0], road)
    there = (sample.labels == person).flatten(1).sum(1) >= 30 / 4
    assert torch.equal(metrics.person_presence_accuracy(delivery)[0].bool(), ~there)
    raw, transmitted = metrics.compression_ratio(delivery)
    # transmitted bytes: the packets of one of the schemes, including padding, and the 7 bits of the header
    agreement, budget = link(sample).system.transmitter.agreement, uses_for(1 / 8, SIZE)
    possible = [4 * agreement.packet_bytes(budget, index) + 7 / 8 for index in range(len(agreement.frame.schemes))]
    assert set(transmitted.tolist()) <= set(possible)
    assert (transmitted > delivery.truth["map_bytes"]).all()
    assert (raw == 3 * SIZE[0] * SIZE[1]).all()
    png, _ = metrics.compression_ratio_to_png(delivery)
    assert ((transmitted < png) & (png < raw)).all()
    transfer_s = delay.PacketLink().transfer_s
    assert metrics.delay_s(delivery)[0].tolist() == [transfer_s(math.ceil(size)) for size in transmitted]
    assert metrics.compression_ratio(link(sample, cbr=1 / 400).deliver(sample, 5.0, [1, 2]))[1].tolist() == [0, 0]
