"""The meaning of images over honest channels.

The names below load on first touch, so that importing this package does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from channels._errors import UsageError
    from semcom.link import Delivery, Link
    from semcom.system import Bound, Payload, Receiver, Reception, Sample, System, Transmitter

_HOMES = {
    "Bound": "semcom.system",
    "Delivery": "semcom.link",
    "Link": "semcom.link",
    "Payload": "semcom.system",
    "Receiver": "semcom.system",
    "Reception": "semcom.system",
    "Sample": "semcom.system",
    "System": "semcom.system",
    "Transmitter": "semcom.system",
    "UsageError": "channels._errors",
}

__all__ = [
    "Bound",
    "Delivery",
    "Link",
    "Payload",
    "Receiver",
    "Reception",
    "Sample",
    "System",
    "Transmitter",
    "UsageError",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'semcom' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
