"""Channels that the certificate measures: every channel file of the package `channels`, with fixed arguments.

The folder is the registry, as for scenarios: a file or folder in `channels/` with a top-level function `build` is a
channel. A channel that has no entry in `VARIANTS` is an error, so that no channel is left out of the certificate.
"""

from __future__ import annotations

import ast
import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from channels.base import Channel
from channels.errors import UsageError
from channels.propagation.profiles import MODELS, table

FOLDER = Path(__file__).parents[1]

SPEED_M_S = 30.0
"""Speed of the receivers over multipath."""

VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "awgn": {"awgn": {}},
    "rayleigh": {"rayleigh": {"coherence_uses": 1}, "rayleigh block": {}},
    "rician": {"rician": {"coherence_uses": 1}, "rician block": {}},
    "tdl": {
        **{f"tdl {model}": {"model": model, "speed_m_s": SPEED_M_S} for model in MODELS},
        "tdl ls": {"csi": "ls", "speed_m_s": SPEED_M_S},
        "tdl lmmse": {"csi": "lmmse", "speed_m_s": SPEED_M_S},
        "tdl flat ls": {"csi": "ls", "speed_m_s": 0.0, "delay_spread_s": 1e-12, "pilot_comb": 1},
    },
    "cdl": {f"cdl {model}": {"model": model, "speed_m_s": SPEED_M_S} for model in MODELS},
    "uplink": {"uplink": {"antennas": 2}},
    "mimo": {
        "mimo 1x2": {"tx_antennas": 1, "scheme": "multiplexing"},
        "mimo 2x1 alamouti": {"rx_antennas": 1},
        "mimo 2x2 alamouti": {},
        **{f"mimo 2x2 {name}": {"scheme": "multiplexing", "detector": name} for name in ("zf", "mmse", "sic")},
        "mimo 4x4 mmse": {"tx_antennas": 4, "rx_antennas": 4, "scheme": "multiplexing"},
        "mimo 2x3 tdl zf": {"rx_antennas": 3, "scheme": "multiplexing", "detector": "zf", "delay_profile": "A"},
        "mimo 2x2 svd": {"scheme": "svd", "csit": "perfect"},
        "mimo 4x4 svd equal": {
            **{"tx_antennas": 4, "rx_antennas": 4, "scheme": "svd", "csit": "perfect", "power_allocation": "equal"}
        },
    },
    "broadcast": {"broadcast": {}},
    "interference": {"interference": {"sir_db": 6.0}},
    "relay": {"relay": {"second_hop_db": 3.0}, "relay direct": {"second_hop_db": 3.0, "direct_db": -3.0}},
    "waveform": {
        "waveform": {"frequency_offset": 1e-3, "clock_offset_ppm": 20.0},
        "waveform ofdm": {"frequency_offset": 1e-3, "clock_offset_ppm": 20.0, "subcarriers": 64},
    },
}
"""Arguments of `build` of each measured variant, by the name of the channel and the name in the certificate's lines."""

K_FACTORS = {"awgn": math.inf, "rayleigh": 0.0, "rayleigh block": 0.0, "rician": 10**0.6, "rician block": 10**0.6}
"""Rician K-factor, linear, of each variant with flat fading."""


def channel_names() -> list[str]:
    """Names of all channels: the files and folders of the package with a top-level function `build`.

    >>> channel_names()
    ['awgn', 'broadcast', 'cdl', 'interference', 'mimo', 'rayleigh', 'relay', 'rician', 'tdl', 'uplink', 'waveform']
    """
    files = {path.stem: path for path in FOLDER.glob("[!_]*.py")}
    files |= {path.parent.name: path for path in FOLDER.glob("[!_]*/__init__.py")}
    return sorted(name for name, path in files.items() if _has_build(path))


def standard_channels() -> dict[str, Channel]:
    """All channels in all variants that the certificate measures, by the names in its lines.

    Raises:
        UsageError: a channel has no entry in `VARIANTS`.
    """
    channels: dict[str, Channel] = {}
    for name in channel_names():
        if name not in VARIANTS:
            raise UsageError(
                f"channel {name!r} has no measurements: add it to VARIANTS in channels/certificate/subjects.py"
            )
        build = importlib.import_module(f"channels.{name}").build
        channels |= {variant: build(**arguments) for variant, arguments in VARIANTS[name].items()}
    return channels


def known_gains(channels: Mapping[str, Channel]) -> list[str]:
    """Names of the channels with one path and perfect channel knowledge: noise variance times |h|^2 is N0."""
    others = ("waveform", "mimo", "relay", "interference")
    return [name for name in channels if not name.endswith(("ls", "lmmse")) and not name.startswith(others)]


def has_grid(name: str) -> bool:
    """Whether the uses of a channel are subcarriers of an OFDM grid over multipath."""
    return name.startswith(("tdl ", "cdl "))


def line_of_sight(name: str) -> float:
    """Power of the line of sight over mean power of a variant such as "tdl D" or "cdl A"."""
    kind, model = name.split()
    parameters = table(f"{kind.upper()}-{model}")
    powers = 10 ** (torch.tensor(parameters["powers"], dtype=torch.float64) / 10)
    return float(powers[0] / powers.sum()) if parameters["los"] else 0.0


def _has_build(path: Path) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in ast.parse(path.read_bytes()).body)
