"""Where a training run stands, on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from channels._errors import UsageError
from semcom.train_settings import Settings

_NAME = "checkpoint.pt"


def write(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint whole or not at all: a temporary file, fsync, rename.

    Raises:
        UsageError: it cannot be written, as on a full disk.
    """
    temporary = folder / "checkpoint.tmp"
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / _NAME)
    except (OSError, RuntimeError) as error:  # torch says the second of a full disk
        raise UsageError(f"cannot write {temporary} ({error}); the checkpoint before it stays") from None


def read(folder: Path) -> tuple[Settings, dict[str, Any]]:
    """The settings of a run, and all that it has come to.

    Raises:
        UsageError: there is no checkpoint, or none that can be read.
    """
    path = folder / _NAME
    if not path.is_file():
        raise UsageError(f"no checkpoint in {folder}: leave out --resume to begin, or name the run's --folder")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        values: dict[str, Any] = json.loads(state["settings"])
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return Settings(**values), state
    except Exception as error:  # damaged pickles raise anything
        raise UsageError(f"{path} is not a whole checkpoint: {' '.join(str(error).split())[:100]}") from None
