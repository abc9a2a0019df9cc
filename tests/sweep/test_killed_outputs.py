"""A process that is killed (SIGKILL) while it replaces files with --force, or adds metrics to a run, loses nothing."""

import multiprocessing
import os
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from semcom import sweep, weights
from semcom.cli.main import main
from semcom.results import table
from semcom.scenario.load import scenario_from
from semcom.training import loop
from semcom.training.settings import Settings

FORK = multiprocessing.get_context("fork")  # torch need not be imported again
_FILES = 1000  # more than any of these commands writes


def killed(work, file, delay_s=0.0):
    """Run `work` in a process that is killed when it has written a number of files, or somewhat later.

    Returns:
        Whether it was killed; False if it wrote fewer files.
    """

    def child():
        fsync, calls = os.fsync, []

        def count(descriptor):
            calls.append(descriptor)
            if len(calls) == file:
                if not delay_s:
                    os.kill(os.getpid(), signal.SIGKILL)
                threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
            fsync(descriptor)

        os.fsync = count
        work()
        os._exit(0)

    process = FORK.Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def values(out):
    """PSNR of each transmission."""
    names = ("system", "snr_db", "users", "repetition", "image", "user")
    return {tuple(row[name] for name in names): row["psnr"] for row in table.read(out).to_pylist()}


def parts(out):
    return {path.name: path.read_bytes() for path in (out / "rows").glob("[!.]*")}


def test_added_metrics(scenario_data, tmp_path):
    data = {**scenario_data, "sweep": {"snr_db": [0, 10]}, "repetitions": 1, "metrics": ["psnr"]}
    data |= {"images": {"source": "photos", "count": 2, "size": 16}}
    out, more = tmp_path / "out", scenario_from({**data, "metrics": ["psnr", "outage"]})
    sweep.run(scenario_from(data), out)
    before = values(out)
    file = 0
    while killed(lambda: sweep.run(more, out), file := file + 1, delay_s=0.001 * (file % 2)):
        assert values(out) == before
        assert file < _FILES
    assert file > 4, "the run must have been killed while it wrote points"
    assert values(out) == before
    assert parts(out) == parts(sweep.run(more, tmp_path / "fresh"))
    assert not list(out.rglob(".*"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder of the user with an image to send, and one with the name of the output."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("sent.png", "mine.png")):
        pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(name)
    return tmp_path


def test_a_file_replaced_by_force(folder):
    command = ["send", "sent.png", "--system", "analog", "--snr", "10", "--out", "mine.png", "--force"]
    before = (folder / "mine.png").read_bytes()
    assert killed(lambda: main(command), file=1)
    assert (folder / "mine.png").read_bytes() == before
    assert main(command) == 0
    after = (folder / "mine.png").read_bytes()
    assert after != before
    assert not killed(lambda: main(command), file=2), "one file must have been written"
    assert (folder / "mine.png").read_bytes() == after


def test_a_folder_used_by_force(folder, scenario_data, write_scenario):
    """Files of the user in the folder of a run stay, also those with names of the run."""
    scenario_data |= {"repetitions": 1, "images": {"source": "photos", "count": 1, "size": 16}}
    command = ["run", str(write_scenario(scenario_data)), "--out", "mine", "--force", "--quiet"]
    (folder / "mine" / "images").mkdir(parents=True)
    users = {"notes.txt": b"notes", "rows.csv": b"1,2", "images/holiday.png": (folder / "mine.png").read_bytes()}
    for name, content in users.items():
        (folder / "mine" / name).write_bytes(content)
    assert main([word for word in command if word != "--force"]) == 2
    for file in (1, 3, 6, 9):
        assert killed(lambda: main(command), file, delay_s=0.001 * (file % 2))
        assert {name: (folder / "mine" / name).read_bytes() for name in users} == users
    assert main(command) == 0
    assert {name: (folder / "mine" / name).read_bytes() for name in users} == users
    assert table.read(folder / "mine").num_rows == 6


def states(command, paths):
    """Contents of files of the user, `mine`, after kills at each file that a command with --force writes, and its end.

    Returns:
        Contents after each kill, and after the whole command.
    """
    for path in paths:
        path.write_bytes(b"mine")
    assert main(command) == 2
    found, file = [], 0
    while killed(lambda: main([*command, "--force"]), file := file + 1):
        found.append([path.read_bytes() for path in paths])
        assert file < _FILES
    return found, [path.read_bytes() for path in paths]


def test_a_report_replaced_by_force(folder, scenario_data):
    data = {**scenario_data, "sweep": {"snr_db": [0]}, "repetitions": 1, "images": {"source": "photos", "count": 1}}
    sweep.run(scenario_from(data), folder / "run")
    found, (whole,) = states(["report", "run", "--out", "mine.html"], [folder / "mine.html"])
    assert found
    assert all(content in (b"mine", whole) for (content,) in found)
    assert whole.rstrip().endswith(b"</html>")


def test_weights_replaced_by_force(folder):
    source = f"folder:{folder}"
    settings = Settings("deepjscc", data=(source,), validation=source, validation_count=1, steps=1, rows=1, crop=16)
    loop.run(settings, folder / "run")
    paths = [folder / "mine.safetensors", folder / "mine.md"]
    found, after = states(["train", "deepjscc", "--folder", "run", "--export", "mine.safetensors"], paths)
    assert len(found) >= len(paths)
    assert all(content in (b"mine", whole) for each in found for content, whole in zip(each, after, strict=True))
    assert weights.load("mine.safetensors").digest in after[1].decode()


def test_figures_replaced_by_force(folder, scenario_data):
    data = {**scenario_data, "sweep": {"snr_db": [0]}, "repetitions": 1, "images": {"source": "photos", "count": 1}}
    sweep.run(scenario_from(data), folder / "run")
    paths = [folder / "run" / "summary.csv", folder / "run" / "figure.png"]
    found, after = states(["plot", "run"], paths)
    assert len(found) >= len(paths)
    assert all(content in (b"mine", whole) for each in found for content, whole in zip(each, after, strict=True))
    Image.open(paths[1]).load()


def test_a_recording_and_its_image_replaced_by_force(folder):
    paths = [folder / "mine.sigmf-data", folder / "mine.sigmf-meta"]
    transmit = [
        "transmit",
        "sent.png",
        "--system",
        "analog",
        "--designed-snr",
        "10",
        "--cbr",
        "1",
        "--out",
        str(paths[1]),
    ]
    found, after = states(transmit, paths)
    assert len(found) >= len(paths)
    assert all(content in (b"mine", whole) for each in found for content, whole in zip(each, after, strict=True))

    found, (whole,) = states(["receive", "mine.sigmf-meta", "--out", "received.png"], [folder / "received.png"])
    assert found
    assert all(content in (b"mine", whole) for (content,) in found)
    Image.open(folder / "received.png").load()
