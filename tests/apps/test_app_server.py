"""A server of the demo that does not respond fails at once, with the end of its log."""

import sys

import demo_browser
import pytest

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")


def test_a_server_that_ends_is_reported_with_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_browser, "COMMAND", [sys.executable, "-c", "raise SystemExit('no memory')"])
    with pytest.raises(AssertionError, match="exit status 1: no memory"), demo_browser.demo(tmp_path):
        pass
