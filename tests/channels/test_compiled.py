"""Compiled functions work where no folder for their machine code can be written."""

from pathlib import Path

import numba
import numba.core.caching
import pytest

from channels.compiled import compiled


def twice(value):
    return 2 * value


@pytest.fixture
def no_home(monkeypatch):
    """A user without a home folder, as in a container with a numeric user."""

    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_writable_folder(monkeypatch):
    kinds = [kind for kind in vars(numba.core.caching).values() if "_locator_classes" in getattr(kind, "__dict__", ())]
    for kind in kinds:
        monkeypatch.setattr(kind, "_locator_classes", [])
    assert kinds
    with pytest.raises(RuntimeError, match="cannot cache function"):
        numba.njit(cache=True)(twice)
    assert compiled(nogil=True)(twice)(4) == 8


def test_without_a_home_folder(no_home):
    function = compiled()(twice)
    assert isinstance(function._cache, numba.core.caching.NullCache)
    assert function(4) == 8
