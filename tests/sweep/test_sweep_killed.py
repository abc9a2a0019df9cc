"""A sweep that is killed at any moment resumes to the same rows, and leaves no temporary files."""

import multiprocessing
import os
import random
import re
import signal
import threading
from pathlib import Path

import pytest
from toy import TOY

from semcom import atomic, sweep
from semcom.scenario.load import scenario_from
from semcom.sweep import workers

FORK = multiprocessing.get_context("fork")  # torch need not be imported again
MORTAL = """
import os, signal, sys
from contextlib import suppress
from dataclasses import replace
sys.path.insert(0, {tests!r})
import toy_system

class Transmitter(toy_system.MeansTransmitter):
    points = 0

    def encode(self, *arguments):
        Transmitter.points += 1
        for life in os.listdir({lives!r}) if Transmitter.points == {point} else []:
            with suppress(FileNotFoundError):  # removed by the other worker
                os.remove(os.path.join({lives!r}, life))
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
    """The rows of an uninterrupted run, computed once for each stopping rule."""
    made = {}

    def make(scenario):
        if scenario.stop not in made:
            made[scenario.stop] = parts(sweep.run(scenario, tmp_path_factory.mktemp("undisturbed")))
        return made[scenario.stop]

    return make


def run_and_kill(scenario, out, workers, moment):
    """Kill a run at a random time after a random number of files, in its first half."""
    draw = random.Random(moment)
    files, delay = draw.randrange(8, 28), draw.choice([0, draw.uniform(0, 0.01)])  # 0: a file is incomplete

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
        sweep.run(scenario, out, workers)

    process = FORK.Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, "the run must have been killed"


@pytest.mark.parametrize(
    ("workers", "stop", "moment"),
    [(1, stop, moment) for moment, stop in enumerate([False, True, False, True, True])]
    + [(2, stop, moment) for moment, stop in enumerate([True, False, True], start=5)],
)
def test_a_killed_run_resumes_to_the_same_bytes(scenario_data, undisturbed, tmp_path, workers, stop, moment):
    scenario, out = scenario_of(scenario_data, stop), tmp_path / "out"
    whole = undisturbed(scenario)
    run_and_kill(scenario, out, workers, moment)
    survivors = parts(out)
    assert 0 < len(survivors) < len(whole), "some points must be missing"
    assert survivors.items() <= whole.items()
    times = {name: (out / "rows" / name).stat().st_mtime_ns for name in survivors}
    sweep.run(scenario, out)
    assert parts(out) == whole
    assert times == {name: (out / "rows" / name).stat().st_mtime_ns for name in survivors}, (
        "finished points are not simulated again"
    )
    assert not list(out.rglob(".*")), "temporary files of the killed run are removed"


def test_temporary_files_of_ended_processes_are_removed(scenario_data, tmp_path):
    scenario, out = scenario_of(scenario_data, False), tmp_path / "out"
    (out / "rows").mkdir(parents=True)
    ended = FORK.Process(target=leave_a_temporary_file, args=(out / "rows" / "a.parquet",))
    ended.start()
    ended.join()
    assert len(list(out.rglob(".*"))) == 1
    with atomic.replacing(out / "rows" / "b.parquet"):
        sweep.run(scenario, out)
        assert [path.name[:11] for path in out.rglob(".*")] == [".b.parquet."]


def leave_a_temporary_file(path):
    with atomic.replacing(path):
        os._exit(1)


def mortal(scenario_data, tmp_path, point, lives):
    """A scenario with a system that kills its worker in the n-th point of the process, at most `lives` times."""
    folder = tmp_path / "lives"
    folder.mkdir()
    for number in range(lives):
        (folder / str(number)).touch()
    (tmp_path / "mortal.py").write_text(MORTAL.format(tests=str(Path(TOY).parent), point=point, lives=str(folder)))
    scenario_data |= {"systems": [str(tmp_path / "mortal.py")], "images": {"source": "photos", "count": 1, "size": 16}}
    return scenario_from(scenario_data), folder


def test_the_point_of_a_killed_worker_is_repeated(scenario_data, tmp_path):
    scenario, lives = mortal(scenario_data | {"repetitions": 3}, tmp_path, point=2, lives=2)
    rows = parts(sweep.run(scenario, tmp_path / "out", workers=2))
    assert not list(lives.iterdir()), "two workers must have been killed"
    assert rows == parts(sweep.run(scenario, tmp_path / "undisturbed"))


def test_a_run_whose_workers_are_always_killed_ends(scenario_data, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_RETRIES", 1)  # each start of workers imports torch
    monkeypatch.setattr(workers, "_MAX_FAILED", 2)
    scenario, lives = mortal(scenario_data | {"repetitions": 5}, tmp_path, point=1, lives=99)
    with pytest.raises(sweep.PointError, match=r"^mortal .* and \d more: its workers were killed"):
        sweep.run(scenario, tmp_path / "out", workers=2)
    assert len(list(lives.iterdir())) > 99 - 7, "the run must end before all twenty points have been tried"


def test_a_point_that_kills_its_worker_is_named_and_other_points_finish(scenario_data, tmp_path):
    scenario_data |= {"repetitions": 1, "sweep": {"snr_db": [0]}}
    deadly, _ = mortal(scenario_data, tmp_path, point=1, lives=99)
    toys = [{"name": TOY, "label": f"toy {number}"} for number in range(4)]
    scenario = scenario_from(scenario_data | {"systems": [*scenario_data["systems"], *toys]})
    (point,) = deadly.points()
    with pytest.raises(sweep.PointError, match=rf"^{re.escape(str(point))}: its workers were killed"):
        sweep.run(scenario, tmp_path / "out", workers=2)
    assert len(parts(tmp_path / "out")) == 4
