"""Training loop for every system and any channel, and for recognizers of modulations.

The loop handles data, optimizers, mixed precision, weight averages, checkpoints, progress and validation. A system
defines its networks and losses in the function `training(...) -> Task` of its training.py. Data, SNR, fading, noise and
dropout of a step are drawn from seeds that depend on the step alone, so that a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import argparse
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from channels.arguments import within
from channels.errors import UsageError
from semcom import atomic, devices, weights
from semcom.training import checkpoint, inputs
from semcom.training.crops import Crops
from semcom.training.settings import Settings, from_arguments, given_settings
from semcom.training.trainer import Trainer

_log = logging.getLogger(__name__)
_MAX_MINUTES = 365 * 24 * 60
_CALIBRATION = 12  # most steps, within a quarter of the minutes, whose speed determines the number of steps
_CHECKPOINT_S, _VALIDATION_S = 120, 600  # seconds between checkpoints and between validations


def command(options: argparse.Namespace) -> Path:
    """Run `semcom train`; return the path of the weight file.

    Args:
        options: options of `settings.add_arguments`, and `device`, a value of `--device`.

    Raises:
        UsageError: options, settings or files are invalid.
    """
    folder, device = folder_of(options), devices.resolve(options.device)
    if options.resume or options.export:
        _refuse_other_settings(options, checkpoint.read(folder)[0])
    if options.export:
        if options.export.suffix != ".safetensors" or options.export.is_dir():
            raise UsageError(f"--export must be a file name.safetensors, not {options.export}")
        _make(options.export.parent)
        export(folder, options.export, device)
        return options.export
    _check_minutes(options.minutes, options.steps)
    if options.resume:
        resume(folder, options.steps, options.minutes, device)
    else:
        run(from_arguments(options), folder, options.minutes, device)
    return folder / f"{options.system}.safetensors"


def folder_of(options: argparse.Namespace) -> Path:
    """Folder of the checkpoint and the results of a run."""
    return options.folder or Path("runs", "train", options.system)


def run(settings: Settings, folder: Path, minutes: float | None = None, device: str = "cpu") -> weights.Weights:
    """Start a training run; return the trained weights.

    The folder receives checkpoint.pt, log.jsonl, validation.png, and at the end <system>.safetensors with its model
    card.

    Args:
        settings: settings of the run; `steps` is the number of steps.
        folder: folder for the checkpoint and results.
        minutes: approximate duration instead of `settings.steps`.
        device: kind of the device, from `semcom.devices.resolve`.

    Raises:
        UsageError: the folder contains a run, a name is unknown, both or neither of steps and minutes are given, or a
            loss is not finite.
    """
    if (folder / "checkpoint.pt").exists():
        raise UsageError(f"{folder} contains a run: add --resume, or choose another --folder")
    if settings.precision == "auto":
        settings = replace(settings, precision=_fast_precision(device))
    trainer = Trainer(settings, folder, device)
    return _train(trainer, minutes)


def resume(
    folder: Path, steps: int | None = None, minutes: float | None = None, device: str = "cpu"
) -> weights.Weights:
    """Resume a run from its newest checkpoint; return the trained weights.

    A new length has the same effect as at the start of the run, unless the decay of the learning rate has begun.

    Args:
        folder: folder of the run.
        steps: new total number of steps; None keeps it.
        minutes: approximate further duration instead of a number of steps.
        device: kind of the device, from `semcom.devices.resolve`; it may differ from that of the start.

    Raises:
        UsageError: there is no complete checkpoint, it has more than `steps` steps, images or weight files differ from
            those of the start, or a loss is not finite.
    """
    settings, state = checkpoint.read(folder)
    length = steps if steps is not None else None if minutes else settings.steps
    if length is not None and length < state["step"]:
        raise UsageError(f"the run already has {state['step']} steps: --steps must be the new total")
    trainer = Trainer(replace(settings, steps=length), folder, device)
    trainer.restore(state)
    return _train(trainer, minutes)


def export(folder: Path, path: Path, device: str = "cpu") -> weights.Weights:
    """Validate the averaged weights of the newest checkpoint and write them.

    Args:
        folder: folder of the run.
        path: weight file, `<name>.safetensors`.
        device: kind of the device of the validation, from `semcom.devices.resolve`.

    Raises:
        UsageError: there is no complete checkpoint, or the file cannot be written.
    """
    settings, state = checkpoint.read(folder)
    trainer = Trainer(settings, folder, device)
    trainer.restore(state)
    return trainer.export(path)


def _refuse_other_settings(options: argparse.Namespace, settings: Settings) -> None:
    if options.system != settings.system:
        raise UsageError(
            f"the folder contains a run of {settings.system}, not of {options.system}: give another --folder"
        )
    for name in given_settings(options):
        raise UsageError(f"a resumed run has the settings of its start: leave out {name}")


def _check_minutes(minutes: float | None, steps: int | None) -> None:
    if minutes is None:
        return
    if steps is not None:
        raise UsageError("give --steps or --minutes, not both")
    within("--minutes", minutes, 0, _MAX_MINUTES, excluded="least")


def _train(trainer: Trainer, minutes: float | None) -> weights.Weights:
    """Train until the last step, with checkpoints and validations on the way, and export the weights."""
    settings, folder, generated = trainer.settings, trainer.folder, trainer.task.generated
    if settings.steps is None and minutes is None:
        raise UsageError("give the length of the training: --steps or --minutes")
    crops = None
    if generated is None:
        crops = Crops(settings.data, settings.rows, settings.crop, settings.zoom, settings.seed, settings.width)
        batch: Callable[[int], Any] = crops.sample
    else:
        batch = partial(generated.batch, settings)
    found = inputs.digests(settings, crops)
    inputs.refuse_others(folder, trainer.inputs, found)
    trainer.inputs = found
    trainer.check_validation()
    _make(folder)
    atomic.remove_abandoned(folder)
    if trainer.step == 0 and crops is not None and tuple(settings.data) == ("photos",):
        _log.warning("training on ten example images, enough for a trial only: choose a data set with --data")
    first, start = trainer.step, time.monotonic()
    last_checkpoint = last_validation = start
    progress = tqdm(total=settings.steps, initial=first, unit="step", mininterval=2)
    with _interrupt_between_steps() as interrupted, progress as bar:
        while trainer.settings.steps is None or trainer.step < trainer.settings.steps:
            bar.set_postfix(trainer.advance(batch(trainer.step)), refresh=False)
            bar.update()
            if interrupted():
                trainer.save()
                raise KeyboardInterrupt
            now = time.monotonic()
            done, given_s = trainer.step - first, 60 * (minutes or 0)
            if trainer.settings.steps is None and (done == _CALIBRATION or now - start > given_s / 4):
                bar.total = first + max(int(given_s / (now - start) * done), done)
                trainer.settings = replace(settings, steps=bar.total)
            if now - last_checkpoint > min(_CHECKPOINT_S, 10 + (now - start) / 4):  # more often at the start
                trainer.save()
                last_checkpoint = now
            if now - last_validation > _VALIDATION_S:
                trainer.validate()
                last_validation = time.monotonic()
    trainer.save()
    return trainer.export(trainer.folder / f"{settings.system}.safetensors")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create the folder {folder}: {error.strerror}; choose another folder") from None


@contextmanager
def _interrupt_between_steps() -> Iterator[Callable[[], bool]]:
    """Record Ctrl-C instead of raising KeyboardInterrupt, so that the step is finished and a checkpoint is written."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield lambda: False
        return
    caught: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield lambda: bool(caught)
    finally:
        signal.signal(signal.SIGINT, former)


def _fast_precision(device: str) -> str:
    """The faster precision of matrix products on a device; emulated bfloat16 is slower than float32."""
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device != "cpu":
        fast = False
    else:
        capabilities = torch.cpu.get_capabilities()
        fast = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bfloat16" if fast else "float32"
