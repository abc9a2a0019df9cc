"""What the restorer and its baseline optimise: streets that a critic takes for photographs of the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng
from semcom import weights
from semcom.images import Picture
from semcom.system import Sample
from semcom.systems.scene.classes import IGNORED, coloured
from semcom.systems.scene.cyclegan import CycleGan, Translator, Verdict, adversarial
from semcom.systems.scene.judge import Judge
from semcom.systems.scene.palette import mean_colours
from semcom.systems.scene.reading import accuracy
from semcom.systems.scene.restorer import Critic, Restorer
from semcom.systems.scene.segmenter import Segmenter
from semcom.training_task import Phase, Send, Task

_MATCHING, _COLOUR = 10.0, 5.0  # weights of feature matching and of the coarse colours, beside the critic's 1
_READING = 1.0  # weight of what the segmenter reads in a restoration
_CYCLE, _IDENTITY = 10.0, 5.0
_LOST = 0.2  # of the rows lose a band of their map


def restoring(segmenter: str, judge: str) -> Task:
    """Train the restorer with its critic: hinge losses, feature matching and, where a palette is sent, its colours.

    A third of the rows have the true map, the others the one that the segmenter sees; a fifth lose a band; half of them
    come with a palette. What the segmenter reads in half of the restorations, magnified to what it is used to, should
    be their map.

    Args:
        segmenter: weight file of the segmenter, or "none" to use true maps alone and have nobody read.
        judge: as in `training`.
    """
    network, critic = Restorer(), Critic()
    sees = _segmenter(segmenter)
    shown: list[tuple[Tensor, Tensor]] = []  # the maps and pictures of this step, from the generator to the critic

    def generate(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        labels = maps(sample, sees, rng.derive("maps"))
        sent = (rng.derive("palette").uniform(1)[:, 0] < 0.5).to(labels.device)
        painted = network(labels, mean_colours(sample.images, labels), sent)
        shown[:] = [(labels, painted.detach())]
        fake, real = critic(painted, labels), critic(sample.images, labels)
        coarse = functional.avg_pool2d(painted - sample.images, 8).abs().mean((1, 2, 3))
        losses = {
            "adversarial": -torch.stack([scale[-1].float().mean() for scale in fake]).mean(),
            "matching": _MATCHING * feature_matching(fake, real),
            "colour": _COLOUR * (coarse * sent).mean(),
        }
        if sees is not None:
            half = -(-len(labels) // 2)
            losses["reading"] = _READING * _misread(sees, painted[:half], labels[:half])
        return losses

    def criticise(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        labels, painted = shown.pop()
        both = critic(torch.cat([sample.images, painted]), labels.repeat(2, 1, 1))
        verdicts = [scale[-1].float().chunk(2) for scale in both]
        return {
            "real": torch.stack([functional.relu(1 - real).mean() for real, _ in verdicts]).mean(),
            "fake": torch.stack([functional.relu(1 + fake).mean() for _, fake in verdicts]).mean(),
        }

    phases = (Phase("generate", network, generate), Phase("criticise", critic, criticise))
    measure = reader(network, sees, judge)
    return Task(network, phases, None, network.configuration, helpers=critic, measure=measure)


def cycling(segmenter: str, judge: str) -> Task:
    """Train the baseline: the published losses (binary cross-entropy, MSE cycles x 10, MSE identities x 5).

    Critics' losses are halved as published. It is shown the same maps as the restorer, in crops as high as those at
    which it will work.

    Args:
        segmenter: weight file of the segmenter, or "none" to use true maps alone.
        judge: as in `training`.
    """
    network, back = CycleGan(), Translator()
    critics = nn.ModuleDict({"photo": Verdict(), "map": Verdict()})
    sees = _segmenter(segmenter)
    shown: list[tuple[Tensor, Tensor, Tensor]] = []  # the maps as colours, and what was made of both sides

    def translate(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        photo, drawn = sample.images, coloured(maps(sample, sees, rng.derive("maps")))
        if sample.size[0] != network.side:
            raise UsageError(f"crop must be {network.side}, the height at which CycleGAN works, not {sample.size[0]}")
        fake_photo, same_photo = network.to_photo(torch.cat([drawn, photo])).chunk(2)
        fake_map, same_map = back(torch.cat([photo, drawn])).chunk(2)
        shown[:] = [(drawn, fake_photo.detach(), fake_map.detach())]
        cycle = _mse(network.to_photo(fake_map), photo) + _mse(back(fake_photo), drawn)
        identity = _mse(same_photo, photo) + _mse(same_map, drawn)
        deceived = adversarial(critics["photo"](fake_photo), True) + adversarial(critics["map"](fake_map), True)
        return {"adversarial": deceived, "cycle": _CYCLE * cycle, "identity": _IDENTITY * identity}

    def criticise(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        drawn, fake_photo, fake_map = shown.pop()
        losses = {}
        for name, real, fake in (("photo", sample.images, fake_photo), ("map", drawn, fake_map)):
            judged = adversarial(critics[name](real), True) + adversarial(critics[name](fake), False)
            losses[f"critic_{name}"] = judged / 2
        return losses

    both = nn.ModuleDict({"to_photo": network.to_photo, "to_map": back})
    phases = (Phase("translate", both, translate), Phase("criticise", critics, criticise))
    helpers = nn.ModuleDict({"to_map": back, "critics": critics})
    measure = reader(network, sees, judge)
    return Task(network, phases, None, network.configuration, helpers=helpers, measure=measure)


def reader(
    network: Restorer | CycleGan, segmenter: Segmenter | None, judge: str
) -> Callable[[Sequence[Picture]], Mapping[str, float]] | None:
    """What a judge reads in the restorations of pictures, without palettes, against their true maps.

    Args:
        network: restores.
        segmenter: makes the maps; None takes the true ones.
        judge: weight file; "none" measures nothing.
    """
    if judge == "none":
        return None
    judges = weights.rebuild(judge, "scene", Judge)[0]

    def measure(pictures: Sequence[Picture]) -> dict[str, float]:
        device = next(network.parameters()).device

        def read(picture: Picture) -> Tensor:
            pixels = picture.pixels[None].to(device)
            if segmenter is None and picture.labels is None:
                raise UsageError(f"{picture.name} has no label map")
            labels = segmenter.labels(pixels) if segmenter else picture.labels[None].to(device)  # type: ignore[index]
            return judges.to(device).labels(network(labels))[0]

        return accuracy(read, pictures)

    return measure


def maps(sample: Sample, segmenter: Segmenter | None, rng: Rng) -> Int[Tensor, "rows h w"]:
    """True and predicted maps, with bands lost from some."""
    labels = _labels(sample).clone()
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
    """Mean distance of the critic's features, verdicts aside, between pictures and their restorations."""
    return torch.stack(
        [
            (a - b.detach()).abs().mean()
            for of_fake, of_real in zip(fake, real, strict=True)
            for a, b in zip(of_fake[:-1], of_real[:-1], strict=True)
        ]
    ).mean()


def _segmenter(name: str) -> Segmenter | None:
    return None if name == "none" else weights.rebuild(name, "scene", Segmenter)[0].requires_grad_(False)


def _misread(
    segmenter: Segmenter, painted: Float[Tensor, "rows 3 h w"], labels: Int[Tensor, "rows h w"]
) -> Float[Tensor, ""]:
    """Cross-entropy of what the segmenter reads in restorations at twice their size."""
    large = functional.interpolate(painted.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
    logits = functional.avg_pool2d(segmenter(large).float(), 2)
    return functional.cross_entropy(logits, labels, ignore_index=IGNORED)


def _labels(sample: Sample) -> Tensor:
    if sample.labels is None:
        raise UsageError("restorers need pictures with label maps: camvid or streets")
    return sample.labels


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean() * 4  # in the source samples range over [-1, 1]
