"""Inputs of a training run, identified by their content: images, and weight files that its settings name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from channels.errors import UsageError
from semcom import images
from semcom.training.crops import Crops
from semcom.training.settings import Settings


def digests(settings: Settings, crops: Crops | None) -> dict[str, str]:
    """SHA-256 of each input of a run, by the option that names it.

    Args:
        settings: settings of the run.
        crops: its training images; None if its data are generated.

    Raises:
        UsageError: a validation image cannot be read.
    """
    found: dict[str, str] = {}
    if crops is not None:
        found |= {f"--data {source}": crops.digest(source) for source in settings.data}
        validated = images.load(settings.validation, settings.validation_count)
        found[f"--validation {settings.validation}"] = " ".join(image.digest for image in validated)
    named = {"--start ": settings.start, **{f"--set {name}=": value for name, value in settings.build.items()}}
    for option, value in named.items():
        if isinstance(value, str) and value and os.path.isfile(path := os.path.expanduser(value)):
            found[option + value] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return found


def refuse_others(folder: Path, before: dict[str, str], now: dict[str, str]) -> None:
    """Check that a run resumes with the inputs of its start.

    Args:
        folder: folder of the run, for the error message.
        before: digests at the start; empty in checkpoints of version 0.1, which are not checked.
        now: digests of the same settings now.

    Raises:
        UsageError: an input has changed.
    """
    changed = [option for option in now if before and before.get(option) != now[option]]
    if changed:
        raise UsageError(
            f"{folder} was trained with other files: {', '.join(changed)} changed; restore the former files, or start "
            "a new run in another --folder"
        )
