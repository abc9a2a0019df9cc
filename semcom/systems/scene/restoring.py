"""What the restorer and its baseline optimise: streets that a critic takes for photographs of the map."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels._errors import UsageError
from channels._rng import Rng
from semcom import weights
from semcom.system import Sample
from semcom.systems.scene.classes import CLASSES, IGNORED, coloured
from semcom.systems.scene.cyclegan import CycleGan, Verdict, adversarial
from semcom.systems.scene.restorer import Critic, Restorer
from semcom.systems.scene.segmenter import Segmenter
from semcom.train import Phase, Send, Task

_MATCHING, _COLOUR = 10.0, 5.0  # weights of feature matching and of the coarse colours, beside the critic's 1
_CYCLE, _IDENTITY = 10.0, 5.0
_LOST = 0.2  # of the rows lose a band of their map


def restoring(segmenter: str) -> Task:
    """Train the restorer with its critic: hinge losses, feature matching and, where a palette is sent, its colours.

    A third of the rows have the true map, the others the one that the segmenter sees; a fifth lose a band; half of them
    come with a palette.

    Args:
        segmenter: weight file of the segmenter, or "none" to use true maps alone.
    """
    network, critic = Restorer(), Critic()
    sees = None if segmenter == "none" else weights.rebuild(segmenter, "scene", Segmenter)[0]
    shown: list[tuple[Tensor, Tensor]] = []  # the maps and pictures of this step, from the generator to the critic

    def generate(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        labels = maps(sample, sees, rng.derive("maps"))
        sent = (rng.derive("palette").uniform(1)[:, 0] < 0.5).to(labels.device)
        palette = mean_colours(sample.images, labels)
        half = sent.nonzero()[:, 0], (~sent).nonzero()[:, 0]
        painted = torch.empty_like(sample.images)
        for rows, colours in zip(half, (palette, None), strict=True):
            if len(rows):
                drawn = network(labels[rows], None if colours is None else colours[rows])
                painted = painted.index_copy(0, rows, drawn.to(painted.dtype))
        shown[:] = [(labels, painted.detach())]
        fake, real = critic(painted, labels), critic(sample.images, labels)
        coarse = functional.avg_pool2d(painted - sample.images, 8).abs().mean((1, 2, 3))
        return {
            "adversarial": -torch.stack([scale[-1].mean() for scale in fake]).mean(),
            "matching": _MATCHING * feature_matching(fake, real),
            "colour": _COLOUR * (coarse * sent).mean(),
        }

    def criticise(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        labels, painted = shown.pop()
        real, fake = critic(sample.images, labels), critic(painted, labels)
        return {
            "real": torch.stack([functional.relu(1 - scale[-1]).mean() for scale in real]).mean(),
            "fake": torch.stack([functional.relu(1 + scale[-1]).mean() for scale in fake]).mean(),
        }

    phases = (Phase("generate", network, generate), Phase("criticise", critic, criticise))
    return Task(network, phases, None, network.configuration, helpers=critic)


def cycling() -> Task:
    """Train the baseline: the published losses (binary cross-entropy, MSE cycles x 10, MSE identities x 5).

    Critics' losses are halved as published. Crops must be 96 pixels high: `semcom train --crop 96`.
    """
    network, critics = CycleGan(), nn.ModuleDict({"photo": Verdict(), "map": Verdict()})
    shown: list[tuple[Tensor, Tensor]] = []

    def translate(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        photo, drawn = sample.images, coloured(_labels(sample))
        fake_photo, fake_map = network.to_photo(drawn), network.to_map(photo)
        shown[:] = [(fake_photo.detach(), fake_map.detach())]
        cycle = _mse(network.to_photo(fake_map), photo) + _mse(network.to_map(fake_photo), drawn)
        identity = _mse(network.to_photo(photo), photo) + _mse(network.to_map(drawn), drawn)
        deceived = adversarial(critics["photo"](fake_photo), True) + adversarial(critics["map"](fake_map), True)
        return {"adversarial": deceived, "cycle": _CYCLE * cycle, "identity": _IDENTITY * identity}

    def criticise(sample: Sample, snr_db: Tensor, send: Send, rng: Rng) -> dict[str, Tensor]:
        fake_photo, fake_map = shown.pop()
        losses = {}
        for name, real, fake in (("photo", sample.images, fake_photo), ("map", coloured(_labels(sample)), fake_map)):
            judged = adversarial(critics[name](real), True) + adversarial(critics[name](fake), False)
            losses[f"critic_{name}"] = judged / 2
        return losses

    phases = (Phase("translate", network, translate), Phase("criticise", critics, criticise))
    return Task(network, phases, None, network.configuration, helpers=critics)


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


def mean_colours(
    images: Float[Tensor, "rows 3 h w"], labels: Int[Tensor, "rows h w"]
) -> Float[Tensor, "rows classes 3"]:
    """The mean colour of each class in each picture; the picture's mean for classes that are not in it."""
    shares = functional.one_hot(labels.clamp(0, IGNORED), IGNORED + 1)[..., : len(CLASSES)].float()
    total = torch.einsum("bchw,bhwk->bkc", images.float(), shares)
    count = shares.sum((1, 2))[..., None]
    return torch.where(count > 0, total / count.clamp(min=1), images.float().mean((2, 3))[:, None])


def feature_matching(fake: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
    """Mean distance of the critic's features, verdicts aside, between pictures and their restorations."""
    return torch.stack(
        [
            (a - b.detach()).abs().mean()
            for of_fake, of_real in zip(fake, real, strict=True)
            for a, b in zip(of_fake[:-1], of_real[:-1], strict=True)
        ]
    ).mean()


def _labels(sample: Sample) -> Tensor:
    if sample.labels is None:
        raise UsageError("restorers need pictures with label maps: camvid or streets")
    return sample.labels


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean() * 4  # in the source samples range over [-1, 1]
