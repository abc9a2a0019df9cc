"""Workers start when they save time, need nothing of the script that uses them, and end with it at any moment."""

import os
import signal
import subprocess
import sys
import time
from collections import deque

import pytest

from semcom.sweep import workers

ITEMS = """
import os, signal, time

memory = []

def zeros(size):
    return bytes(size)

def process(seconds):
    time.sleep(seconds)
    return os.getpid()

def growing(megabytes):
    memory.append(b"x" * megabytes * 1_000_000)
    time.sleep(1.1)
    return os.getpid()

def printed(text):
    print(text + "\\n", end="")  # one write, also where Python does not buffer its output

def invalid(number):
    raise ValueError(f"{number} is invalid")
"""
INTERRUPTED = """
import os, signal, sys, threading
from collections import deque
from items import zeros
from semcom.sweep.workers import results

size, delay = int(sys.argv[1]), float(sys.argv[2])
signal.signal(signal.SIGINT, signal.default_int_handler)  # received by background processes too
interrupt = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
try:
    for _ in results(zeros, deque([size] * 100_000), workers=2):
        if interrupt.ident is None:
            interrupt.start()
except KeyboardInterrupt:
    print("interrupted")
"""
ENDLESS = """
from collections import deque
from items import process
from semcom.sweep.workers import results

for _, worker in results(process, deque([0.0, 0.0, 1000.0, 1000.0]), workers=2):
    print(worker, flush=True)
"""


@pytest.fixture
def items(tmp_path, monkeypatch):
    """The module `items`, whose functions workers can import."""
    (tmp_path / "items.py").write_text(ITEMS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import items

    yield items
    del sys.modules["items"]


def alive(process):
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


# --- the number of workers -------------------------------------------------------------------------------------------


def test_short_work_stays_in_this_process(items):
    done = list(workers.results(items.process, deque([0.0] * 50), workers=None, most=2))
    assert {process for _, process in done} == {os.getpid()}


def test_long_work_is_shared_with_workers(items, monkeypatch):
    """This process handles items, too, while the workers start, and none afterwards."""
    monkeypatch.setattr(workers, "_START_S", 0.5)
    done = [process for _, process in workers.results(items.process, deque([0.1] * 400), workers=None, most=2)]
    assert len(done) == 400
    assert len(set(done)) == 3
    last = max(index for index, process in enumerate(done) if process == os.getpid())
    assert 0 < last < 390
    assert os.getpid() in done[: last + 1]
    assert done[:1] == [os.getpid()]


def test_workers_that_do_not_fit_into_memory_do_not_start(items, monkeypatch):
    monkeypatch.setattr(workers, "_START_S", 0.01)
    monkeypatch.setattr(workers.memory, "available", lambda: 1_000_000)
    done = list(workers.results(items.process, deque([0.02] * 20), workers=None, most=2))
    assert {process for _, process in done} == {os.getpid()}


def test_workers_whose_imports_began_ahead_do_the_work(items, monkeypatch):
    """They are used once; more of them than were expected, or a second time, start anew."""
    starters = []
    start = workers._Starter
    monkeypatch.setattr(workers, "_Starter", lambda *given: starters.append(start(*given)) or starters[-1])
    with workers.ahead(2):
        assert len(starters) == 1
        assert len(list(workers.results(items.process, deque([0.0] * 4), workers=2))) == 4
        assert len(starters) == 1
        assert len(list(workers.results(items.process, deque([0.0] * 4), workers=2))) == 4
        assert len(starters) == 2
    with workers.ahead(2):
        done = {process for _, process in workers.results(items.process, deque([0.2] * 6), workers=3)}
    assert len(done) == 3
    assert len(starters) == 4


def test_workers_that_are_not_needed_end_with_the_block():
    with workers.ahead(2):
        (starter,) = workers._ahead
        process = starter._process.pid
    assert not alive(process)
    assert not workers._ahead


# --- one script, any script ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["file", "standard input"])
def test_a_script_needs_no_main_guard(items, tmp_path, source):
    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + ENDLESS.replace("1000.0", "0.0"))
    command = [sys.executable, *([str(script)] if source == "file" else [])]
    with script.open() as text:
        done = subprocess.run(command, stdin=text, capture_output=True, text=True, timeout=120, check=True)
    assert len(done.stdout.split()) == 4, done.stderr


def test_what_a_worker_prints_is_not_lost(items, capfd):
    assert len(list(workers.results(items.printed, deque(["first", "second", "third"]), workers=2))) == 3
    assert sorted(capfd.readouterr().out.split()) == ["first", "second", "third"]


def test_an_exception_has_the_traceback_of_the_worker(items):
    with pytest.raises(ValueError, match="3 is invalid") as caught:
        list(workers.results(items.invalid, deque([3]), workers=2))
    assert "in invalid" in caught.value.__notes__[0]


def test_workers_that_cannot_start_are_an_error(items, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(workers.PointError, match="ended during their start"):
        list(workers.results(items.process, deque([0.0] * 4), workers=2))


def test_a_worker_whose_memory_grows_is_kept(items):
    """The workers of loky are replaced, with a warning, once they have grown by 300 MB, as with a further network."""
    done = list(workers.results(items.growing, deque([150] * 8), workers=2))
    assert len({process for _, process in done}) == 2


# --- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 0.01, 0.05])
@pytest.mark.parametrize("size", [10, 300_000], ids=["small results", "results larger than a pipe holds"])
def test_ctrl_c_ends_workers_that_answer_without_pause(items, tmp_path, size, delay):
    (tmp_path / "script.py").write_text(INTERRUPTED)
    command = [sys.executable, str(tmp_path / "script.py"), str(size), str(delay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


@pytest.mark.parametrize("killed", ["script", "group"])
def test_workers_end_with_a_script_that_is_killed(items, tmp_path, killed):
    """Also in the middle of an item; those of loky wait for ever."""
    (tmp_path / "script.py").write_text(ENDLESS)
    command = [sys.executable, str(tmp_path / "script.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as script:
        started = {int(script.stdout.readline()) for _ in range(2)}
        if killed == "group":
            os.killpg(script.pid, signal.SIGKILL)
        else:
            script.kill()
    assert started
    assert wait_until(lambda: not any(map(alive, started)))


def test_no_process_is_left_after_the_last_item(items):
    done = {process for _, process in workers.results(items.process, deque([0.0] * 4), workers=2)}
    assert wait_until(lambda: not any(map(alive, done)), 5)
