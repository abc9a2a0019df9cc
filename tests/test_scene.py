"""The networks of the scene link: shapes, what they may depend on, gradients, and losses that mean something."""

import math

import pytest
import torch
from torch import nn

from channels._errors import UsageError
from channels._rng import Rng
from semcom import streets
from semcom.crops import Crops
from semcom.imagenet import adopt
from semcom.images import SOURCES, Picture, load
from semcom.system import Sample
from semcom.systems.scene import restoring
from semcom.systems.scene.classes import CLASSES, IGNORED, PALETTE, coloured
from semcom.systems.scene.cyclegan import CycleGan, Verdict
from semcom.systems.scene.judge import Judge
from semcom.systems.scene.palette import mean_colours
from semcom.systems.scene.reading import accuracy, confusion
from semcom.systems.scene.restorer import Critic, Restorer
from semcom.systems.scene.segmenter import Segmenter
from semcom.systems.scene.training import relit, segmentation_losses, training
from semcom.weights import save, seeded


@pytest.fixture(scope="module")
def sample():
    drawings = [streets.draw_street(seed, (48, 64)) for seed in (1, 2)]
    images = torch.stack([torch.from_numpy(d.pixels).permute(2, 0, 1).float() / 255 for d in drawings])
    return Sample(images, labels=torch.stack([torch.from_numpy(d.labels).long() for d in drawings]))


@pytest.fixture(autouse=True)
def _same_draws():
    """Networks and pictures that tests make are the same in each run."""
    with seeded(0):
        yield


@pytest.fixture(scope="module")
def segmenter():
    with seeded(0):
        return Segmenter(width=16).eval()


def _rng(name="x", rows=2):
    return Rng(list(range(rows))).derive(name)


def _send(symbols, snr_db):
    raise AssertionError("these networks are trained off the air")


# --- segmenter ------------------------------------------------------------------------------------------------------


def test_a_class_has_one_name_and_one_colour():
    assert len(set(CLASSES)) == len(set(PALETTE)) - 1 == IGNORED == 11
    assert coloured(torch.full((1, 1, 1), IGNORED)).sum() == 0


@pytest.fixture(scope="module")
def judge():
    with seeded(1):
        return Judge(width=8).eval()


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 90)])
def test_segmenters_answer_for_every_pixel_of_any_size(segmenter, judge, size):
    for network in (segmenter, judge):
        assert network(torch.rand(2, 3, *size)).shape == (2, len(CLASSES), *size)


def test_segmenters_see_each_row_alone(segmenter, judge, sample):
    for network in (segmenter, judge):
        together = network(sample.images)
        assert torch.allclose(together[1:], network(sample.images[1:]), atol=1e-5)


def test_a_backbone_takes_the_tensors_of_its_own_network_only(segmenter, judge):
    tensors = [value.clone() for value in segmenter.backbone.state_dict().values()]
    other = Segmenter(width=16)
    adopt(other.backbone, [*tensors, torch.zeros(3)])
    assert all(torch.equal(a, b) for a, b in zip(other.backbone.state_dict().values(), tensors, strict=True))
    for backbone, given in ((other.backbone, tensors[1:]), (judge.backbone, tensors)):
        with pytest.raises(UsageError, match="another network"):
            adopt(backbone, given)


def test_perfect_logits_cost_nothing_and_a_missed_class_costs_its_share():
    labels = torch.tensor([[[3, 3, 2, IGNORED]]])
    perfect = 50 * nn.functional.one_hot(torch.tensor([[[3, 3, 2, 0]]]), len(CLASSES)).permute(0, 3, 1, 2).float()
    losses = segmentation_losses(perfect, labels)
    assert losses["cross_entropy"] < 1e-6
    assert losses["jaccard"] < 1e-6
    all_road = 50 * nn.functional.one_hot(torch.tensor([[[3, 3, 3, 0]]]), len(CLASSES)).permute(0, 3, 1, 2).float()
    assert segmentation_losses(all_road, labels)["jaccard"].item() == pytest.approx(1 - (2 / 3 + 0) / 2, abs=1e-5)


def test_accuracy_counts_by_hand():
    truth = torch.tensor([[0, 3, 3, IGNORED]])
    picture = Picture("x", torch.zeros(3, 1, 4), labels=truth)
    measured = accuracy(lambda picture: torch.tensor([[0, 0, 3, 3]]), [picture])
    assert measured == {"miou": 0.5, "pixel_accuracy": pytest.approx(2 / 3), "sky": 0.5, "road": 0.5}


def test_what_is_not_seen_is_missed_and_taken_for_nothing_else():
    counts = confusion(torch.tensor([[[0, IGNORED]]]), torch.tensor([[[0, 3]]]))[0]
    assert counts.sum() == 2
    assert counts[0, 0] == counts[3, len(CLASSES)] == 1
    picture = Picture("x", torch.zeros(3, 1, 2), labels=torch.tensor([[0, 3]]))
    measured = accuracy(lambda picture: torch.tensor([[0, IGNORED]]), [picture])
    assert measured == {"miou": 0.5, "pixel_accuracy": 0.5, "sky": 1.0, "road": 0.0}


def test_light_changes_and_stays_in_range(sample):
    lit = relit(sample.images, _rng("light"))
    assert (lit - sample.images).abs().mean() > 0.01
    assert 0 <= lit.min() <= lit.max() <= 1


@pytest.mark.parametrize("part", ["segmenter", "judge"])
def test_segmenters_learn_a_street(part, sample):
    task = training(part=part, initial="random")
    optimiser = torch.optim.AdamW(task.network.parameters(), 2e-3)
    first = last = math.nan
    for step in range(8):
        losses = task.phases[0].losses(sample, torch.zeros(2), _send, _rng(f"step {step}"))
        last = sum(losses.values())
        first = last.item() if step == 0 else first
        optimiser.zero_grad()
        last.backward()
        optimiser.step()
    assert last.item() < 0.85 * first


def test_training_names_its_parts():
    with pytest.raises(UsageError, match="restorer"):
        training(part="painter")
    with pytest.raises(UsageError, match="initial"):
        training(initial="zero")


def test_rectangular_crops_show_as_much_as_fits_and_map_and_picture_agree(monkeypatch):
    monkeypatch.setitem(SOURCES, "few", lambda argument: SOURCES["streets"]("val:64x48")[:3])
    crops = Crops(["few"], rows=32, side=12, zoom=2.0, seed=0, width=16)
    seen = crops.sample(3)
    assert seen.images.shape == (32, 3, 12, 16)
    assert seen.labels.shape == (32, 12, 16)
    whole = Crops(["few"], rows=8, side=48, zoom=1.0, seed=0, width=64).sample(0)
    pictures = {picture.pixels.numpy().tobytes(): picture.labels for picture in load("few")}
    found = 0
    for image, labels in zip(whole.images, whole.labels, strict=True):
        for shown, classes in ((image, labels), (image.flip(2), labels.flip(1))):
            truth = pictures.get(shown.contiguous().numpy().tobytes())
            found += truth is not None
            assert truth is None or torch.equal(truth, classes)
    assert found >= 8
    with pytest.raises(UsageError, match="width"):
        Crops(["photos"], rows=1, side=8, zoom=1.0, seed=0, width=0)


# --- restorers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (30, 41), (100, 4)])
def test_restorers_paint_pictures_of_any_size(size):
    labels = torch.randint(0, IGNORED + 1, (2, *size))
    for network in (Restorer(width=4), CycleGan(width=4, blocks=1, side=16)):
        painted = network(labels)
        assert painted.shape == (2, 3, *size)
        assert 0 <= painted.min() <= painted.max() <= 1


def test_a_restoration_depends_on_its_own_map_and_palette_alone():
    network = Restorer(width=4).eval()
    labels = torch.randint(0, IGNORED, (2, 32, 32))
    palette = torch.rand(2, len(CLASSES), 3)
    painted = network(labels, palette)
    assert torch.allclose(painted[1:], network(labels[1:], palette[1:]), atol=1e-5)
    assert not torch.allclose(painted, network(labels, 1 - palette), atol=1e-3)
    assert not torch.allclose(painted, network(labels), atol=1e-3)
    lost = torch.full_like(labels, IGNORED)
    assert torch.allclose(network(lost, palette), network(lost, 1 - palette))


def test_critics_judge_patches_and_pictures():
    verdicts = Critic(width=4)(torch.rand(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.long))
    assert len(verdicts) == 2
    assert [len(scale) for scale in verdicts] == [5, 5]
    assert verdicts[0][-1].shape[:2] == (2, 1)
    assert Verdict(width=4)(torch.rand(2, 3, 64, 64)).shape == (2,)


def test_lost_bands_are_whole_rows_in_about_a_fifth_of_the_maps():
    labels = torch.zeros(400, 20, 6, dtype=torch.long)
    seen = restoring.maps(Sample(torch.zeros(400, 3, 20, 6), labels=labels), None, _rng(rows=400))
    lost = seen == IGNORED
    assert (lost.any(2) == lost.all(2)).all()
    # some bands are thinner than a row
    assert 0.1 < lost.any(2).any(1).float().mean() < 0.2 + 4 * math.sqrt(0.16 / 400)


def test_mean_colours_by_hand():
    images = torch.tensor([[[[0.2, 0.4, 1.0]], [[0.0, 0.0, 1.0]], [[1.0, 0.0, 1.0]]]])
    colours = mean_colours(images, torch.tensor([[[3, 3, IGNORED]]]))
    assert torch.allclose(colours[0, 3], torch.tensor([0.3, 0.0, 0.5]))
    assert torch.allclose(colours[0, 0], images.mean((2, 3))[0])


@pytest.mark.parametrize("part", ["restorer", "cyclegan"])
def test_every_phase_moves_its_own_module_and_all_of_it(part, sample):
    task = training(part=part)
    sample = Sample(sample.images.repeat(1, 1, 2, 1), labels=sample.labels.repeat(1, 2, 1))  # 96 pixels high
    for phase in task.phases:
        task.network.zero_grad()
        task.helpers.zero_grad()
        losses = phase.losses(sample, torch.zeros(2), _send, _rng("step"))
        total = torch.stack(list(losses.values())).sum()
        assert total.isfinite()
        total.backward()
        still = [
            name
            for name, value in phase.module.named_parameters()
            if value.grad is None or (value.ndim > 1 and not value.grad.any())
        ]
        assert not still
        if phase.name == "criticise":
            assert all(value.grad is None or not value.grad.any() for value in task.network.parameters())


def test_the_baseline_is_trained_at_the_height_at_which_it_works(sample):
    task = training(part="cyclegan")
    with pytest.raises(UsageError, match=r"crop must be 96, .* not 48"):
        task.phases[0].losses(sample, torch.zeros(2), _send, _rng("step"))


def test_restorers_learn_from_what_a_segmenter_reads_and_a_judge_measures_them(tmp_path, segmenter, judge, sample):
    files = {}
    for name, network in (("segmenter", segmenter), ("judge", judge)):
        files[name] = str(tmp_path / f"{name}.safetensors")
        save(tmp_path / f"{name}.safetensors", network, "scene", network.configuration, {})
    task = training(part="restorer", **files)
    losses = task.phases[0].losses(sample, torch.zeros(2), _send, _rng("step"))
    (gradient,) = torch.autograd.grad(losses["reading"], task.network.end.weight)
    assert gradient.abs().max() > 0
    pictures = [Picture("x", sample.images[0], labels=sample.labels[0])]
    measured = task.measure(pictures)
    read = task.measure([Picture("x", sample.images[0], labels=torch.zeros_like(sample.labels[0]))])
    assert 0 <= measured["miou"] <= 1
    assert measured != read


def test_a_row_without_palette_is_painted_as_if_there_were_none():
    network = Restorer(width=4).eval()
    labels, palette = torch.randint(0, IGNORED, (2, 16, 16)), torch.rand(2, len(CLASSES), 3)
    painted = network(labels, palette, torch.tensor([True, False]))
    assert torch.allclose(painted[:1], network(labels[:1], palette[:1]), atol=1e-5)
    assert torch.allclose(painted[1:], network(labels[1:]), atol=1e-5)


def test_the_baseline_is_what_is_published_at_half_width():
    network = CycleGan()
    assert network.configuration == {"width": 32, "blocks": 9, "side": 96}
    # the published generator with 64 channels has 11.378 M parameters; convolutions shrink by four, biases by two
    assert sum(value.numel() for value in network.to_photo.parameters()) == pytest.approx(11.378e6 / 4, rel=0.01)
