"""Ctrl-C ends workers whatever they are at."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, threading
from collections import deque
from semcom._workers import results

def attempt(size):
    return bytes(size)

if __name__ == "__main__":
    size, delay = int(sys.argv[1]), float(sys.argv[2])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # heard in the background, too
    interrupt = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    try:
        for _ in results(attempt, deque([size] * 100_000), workers=2):
            if interrupt.ident is None:
                interrupt.start()
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("delay", [0, 0.01, 0.05])
@pytest.mark.parametrize("size", [10, 300_000], ids=["small results", "results larger than a pipe holds"])
def test_ctrl_c_ends_workers_that_answer_without_pause(tmp_path, size, delay):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(size), str(delay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)
