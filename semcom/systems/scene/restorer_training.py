"""Training tasks of the restorer and of its baseline CycleGAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels.errors import UsageError
from channels.rng import Rng
from semcom import weights
from semcom.images.source_image import SourceImage
from semcom.images.street_classes import IGNORED, check_labels
from semcom.system import Sample
from semcom.systems.scene.class_colors import mean_class_colors
from semcom.systems.scene.cyclegan import CycleGan, Discriminator, Generator, adversarial
from semcom.systems.scene.evaluation_network import EvaluationNetwork
from semcom.systems.scene.metrics import segmentation_scores
from semcom.systems.scene.restorer import PatchDiscriminator, Restorer
from semcom.systems.scene.segmenter import Segmenter
from semcom.training.task import Phase, Send, Task

# Loss weights; the adversarial loss has weight 1.
_MATCHING, _COLOR, _SEGMENTATION = 10.0, 5.0, 1.0
_CYCLE, _IDENTITY = 10.0, 5.0
_LEAST_CROP = 48  # pixels; below, a scale of the discriminator has no or one element
_LOST = 0.2  # share of the maps that lose a band


def restorer_task(segmenter: str, evaluation_network: str) -> Task:
    """Train the restorer: hinge GAN losses, feature matching, segmentation loss, and color loss with class colors.

    A third of the maps are true, the others predicted by the segmenter. A fifth lose a band; half come with class
    colors. The segmentation loss is computed on half of the restored images, upsampled by two, because the segmenter
    was trained on larger crops.

    Args:
        segmenter: weight file of the segmenter; "none" uses true maps alone and no segmentation loss.
        evaluation_network: weight file, as in `training`.
    """
    network, discriminator = Restorer(), PatchDiscriminator()
    segmentation = _segmenter(segmenter)
    generated: list[tuple[Tensor, Tensor]] = []  # maps and images of this step, for the discriminator

    def generate(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        if min(sample.size) < _LEAST_CROP:
            raise UsageError(f"the discriminator needs crops of {_LEAST_CROP} pixels or more: raise --crop and --width")
        labels = training_maps(sample, segmentation, rng.derive("maps"))
        has_colors = (rng.derive("palette").uniform(1)[:, 0] < 0.5).to(labels.device)
        restored = network(labels, mean_class_colors(sample.images, labels), has_colors)
        generated[:] = [(labels, restored.detach())]
        fake, real = discriminator(restored, labels), discriminator(sample.images, labels)
        color_error = functional.avg_pool2d(restored - sample.images, 8).abs().mean((1, 2, 3))
        losses = {
            "adversarial": -torch.stack([scale[-1].float().mean() for scale in fake]).mean(),
            "matching": _MATCHING * feature_matching(fake, real),
            "color": _COLOR * (color_error * has_colors).mean(),
        }
        if segmentation is not None:
            half = -(-len(labels) // 2)
            losses["segmentation"] = _SEGMENTATION * _segmentation_loss(segmentation, restored[:half], labels[:half])
        return losses

    def discriminate(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        labels, restored = generated.pop()
        scales = discriminator(torch.cat([sample.images, restored]), labels.repeat(2, 1, 1))
        logits = [scale[-1].float().chunk(2) for scale in scales]
        return {
            "real": torch.stack([functional.relu(1 - real).mean() for real, _ in logits]).mean(),
            "fake": torch.stack([functional.relu(1 + fake).mean() for _, fake in logits]).mean(),
        }

    phases = (Phase("generate", network, generate), Phase("discriminate", discriminator, discriminate))
    measure = restoration_measure(network, segmentation, evaluation_network)
    return Task(network, phases, None, network.configuration, helpers=discriminator, measure=measure)


def cyclegan_task(segmenter: str, evaluation_network: str) -> Task:
    """Train CycleGAN with the published losses: binary cross-entropy, 10 x MSE of cycles, 5 x MSE of identities.

    The discriminator losses are halved as published. The maps are those of `restorer_task`; crops of another height
    are resized to that of the network.

    Args:
        segmenter: weight file of the segmenter; "none" uses true maps alone.
        evaluation_network: weight file, as in `training`.
    """
    network, to_map = CycleGan(), Generator()
    discriminators = nn.ModuleDict({"photo": Discriminator(), "map": Discriminator()})
    segmentation = _segmenter(segmenter)
    generated: list[tuple[Tensor, Tensor, Tensor]] = []  # colored maps, generated photographs, generated maps

    def generate(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        photo = network.resized(sample.images)
        color_map = network.colored_maps(training_maps(sample, segmentation, rng.derive("maps")))
        fake_photo, same_photo = network.to_photo(torch.cat([color_map, photo])).chunk(2)
        fake_map, same_map = to_map(torch.cat([photo, color_map])).chunk(2)
        generated[:] = [(color_map, fake_photo.detach(), fake_map.detach())]
        cycle = _mse(network.to_photo(fake_map), photo) + _mse(to_map(fake_photo), color_map)
        identity = _mse(same_photo, photo) + _mse(same_map, color_map)
        of_photo = adversarial(discriminators["photo"](fake_photo), True)
        of_map = adversarial(discriminators["map"](fake_map), True)
        return {"adversarial": of_photo + of_map, "cycle": _CYCLE * cycle, "identity": _IDENTITY * identity}

    def discriminate(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        color_map, fake_photo, fake_map = generated.pop()
        losses = {}
        for name, real, fake in (("photo", sample.images, fake_photo), ("map", color_map, fake_map)):
            of_real = adversarial(discriminators[name](real), True)
            losses[f"discriminator_{name}"] = (of_real + adversarial(discriminators[name](fake), False)) / 2
        return losses

    generators = nn.ModuleDict({"to_photo": network.to_photo, "to_map": to_map})
    phases = (Phase("generate", generators, generate), Phase("discriminate", discriminators, discriminate))
    helpers = nn.ModuleDict({"to_map": to_map, "discriminators": discriminators})
    measure = restoration_measure(network, segmentation, evaluation_network)
    return Task(network, phases, None, network.configuration, helpers=helpers, measure=measure)


def restoration_measure(
    network: Restorer | CycleGan, segmenter: Segmenter | None, evaluation_network: str
) -> Callable[[Sequence[SourceImage]], Mapping[str, float]] | None:
    """Function that measures segmentation scores of restored images, without class colors, against the true maps.

    Args:
        network: restorer.
        segmenter: segmenter that predicts the maps; None restores from the true maps.
        evaluation_network: weight file of the evaluation network; "none" returns None.
    """
    if evaluation_network == "none":
        return None
    evaluation = weights.rebuild(evaluation_network, "scene", EvaluationNetwork)[0]

    def measure(images: Sequence[SourceImage]) -> dict[str, float]:
        device = next(network.parameters()).device

        def predict(image: SourceImage) -> Tensor:
            pixels = image.pixels[None].to(device)
            if segmenter is None and image.labels is None:
                raise UsageError(f"{image.name} has no label map: choose --validation camvid:val or streets:val")
            labels = segmenter.labels(pixels) if segmenter else image.labels[None].to(device)  # type: ignore[index]
            return evaluation.to(device).labels(network(labels))[0]

        return segmentation_scores(predict, images)

    return measure


def training_maps(sample: Sample, segmenter: Segmenter | None, rng: Rng) -> Int[Tensor, "rows h w"]:
    """True and predicted label maps, some with a lost band."""
    if sample.labels is None:
        raise UsageError("restorers require images with label maps: --data camvid:train or streets:train")
    check_labels(sample.labels)
    labels = sample.labels.clone()
    rows, height, _ = labels.shape
    draws = rng.uniform(4).to(labels.device)
    if segmenter is not None:
        predicted = draws[:, 0] > 1 / 3
        labels = torch.where(predicted[:, None, None], segmenter.labels(sample.images), labels)
    start = (draws[:, 2] * height)[:, None]
    end = start + (draws[:, 3] * height / 2)[:, None]
    line = torch.arange(height, device=labels.device).expand(rows, -1)
    lost = (draws[:, 1:2] < _LOST) & (line >= start) & (line < end)
    return labels.masked_fill(lost[:, :, None], IGNORED)


def feature_matching(fake: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
    """Mean absolute difference of the discriminator's features, logits excluded, between real and restored images."""
    return torch.stack(
        [
            (a - b.detach()).abs().mean()
            for fake_scale, real_scale in zip(fake, real, strict=True)
            for a, b in zip(fake_scale[:-1], real_scale[:-1], strict=True)
        ]
    ).mean()


def _segmenter(name: str) -> Segmenter | None:
    return None if name == "none" else weights.rebuild(name, "scene", Segmenter)[0].requires_grad_(False)


def _segmentation_loss(
    segmenter: Segmenter, restored: Float[Tensor, "rows 3 h w"], labels: Int[Tensor, "rows h w"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the segmented restored images, upsampled by two, against their maps."""
    large = functional.interpolate(restored.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
    logits = functional.avg_pool2d(segmenter(large).float(), 2)
    return functional.cross_entropy(logits, labels, ignore_index=IGNORED)


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean() * 4  # the source has samples in [-1, 1]
