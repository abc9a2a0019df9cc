"""How the C library hands memory to numerical libraries, and when Python looks for unused objects. No torch."""

from __future__ import annotations

import atexit
import gc
import os
import sys

_KEPT_BYTES = 2**30
_NEW_OBJECTS = 50_000  # new objects after which Python looks for unused cycles of objects; by default 2,000 or fewer
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def keep_freed_memory() -> None:
    """Reuse freed blocks of up to 1 GiB in this process and the processes it starts, instead of returning them.

    By default glibc returns each freed block above 32 MiB at once, and the next one costs a page fault for every 4 KiB:
    on a virtual machine up to a quarter of the processor time of a sweep. Other C libraries are left alone, and
    variables that the user has set remain.

    Source: mallopt(3).

    >>> keep_freed_memory()
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    for name, option in (("MALLOC_MMAP_THRESHOLD_", _M_MMAP_THRESHOLD), ("MALLOC_TRIM_THRESHOLD_", _M_TRIM_THRESHOLD)):
        if mallopt is not None and name not in os.environ:
            mallopt(option, _KEPT_BYTES)
            os.environ[name] = str(_KEPT_BYTES)


def collect_rarely() -> None:
    """Look for unused cycles of objects less often in this process, and not at its end.

    Imports create some 500,000 objects that stay. Searching all of them again and again, and once more before the
    process ends, takes about a second of a short command.

    >>> collect_rarely()
    """
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    atexit.register(_skip_last_search)


def _skip_last_search() -> None:
    if "triton" not in sys.modules:  # it reports objects that the search would have removed as leaks
        gc.freeze()
