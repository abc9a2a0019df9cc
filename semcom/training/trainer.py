"""State of a training run: networks, optimizers, weight averages, validation and checkpoints."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from channels.base import Channel, Received
from channels.errors import UsageError
from channels.rng import Rng, seed_for
from semcom import discover, images, weights
from semcom.devices import moved
from semcom.link import Link
from semcom.metrics.fidelity import psnr
from semcom.scenario.arguments import check_argument
from semcom.system import Sample, System
from semcom.training import checkpoint
from semcom.training.muon import Muon, is_inner_matrix
from semcom.training.provenance import provenance_of
from semcom.training.settings import Settings, refuse_image_options
from semcom.training.task import Phase, find_task
from semcom.weights import quantization

_log = logging.getLogger(__name__)
_WARM_UP = 200  # steps, independent of the length of the run
_DECAY = 0.4  # share of the steps, at the end
_AVERAGE = 0.999  # largest decay of the exponential moving average of the weights
_VALIDATION_SNR_DB = (1.0, 7.0, 13.0)


class Trainer:
    """State of a training run between two steps; a checkpoint contains all of it.

    Args:
        settings: settings of the run.
        folder: folder for the checkpoint and results.
        device: kind of the device, from `semcom.devices.resolve`.

    Raises:
        UsageError: unknown names or arguments, or initial weights that are missing or belong to another network.
    """

    def __init__(self, settings: Settings, folder: Path, device: str = "cpu") -> None:
        self.settings, self.folder, self.step = settings, folder, 0
        self.inputs: dict[str, str] = {}  # by `training.inputs`; empty before the run starts
        with weights.seeded(seed_for(settings.seed, "initialise")):
            self.task = find_task(settings.system, settings.build)
        if self.task.continues and not settings.start:
            raise UsageError(f"this training requires a trained {self.task.continues}: give its weights with --start")
        if self.task.generated is not None:
            refuse_image_options(settings)
        self.start = ""
        if settings.start:
            start = weights.load(settings.start)
            weights.restore(self.task.network, start)
            self.start = start.id
        self.device = torch.device(device)
        self.task.network.to(self.device).to(memory_format=torch.channels_last)
        self.task.helpers.to(self.device)
        self.optimizers = [_optimizers(phase, settings.learning_rate) for phase in self.task.phases]
        self.average = {name: value.clone() for name, value in self.task.network.state_dict().items()}
        self.channels = [build_channel(channel) for channel in settings.channels]
        self._bits()  # refuses a wrong part

    def advance(self, batch: Any) -> dict[str, float]:
        """Train one step; return its losses by name.

        Args:
            batch: a `Sample` of `settings.rows` crops, or what `task.generated` returns for the step.
        """
        names = (self.settings.seed, "step", self.step)
        rng = Rng([seed_for(*names, row) for row in range(self.settings.rows)])
        low, high = self.settings.snr_db
        snr_db = (low + (high - low) * rng.derive("snr").uniform(1)[:, 0]).to(self.device)
        channel = self.channels[seed_for(*names, "channel") % len(self.channels)]

        def send(symbols: Tensor, snr: Tensor) -> Received:
            uses = torch.full((len(symbols), 1), symbols.shape[1], device=symbols.device)
            return channel.carry(symbols[:, None], uses, snr[:, None], rng[: len(symbols)].derive("air")).fold()

        reported: dict[str, float] = {}
        with weights.seeded(seed_for(*names, "torch")):
            for phase, optimizers in zip(self.task.phases, self.optimizers, strict=True):
                with self._rounded():
                    with torch.autocast(
                        self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"
                    ):
                        losses = phase.losses(moved(batch, self.device), snr_db, send, rng)
                    reported |= {name: value.item() for name, value in losses.items()}
                    self._find_gradient(phase, torch.stack(list(losses.values())).sum(), reported)
                for optimizer in optimizers:
                    for group in optimizer.param_groups:
                        group["lr"] = learning_rate(self.step, self.settings)
                    optimizer.step()
        self._average()
        self.step += 1
        return reported

    def _rounded(self) -> AbstractContextManager[None]:
        """A context in which the weights that are stored in a few bits are rounded."""
        bits = self.settings.weight_bits
        return nullcontext() if bits is None else quantization.with_rounded_weights(self._few_bits, bits)

    @property
    def _few_bits(self) -> nn.Module:
        """The part of the network whose weights are stored in a few bits."""
        name, parts = self.settings.weight_bits_of, dict(self.task.network.named_modules())
        if name not in parts:
            largest = [part for part in parts if part and "." not in part]
            raise UsageError(f"weight_bits_of: the network has no part {name!r}; {discover.nearest(name, largest)}")
        return parts[name]

    def _bits(self) -> dict[str, int]:
        """Number of bits of each weight that is stored in a few bits, by name."""
        bits = self.settings.weight_bits
        few = set() if bits is None else set(map(id, self._few_bits.parameters()))
        named = self.task.network.named_parameters()
        return {name: bits or 0 for name, value in named if id(value) in few and quantization.is_quantized(value)}

    def _find_gradient(self, phase: Phase, loss: Tensor, reported: Mapping[str, float]) -> None:
        """Compute the gradient of the loss of a phase.

        Raises:
            UsageError: the loss or its gradient is not finite; the parameters of the phase are unchanged.
        """
        terms = ", ".join(f"{name} = {value:g}" for name, value in reported.items())
        if not loss.isfinite():
            raise UsageError(f"step {self.step} ({phase.name}): {terms}; train again with a lower learning rate")
        phase.module.zero_grad()
        loss.backward()
        if not nn.utils.clip_grad_norm_(phase.module.parameters(), 1.0).isfinite():
            raise UsageError(
                f"step {self.step} ({phase.name}): the gradient is not finite ({terms}); train again with a lower "
                "learning rate"
            )

    def _average(self) -> None:
        """Update the exponential moving average of the weights."""
        share = 1 - min(_AVERAGE, (1 + self.step) / (10 + self.step))
        for name, value in self.task.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, share)
            else:
                self.average[name].copy_(value)

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            UsageError: a weight is not finite, or the file cannot be written; the former checkpoint is unchanged.
        """
        if name := _not_finite(self.task.network, self.task.helpers):
            raise UsageError(
                f"step {self.step}: {name} is not finite; the former checkpoint is unchanged, train again with a lower "
                "learning rate"
            )
        state = {
            "settings": json.dumps(asdict(self.settings)),
            "inputs": self.inputs,
            "step": self.step,
            "network": self.task.network.state_dict(),
            "helpers": self.task.helpers.state_dict(),
            "average": self.average,
            "optimizers": [[optimizer.state_dict() for optimizer in phase] for phase in self.optimizers],
        }
        checkpoint.write(self.folder, state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the state in a checkpoint.

        Raises:
            UsageError: the checkpoint belongs to another network, or a weight in it is not finite.
        """
        try:
            self.step, self.inputs = state["step"], dict(state.get("inputs", {}))
            self.task.network.load_state_dict(state["network"])
            self.task.helpers.load_state_dict(state["helpers"])
            self.average = {name: value.to(self.device) for name, value in state["average"].items()}
            for optimizers, states in zip(self.optimizers, state["optimizers"], strict=True):
                for optimizer, values in zip(optimizers, states, strict=True):
                    optimizer.load_state_dict(values)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason, system = " ".join(str(error).split())[:120], self.settings.system
            raise UsageError(
                f"the checkpoint in {self.folder} belongs to another version of {system}; start a new run ({reason})"
            ) from None
        if name := _not_finite(self.task.network, self.task.helpers):
            raise UsageError(f"the checkpoint in {self.folder} has {name} that is not finite: start a new run")

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The network in evaluation mode with its averaged weights, in the precision of the weight file."""
        network = self.task.network
        current = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(weights.stored(self.average))
        network.eval()
        try:
            with self._rounded():
                yield network
        finally:
            network.load_state_dict(current)
            network.train()

    def check_validation(self) -> None:
        """Validate with one image of each size, to find errors before the training and not after it."""
        if self.task.generated is not None:
            return
        photos = images.load(self.settings.validation, self.settings.validation_count)
        with self.averaged(), torch.inference_mode():
            if self.task.system is not None:
                link = Link(self.task.system(), self.channels[0])
                for first, *_ in images.group_by_shape(photos):
                    link.deliver(moved(Sample(first.pixels[None]), self.device), _VALIDATION_SNR_DB[0], [0])
            if self.task.measure is not None:
                self.task.measure(photos[:1])

    def validate(self) -> dict[str, float]:
        """Measure the averaged network on the validation data; add a line to log.jsonl and write validation.png."""
        measured: dict[str, float] = {}
        generated, settings = self.task.generated, self.settings
        data = (
            f"{settings.validation_count} images of {settings.validation}"
            if generated is None
            else generated.validation
        )
        _log.info("step %d: validation on %s ...", self.step, data)
        with self.averaged(), torch.inference_mode():
            if self.task.generated is not None:
                measured |= self.task.generated.validate(self.settings)
            else:
                photos = images.load(self.settings.validation, self.settings.validation_count)
                if self.task.system is not None:
                    measured |= self._psnr(self.task.system(), photos)
                if self.task.measure is not None:
                    measured |= {name: float(value) for name, value in self.task.measure(photos).items()}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"step": self.step, **measured}) + "\n")
        _log.info("step %d: %s", self.step, measured)
        return measured

    def _psnr(self, system: System, photos: Sequence[images.SourceImage]) -> dict[str, float]:
        """Mean PSNR over the first channel, dB; the first image, transmitted above received, becomes validation.png."""
        link, measured, columns = Link(system, self.channels[0]), {}, []
        for snr_db in _VALIDATION_SNR_DB:
            scores: list[float] = []
            for group in images.group_by_shape(photos):
                sample = moved(Sample(torch.stack([image.pixels for image in group])), self.device)
                seeds = [seed_for(self.settings.seed, "validate", image.name) for image in group]
                received = link.deliver(sample, snr_db, seeds).reception.images
                if not scores:
                    columns.append(torch.cat([sample.images[0], received[0]], 1))
                scores += psnr(received, sample.images).tolist()
            measured[f"psnr_db at {snr_db:g} dB"] = round(math.fsum(scores) / len(scores), 3)
        images.save_png(torch.cat(columns, 2), self.folder / "validation.png")
        return measured

    def export(self, path: Path) -> weights.Weights:
        """Write the averaged weights and their model card.

        Args:
            path: weight file, `<name>.safetensors`.

        Raises:
            UsageError: the file cannot be written.
        """
        settings, generated = replace(self.settings, steps=self.step or None), self.task.generated
        if generated is None:
            source = f"the first {settings.validation_count} images of {settings.validation}"
            source = f"over {json.dumps(settings.channels[0])} on {source}"
        else:
            source = f"on {generated.validation}, Es/N0 {settings.snr_db[0]:g} to {settings.snr_db[1]:g} dB"
        measured = f"{json.dumps(self.validate())} {source}"
        provenance = provenance_of(settings, measured, self.start, generated.data if generated else "")
        with self.averaged() as network:
            try:
                return weights.save(path, network, settings.system, self.task.configuration, provenance, self._bits())
            except OSError as error:
                raise UsageError(
                    f"cannot write {path}: {error.strerror or error}; the checkpoint is unchanged"
                ) from None


def learning_rate(step: int, settings: Settings) -> float:
    """Learning rate of a step: linear warm-up, plateau, and linear decay to 0 at the end of the run."""
    warm_up = min(1, (step + 1) / _WARM_UP)
    decay = 1 if settings.steps is None else (settings.steps - step) / (_DECAY * settings.steps)
    return settings.learning_rate * warm_up * max(0, min(1, decay))


def build_channel(description: Mapping[str, Any]) -> Channel:
    """Build the channel that {"name": ..., arguments of its build} describes."""
    entry = discover.find("channel", description["name"])
    arguments = {key: value for key, value in description.items() if key != "name"}
    for key, value in arguments.items():
        check_argument(entry, key, value, "--channel")
    return entry.load()(**arguments)


def _not_finite(*networks: nn.Module) -> str:
    """Name of a parameter that is not finite or of a buffer that is NaN; "" if there is none."""
    for network in networks:
        for name, parameter in network.named_parameters():
            if not parameter.isfinite().all():
                return name
        for name, buffer in network.named_buffers():  # masks may contain -inf
            if buffer.isnan().any():
                return name
    return ""


def _optimizers(phase: Phase, rate: float) -> list[torch.optim.Optimizer]:
    matrices = [value for value in phase.module.parameters() if phase.muon and is_inner_matrix(value)]
    by_muon = {id(value) for value in matrices}
    others = [value for value in phase.module.parameters() if id(value) not in by_muon]
    adam = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.99))
    return [Muon(matrices, rate), adam] if matrices else [adam]
