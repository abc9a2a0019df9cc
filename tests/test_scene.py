"""The networks of the scene link: shapes, what they may depend on, gradients, and losses that mean something."""

import math

import pytest
import torch
from torch import nn

from channels._errors import UsageError
from channels._rng import Rng
from semcom import streets
from semcom.images import Picture
from semcom.system import Sample
from semcom.systems.scene import restoring
from semcom.systems.scene.classes import CLASSES, IGNORED, PALETTE, coloured
from semcom.systems.scene.cyclegan import CycleGan, Verdict
from semcom.systems.scene.restorer import Critic, Restorer
from semcom.systems.scene.segmenter import Segmenter
from semcom.systems.scene.training import accuracy, relit, segmentation_losses, training


@pytest.fixture(scope="module")
def sample():
    drawings = [streets.draw_street(seed, (48, 64)) for seed in (1, 2)]
    images = torch.stack([torch.from_numpy(d.pixels).permute(2, 0, 1).float() / 255 for d in drawings])
    return Sample(images, labels=torch.stack([torch.from_numpy(d.labels).long() for d in drawings]))


@pytest.fixture(scope="module")
def segmenter():
    torch.manual_seed(0)
    return Segmenter(width=16).eval()


def _rng(name="x", rows=2):
    return Rng(list(range(rows))).derive(name)


def _send(symbols, snr_db):
    raise AssertionError("these networks are trained off the air")


# --- segmenter ------------------------------------------------------------------------------------------------------


def test_a_class_has_one_name_and_one_colour():
    assert len(set(CLASSES)) == len(set(PALETTE)) - 1 == IGNORED == 11
    assert coloured(torch.full((1, 1, 1), IGNORED)).sum() == 0


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 90)])
def test_the_segmenter_answers_for_every_pixel_of_any_size(segmenter, size):
    logits = segmenter(torch.rand(2, 3, *size))
    assert logits.shape == (2, len(CLASSES), *size)


def test_the_segmenter_sees_each_row_alone(segmenter, sample):
    together = segmenter(sample.images)
    assert torch.allclose(together[1:], segmenter(sample.images[1:]), atol=1e-5)


def test_a_backbone_takes_the_tensors_of_its_own_network_only(segmenter):
    tensors = [value.clone() for value in segmenter.backbone.state_dict().values()]
    Segmenter(width=16).adopt_backbone([*tensors, torch.zeros(3)])
    with pytest.raises(UsageError, match="Lite0"):
        Segmenter(width=16).adopt_backbone(tensors[1:])


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
    measured = accuracy(lambda images: torch.tensor([[[0, 0, 3, 3]]]), [picture])
    assert measured == {"miou": 0.5, "pixel_accuracy": pytest.approx(2 / 3), "sky": 0.5, "road": 0.5}


def test_light_changes_and_stays_in_range(sample):
    lit = relit(sample.images, _rng("light"))
    assert (lit - sample.images).abs().mean() > 0.01
    assert 0 <= lit.min() <= lit.max() <= 1


def test_the_segmenter_learns_a_street(sample):
    torch.manual_seed(0)
    task = training(initial="random")
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
        training(initial="imagenet")


# --- restorers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (30, 41)])
def test_restorers_paint_pictures_of_any_size(size):
    labels = torch.randint(0, IGNORED + 1, (2, *size))
    for network in (Restorer(width=4), CycleGan(width=4, blocks=1, side=16)):
        painted = network(labels)
        assert painted.shape == (2, 3, *size)
        assert 0 <= painted.min() <= painted.max() <= 1


def test_a_restoration_depends_on_its_own_map_and_palette_alone():
    torch.manual_seed(0)
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
    colours = restoring.mean_colours(images, torch.tensor([[[3, 3, IGNORED]]]))
    assert torch.allclose(colours[0, 3], torch.tensor([0.3, 0.0, 0.5]))
    assert torch.allclose(colours[0, 0], images.mean((2, 3))[0])


@pytest.mark.parametrize("part", ["restorer", "cyclegan"])
def test_every_phase_moves_its_own_module_and_all_of_it(part, sample):
    torch.manual_seed(0)
    task = training(part=part)
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
        if phase.module is not task.network:
            assert all(value.grad is None or not value.grad.any() for value in task.network.parameters())


def test_the_baseline_is_what_is_published_at_half_width():
    network = CycleGan()
    assert network.configuration == {"width": 32, "blocks": 9, "side": 96}
    # the published generator with 64 channels has 11.378 M parameters; convolutions shrink by four, biases by two
    assert sum(value.numel() for value in network.to_photo.parameters()) == pytest.approx(11.378e6 / 4, rel=0.01)
