"""Meter of the tensor operations in a block of code: floating-point operations, parameters and memory."""

from __future__ import annotations

import inspect
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, _FlopCounterMode

# At the first call of the counter torch imports its compiler, which takes two seconds, only to exclude the counter from
# compilation; nothing is compiled while operations are counted.
setattr(_FlopCounterMode, "__torch_dispatch__", inspect.unwrap(_FlopCounterMode.__torch_dispatch__))  # noqa: B010


class Meter(TorchDispatchMode):
    """Counts while it is active; it slows the operations down, so that processor time is measured without it.

    A matrix product, a convolution and an attention count two floating-point operations per multiplication and
    addition. Sums, activations, normalizations and Fourier transforms are not counted, nor is anything outside torch.

    >>> import torch
    >>> layer = nn.Linear(3, 5)
    >>> with torch.no_grad(), Meter() as meter:
    ...     _ = layer(torch.zeros(2, 3))
    >>> meter.flops, meter.parameters, meter.parameter_bytes
    (60, 20, 80)
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as for the counter above: no import of the compiler

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._counter = FlopCounterMode(display=False)
        self._parameters: dict[int, Tensor] = {}
        self._bytes = 0
        self._owners: Counter[int] = Counter()

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return int(self._counter.get_total_flops())

    @property
    def flops_by_module(self) -> dict[str, int]:
        """Floating-point operations of each network that was called, and of the layers directly below it."""
        counts = self._counter.get_flop_counts().items()
        return {name: sum(found.values()) for name, found in counts if name != "Global" and name.count(".") < 2}

    @property
    def parameters(self) -> int:
        """Number of parameters that were used, each once."""
        return sum(parameter.numel() for parameter in self._parameters.values())

    @property
    def parameter_bytes(self) -> int:
        """Memory of these parameters as they are stored: in their own type, or in a few bits."""
        return sum(_stored_bytes(parameter) for parameter in self._parameters.values())

    def __enter__(self) -> Meter:
        self._counter.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._counter.__exit__(*error)

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, arguments: tuple[Any, ...] = (), keywords: Any = None
    ) -> Any:
        for value in tree_leaves((arguments, keywords)):
            if isinstance(value, nn.Parameter):
                self._parameters[id(value)] = value
        found = function(*arguments, **(keywords or {}))
        for value in tree_leaves(found):
            if isinstance(value, Tensor):
                self._hold(value)
        return found

    def _hold(self, tensor: Tensor) -> None:
        """Count the memory of a tensor until it is deleted; views share memory."""
        memory = tensor.untyped_storage()
        key, size = memory._cdata, memory.nbytes()  # the address of the storage, which some devices have no data for
        if not self._owners[key]:
            self._bytes += size
            self.peak_bytes = max(self.peak_bytes, self._bytes)
        self._owners[key] += 1
        weakref.finalize(tensor, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._owners[key] -= 1
        if not self._owners[key]:
            self._bytes -= size


def _stored_bytes(parameter: Tensor) -> int:
    return int(getattr(parameter, "stored_bytes", parameter.numel() * parameter.element_size()))
