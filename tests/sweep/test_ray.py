"""A Ray cluster gives the same rows as one process, also when workers and nodes die; errors are one line."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from toy import TOY

from channels import UsageError
from semcom import sweep
from semcom.cli.main import main
from semcom.scenario.load import scenario_from
from semcom.sweep.ray import Ray

# Ray's threads end with files of psutil open.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PATIENCE_S = 240  # a busy machine starts Ray, and a worker with torch, slowly

NOTING = """
import inspect, os, pathlib, sys, time
from dataclasses import replace

sys.path.insert(0, {tests!r})
import toy_system

def on_ray():
    return "ray" in sys.modules and sys.modules["ray"].is_initialized()

def note(*words):
    if on_ray():
        with open(pathlib.Path({notes!r}) / str(os.getpid()), "a") as file:
            print(sys.modules["ray"].get_runtime_context().get_node_id(), *words, file=file)

class Waiting(toy_system.MeansTransmitter):
    def encode(self, sample, snr_db, rng):
        if any(frame.function == "measure_cost" for frame in inspect.stack(0)):
            return super().encode(sample, snr_db, rng)
        note("begins")
        toy_system.begun = getattr(toy_system, "begun", 0) + 1  # this file is read anew for each build, that one is not
        while on_ray() and toy_system.begun == 3 and not pathlib.Path({go!r}).exists():
            time.sleep(0.01)
        return super().encode(sample, snr_db, rng)

def build(cbr: float, block: int = 8):
    note("builds", cbr)
    return replace(toy_system.build(cbr, block), transmitter=Waiting(cbr, block))
"""


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "rows").iterdir()}


@pytest.fixture(scope="module")
def cluster():
    """The head of a cluster with one CPU."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        started = tried(lambda: Cluster(initialize_head=True, head_node_args=NODE))
        yield started
        started.shutdown()


def tried(start):
    """Ray gives a node 15 seconds to start, whatever else the machine does."""
    for again in (True, True, False):
        try:
            return start()
        except Exception:
            if not again:
                raise


NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}


@pytest.fixture
def noting(scenario_data, tmp_path):
    """A scenario of a system that notes what its workers do; each of them waits in its third point for a file `go`."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (tmp_path / "noting.py").write_text(
        NOTING.format(tests=str(Path(TOY).parent), notes=str(notes), go=str(tmp_path / "go"))
    )
    scenario_data |= {"systems": [{"name": str(tmp_path / "noting.py"), "label": "noting"}], "repetitions": 6}
    return scenario_data, notes


def noted(notes: Path) -> dict[int, list[list[str]]]:
    """The words of each worker, by process."""
    return {int(path.name): [line.split() for line in path.read_text().splitlines()] for path in notes.iterdir()}


def begun(notes: Path, node: str = "") -> dict[int, int]:
    """How many points each worker of a node has begun."""
    counts = {
        process: sum(words[1] == "begins" and words[0].startswith(node) for words in lines)
        for process, lines in noted(notes).items()
    }
    return {process: count for process, count in counts.items() if count}


def wait_for(happened, process):
    deadline = time.monotonic() + PATIENCE_S
    while not happened() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert happened(), process.communicate(timeout=1)[1] if process.poll() is not None else "in time"


@pytest.fixture
def command(write_scenario, tmp_path, cluster):
    """Start `semcom run` on the cluster; what still runs when the test ends is ended."""
    started = []

    def start(data):
        words = ["run", str(write_scenario(data)), "--out", str(tmp_path / "out"), "--quiet"]
        process = subprocess.Popen(
            [sys.executable, "-m", "semcom", *words, "--engine", "ray", "--address", cluster.address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_points_of_a_node_that_dies_are_repeated(cluster, noting, command, tmp_path):
    data, notes = noting
    scenario, out = scenario_from(data), tmp_path / "out"
    undisturbed = parts(sweep.run(scenario, tmp_path / "undisturbed"))
    assert not noted(notes)
    node = tried(lambda: cluster.add_node(**NODE))
    process = command(data)
    wait_for(lambda: sorted(begun(notes).values()) == [3, 3], process)
    (worker,) = begun(notes, node.node_id)
    cluster.remove_node(node, allow_graceful=False)
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)  # a computer that goes dark takes its workers along
    (tmp_path / "go").touch()
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert parts(out) == undisturbed
    assert sum(begun(notes).values()) == len(undisturbed) + 1, "the point that was lost was begun again, alone"
    for lines in noted(notes).values():
        built = [cbr for _, word, *cbr in lines if word == "builds"]
        assert len(built) == len({tuple(cbr) for cbr in built}), "once a worker"


def test_ctrl_c_leaves_no_tasks(noting, command):
    data, notes = noting
    process = command(data)
    wait_for(lambda: 3 in begun(notes).values(), process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    (line,) = (said for said in errors.splitlines() if said.startswith("semcom: "))  # Ray may say something, too
    assert "Traceback" not in errors
    assert process.returncode == 130
    assert "run the same command again to resume" in line
    deadline = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{worker}").exists() for worker in noted(notes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    before = begun(notes)
    time.sleep(2)
    assert begun(notes) == before


@pytest.mark.parametrize("change", ["images.size=1", "sweep.snr_db=[10]"], ids=["the user's fault", "another's"])
def test_errors_equal_those_of_one_process(cluster, scenario_data, tmp_path, change):
    mine = tmp_path / "mine.py"
    text = Path(TOY).read_text()
    mine.write_text(text.replace("        budget =", "        assert float(snr_db[0]) < 5\n        budget ="))
    scenario = scenario_from(scenario_data | {"systems": [str(mine)], "repetitions": 1}, [change])
    with pytest.raises((UsageError, sweep.PointError)) as here:
        sweep.run(scenario, tmp_path / "out")
    with pytest.raises((UsageError, sweep.PointError)) as there:
        sweep.run(scenario, tmp_path / "out", cluster=Ray(cluster.address))
    assert there.type is here.type
    users = " user, ", " users, "  # either number of users may be the first to fail
    assert (
        str(there.value).split(users[0])[0].split(users[1])[0][:-1]
        == (str(here.value).split(users[0])[0].split(users[1])[0][:-1])
    )


def test_resources_that_no_node_has_are_refused(cluster, scenario_data, tmp_path):
    with pytest.raises(UsageError, match=r"no node of the Ray cluster has 64 CPUs \(`threads` of the scenario\)$"):
        sweep.run(scenario_from(scenario_data, ["threads=64"]), tmp_path, cluster=Ray(cluster.address))
    with pytest.raises(UsageError, match=r"has 1 CPUs .* and 2 GPUs"):
        sweep.run(scenario_from(scenario_data), tmp_path, cluster=Ray(cluster.address, gpus=2.0))


# --- without a cluster -----------------------------------------------------------------------------------------------


def refused(capsys, *arguments: str) -> str:
    assert main(["run", *arguments, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--engine", "slurm"], "invalid choice: 'slurm'"),
        (["--engine", "ray", "--workers", "3"], "leave out --workers"),
        (["--address", "localhost:6379"], "add --engine ray"),
        (["--gpus", "1"], "add --engine ray"),
        (
            ["--engine", "ray", "--gpus", "1.5"],
            "gpus must be a fraction from 0 to 1 or a whole number up to 1024",
        ),
        (["--engine", "ray", "--gpus", "nan"], "'nan' is not a number"),
    ],
)
def test_wrong_options_are_refused(capsys, scenario_data, write_scenario, tmp_path, more, words):
    assert words in refused(capsys, str(write_scenario(scenario_data)), "--out", str(tmp_path / "out"), *more)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:FREE", "no answer at the Ray address 127.0.0.1:"),
        ("ray://127.0.0.1:FREE", "host:port of the head node, auto or local, not 'ray://127.0.0.1:"),
        ("127.0.0.1:port", "host:port of the head node, auto or local, not '127.0.0.1:port'"),
        ("nowhere", "host:port of the head node, auto or local, not 'nowhere'"),
        ("", "argument --address: the value is empty"),
    ],
)
def test_an_address_without_a_cluster_is_refused(capsys, scenario_data, write_scenario, tmp_path, address, words):
    pytest.importorskip("ray")
    address = address.replace("FREE", str(free_port()))
    path, out = str(write_scenario(scenario_data)), str(tmp_path / "out")
    begun = time.monotonic()
    assert words in refused(capsys, path, "--out", out, "--engine", "ray", "--address", address)
    assert time.monotonic() - begun < 60


def test_ray_that_is_not_installed_is_named(capsys, scenario_data, write_scenario, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    line = refused(capsys, str(write_scenario(scenario_data)), "--out", str(tmp_path / "out"), "--engine", "ray")
    assert line == "semcom: ray is not installed: pip install 'semcom[ray]'"
