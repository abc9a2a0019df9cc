"""What happens between two antennas; knows nothing of images.

One channel a file: `channels/<name>.py` with a `build(...)` is the channel `<name>` of a scenario. The names below load
on first touch, so that importing this package does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from channels._base import Channel, Medium, Received
    from channels._errors import UsageError
    from channels._rng import Rng, seed_for

_HOMES = {
    "Channel": "_base",
    "Medium": "_base",
    "Received": "_base",
    "Rng": "_rng",
    "UsageError": "_errors",
    "seed_for": "_rng",
}

__all__ = ["Channel", "Medium", "Received", "Rng", "UsageError", "seed_for"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'channels' has no attribute {name!r}")
    return getattr(import_module(f"channels.{_HOMES[name]}"), name)
