"""Progress of a run: a bar on a terminal, lines in a log file."""

import io
import subprocess
import sys

import pytest

from semcom.sweep import progress


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.0, 5, 6), (1000.0, 2, 2)])
def test_without_a_terminal_there_is_a_line_at_times(monkeypatch, seconds, least, most):
    """Lines at least `seconds` apart, and the first and the last state."""
    monkeypatch.setattr(progress, "_SECONDS", seconds)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.bar(7, 2, True) as bar:
        for _ in range(5):
            bar.update()
    text = sys.stderr.getvalue()
    assert "\r" not in text
    lines = text.splitlines()
    assert least <= len(lines) <= most
    assert "2 of 7 points" in lines[0]
    assert "7 of 7 points" in lines[-1]


@pytest.mark.parametrize("elapsed_s", [0.0, 60.0])
def test_a_run_whose_first_point_is_refused_prints_nothing(monkeypatch, elapsed_s):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.bar(7, 0, True) as bar:
        bar.start_t -= elapsed_s
    assert sys.stderr.getvalue() == ""


def test_a_hidden_bar_prints_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.bar(7, 2, False) as bar:
        bar.update()
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_quiet_run_prints_only_its_results(scenario_data, write_scenario, tmp_path, workers):
    """No message of a library, not at the end of the process either."""
    command = [sys.executable, "-m", "semcom", "run", str(write_scenario(scenario_data)), "--workers", workers]
    done = subprocess.run([*command, "--out", str(tmp_path / "out"), "--quiet"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "report.html" in done.stdout
