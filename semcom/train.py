"""One training loop for every system, through any channel.

The loop owns data, optimisers, mixed precision, averaging, checkpoints, progress and validation; a system says in the
function `training(...) -> Task` of its training.py what to lower. Nothing random outlives a step: data, SNR, fading,
noise and dropout are drawn from seeds named after the step, so a run killed and resumed equals one that was not.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from channels._base import Channel, Received
from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom import _checkpoint, discover, images, weights
from semcom._scenario_file import check_argument
from semcom.crops import Crops
from semcom.link import Link
from semcom.metrics import psnr
from semcom.muon import Muon, is_inner_matrix
from semcom.provenance import provenance_of
from semcom.system import Sample, System
from semcom.train_settings import Settings, from_arguments, given_settings
from semcom.training_task import Phase, find_task

_log = logging.getLogger(__name__)
_WARM_UP = 200  # steps; does not depend on the length of the run
_DECAY = 0.4  # of the steps, at the end
_AVERAGE = 0.999
_MOST_MINUTES = 365 * 24 * 60
_CALIBRATION = 12  # steps whose speed turns minutes into steps
_CHECKPOINT_S, _VALIDATION_S = 120, 600
_VALIDATION_SNR_DB = (1.0, 7.0, 13.0)


def command(options: argparse.Namespace) -> Path:
    """What `semcom train` does; return the file that it wrote.

    Args:
        options: those of `train_settings.add_arguments`.
    """
    folder = folder_of(options)
    if options.resume or options.export:
        _refuse_other_settings(options, _checkpoint.read(folder)[0])
    if options.export:
        if options.export.suffix != ".safetensors" or options.export.is_dir():
            raise UsageError(
                f"weights are written as name.safetensors, with their card beside them, not {options.export}"
            )
        _make(options.export.parent)
        export(folder, options.export)
        return options.export
    _check_minutes(options.minutes, options.steps)
    if options.resume:
        resume(folder, options.steps, options.minutes)
    else:
        run(from_arguments(options), folder, options.minutes)
    return folder / f"{options.system}.safetensors"


def folder_of(options: argparse.Namespace) -> Path:
    """Where a run has its checkpoint and results."""
    return options.folder or Path("runs", "train", options.system)


def run(settings: Settings, folder: Path, minutes: float | None = None) -> weights.Weights:
    """Train from the beginning, for `settings.steps` steps or about `minutes`; return what was written.

    `folder` receives checkpoint.pt, log.jsonl, validation.png, and in the end <system>.safetensors with its model card.

    Raises:
        UsageError: a folder that holds a run, unknown names, neither steps nor minutes, a loss that is not finite.
    """
    if (folder / "checkpoint.pt").exists():
        raise UsageError(f"{folder} holds a run; go on with --resume, or choose another --folder")
    if settings.precision == "auto":
        settings = replace(settings, precision=_fast_precision())
    if tuple(settings.data) == ("photos",):
        _log.warning("training on ten example pictures: good for trying things, not for weights")
    return _continue(Run(settings, folder), minutes)


def resume(folder: Path, steps: int | None = None, minutes: float | None = None) -> weights.Weights:
    """Continue from the newest checkpoint, on request for another total of `steps` or for about `minutes` more.

    A run whose length changes before the decay of its learning rate began is the run that had this length all along.
    """
    settings, state = _checkpoint.read(folder)
    length = steps if steps is not None else None if minutes else settings.steps
    if length is not None and length < state["step"]:
        raise UsageError(f"the run has done {state['step']} steps already; --steps is the new total")
    trained = Run(replace(settings, steps=length), folder)
    trained.restore(state)
    return _continue(trained, minutes)


def export(folder: Path, path: Path) -> weights.Weights:
    """Write the averaged weights of the newest checkpoint, with what they measure on the validation pictures."""
    settings, state = _checkpoint.read(folder)
    trained = Run(settings, folder)
    trained.restore(state)
    return trained.export(path)


def _refuse_other_settings(options: argparse.Namespace, settings: Settings) -> None:
    if options.system != settings.system:
        raise UsageError(f"the folder holds a run of {settings.system}, not of {options.system}; name its --folder")
    for name in given_settings(options):
        raise UsageError(f"a run goes on with its own settings; leave out {name}")


def _check_minutes(minutes: float | None, steps: int | None) -> None:
    if minutes is None:
        return
    if steps is not None:
        raise UsageError("give --steps or --minutes, not both")
    if not 0 < minutes <= _MOST_MINUTES:
        raise UsageError(f"minutes must be above 0 and at most {_MOST_MINUTES}, not {minutes:g}")


def _continue(trained: Run, minutes: float | None) -> weights.Weights:
    settings, folder = trained.settings, trained.folder
    if settings.steps is None and minutes is None:
        raise UsageError("say how long to train: --steps or --minutes")
    _make(folder)
    crops = Crops(settings.data, settings.rows, settings.crop, settings.zoom, settings.seed, settings.width)
    trained.check_validation()  # now, not when all is trained
    first, began = trained.step, time.monotonic()
    saved = validated = began
    progress = tqdm(total=settings.steps, initial=first, unit="step", mininterval=2)
    with _interrupt_between_steps() as interrupted, progress as bar:
        while trained.settings.steps is None or trained.step < trained.settings.steps:
            bar.set_postfix(trained.advance(crops.sample(trained.step)), refresh=False)
            bar.update()
            if interrupted():
                trained.save()
                raise KeyboardInterrupt
            now = time.monotonic()
            if trained.settings.steps is None and trained.step - first == _CALIBRATION:
                fit = int((minutes or 0) * 60 / (now - began) * _CALIBRATION)
                bar.total = first + max(fit, _CALIBRATION)
                trained.settings = replace(settings, steps=bar.total)
            if now - saved > min(_CHECKPOINT_S, 10 + (now - began) / 4):  # soon at first, then rarely
                trained.save()
                saved = now
            if now - validated > _VALIDATION_S:
                trained.validate()
                validated = time.monotonic()
    trained.save()
    return trained.export(trained.folder / f"{settings.system}.safetensors")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}; choose another") from None


@contextmanager
def _interrupt_between_steps() -> Iterator[Callable[[], bool]]:
    """Tell of Ctrl-C instead of breaking a step in two, so that nothing trained is lost."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield lambda: False
        return
    caught: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield lambda: bool(caught)
    finally:
        signal.signal(signal.SIGINT, former)


class Run:
    """A run between two steps: everything that a checkpoint holds."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder, self.step = settings, folder, 0
        with weights.seeded(seed_for(settings.seed, "initialise")):
            self.task = find_task(settings.system, settings.build)
        if self.task.continues and not settings.start:
            raise UsageError(f"this goes on with a trained {self.task.continues}: name its weights with --start")
        self.start = ""
        if settings.start:
            start = weights.load(settings.start)
            weights.restore(self.task.network, start)
            self.start = start.id
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.task.network.to(self.device).to(memory_format=torch.channels_last)
        self.task.helpers.to(self.device)
        self.optimisers = [_optimisers(phase, settings.learning_rate) for phase in self.task.phases]
        self.average = {name: value.clone() for name, value in self.task.network.state_dict().items()}
        self.channels = [build_channel(channel) for channel in settings.channels]

    def advance(self, sample: Sample) -> dict[str, float]:
        """Take one step; return its losses."""
        names = (self.settings.seed, "step", self.step)
        rng = Rng([seed_for(*names, row) for row in range(len(sample.images))])
        low, high = self.settings.snr_db
        snr_db = (low + (high - low) * rng.derive("snr").uniform(1)[:, 0]).to(self.device)
        channel = self.channels[seed_for(*names, "channel") % len(self.channels)]

        def send(symbols: Tensor, snr: Tensor) -> Received:
            uses = torch.full((len(symbols), 1), symbols.shape[1], device=symbols.device)
            return channel.carry(symbols[:, None], uses, snr[:, None], rng[: len(symbols)].derive("air")).fold()

        reported: dict[str, float] = {}
        with weights.seeded(seed_for(*names, "torch")):
            for phase, moving in zip(self.task.phases, self.optimisers, strict=True):
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
                    losses = phase.losses(_on(sample, self.device), snr_db, send, rng)
                reported |= {name: value.item() for name, value in losses.items()}
                self._descend(phase, moving, torch.stack(list(losses.values())).sum(), reported)
        self._average()
        self.step += 1
        return reported

    def _descend(
        self, phase: Phase, moving: list[torch.optim.Optimizer], loss: Tensor, reported: Mapping[str, float]
    ) -> None:
        if not loss.isfinite():
            terms = ", ".join(f"{name} = {value:g}" for name, value in reported.items())
            raise UsageError(f"step {self.step} ({phase.name}): {terms}; train again with a lower learning rate")
        phase.module.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(phase.module.parameters(), 1.0)
        for optimiser in moving:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self.step, self.settings)
            optimiser.step()

    def _average(self) -> None:
        share = 1 - min(_AVERAGE, (1 + self.step) / (10 + self.step))
        for name, value in self.task.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, share)
            else:
                self.average[name].copy_(value)

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "settings": json.dumps(asdict(self.settings)),
            "step": self.step,
            "network": self.task.network.state_dict(),
            "helpers": self.task.helpers.state_dict(),
            "average": self.average,
            "optimisers": [[optimiser.state_dict() for optimiser in moving] for moving in self.optimisers],
        }
        _checkpoint.write(self.folder, state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to where a checkpoint was.

        Raises:
            UsageError: it is of another network.
        """
        try:
            self.step = state["step"]
            self.task.network.load_state_dict(state["network"])
            self.task.helpers.load_state_dict(state["helpers"])
            self.average = {name: value.to(self.device) for name, value in state["average"].items()}
            for moving, states in zip(self.optimisers, state["optimisers"], strict=True):
                for optimiser, saved in zip(moving, states, strict=True):
                    optimiser.load_state_dict(saved)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason, system = " ".join(str(error).split())[:120], self.settings.system
            raise UsageError(
                f"the checkpoint in {self.folder} is of another version of {system}; begin anew ({reason})"
            ) from None

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The network with its averaged weights."""
        network = self.task.network
        current = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.average)
        network.eval()
        try:
            yield network
        finally:
            network.load_state_dict(current)
            network.train()

    def check_validation(self) -> None:
        """Fail where `validate` would: send a picture of each size, with what the network knows by now."""
        pictures = images.load(self.settings.validation, self.settings.validation_count)
        if self.task.system is not None:
            with self.averaged(), torch.inference_mode():
                link = Link(self.task.system(), self.channels[0])
                for first, *_ in images.group_by_shape(pictures):
                    link.deliver(_on(Sample(first.pixels[None]), self.device), _VALIDATION_SNR_DB[0], [0])

    def validate(self) -> dict[str, float]:
        """Measure the averaged network on the validation pictures; a line in log.jsonl, and validation.png."""
        measured: dict[str, float] = {}
        pictures = images.load(self.settings.validation, self.settings.validation_count)
        with self.averaged(), torch.inference_mode():
            if self.task.system is not None:
                measured |= self._psnr(self.task.system(), pictures)
            if self.task.measure is not None:
                measured |= {name: float(value) for name, value in self.task.measure(pictures).items()}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"step": self.step, **measured}) + "\n")
        _log.info("step %d: %s", self.step, measured)
        return measured

    def _psnr(self, system: System, pictures: Sequence[images.Picture]) -> dict[str, float]:
        """Mean PSNR in dB over the first channel; the first picture, sent above received, becomes validation.png."""
        link, measured, shown = Link(system, self.channels[0]), {}, []
        for snr_db in _VALIDATION_SNR_DB:
            scores: list[float] = []
            for group in images.group_by_shape(pictures):
                sample = _on(Sample(torch.stack([picture.pixels for picture in group])), self.device)
                seeds = [seed_for(self.settings.seed, "validate", picture.name) for picture in group]
                received = link.deliver(sample, snr_db, seeds).reception.images
                if not scores:
                    shown.append(torch.cat([sample.images[0], received[0]], 1))
                scores += psnr(received, sample.images).tolist()
            measured[f"psnr_db at {snr_db:g} dB"] = round(math.fsum(scores) / len(scores), 3)
        images.save_png(torch.cat(shown, 2), self.folder / "validation.png")
        return measured

    def export(self, path: Path) -> weights.Weights:
        """Write the averaged weights and their model card."""
        settings = self.settings
        source = f"the first {settings.validation_count} pictures of {settings.validation}"
        measured = f"{json.dumps(self.validate())} over {json.dumps(settings.channels[0])} on {source}"
        provenance = provenance_of(replace(settings, steps=self.step or None), measured, self.start)
        with self.averaged() as network:
            return weights.save(path, network, settings.system, self.task.configuration, provenance)


def learning_rate(step: int, settings: Settings) -> float:
    """Linear warm-up, plateau, linear decay to zero; only the decay depends on the length of the run."""
    rise = min(1, (step + 1) / _WARM_UP)
    left = 1 if settings.steps is None else (settings.steps - step) / (_DECAY * settings.steps)
    return settings.learning_rate * rise * max(0, min(1, left))


def build_channel(description: Mapping[str, Any]) -> Channel:
    """The channel that {"name": ..., arguments of its build} describes."""
    entry = discover.find("channel", description["name"])
    arguments = {key: value for key, value in description.items() if key != "name"}
    for key, value in arguments.items():
        check_argument(entry, key, value, "--channel")
    return entry.load()(**arguments)


def _optimisers(phase: Phase, rate: float) -> list[torch.optim.Optimizer]:
    inner = [value for value in phase.module.parameters() if phase.muon and is_inner_matrix(value)]
    taken = {id(value) for value in inner}
    others = [value for value in phase.module.parameters() if id(value) not in taken]
    adam = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.99))
    return [Muon(inner, rate), adam] if inner else [adam]


def _on(sample: Sample, device: torch.device) -> Sample:
    labels = None if sample.labels is None else sample.labels.to(device)
    return replace(sample, images=sample.images.to(device), labels=labels)


def _fast_precision() -> str:
    """What matrix products are fast in here; half-emulated bfloat16 is slower than float32."""
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        fast = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bfloat16" if fast else "float32"
