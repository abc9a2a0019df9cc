"""Pillow plugins of image formats that Pillow cannot read and write by itself."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.metadata import version

from channels.extras import extra

_PACKAGES = {"hevc": "pillow-heif", "jxl": "pillow-jxl-plugin"}  # the key is also the name of the extra
_MODULES = {"hevc": "pillow_heif", "jxl": "pillow_jxl"}


@lru_cache(maxsize=8)
def load_plugin(codec: str) -> str:
    """Register the Pillow plugin of a codec, and return its version; empty where Pillow needs no plugin.

    Args:
        codec: image file format; "hevc" and "jxl" have a plugin.

    Raises:
        UsageError: the plugin is not installed.

    >>> load_plugin("webp")
    ''
    """
    if codec not in _PACKAGES:
        return ""
    with extra(codec):
        module = import_module(_MODULES[codec])  # pillow_jxl registers itself
    if codec == "hevc":
        module.register_heif_opener()
        libraries = module.libheif_info()
        return f"{version(_PACKAGES[codec])}, {libraries['libheif']}, {libraries['HEIF']}"
    return version(_PACKAGES[codec])
