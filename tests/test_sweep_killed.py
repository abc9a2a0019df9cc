"""A sweep that is killed at any moment goes on to the same bytes, and leaves nothing behind."""

import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from semcom import sweep
from semcom.scenario import scenario_from

FORK = multiprocessing.get_context("fork")  # torch is there already; what is killed is a process like any other
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
