"""Training of recognizers of modulations: cross-entropy over random frames, new ones in every step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from channels.arguments import one_of, within
from channels.errors import UsageError
from channels.recognition import MODULATIONS
from channels.rng import Rng, seed_for
from semcom.recognition import frames
from semcom.recognition.frames import Frames
from semcom.recognition.networks import build, classified
from semcom.training.settings import Settings
from semcom.training.task import Generated, Phase, Send, Task

PHASE_LOSS = 0.1  # weight of the loss of the estimated phase
_SHORTEST = 64  # channel uses of the shortest frame; half of the steps have shorter frames than `uses`
_VALIDATION_FRAMES, _VALIDATION_ROWS = 2048, 128


def training(
    network: str = "set",
    modulations: str = "bpsk,qpsk,8psk,16qam,64qam,256qam,gaussian",
    uses: int = 1024,
    taps: int = 1,
) -> Task:
    """Train a recognizer of modulations that knows neither gain, phase nor noise.

    Args:
        network: network: set for memoryless channels, or sequence for channels with memory.
        modulations: modulations, separated by commas.
        uses: channel uses of the longest frames, 64 or more.
        taps: number of paths of the channel with equal mean power, 1 (flat) to 8.

    Raises:
        UsageError: a value is not known or out of range.
    """
    names = tuple(name.strip() for name in modulations.split(","))
    for name in names:
        one_of("modulations", name, tuple(MODULATIONS))
    if len(set(names)) < 2:
        raise UsageError("modulations must name two or more different modulations")
    one_of("network", network, ("set", "sequence"))
    within("uses", uses, _SHORTEST, 1 << 16)
    within("taps", taps, 1, 8)
    recognizer = build(network, names)
    is_square = torch.tensor([MODULATIONS[name].symmetry in (2, 4) for name in names])

    def random_frames(settings: Settings, length: int, rows: int, step: int | str) -> Frames:
        low, high = settings.snr_db
        return frames.draw(names, length, (low, high), rows, settings.seed, step, taps)

    def batch(settings: Settings, step: int) -> Frames:
        selector, exponent = Rng([seed_for(settings.seed, "uses", step)]).uniform(2)[0].tolist()
        shorter = round(_SHORTEST * (uses / _SHORTEST) ** exponent)
        return random_frames(settings, shorter if selector < 0.5 else uses, settings.rows, step)

    def losses(batch: Frames, snr_db: Float[Tensor, " rows"], send: Send, rng: Rng) -> dict[str, Tensor]:
        del snr_db, send, rng  # the frames have their own SNR, channel and noise
        logits, angle = classified(recognizer, batch.symbols)
        found = {"cross_entropy": functional.cross_entropy(logits, batch.truth)}
        if angle is not None:
            error = 4 * (angle - batch.phase)
            weight = is_square.to(error.device)[batch.truth]
            phase = (1e-3 + 1 - error.cos()).log() * weight  # the logarithm: small errors count, too
            found["phase"] = PHASE_LOSS * phase.mean()
        return found

    def validate(settings: Settings) -> Mapping[str, float]:
        """Over frames that no step has."""
        right, entropy, device = 0.0, 0.0, next(recognizer.parameters()).device
        for part in range(_VALIDATION_FRAMES // _VALIDATION_ROWS):
            batch = random_frames(settings, uses, _VALIDATION_ROWS, f"validation {part}")
            logits, truth = recognizer(batch.symbols.to(device)), batch.truth.to(device)
            right += float((logits.argmax(1) == truth).sum())
            entropy += float(functional.cross_entropy(logits, truth, reduction="sum"))
        values = {"log_loss": entropy, "accuracy": right}
        return {name: round(value / _VALIDATION_FRAMES, 4) for name, value in values.items()}

    configuration = {"network": network, "modulations": list(names), "uses": uses, "taps": taps}
    source = Generated(batch, validate, "random frames of modulated symbols", f"{_VALIDATION_FRAMES} random frames")
    return Task(recognizer, (Phase("recognize", recognizer, losses),), None, configuration, generated=source)
