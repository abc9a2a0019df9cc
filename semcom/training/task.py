"""The interface between a system and the training loop: networks and losses."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Complex, Float
from torch import Tensor, nn

from channels.base import Received
from channels.errors import UsageError
from channels.extras import require
from channels.rng import Rng
from semcom import discover, images
from semcom.system import System
from semcom.training.settings import Settings

Send = Callable[[Complex[Tensor, "rows uses"], Float[Tensor, " rows"]], Received]
Losses = Callable[[Any, Float[Tensor, " rows"], Send, Rng], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Phase:
    """One optimizer update within a training step.

    Args:
        name: name for error messages.
        module: network whose parameters are updated.
        losses: function (batch, snr_db [rows], send, rng) that returns losses by name; their sum is minimized. `batch`
            is a `Sample` of random crops, or what `Generated.batch` returns. `send` is the differentiable channel: it
            maps symbols [rows, uses] of mean energy 1 and SNRs [rows] to `Received`. `rng` has one stream per row.
        muon: whether large matrices and convolutions are updated with Muon; all else is updated with AdamW.
    """

    name: str
    module: nn.Module
    losses: Losses
    muon: bool = False


@dataclass(frozen=True)
class Generated:
    """Training data that is generated anew in every step, instead of crops of images.

    Args:
        batch: function (settings, step) that returns the batch of a step, a dataclass of tensors.
        validate: function from settings to validation results by name, with the averaged weights in the network.
        data: description of the training data for the model card.
        validation: description of the validation data for the model card.
    """

    batch: Callable[[Settings, int], Any]
    validate: Callable[[Settings], Mapping[str, float]]
    data: str
    validation: str


@dataclass(frozen=True)
class Task:
    """Networks and losses of one training run.

    Args:
        network: network that is averaged, validated and exported.
        phases: optimizer updates of each step, in order: one for most systems, two for a GAN.
        system: function that returns the system with `network`, whose PSNR is validated; None without transmission.
        configuration: arguments that rebuild `network`.
        helpers: networks that are trained too but not exported, such as a discriminator.
        measure: function from validation images to further validation results by name.
        continues: kind of the network, such as "generator", if the run requires trained initial weights.
        generated: training data that is no image source, or None.
    """

    network: nn.Module
    phases: tuple[Phase, ...]
    system: Callable[[], System] | None
    configuration: Mapping[str, Any]
    helpers: nn.Module = field(default_factory=nn.Module)
    measure: Callable[[Sequence[images.SourceImage]], Mapping[str, float]] | None = None
    continues: str = ""
    generated: Generated | None = None


def find_task(system: str, build: Mapping[str, Any]) -> Task:
    """The task that the function `training` in the training.py of a system or of `semcom.recognition` returns.

    Args:
        system: name in `discover.trainable()`.
        build: arguments of `training`.

    Raises:
        UsageError: the system has no training, its extra is not installed, or an argument is unknown or has the wrong
            type.
    """
    name = f"semcom.{'' if system == discover.RECOGNITION else 'systems.'}{system}.training"
    if system in discover.entries("system"):
        require(discover.entries("system")[system].extra)
    try:
        training = importlib.import_module(name).training
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise UsageError(f"{system} cannot be trained: there is no {name}") from None
        raise
    arguments = inspect.signature(training).parameters
    for unknown in build.keys() - arguments.keys():
        raise UsageError(f"training {system} has no argument {unknown!r}; {discover.nearest(unknown, arguments)}")
    given = {}
    for key, value in build.items():
        kind = type(arguments[key].default)
        if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool) != (kind is bool):
            raise UsageError(f"training {system} requires {key}: {kind.__name__}, not {value!r}")
        given[key] = kind(value)
    return training(**given)
