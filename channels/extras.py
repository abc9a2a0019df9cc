"""Optional packages: the extras of semcom, and one error for a package that is not installed.

Code that requires an optional package imports it inside `with extra(NAME):`, where it is used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from channels.errors import UsageError

EXTRAS = {
    "semantic": ("diffusers", "huggingface_hub", "open_clip", "timm", "transformers"),
    "app": ("streamlit",),
    "data": ("datasets", "huggingface_hub"),
    "hevc": ("pillow_heif",),
    "hub": ("huggingface_hub",),
    "jxl": ("pillow_jxl",),
    "lpips": ("lpips", "torchvision"),
    "onnx": ("onnxruntime",),
    "ray": ("ray",),
    "sionna": ("sionna",),
    "tensorflow": ("keras",),  # TensorFlow is its default backend; another one will do
}
"""Packages that each extra brings and that are required, by their names for `import`."""

_OWN = ("semcom", "channels")


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Inside this context, an import that fails is a `UsageError` that names the extra to install.

    Args:
        name: name of the extra, a key of `EXTRAS`.

    Raises:
        UsageError: a package is not installed, or cannot be imported.

    >>> with extra("semantic"):
    ...     raise ModuleNotFoundError("No module named 'timm'", name="timm")
    Traceback (most recent call last):
    channels.errors.UsageError: timm is not installed: pip install 'semcom[semantic]'
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in _OWN or name not in EXTRAS:
            raise
        if isinstance(error, ModuleNotFoundError):
            raise _missing(package, name) from None
        reason = " ".join(str(error).split())[:160]
        raise UsageError(f"{package} cannot be imported ({reason}): pip install 'semcom[{name}]'") from None


def require(name: str) -> None:
    """Check, without importing them, that the packages of an extra are installed; "" requires none.

    Raises:
        UsageError: a package is not installed; the message names the extra.
    """
    for package in EXTRAS[name] if name else ():
        if not _installed(package):
            raise _missing(package, name)


def is_installed(name: str) -> bool:
    """Whether the packages of an extra are installed; they are not imported.

    >>> is_installed("")
    True
    """
    return all(map(_installed, EXTRAS[name] if name else ()))


def _installed(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None  # a folder of that name, without a package, has no origin


def _missing(package: str, name: str) -> UsageError:
    return UsageError(f"{package} is not installed: pip install 'semcom[{name}]'")
