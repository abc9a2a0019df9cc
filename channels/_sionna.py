"""What is taken from Sionna: the 3GPP tables that it ships, without its slow import."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from channels._base import positive
from channels._errors import UsageError

MODELS: tuple[Literal["A", "B", "C", "D", "E"], ...] = ("A", "B", "C", "D", "E")


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


@dataclass(frozen=True)
class Profile:
    """Powers, which sum to 1, and delays of a model's paths.

    Args:
        delays_s: of each path.
        scattered: power of each path, float64, without the line of sight.
        line_of_sight: power of the line of sight, which comes with the first path; 0 where there is none.
        parameters: all that the model's table says; it lists the line of sight before the scattered paths.
    """

    delays_s: Float[Tensor, " paths"]
    scattered: Float[Tensor, " paths"]
    line_of_sight: float
    parameters: dict[str, Any]

    @property
    def powers(self) -> Float[Tensor, " paths"]:
        """Of each path, line of sight and scattered part together."""
        powers = self.scattered.clone()
        powers[0] += self.line_of_sight
        return powers


def profile(kind: Literal["TDL", "CDL"], model: str, delay_spread_s: float) -> Profile:
    """The profile of a model, "A" to "E", at a root-mean-square delay spread.

    >>> round(profile("TDL", "D", 100e-9).powers.sum().item(), 9)
    1.0
    """
    if model not in MODELS:
        raise UsageError(f"model must be one of {', '.join(MODELS)}, not {model!r}")
    parameters = table(f"{kind}-{model}")
    delays = torch.tensor(parameters["delays"], dtype=torch.float64) * positive("delay_spread_s", delay_spread_s)
    powers = 10 ** (torch.tensor(parameters["powers"], dtype=torch.float64) / 10)
    powers = powers / powers.sum()
    seen = int(parameters["los"])
    return Profile(delays[seen:], powers[seen:], float(powers[0]) if seen else 0.0, parameters)
