"""What is taken from Sionna: the 3GPP tables that it ships, without its slow import, and a fence for its draws."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from channels._errors import UsageError


@lru_cache
def table(name: str) -> dict[str, Any]:
    """The parameters of a link-level model, "TDL-A" to "CDL-E", of 3GPP TR 38.901 (v19.2), section 7.7.

    The file is read as data; Sionna itself, 15 seconds of imports, stays untouched.

    >>> table("TDL-A")["delays"][:3]
    [0.0, 0.3819, 0.4025]
    """
    package = importlib.util.find_spec("sionna")
    if package is None or not package.submodule_search_locations:
        raise UsageError("the 3GPP tables come with Sionna: pip install 'sionna-no-rt>=2.2,<3'")
    home = Path(next(iter(package.submodule_search_locations)))
    return json.loads((home / "phy/channel/tr38901/models/v19_2" / f"{name}.json").read_text())


@contextmanager
def fenced(seed: int) -> Iterator[None]:
    """Run Sionna with its global generator at `seed`, and leave torch's global random state as it was."""
    with torch.random.fork_rng():
        from sionna.phy import config

        config.seed = seed
        yield
