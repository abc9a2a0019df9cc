"""The folder of the data sets that image sources read."""

from __future__ import annotations

import os
from pathlib import Path

from channels.errors import UsageError
from semcom import cache


def data_folder() -> Path:
    """$SEMCOM_DATA, or `data` in the cache folder, where `semcom data get` writes.

    Raises:
        UsageError: SEMCOM_DATA is not set, and there is no cache folder.
    """
    if chosen := os.environ.get("SEMCOM_DATA"):
        return Path(os.path.expanduser(chosen))
    home = cache.folder()
    if home is None:
        raise UsageError("this user has no cache folder: set SEMCOM_DATA to the folder of the data sets")
    return home / "data"
