"""What a system hands to the training loop: networks, and what to lower."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Complex, Float
from torch import Tensor, nn

from channels._base import Received
from channels._errors import UsageError
from channels._rng import Rng
from semcom import discover, images
from semcom.system import Sample, System

Send = Callable[[Complex[Tensor, "rows uses"], Float[Tensor, " rows"]], Received]
Losses = Callable[[Sample, Float[Tensor, " rows"], Send, Rng], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Phase:
    """One optimiser's turn in a step.

    Args:
        name: for messages.
        module: what it moves.
        losses: (sample, snr_db [rows], send, rng) -> named losses, whose sum it lowers. `send` is the differentiable
            air: symbols [rows, uses] of mean energy 1 and an SNR a row to what is received. `rng` has a stream a row.
        muon: move large matrices and convolutions with Muon; everything else moves with AdamW.
    """

    name: str
    module: nn.Module
    losses: Losses
    muon: bool = False


@dataclass(frozen=True)
class Task:
    """What a system hands to the loop.

    Args:
        network: what is averaged, validated and exported.
        phases: taken in order at every step: one for most systems, two for a GAN.
        system: the system around `network`, whose PSNR is validated; None for a network that sends nothing.
        configuration: arguments that rebuild `network`.
        helpers: what learns beside it and is not exported, such as a discriminator.
        measure: validation pictures to named numbers, for what PSNR does not tell.
        continues: kind of network, such as "generator", if this goes on with one that was trained before.
    """

    network: nn.Module
    phases: tuple[Phase, ...]
    system: Callable[[], System] | None
    configuration: Mapping[str, Any]
    helpers: nn.Module = field(default_factory=nn.Module)
    measure: Callable[[Sequence[images.Picture]], Mapping[str, float]] | None = None
    continues: str = ""


def find_task(system: str, build: Mapping[str, Any]) -> Task:
    """What the function `training` in a system's training.py returns for the arguments `build`.

    Raises:
        UsageError: nothing to train; unknown arguments or of another type.
    """
    name = f"semcom.systems.{system}.training"
    try:
        training = importlib.import_module(name).training
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise UsageError(f"{system} is no system with something to train: there is no {name}") from None
        raise
    arguments = inspect.signature(training).parameters
    for unknown in build.keys() - arguments.keys():
        raise UsageError(f"training {system} takes no {unknown!r}; {discover.nearest(unknown, arguments)}")
    given = {}
    for key, value in build.items():
        kind = type(arguments[key].default)
        if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool) != (kind is bool):
            raise UsageError(f"training {system} wants {key}: {kind.__name__}, not {value!r}")
        given[key] = kind(value)
    return training(**given)
