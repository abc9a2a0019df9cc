"""Link-level models of 3GPP TR 38.901 (v19.2), section 7.7: delays, powers and angles of the paths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from channels.arguments import one_of, positive

MODELS: tuple[Literal["A", "B", "C", "D", "E"], ...] = ("A", "B", "C", "D", "E")


@lru_cache
def _tables() -> dict[str, dict[str, Any]]:
    return json.loads(Path(__file__).with_name("delay_profiles.json").read_text(encoding="utf-8"))


def table(name: str) -> dict[str, Any]:
    """Parameters of a model, "TDL-A" to "CDL-E", of tables 7.7.2-1 to -5 and 7.7.1-1 to -5.

    Keys: `los` (whether the first entry is the line of sight), `delays` (normalized), `powers` in dB; for CDL also the
    angles of arrival `aoa` and `zoa` and their cluster spreads `cASA` and `cZSA`, all in degrees.

    >>> table("TDL-A")["delays"][:3]
    [0.0, 0.3819, 0.4025]
    """
    return _tables()[name]


@dataclass(frozen=True)
class Profile:
    """Delays and powers of the paths of a model; the powers sum to 1.

    Args:
        delays_s: delay of each path in seconds, float64 [paths].
        scattered: power of each path without the line of sight, float64 [paths].
        line_of_sight: power of the line of sight, which arrives with the first path; 0 if there is none.
        parameters: table of the model; it lists the line of sight before the scattered paths.
    """

    delays_s: Float[Tensor, " paths"]
    scattered: Float[Tensor, " paths"]
    line_of_sight: float
    parameters: dict[str, Any]

    @property
    def powers(self) -> Float[Tensor, " paths"]:
        """Power of each path, line of sight included."""
        powers = self.scattered.clone()
        powers[0] += self.line_of_sight
        return powers


def profile(kind: Literal["TDL", "CDL"], model: str, delay_spread_s: float) -> Profile:
    """Delay profile of a model, "A" to "E", scaled to a root-mean-square delay spread in seconds.

    >>> round(profile("TDL", "D", 100e-9).powers.sum().item(), 9)
    1.0
    """
    one_of("model", model, MODELS)
    parameters = table(f"{kind}-{model}")
    delays = torch.tensor(parameters["delays"], dtype=torch.float64) * positive("delay_spread_s", delay_spread_s)
    powers = 10 ** (torch.tensor(parameters["powers"], dtype=torch.float64) / 10)
    powers = powers / powers.sum()
    first = int(parameters["los"])
    return Profile(delays[first:], powers[first:], float(powers[0]) if first else 0.0, parameters)
