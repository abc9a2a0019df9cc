"""The scene link: what arrives of a label map, and what is made of it."""

import io
import math

import pytest
import torch
from PIL import Image

from channels import awgn
from channels._errors import UsageError
from channels._rng import Rng
from channels.modem import Mcs
from semcom import streets
from semcom.images import to_pil
from semcom.link import Link
from semcom.system import Sample, uses_for
from semcom.systems import scene
from semcom.systems.digital.schemes import Frame
from semcom.systems.scene import delay, measures, packets, wire
from semcom.systems.scene.classes import CLASSES, IGNORED
from semcom.systems.scene.palette import MEANS, painted
from semcom.weights import seeded

SIZE = (96, 128)
FRAME = Frame((Mcs(2, 0.5),))


@pytest.fixture(scope="module")
def sample():
    drawings = [streets.draw_street(seed, SIZE) for seed in (1, 2)]
    images = torch.stack([torch.from_numpy(d.pixels).permute(2, 0, 1).float() / 255 for d in drawings])
    return Sample(images, labels=torch.stack([torch.from_numpy(d.labels).long() for d in drawings]))


class Knows:
    """A segmenter that is always right about the pictures of a sample."""

    def __init__(self, sample):
        self.sample = sample

    def labels(self, images):
        return torch.stack([self._of(image) for image in images])

    def _of(self, image):
        return next(m for x, m in zip(self.sample.images, self.sample.labels, strict=True) if torch.equal(x, image))


def link(sample, cbr=1 / 8, **arguments):
    system = scene.build(cbr=cbr, **{"weights": "none", "restorer": "palette"} | arguments)
    system.transmitter.segmenter = Knows(sample)
    return Link(system, awgn.build())


# --- packets --------------------------------------------------------------------------------------------------------


def _slices(rng, count):
    return [bytes(rng.integers(0, 256, int(rng.integers(1, 200)))) for _ in range(count)]


@pytest.mark.parametrize("first", [b"", b"colours"])
def test_exactly_the_slices_that_no_lost_packet_touches_arrive(first):
    import numpy as np

    rng = np.random.default_rng(0)
    for _ in range(200):
        slices = _slices(rng, int(rng.integers(1, 9)))
        stream = len(first) + sum(len(packets.behind_its_length(piece)) for piece in slices)
        count, size = int(rng.integers(1, 7)), 3 + int(rng.integers(8, 150))
        if packets.room(count, size) < stream:
            continue
        sent = packets.pack(first, slices, 2, count, size)
        assert {len(packet) for packet in sent} == {size}
        assert packets.unpack(sent) == slices
        lost = rng.random(count) < 0.4
        heard = [None if gone else packet for gone, packet in zip(lost, sent, strict=True)]
        start, kept = len(first), []
        for piece in slices:
            end = start + len(packets.behind_its_length(piece))
            if not lost[start // (size - 3) : (end - 1) // (size - 3) + 1].any():
                kept.append(piece)
            start = end
        assert packets.unpack(heard) == kept
        assert packets.coarseness_of(heard) == (None if lost.all() else 2)
        assert packets.head_of(heard, 7) == (b"colours" if first and not lost[0] else None)


def test_noise_in_packets_is_no_crash():
    import numpy as np

    rng = np.random.default_rng(1)
    agreement = wire.Wire(1 / 8, FRAME, 4, True)
    for _ in range(300):
        heard = [bytes(rng.integers(0, 256, 40)) for _ in range(4)]
        found = wire.map_of(packets.unpack(heard), agreement, SIZE, packets.coarseness_of(heard))
        assert (found == IGNORED).all()  # 4e-10 for each slice to pass its CRC


# --- maps and colours -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (37, 53)])
@pytest.mark.parametrize("coarseness", [0, 1, 3])
def test_a_map_comes_back_as_fine_as_it_was_sent(size, coarseness):
    agreement = wire.Wire(1 / 8, FRAME, 4, False)
    labels = torch.randint(0, len(CLASSES), size)
    found = wire.map_of(wire.slices_of(labels, agreement, coarseness), agreement, size, coarseness)
    step = 2**coarseness
    expected = wire.coarser(labels, coarseness).repeat_interleave(step, 0).repeat_interleave(step, 1)
    assert torch.equal(found, expected[: size[0], : size[1]])
    if not coarseness:
        assert torch.equal(found, labels)


def test_colours_are_rounded_to_five_bits():
    palette = torch.rand(len(CLASSES), 3)
    data = wire.colours_to_bytes(palette)
    assert len(data) == wire.COLOUR_BYTES == 21
    assert (wire.colours_from_bytes(data) - palette).abs().max() <= 0.5 / 31 + 1e-6


def test_the_plain_restorer_paints_the_colours_it_is_told_and_means_otherwise():
    labels = torch.tensor([[[0, IGNORED]], [[0, IGNORED]]])
    palette = torch.full((2, len(CLASSES), 3), 0.25)
    pictures = painted(labels, palette, torch.tensor([True, False]))
    assert torch.allclose(pictures[0, :, 0, 0], torch.tensor(0.25))
    assert torch.allclose(pictures[1, :, 0, 0], torch.tensor(MEANS[0]) / 255)
    assert torch.allclose(pictures[:, :, 0, 1], torch.tensor(128 / 255))


# --- the link -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [{}, {"colour": True, "packets": 1}, {"adaptation": "fixed", "modulation": "16qam", "code_rate": 0.5}],
)
def test_a_map_arrives_without_loss_and_every_use_is_paid(sample, arguments):
    delivery = link(sample, **arguments).deliver(sample, 15.0, [1, 2])
    assert torch.equal(delivery.reception.labels, sample.labels)
    assert not delivery.reception.outage.any()
    granted = uses_for(1 / 8, SIZE)
    assert ((granted - 8 < delivery.uses) & (delivery.uses <= granted)).all()
    assert (delivery.truth["coarseness"] == 0).all()


def test_colours_come_along_and_make_the_light_right(sample):
    dark = Sample(sample.images * 0.3, labels=sample.labels)
    errors = [
        (link(dark, colour=colour).deliver(dark, 15.0, [1, 2]).reception.images - dark.images).square().mean()
        for colour in (False, True)
    ]
    assert errors[1] < 0.2 * errors[0]


def test_fewer_uses_make_a_coarser_map_until_nothing_fits(sample):
    coarseness, right = [], []
    for cbr in (1 / 8, 1 / 32, 1 / 64):
        delivery = link(sample, cbr=cbr).deliver(sample, 5.0, [1, 2])
        coarseness.append(float(delivery.truth["coarseness"].float().mean()))
        right.append(float((delivery.reception.labels == sample.labels).float().mean()))
    assert coarseness == sorted(coarseness)
    assert coarseness[-1] > coarseness[0] == 0
    assert right == sorted(right, reverse=True)
    assert right[-1] > 0.7
    nothing = link(sample, cbr=1 / 400).deliver(sample, 5.0, [1, 2])
    assert nothing.uses.tolist() == [0, 0]
    assert nothing.reception.outage.all()
    assert (nothing.reception.labels == IGNORED).all()


def test_a_coarse_map_goes_by_a_more_robust_scheme_and_is_no_finer_than_asked(sample):
    fine, coarse = (link(sample, cbr=1 / 16, coarseness=least) for least in (0, 2))
    plans = [
        of.system.transmitter._plan(sample.labels[0], torch.zeros(len(CLASSES), 3), 12.0, uses_for(1 / 16, SIZE))
        for of in (fine, coarse)
    ]
    assert [plan.coarseness for plan in plans] == [0, 2]
    assert plans[1].index < plans[0].index
    whole, small = (of.deliver(sample, 12.0, [1, 2]).reception.labels for of in (fine, coarse))
    assert torch.equal(whole, sample.labels)
    assert torch.equal(small[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2), small)


def test_lost_packets_cost_their_bands_and_nothing_else(sample):
    arguments = {"adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5, "packets": 8}
    system = link(sample, **arguments).system
    with torch.no_grad():
        sent = system.transmitter.encode(sample, torch.zeros(2), Rng([1, 2]))
        snr_db = torch.full((2, 1), 12.0)
        heard = awgn.build().carry(sent.symbols[:, None], sent.uses[:, None], snr_db, Rng([1, 2])).fold()
        uses = system.transmitter.agreement.packet_uses(sent.symbols.shape[1])
        order = scene.receiver.interleaver(8 * uses)
        heard.symbols[0, order[2 * uses : 3 * uses]] = 0  # the third packet of the first row
        found = system.receiver.decode(heard.heard(), SIZE, Rng([3, 4]))
    lost = found.labels[0] == IGNORED
    assert torch.equal(found.labels[1], sample.labels[1])
    assert (lost.any(1) == lost.all(1)).all()
    assert 0 < lost.float().mean() < 0.6
    assert torch.equal(found.labels[0][~lost], sample.labels[0][~lost])
    assert found.block_errors.tolist() == [1, 0]
    assert not found.outage.any()
    assert torch.allclose(found.images[0][:, lost], torch.tensor(128 / 255))


def test_the_most_robust_scheme_that_fits_is_taken(sample):
    plans = {
        snr_db: link(sample).system.transmitter._plan(
            sample.labels[0], torch.zeros(len(CLASSES), 3), snr_db, uses_for(1 / 8, SIZE)
        )
        for snr_db in (8.0, 20.0)
    }
    assert plans[8.0] == plans[20.0]


@pytest.mark.parametrize("restorer", ["gan", "cyclegan"])
def test_untrained_networks_deliver_pictures(sample, restorer):
    colour = restorer == "gan"
    system = scene.build(cbr=1 / 8, restorer=restorer, weights="none", restorer_weights="none", colour=colour)
    delivery = Link(system, awgn.build()).deliver(sample, 15.0, [1, 2])
    assert torch.equal(delivery.reception.labels, delivery.truth["labels"])
    assert system.weights == "none, none"


def test_empty_names_are_the_bundled_weights(monkeypatch):
    class Network(torch.nn.Identity):
        def labels(self, images):
            raise AssertionError("nothing is sent")

    asked = []
    monkeypatch.setattr("semcom.weights.rebuild", lambda name, system, make: (Network(), asked.append(name) or name))
    for restorer in ("gan", "cyclegan", "palette"):
        scene.build(cbr=1 / 8, restorer=restorer, weights="", restorer_weights="")
    assert asked == ["scene_segmenter", "scene_restorer", "scene_segmenter", "scene_cyclegan", "scene_segmenter"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"packets": 0}, "packets"),
        ({"coarseness": 8}, "coarseness"),
        ({"adaptation": "fixed"}, "modulation and code_rate"),
        ({"adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5, "margin_db": 1.0}, "margin_db"),
        ({"modulation": "qpsk"}, "adaptation: fixed"),
        ({"restorer": "palette", "restorer_weights": "x"}, "palette has no weights"),
        ({"weights": "deepjscc"}, "belong to deepjscc"),
        ({"restorer": "cyclegan", "restorer_weights": "none", "colour": True}, "colour is for gan and palette"),
        ({"restorer_weights": "scene_cyclegan"}, "restorer: gan takes weights like those of scene_restorer"),
    ],
)
def test_arguments_that_do_not_belong_together_are_refused(arguments, says):
    with pytest.raises(UsageError, match=says):
        scene.build(cbr=1 / 8, **{"weights": "none"} | arguments)


# --- preset base ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def segformer(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    from semcom.systems.scene.cityscapes import SAME

    names = dict(enumerate(SAME))
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
    from semcom.systems.scene.cityscapes import load_segformer

    system = scene.build(cbr=1 / 8, preset="base", weights=str(segformer), restorer="palette")
    delivery = Link(system, awgn.build()).deliver(sample, 15.0, [1, 2])
    assert delivery.reception.labels.shape == sample.labels.shape
    network = load_segformer(str(segformer))
    with torch.no_grad():
        network.model.decode_head.classifier.weight.zero_()
        network.model.decode_head.classifier.bias.copy_(torch.tensor([0.0] * 13 + [1.0] + [0.0] * 5))  # a car, if one
        # four of the nineteen are cars: 3 + e of 18 + e; three are bicyclists, 3 of 18 + e
        assert (network.labels(sample.images) == CLASSES.index("car")).all()


def test_other_checkpoints_are_refused(segformer, tmp_path):
    import json
    import shutil

    from semcom.systems.scene.cityscapes import load_segformer

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


def test_the_demonstration_link_is_as_fast_as_published():
    demo = delay.PacketLink(acknowledgement_s=0.0)
    assert 8 * demo.file_bytes / demo.packet_s == pytest.approx(195e3, rel=0.01)
    assert demo.packets(2_139_228) == 10_091
    assert demo.air_s(20_863) == pytest.approx(99 * 8.688e-3)
    # each packet is sent 1 / (1 - p) times in the mean, whatever the window
    assert demo.air_s(212 * 50, 0.2) == pytest.approx(50 * demo.packet_s / 0.8)
    assert demo.air_s(0) == 0


def test_a_trip_adds_up_and_its_files_are_what_they_say(sample):
    air_s = delay.PacketLink().air_s
    trip = delay.of_map(sample.images[0], Knows(sample), painted, air_s)
    assert trip.total_s == trip.segment_s + air_s(trip.size_bytes) + trip.restore_s
    assert min(trip.segment_s, trip.restore_s) > 0
    file = io.BytesIO()
    to_pil(sample.images[0]).save(file, format="PNG")
    photo = delay.of_photo(sample.images[0], air_s, "PNG")
    assert photo.size_bytes == len(file.getvalue()) > trip.size_bytes
    assert photo.total_s == air_s(photo.size_bytes)
    assert delay.of_photo(sample.images[0], air_s, "WEBP", 10).size_bytes < photo.size_bytes
    assert Image.open(file).size == SIZE[::-1]


# --- measures -------------------------------------------------------------------------------------------------------


def test_what_a_perfect_judge_reads_is_counted_by_hand(sample, monkeypatch):
    arrives = link(sample).deliver(sample, 15.0, [1, 2])
    person = CLASSES.index("pedestrian")

    class Sees(torch.nn.Module):
        """Everything right in photographs, road everywhere else."""

        def labels(self, images):
            known = Knows(sample)
            photo = any(torch.equal(images[0], image) for image in sample.images)
            return known.labels(images) if photo else torch.full((1, *SIZE), CLASSES.index("road"))

    monkeypatch.setattr(measures, "_judge", lambda name: Sees())
    road = (sample.labels == CLASSES.index("road")).flatten(1).sum(1)
    both, either = measures.map_miou(arrives)
    assert torch.equal(both, either)
    assert torch.equal(both.sum(1), (sample.labels != IGNORED).flatten(1).sum(1))
    both, either = measures.miou_of_photo(arrives)
    assert torch.equal(both, either)
    both, either = measures.miou(arrives)
    assert torch.equal(both[:, CLASSES.index("road")], road)
    assert (either[:, CLASSES.index("road")] == SIZE[0] * SIZE[1]).all()
    assert torch.equal(measures.pixel_accuracy(arrives)[0], road)
    assert torch.equal(measures.road_iou(arrives)[0], road)
    there = (sample.labels == person).flatten(1).sum(1) >= 30 / 4
    assert torch.equal(measures.person_told(arrives)[0].bool(), ~there)
    raw, sent = measures.compression_ratio(arrives)
    # what is on the air: the most robust scheme's packets, which the map does not fill, and 7 bits that name the scheme
    agreement, granted = link(sample).system.transmitter.agreement, uses_for(1 / 8, SIZE)
    of_schemes = [4 * agreement.packet_bytes(granted, index) + 7 / 8 for index in range(len(agreement.frame.schemes))]
    assert set(sent.tolist()) <= set(of_schemes)
    assert (sent > arrives.truth["map_bytes"]).all()
    assert (raw == 3 * SIZE[0] * SIZE[1]).all()
    png, _ = measures.compression_ratio_to_png(arrives)
    assert ((sent < png) & (png < raw)).all()
    air_s = delay.PacketLink().air_s
    assert measures.demonstration_air_s(arrives)[0].tolist() == [air_s(math.ceil(size)) for size in sent]
    assert measures.compression_ratio(link(sample, cbr=1 / 400).deliver(sample, 5.0, [1, 2]))[1].tolist() == [0, 0]
