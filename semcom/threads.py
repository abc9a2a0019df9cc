"""Processor cores of this computer, and how many of them numerical libraries use. No torch."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Number of processor cores that this process may use.

    It respects the affinity of the process and the limit of a container, as in `docker run --cpus 2`.

    >>> 1 <= cores() <= os.cpu_count()
    True
    """
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, _CPU_LIMIT.read_text().split())
    except (OSError, ValueError):  # "max" is no limit
        return found
    return max(1, min(found, math.ceil(quota / period)))


def limit(count: int) -> None:
    """Set the number of threads of torch, numba and the BLAS libraries in this process and the processes it starts.

    The libraries read these variables once, so this must be called before they are imported. Variables that the user
    has set remain; MKL and OpenBLAS follow OMP_NUM_THREADS unless MKL_NUM_THREADS or OPENBLAS_NUM_THREADS is set.

    Threads that wait for others sleep. By default they spin, and an operation of milliseconds takes seconds when a core
    is busy with another program.

    Args:
        count: number of threads of each library.
    """
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, str(count))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
