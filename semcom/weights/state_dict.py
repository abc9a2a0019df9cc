"""PyTorch checkpoints of published code: files of the user, read as tensors only and compared with a layout."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from channels.errors import UsageError

_NAMED = 3  # keys that an error message names


@dataclass(frozen=True)
class StateDict:
    """State dict of a checkpoint.

    Args:
        path: path of the file.
        digest: SHA-256 of the file, hexadecimal.
        tensors: parameters and buffers by key, in the number formats of the file.
    """

    path: Path
    digest: str
    tensors: Mapping[str, Tensor]

    @property
    def id(self) -> str:
        """File name and the first 8 hex digits of the hash, written to the rows of results."""
        return f"{self.path.stem}@{self.digest[:8]}"


def read(name: str) -> StateDict:
    """Read the state dict in a file that `torch.save` wrote; no code of the file is run.

    A dictionary with the key "state_dict" is opened, and the prefix "module." of `nn.DataParallel` is removed.

    Args:
        name: path of the file, with any suffix.

    Raises:
        UsageError: there is no such file, or it contains anything but tensors by name.

    >>> read("nowhere.pth")
    Traceback (most recent call last):
    channels.errors.UsageError: no checkpoint nowhere.pth: write a path relative to the working directory
    """
    path = Path(os.path.expanduser(name))
    if not path.is_file():
        raise UsageError(f"no checkpoint {path}: write a path relative to the working directory")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch.load has no common class of errors for files that it refuses
        content = None
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise UsageError(
            f"{path} is no PyTorch state dict: write it with torch.save(model.state_dict(), {path.name!r}); "
            "whole models, whose code would be run, are not loaded"
        )
    tensors = {str(key): value for key, value in content.items()}
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return StateDict(path, hashlib.sha256(path.read_bytes()).hexdigest(), tensors)


def restore(network: nn.Module, found: StateDict, layout: str, tensors: Mapping[str, Tensor]) -> None:
    """Use the tensors of a checkpoint, in float32, as the parameters of a network, which may be on the device `meta`.

    Args:
        network: network whose keys are those of the layout.
        found: checkpoint, for the error message.
        layout: description of the layout.
        tensors: tensors of the checkpoint that belong to the network.

    Raises:
        UsageError: keys are missing or unexpected, or a shape differs.
    """
    expected = network.state_dict()
    missing, unexpected = ([key for key in a if key not in b] for a, b in ((expected, tensors), (tensors, expected)))
    differing = [
        f"{key} {list(tensors[key].shape)}, not {list(expected[key].shape)}"
        for key in expected
        if key in tensors and tensors[key].shape != expected[key].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of other shapes": differing}
    if any(problems.values()):
        lists = "; ".join(f"{_named(keys)} {problem}" for problem, keys in problems.items() if keys)
        raise UsageError(f"{found.path} has not the layout of {layout}: {lists}")
    network.load_state_dict({key: value.float() for key, value in tensors.items()}, assign=True)


def _named(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
