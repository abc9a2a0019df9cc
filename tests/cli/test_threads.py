"""Each command sets the number of threads of numerical libraries itself, and respects variables of the user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from toy import TOY

from semcom import threads

VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MEASURED = """
import numba, os, threadpoolctl, torch
import numpy as np
counts = {torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS}
counts |= {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
with open(os.environ["REPORT"], "a") as report:
    print(*sorted(counts), os.environ["OMP_WAIT_POLICY"], file=report)
os._exit(0)  # what the command does after that takes longer, and is tested elsewhere
"""


@pytest.fixture
def system(tmp_path):
    """A system whose file writes the number of threads of torch, numba and every BLAS library."""
    path = tmp_path / "measured.py"
    path.write_text(Path(TOY).read_text() + MEASURED)
    return path


def threads_of(system, *command, **variables):
    """What the system wrote while a command ran."""
    report = system.with_name("report.txt")
    free = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    subprocess.run(
        [sys.executable, "-m", "semcom", *map(str, command)],
        env=free | {"REPORT": str(report)} | variables,
        capture_output=True,
        timeout=300,
        check=True,
    )
    return report.read_text().split()


def test_a_command_on_small_images_uses_one_thread(system):
    assert threads_of(system, "check", system) == ["1", "PASSIVE"]


def test_a_command_on_large_images_uses_every_core(system, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "image.png")
    found = threads_of(system, "send", tmp_path / "image.png", "--system", system, "--snr", 10)
    assert found == [str(threads.cores()), "PASSIVE"]


def test_variables_of_the_user_are_respected(system):
    found = threads_of(system, "check", system, OMP_NUM_THREADS="3", NUMBA_NUM_THREADS="3", OMP_WAIT_POLICY="ACTIVE")
    assert "1" not in found  # OpenBLAS has no more threads than there are cores
    assert found[-2:] == ["3", "ACTIVE"]


@pytest.mark.parametrize(("limit", "expected"), [("max 100000", 8), ("150000 100000", 2), ("1000 100000", 1)])
def test_the_limit_of_a_container_counts(tmp_path, monkeypatch, limit, expected):
    monkeypatch.setattr(threads, "_CPU_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    (tmp_path / "cpu.max").write_text(limit)
    assert threads.cores() == expected
