"""Memory that a transmission needs at least, compared with what is available before any work starts."""

from __future__ import annotations

import os
from pathlib import Path

from channels.errors import UsageError

BYTES_PER_PIXEL = 130  # of the analog system alone; SSIM needs 100 more
BYTES_PER_PIXEL_OF_NETWORKS = (
    4000  # three times what the restorer of label maps allocates, the most of the bundled ones
)
_CGROUP = Path("/sys/fs/cgroup")


def check(name: str, size: tuple[int, int], rows: int) -> None:
    """Refuse an image that cannot be transmitted in the available memory.

    Args:
        name: name of the image.
        size: height and width in pixels.
        rows: number of images of this size that are transmitted together.

    Raises:
        UsageError: the estimated memory exceeds the available memory.
    """
    height, width = size
    needed, free = height * width * rows * BYTES_PER_PIXEL, available()
    if free is not None and needed > free:
        raise UsageError(
            f"{name}, {width}x{height} pixels, needs at least {needed / 1e9:.1f} GB of memory for {rows} at a time, "
            f"and {free / 1e9:.1f} GB are available; reduce the size of the image (or users, or `batch`)"
        )


def batch_of(device: str, pixels: int, workers: int) -> int | None:
    """Number of rows that fit into the free memory of a GPU together; None where `batch` of the scenario applies.

    Args:
        device: kind of the device, from `semcom.devices.resolve`.
        pixels: number of pixels of the largest image.
        workers: number of processes that share the device.
    """
    import torch

    if device != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info()
    return max(1, free // (2 * workers * pixels * BYTES_PER_PIXEL_OF_NETWORKS))


def available() -> int | None:
    """Bytes of memory that this process can still use; None where that is unknown."""
    limits = [limit for limit in (_of_machine(), _of_container(), _of_process()) if limit is not None]
    return min(limits, default=None)


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().split("\n")
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _of_container() -> int | None:
    try:
        limit, used = ((_CGROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        cached = next(
            int(line.split()[1])
            for line in (_CGROUP / "memory.stat").read_text().split("\n")
            if line.startswith("inactive_file ")
        )
        return int(limit) - int(used) + cached
    except (OSError, ValueError, StopIteration):  # "max" is no limit
        return None


def _of_process() -> int | None:
    """The rest of the address space under `ulimit -v`."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return None
    return None if limit == resource.RLIM_INFINITY else max(limit - used, 0)
