"""A sweep that is killed at any moment goes on to the same bytes, and leaves nothing behind."""

import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path

import pytest
from conftest import TOY

from semcom import sweep
from semcom.scenario import scenario_from

FORK = multiprocessing.get_context("fork")  # torch is there already; what is killed is a process like any other
MORTAL = """
import os, signal, sys
from dataclasses import replace
sys.path.insert(0, {tests!r})
import toy_system

class Transmitter(toy_system.MeansTransmitter):
    points = 0

    def encode(self, *arguments):
        Transmitter.points += 1
        if Transmitter.points == {point} and os.listdir({lives!r}):
            os.remove(os.path.join({lives!r}, os.listdir({lives!r})[0]))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(*arguments)

def build(cbr: float):
    return replace(toy_system.build(cbr), transmitter=Transmitter(cbr, 8))
"""
STOP = {"metric": "outage", "half_width": 0.25, "max_repetitions": 30}


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "rows").glob("[!.]*")}


def scenario_of(data, stop):
    data |= {"repetitions": 6, "images": {"source": "photos", "count": 1, "size": 16}}
    return scenario_from(data | ({"stop": STOP} if stop else {}))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What an undisturbed run leaves, made once for each rule."""
    made = {}

    def make(scenario):
        if scenario.stop not in made:
            made[scenario.stop] = parts(sweep.run(scenario, tmp_path_factory.mktemp("undisturbed")))
        return made[scenario.stop]

    return make


def run_and_kill(scenario, out, workers, moment):
    """SIGKILL a run some random time after a random number of files were written, before it is half done."""
    draw = random.Random(moment)
    files, delay = draw.randrange(6, 26), draw.choice([0, draw.uniform(0, 0.01)])  # 0: with a file half written

    def child():
        os.setpgid(0, 0)
        fsync, calls = os.fsync, []

        def count(descriptor):
            calls.append(descriptor)
            if len(calls) == files and delay:
                threading.Timer(delay, os.killpg, (0, signal.SIGKILL)).start()
            elif len(calls) == files:
                os.kill(os.getpid(), signal.SIGKILL)
            fsync(descriptor)

        os.fsync = count
        multiprocessing.get_context = lambda kind: FORK  # workers that need not import everything again
        sweep.run(scenario, out, workers)

    process = FORK.Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, "it was killed"


@pytest.mark.parametrize(
    ("workers", "stop", "moment"),
    [(1, stop, moment) for moment, stop in enumerate([False, True, False, True, True])]
    + [(2, stop, moment) for moment, stop in enumerate([True, False, True], start=5)],
)
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(scenario_data, undisturbed, tmp_path, workers, stop, moment):
    scenario, out = scenario_of(scenario_data, stop), tmp_path / "out"
    whole = undisturbed(scenario)
    run_and_kill(scenario, out, workers, moment)
    survivors = parts(out)
    assert 0 < len(survivors) < len(whole), "in mid-run"
    assert survivors.items() <= whole.items()
    times = {name: (out / "rows" / name).stat().st_mtime_ns for name in survivors}
    sweep.run(scenario, out)
    assert parts(out) == whole
    assert times == {name: (out / "rows" / name).stat().st_mtime_ns for name in survivors}, "done is done"
    assert not list(out.rglob(".*")), "temporary files of the killed run are gone"


def test_temporary_files_are_removed_unless_another_process_writes_them(scenario_data, tmp_path):
    scenario, out = scenario_of(scenario_data, False), tmp_path / "out"
    (out / "rows").mkdir(parents=True)
    gone = FORK.Process(target=int)
    gone.start()
    gone.join()
    for process in (gone.pid, os.getpid(), os.getppid()):
        (out / "rows" / f".a.parquet.partial-{process}").touch()
    sweep.run(scenario, out)
    assert [path.name for path in out.rglob(".*")] == [f".a.parquet.partial-{os.getppid()}"]


def mortal(scenario_data, tmp_path, point, lives):
    """A scenario of a system that kills its worker in its process's n-th point, as often as there are files `lives`."""
    folder = tmp_path / "lives"
    folder.mkdir()
    for number in range(lives):
        (folder / str(number)).touch()
    (tmp_path / "mortal.py").write_text(MORTAL.format(tests=str(Path(TOY).parent), point=point, lives=str(folder)))
    scenario_data |= {"systems": [str(tmp_path / "mortal.py")], "images": {"source": "photos", "count": 1, "size": 16}}
    return scenario_from(scenario_data), folder


def test_what_a_killed_worker_was_at_is_done_by_another(scenario_data, tmp_path):
    scenario, lives = mortal(scenario_data | {"repetitions": 3}, tmp_path, point=2, lives=4)
    rows = parts(sweep.run(scenario, tmp_path / "out", workers=2))
    assert not list(lives.iterdir()), "all were lost"
    assert rows == parts(sweep.run(scenario, tmp_path / "undisturbed"))


def test_workers_that_are_always_killed_end_the_run(scenario_data, tmp_path):
    scenario, lives = mortal(scenario_data, tmp_path, point=1, lives=9)
    with pytest.raises(sweep.PointError, match="workers were killed, perhaps for lack of memory; try fewer workers"):
        sweep.run(scenario, tmp_path / "out", workers=2)
    assert 9 - 3 * 2 <= len(list(lives.iterdir())) <= 9 - 3, "three times two workers, of which one may be the first"
