"""A pretended accelerator for machines without one: its tensors compute on the CPU and refuse to meet tensors there.

The device has the type "fake". As on a real one, an operation on tensors of both devices is an error (numbers in
tensors without dimensions excepted), and NumPy cannot read a tensor without `.cpu()`.
"""

from __future__ import annotations

import weakref
from collections import Counter
from contextlib import contextmanager
from unittest import mock

import torch
from torch.utils import _pytree as pytree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

from semcom import devices

NAME = "fake"
_MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
_DOUBLE = (torch.float64, torch.complex128)


class _Remote(torch.Tensor):
    """A tensor on the pretended device; `values` is the tensor on the CPU that holds its numbers."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values):
        layout = {"strides": values.stride(), "storage_offset": values.storage_offset(), "dtype": values.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, values.size(), device=torch.device(NAME, 0), **layout)
        made.values = values
        return made

    def __repr__(self):
        return f"{NAME}: {self.values!r}"

    def tolist(self):
        return self.values.tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), keywords=None):
        return _run(function, arguments, keywords or {})


class FakeDevice(TorchDispatchMode):
    """Creates and moves tensors on the pretended device while it is active; counts operations, moves and memory.

    Args:
        doubles: whether the device computes in double precision; Apple's GPUs do not.
    """

    def __init__(self, doubles=True):
        super().__init__()
        self.doubles, self.operations, self.moves = doubles, 0, 0
        self.bytes = self.peak_bytes = 0
        self._owners = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        return _run(function, arguments, keywords or {}, self)

    def hold(self, tensor):
        """Count the memory of a tensor until it is deleted; views share memory."""
        memory = tensor.values.untyped_storage()
        key, size = memory.data_ptr(), memory.nbytes()
        if not self._owners[key]:
            self.bytes += size
            self.peak_bytes = max(self.peak_bytes, self.bytes)
        self._owners[key] += 1
        weakref.finalize(tensor, self._release, key, size)

    def _release(self, key, size):
        self._owners[key] -= 1
        if not self._owners[key]:
            self.bytes -= size


def _run(function, arguments, keywords, device=None):
    """Run an operation on the CPU and place its result on the device of its inputs, or on the one that it names."""
    tensors = [x for x in pytree.tree_leaves((arguments, keywords)) if isinstance(x, torch.Tensor)]
    remote = [isinstance(x, _Remote) for x in tensors]
    named = keywords.get("device")
    if function in _MOVES:
        here = remote[0] if named is None else torch.device(named).type == NAME
        if device is not None:
            device.moves += any(place != here for place in remote)
    else:
        here = any(remote) if named is None else torch.device(named).type == NAME
        mixed = any(remote) and any(not place and x.ndim for place, x in zip(remote, tensors, strict=True))
        if mixed:
            raise RuntimeError(f"Expected all tensors to be on the same device: {function} mixes {NAME} and cpu")
        if device is not None:
            device.operations += here
    if named is not None:
        keywords = {**keywords, "device": torch.device("cpu")}
    originals = {id(x.values): x for x in tensors if isinstance(x, _Remote)}
    arguments, keywords = pytree.tree_map_only(_Remote, lambda x: x.values, (arguments, keywords))
    found = function(*arguments, **keywords)
    if not here:
        return found

    def placed(values):
        if device is not None and not device.doubles and values.dtype in _DOUBLE:
            raise TypeError(f"{NAME} has no {values.dtype}")
        if id(values) in originals:  # an operation in place
            return originals[id(values)]
        tensor = _Remote(values.resolve_conj().resolve_neg())
        if device is not None:
            device.hold(tensor)
        return tensor

    return pytree.tree_map_only(torch.Tensor, placed, found)


class _Module(backend_registration._DummyBackendModule):
    """What torch.cuda is for "cuda"."""

    def get_rng_state(self, device):
        return torch.zeros(0, dtype=torch.uint8)

    def set_rng_state(self, state, device):
        pass

    def get_amp_supported_dtype(self):
        return [torch.bfloat16, torch.float16]


# At import, that is, while tests are collected: torch's autograd counts the devices at its first backward pass.
backend_registration._setup_privateuseone_for_python_backend(NAME, _Module())


@contextmanager
def fake_device(doubles=True):
    """Make the pretended device available to torch and to `--device`."""
    former = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # parameters on another device are new objects
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=NAME) makes a tensor and moves it
    try:
        with (
            mock.patch.object(devices, "KINDS", (*devices.KINDS, NAME)),
            mock.patch.object(devices, "is_available", lambda kind: kind in ("cpu", NAME)),
            FakeDevice(doubles) as device,
        ):
            yield device
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_overwrite_module_params_on_conversion(former)
