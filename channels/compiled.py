"""Functions compiled by numba, with their machine code stored on disk where that is possible."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator `numba.njit(**options, cache=True)`; without the cache where no folder can be written.

    Args:
        options: options of `numba.njit`.
    """
    import numba

    def decorate(function: Callable[..., Any]) -> Any:
        if _has_home():
            try:
                return numba.njit(**options, cache=True)(function)
            except RuntimeError:  # numba found no folder for the machine code
                pass
        return numba.njit(**options)(function)

    return decorate


def _has_home() -> bool:
    """Whether numba's folder for a user is known; in place of an unknown home it would create a folder `~`."""
    if os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME"):
        return True
    try:
        return bool(Path.home())
    except RuntimeError:
        return False
