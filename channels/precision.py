"""Double precision where a device has it."""

from __future__ import annotations

import torch
from torch import Tensor


def has_double(device: torch.device) -> bool:
    """Whether a device computes in double precision; Apple's GPUs ("mps") do not."""
    return device.type != "mps"


def in_double(values: Tensor) -> Tensor:
    """Values in double precision, on the CPU if their device has none; complex values become complex128.

    >>> in_double(torch.ones(2)).dtype
    torch.float64
    """
    there = values if has_double(values.device) else values.cpu()
    return there.to(torch.complex128 if values.is_complex() else torch.float64)
