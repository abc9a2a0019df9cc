"""The disk cache: where it lies, and what happens where it cannot lie anywhere."""

import sys
from pathlib import Path

import pytest

from semcom import cache


@pytest.fixture
def homeless(monkeypatch):
    """A user without a home folder, as in a container with a numeric user."""

    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    for name in ("HOME", "XDG_CACHE_HOME", "SEMCOM_CACHE", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_folder_results_are_computed_again(homeless):
    calls = []
    for _ in range(2):
        assert cache.remember("square", "1", [b"5"], lambda: calls.append(1) or b"25") == b"25"
    assert cache.folder() is None
    assert len(calls) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="a folder of Linux")
def test_a_given_folder_needs_no_home(homeless, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "semcom"
    monkeypatch.setenv("SEMCOM_CACHE", "~nobody-of-this-name/cache")
    assert cache.folder() == Path("~nobody-of-this-name/cache")


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", "/proc/cache")
    assert cache.remember("square", "1", [b"6"], lambda: b"36") == b"36"
