"""Processes that work for others: one that dies is not missed, one that always dies ends the run."""

import os
import signal
from collections import deque
from pathlib import Path

import pytest

from semcom._workers import PointError, results


def squared(item):
    """The square of a number; with a file in the folder that has not been there, the process dies instead."""
    number, folder = item
    if number == 3 and not (Path(folder) / "died").exists():
        (Path(folder) / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def dying(item):
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_dead_worker_had_to_do_is_done_again(tmp_path):
    due = deque((number, str(tmp_path)) for number in range(6))
    found = sorted((number, square) for (number, _), square in results(squared, due, 2))
    assert found == [(number, number**2) for number in range(6)]
    assert (tmp_path / "died").exists()


def test_a_task_that_kills_every_worker_ends_the_run():
    with pytest.raises(PointError, match="killed 4 times in a row"):
        list(results(dying, deque(range(2)), 2))
