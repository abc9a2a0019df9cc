"""Devices: the kinds that `--device` accepts, and results moved between devices.

Random numbers are generated on the CPU and moved, so that SNR, fading and noise are the same on every device. Networks,
channels, metrics and the modem run on the device of their inputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from channels.errors import UsageError

if TYPE_CHECKING:
    import torch

Network = TypeVar("Network", bound="torch.nn.Module")
Part = TypeVar("Part")

KINDS = ("auto", "cpu", "cuda", "mps")
"""Values of `--device`: "auto" is "cuda" where PyTorch finds such a device, else "cpu"; "mps" is Apple's GPU."""


def resolve(name: str) -> str:
    """Kind of the device that a value of `--device` selects on this machine: "cpu", "cuda" or "mps".

    Raises:
        UsageError: unknown value, or PyTorch finds no such device.

    >>> resolve("cpu")
    'cpu'
    """
    if name not in KINDS:
        raise UsageError(f"--device must be one of {', '.join(KINDS)}, not {name!r}")
    if name == "auto":
        return "cuda" if is_available("cuda") else "cpu"
    if not is_available(name):
        raise UsageError(f"--device {name}: PyTorch finds no such device on this machine; use --device cpu")
    return name


def is_available(kind: str) -> bool:
    """Whether PyTorch finds a device of this kind on this machine."""
    import torch

    return {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.mps.is_available}[kind]()


def place(network: Network, device: torch.device) -> Network:
    """Move a network to a device, in place, unless it is there; return it."""
    import torch

    values = itertools.chain(network.parameters(), network.buffers())
    if any(value.device != device for value in values):
        with torch.inference_mode(False):  # the network may be trained later
            network.to(device)
    return network


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Convolutions in float32 by deterministic algorithms; NVIDIA's default, TF32, has 10 bits of mantissa."""
    import torch

    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def moved(part: Part, device: torch.device | str) -> Part:
    """A tensor, dataclass, mapping, list or tuple with all its tensors on a device; other values are unchanged.

    Tensors in double precision are moved to the CPU if the device has none.

    >>> import torch
    >>> moved({"bits": torch.zeros(2)}, "cpu")["bits"].device.type
    'cpu'
    """
    import torch

    return _moved(part, torch.device(device))


def _moved(part: Any, device: torch.device) -> Any:
    import torch

    from channels.precision import has_double

    if isinstance(part, torch.Tensor):
        return part.cpu() if part.dtype == torch.float64 and not has_double(device) else part.to(device)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **_changed({field.name: getattr(part, field.name) for field in fields(part)}, device))
    if isinstance(part, Mapping):
        return {**part, **_changed(part, device)}
    if type(part) in (list, tuple):
        return type(part)(_moved(value, device) for value in part)
    return part


def _changed(values: Mapping[Any, Any], device: torch.device) -> dict[Any, Any]:
    return {name: new for name, value in values.items() if (new := _moved(value, device)) is not value}
