"""A sweep that is killed at any moment goes on to the same bytes, and leaves nothing behind."""

import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import TOY

from semcom import sweep
from semcom.scenario import scenario_from

FORK = multiprocessing.get_context("fork")  # torch is there already; what is killed is a process like any other
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
            with suppress(FileNotFoundError):  # the other worker's
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
    scenario, lives = mortal(scenario_data | {"repetitions": 3}, tmp_path, point=2, lives=2)
    rows = parts(sweep.run(scenario, tmp_path / "out", workers=2))
    assert not list(lives.iterdir()), "two were killed"
    assert rows == parts(sweep.run(scenario, tmp_path / "undisturbed"))


def test_a_run_whose_workers_are_always_killed_ends(scenario_data, tmp_path):
    scenario, lives = mortal(scenario_data | {"repetitions": 5}, tmp_path, point=1, lives=99)
    with pytest.raises(sweep.PointError, match=r"^mortal .* and \d more: workers were killed at it"):
        sweep.run(scenario, tmp_path / "out", workers=2)
    assert len(list(lives.iterdir())) > 99 - 13, "not each of twenty points again and again"


def test_a_point_that_kills_its_worker_is_named_and_the_others_are_done(scenario_data, tmp_path):
    scenario_data |= {"repetitions": 1, "sweep": {"snr_db": [0]}}
    deadly, _ = mortal(scenario_data, tmp_path, point=1, lives=99)
    toys = [{"name": TOY, "label": f"toy {number}"} for number in range(4)]
    scenario = scenario_from(scenario_data | {"systems": [*scenario_data["systems"], *toys]})
    (point,) = deadly.points()
    with pytest.raises(sweep.PointError, match=rf"^{re.escape(str(point))}: workers were killed at it"):
        sweep.run(scenario, tmp_path / "out", workers=2)
    assert len(parts(tmp_path / "out")) == 4


def test_a_script_without_its_guard_is_told_so(scenario_data, write_scenario, tmp_path):
    scenario = write_scenario(scenario_data)
    script = tmp_path / "script.py"
    script.write_text(
        "from semcom import sweep\nfrom semcom.scenario import load_scenario\n"
        f"sweep.run(load_scenario({str(scenario)!r}), {str(tmp_path / 'out')!r}, workers=2)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr.endswith("a script of your own needs `if __name__ == '__main__':` around what it runs\n")
