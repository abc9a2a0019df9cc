"""Networks of the scene link: shapes, dependence on inputs, gradients and losses."""

import math

import pytest
import torch
from torch import nn

from channels.errors import UsageError
from channels.rng import Rng
from semcom.images import streets
from semcom.images.source_image import SourceImage
from semcom.images.sources import SOURCES, load
from semcom.images.street_classes import CLASSES, IGNORED, PALETTE, colored
from semcom.system import Sample
from semcom.systems.scene.class_colors import mean_class_colors
from semcom.systems.scene.cyclegan import CycleGan, Discriminator
from semcom.systems.scene.evaluation_network import EvaluationNetwork
from semcom.systems.scene.metrics import confusion_matrices, segmentation_scores
from semcom.systems.scene.restorer import PatchDiscriminator, Restorer
from semcom.systems.scene.restorer_training import training_maps
from semcom.systems.scene.segmenter import Segmenter
from semcom.systems.scene.training import segmentation_losses, training, vary_lighting
from semcom.training.crops import Crops
from semcom.weights.files import save, seeded
from semcom.weights.imagenet import adopt


@pytest.fixture(scope="module")
def sample():
    scenes = [streets.render_street(seed, (48, 64)) for seed in (1, 2)]
    images = torch.stack([torch.from_numpy(d.pixels).permute(2, 0, 1).float() / 255 for d in scenes])
    return Sample(images, labels=torch.stack([torch.from_numpy(d.labels).long() for d in scenes]))


@pytest.fixture(autouse=True)
def _seeded():
    """Seed the networks and images of each test."""
    with seeded(0):
        yield


@pytest.fixture(scope="module")
def segmenter():
    with seeded(0):
        return Segmenter(width=16).eval()


def _rng(name="x", rows=2):
    return Rng(list(range(rows))).derive(name)


def _send(symbols, snr_db):
    raise AssertionError("these networks are trained without a channel")


# --- segmenter ------------------------------------------------------------------------------------------------------


def test_each_class_has_one_name_and_one_color():
    assert len(set(CLASSES)) == len(set(PALETTE)) - 1 == IGNORED == 11
    assert colored(torch.full((1, 1, 1), IGNORED)).sum() == 0


@pytest.fixture(scope="module")
def evaluation_network():
    with seeded(1):
        return EvaluationNetwork(width=8).eval()


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 90)])
def test_segmentation_networks_accept_any_size(segmenter, evaluation_network, size):
    for network in (segmenter, evaluation_network):
        assert network(torch.rand(2, 3, *size)).shape == (2, len(CLASSES), *size)


def test_segmentation_of_a_row_does_not_depend_on_other_rows(segmenter, evaluation_network, sample):
    for network in (segmenter, evaluation_network):
        together = network(sample.images)
        assert torch.allclose(together[1:], network(sample.images[1:]), atol=1e-5)


def test_a_backbone_accepts_only_tensors_of_the_same_network(segmenter, evaluation_network):
    tensors = [value.clone() for value in segmenter.backbone.state_dict().values()]
    other = Segmenter(width=16)
    adopt(other.backbone, [*tensors, torch.zeros(3)])
    assert all(torch.equal(a, b) for a, b in zip(other.backbone.state_dict().values(), tensors, strict=True))
    for backbone, unsuitable in ((other.backbone, tensors[1:]), (evaluation_network.backbone, tensors)):
        with pytest.raises(UsageError, match="another network"):
            adopt(backbone, unsuitable)


def test_segmentation_losses_of_perfect_logits_and_of_a_missed_class():
    labels = torch.tensor([[[3, 3, 2, IGNORED]]])
    perfect = 50 * nn.functional.one_hot(torch.tensor([[[3, 3, 2, 0]]]), len(CLASSES)).permute(0, 3, 1, 2).float()
    losses = segmentation_losses(perfect, labels)
    assert losses["cross_entropy"] < 1e-6
    assert losses["jaccard"] < 1e-6
    all_road = 50 * nn.functional.one_hot(torch.tensor([[[3, 3, 3, 0]]]), len(CLASSES)).permute(0, 3, 1, 2).float()
    assert segmentation_losses(all_road, labels)["jaccard"].item() == pytest.approx(1 - (2 / 3 + 0) / 2, abs=1e-5)


def test_segmentation_scores_by_hand():
    truth = torch.tensor([[0, 3, 3, IGNORED]])
    image = SourceImage("x", torch.zeros(3, 1, 4), labels=truth)
    measured = segmentation_scores(lambda image: torch.tensor([[0, 0, 3, 3]]), [image])
    assert measured == {"miou": 0.5, "pixel_accuracy": pytest.approx(2 / 3), "sky": 0.5, "road": 0.5}


def test_ignored_predictions_count_as_missed_but_not_as_another_class():
    counts = confusion_matrices(torch.tensor([[[0, IGNORED]]]), torch.tensor([[[0, 3]]]))[0]
    assert counts.sum() == 2
    assert counts[0, 0] == counts[3, len(CLASSES)] == 1
    image = SourceImage("x", torch.zeros(3, 1, 2), labels=torch.tensor([[0, 3]]))
    measured = segmentation_scores(lambda image: torch.tensor([[0, IGNORED]]), [image])
    assert measured == {"miou": 0.5, "pixel_accuracy": 0.5, "sky": 1.0, "road": 0.0}


def test_augmented_lighting_differs_and_stays_in_range(sample):
    lit = vary_lighting(sample.images, _rng("light"))
    assert (lit - sample.images).abs().mean() > 0.01
    assert 0 <= lit.min() <= lit.max() <= 1


@pytest.mark.parametrize("part", ["segmenter", "evaluation_network"])
def test_segmentation_networks_learn_a_street(part, sample):
    task = training(part=part, initial="random")
    optimizer = torch.optim.AdamW(task.network.parameters(), 2e-3)
    first = last = math.nan
    for step in range(8):
        losses = task.phases[0].losses(sample, torch.zeros(2), _send, _rng(f"step {step}"))
        last = sum(losses.values())
        first = last.item() if step == 0 else first
        optimizer.zero_grad()
        last.backward()
        optimizer.step()
    assert last.item() < 0.85 * first


def test_training_errors_name_the_accepted_values():
    with pytest.raises(UsageError, match="restorer"):
        training(part="unknown")
    with pytest.raises(UsageError, match="initial"):
        training(initial="zero")


def test_rectangular_crops_of_image_and_map_agree(monkeypatch):
    monkeypatch.setitem(SOURCES, "few", lambda argument: SOURCES["streets"]("val:64x48")[:3])
    crops = Crops(["few"], rows=32, side=12, zoom=2.0, seed=0, width=16)
    batch = crops.sample(3)
    assert batch.images.shape == (32, 3, 12, 16)
    assert batch.labels.shape == (32, 12, 16)
    whole = Crops(["few"], rows=8, side=48, zoom=1.0, seed=0, width=64).sample(0)
    images = {photo.pixels.numpy().tobytes(): photo.labels for photo in load("few")}
    matches = 0
    for image, labels in zip(whole.images, whole.labels, strict=True):
        for pixels, classes in ((image, labels), (image.flip(2), labels.flip(1))):
            truth = images.get(pixels.contiguous().numpy().tobytes())
            matches += truth is not None
            assert truth is None or torch.equal(truth, classes)
    assert matches >= 8
    with pytest.raises(UsageError, match="width"):
        Crops(["photos"], rows=1, side=8, zoom=1.0, seed=0, width=0)


# --- restorers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (30, 41), (100, 4)])
def test_restorers_accept_any_size(size):
    labels = torch.randint(0, IGNORED + 1, (2, *size))
    for network in (Restorer(width=4), CycleGan(width=4, blocks=1, side=16)):
        restored = network(labels)
        assert restored.shape == (2, 3, *size)
        assert 0 <= restored.min() <= restored.max() <= 1


def test_a_restored_image_depends_only_on_its_map_and_class_colors():
    network = Restorer(width=4).eval()
    labels = torch.randint(0, IGNORED, (2, 32, 32))
    class_colors = torch.rand(2, len(CLASSES), 3)
    restored = network(labels, class_colors)
    assert torch.allclose(restored[1:], network(labels[1:], class_colors[1:]), atol=1e-5)
    assert not torch.allclose(restored, network(labels, 1 - class_colors), atol=1e-3)
    assert not torch.allclose(restored, network(labels), atol=1e-3)
    lost = torch.full_like(labels, IGNORED)
    assert torch.allclose(network(lost, class_colors), network(lost, 1 - class_colors))


def test_discriminators_classify_patches_and_images():
    features = PatchDiscriminator(width=4)(torch.rand(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.long))
    assert len(features) == 2
    assert [len(scale) for scale in features] == [5, 5]
    assert features[0][-1].shape[:2] == (2, 1)
    assert Discriminator(width=4)(torch.rand(2, 3, 64, 64)).shape == (2,)


def test_a_fifth_of_the_training_maps_lose_a_band_of_whole_rows():
    labels = torch.zeros(400, 20, 6, dtype=torch.long)
    maps = training_maps(Sample(torch.zeros(400, 3, 20, 6), labels=labels), None, _rng(rows=400))
    lost = maps == IGNORED
    assert (lost.any(2) == lost.all(2)).all()
    # bands thinner than one row lose nothing
    assert 0.1 < lost.any(2).any(1).float().mean() < 0.2 + 4 * math.sqrt(0.16 / 400)


def test_mean_class_colors_by_hand():
    images = torch.tensor([[[[0.2, 0.4, 1.0]], [[0.0, 0.0, 1.0]], [[1.0, 0.0, 1.0]]]])
    colors = mean_class_colors(images, torch.tensor([[[3, 3, IGNORED]]]))
    assert torch.allclose(colors[0, 3], torch.tensor([0.3, 0.0, 0.5]))
    assert torch.allclose(colors[0, 0], images.mean((2, 3))[0])


@pytest.mark.parametrize("part", ["restorer", "cyclegan"])
def test_each_phase_trains_all_parameters_of_its_own_module_only(part, sample):
    task = training(part=part)
    sample = Sample(
        sample.images.repeat(1, 1, 2, 1), labels=sample.labels.repeat(1, 2, 1)
    )  # 96 pixels high, as CycleGAN needs
    for phase in task.phases:
        task.network.zero_grad()
        task.helpers.zero_grad()
        losses = phase.losses(sample, torch.zeros(2), _send, _rng("step"))
        total = torch.stack(list(losses.values())).sum()
        assert total.isfinite()
        total.backward()
        unchanged = [
            name
            for name, value in phase.module.named_parameters()
            if value.grad is None or (value.ndim > 1 and not value.grad.any())
        ]
        assert not unchanged
        if phase.name == "discriminate":
            assert all(value.grad is None or not value.grad.any() for value in task.network.parameters())


def test_cyclegan_is_trained_at_its_own_height(sample):
    network = CycleGan(width=4, blocks=1, side=16)
    assert network.resized(sample.images).shape[-2:] == network.colored_maps(sample.labels).shape[-2:]
    assert network.resized(sample.images).shape[-2] == 16
    small = sample.images[:, :, :16]
    assert network.resized(small) is small


def test_restorers_have_a_segmentation_loss_and_are_measured_by_the_evaluation_network(
    tmp_path, segmenter, evaluation_network, sample
):
    files = {}
    for name, network in (("segmenter", segmenter), ("evaluation_network", evaluation_network)):
        files[name] = str(tmp_path / f"{name}.safetensors")
        save(tmp_path / f"{name}.safetensors", network, "scene", network.configuration, {})
    task = training(part="restorer", **files)
    losses = task.phases[0].losses(sample, torch.zeros(2), _send, _rng("step"))
    (gradient,) = torch.autograd.grad(losses["segmentation"], task.network.end.weight)
    assert gradient.abs().max() > 0
    images = [SourceImage("x", sample.images[0], labels=sample.labels[0])]
    measured = task.measure(images)
    other = task.measure([SourceImage("x", sample.images[0], labels=torch.zeros_like(sample.labels[0]))])
    assert 0 <= measured["miou"] <= 1
    assert measured != other


def test_a_row_without_class_colors_is_restored_without_them():
    network = Restorer(width=4).eval()
    labels, class_colors = torch.randint(0, IGNORED, (2, 16, 16)), torch.rand(2, len(CLASSES), 3)
    restored = network(labels, class_colors, torch.tensor([True, False]))
    assert torch.allclose(restored[:1], network(labels[:1], class_colors[:1]), atol=1e-5)
    assert torch.allclose(restored[1:], network(labels[1:]), atol=1e-5)


def test_cyclegan_is_the_published_network_at_half_width():
    network = CycleGan()
    assert network.configuration == {"width": 32, "blocks": 9, "side": 96}
    # the published generator with 64 channels has 11.378 M parameters; convolutions shrink by four, biases by two
    assert sum(value.numel() for value in network.to_photo.parameters()) == pytest.approx(11.378e6 / 4, rel=0.01)
