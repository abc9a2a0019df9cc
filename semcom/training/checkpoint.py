"""Checkpoint files of training runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from channels.errors import UsageError
from semcom import atomic
from semcom.training.settings import Settings

_NAME = "checkpoint.pt"


def write(folder: Path, state: Mapping[str, Any]) -> None:
    """Replace the checkpoint of a run, or leave the former one unchanged.

    Args:
        folder: folder of the run.
        state: tensors and plain values by name, among them "settings" (JSON text of `Settings`).

    Raises:
        UsageError: the file cannot be written, for example because the disk is full.
    """
    path = folder / _NAME
    try:
        with atomic.replacing(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError when the disk is full
        raise UsageError(f"cannot write {path} ({error}); the former checkpoint is unchanged") from None


def read(folder: Path) -> tuple[Settings, dict[str, Any]]:
    """The settings and the state of the newest checkpoint.

    Args:
        folder: folder of the run.

    Raises:
        UsageError: there is no checkpoint, or it cannot be read.
    """
    path = folder / _NAME
    if not path.is_file():
        raise UsageError(f"no checkpoint in {folder}; name the --folder of a run, or leave out --resume and --export")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        values: dict[str, Any] = json.loads(state["settings"])
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return Settings(**values), state
    except Exception:  # damaged pickles raise anything
        raise UsageError(f"{path} is not a complete checkpoint; train again in another --folder") from None
