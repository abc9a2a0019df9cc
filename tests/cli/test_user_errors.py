"""Exceptions in a file of the user: one line with the file, the line and the exception, status 1, no traceback."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy import TOY

from semcom.cli.main import main
from semcom.results import table

CHANNEL = """
import dataclasses
from channels import Channel, Medium, awgn

class Mine(Channel):
    medium = Medium()
    inner = awgn.build()

    def carry(self, symbols, uses, snr_db, rng):
        received = self.inner.carry(symbols, uses, snr_db, rng)
        return received

def shortened(received):
    parts = {name: getattr(received, name)[..., :-1] for name in ("symbols", "noise_var", "gains")}
    return dataclasses.replace(received, **parts)

def build():
    return Mine()
"""
METRIC = """
import helper

def mine(delivery):
    return helper.values(delivery)
"""
HELPER = """
def values(delivery):
    found = delivery.uses.float()
    return found
"""
TOY_TEXT = Path(TOY).read_text()
FAULTS = {  # the correct line, what stands before it, and how the message ends
    "transmitter": ("        symbols = symbols /", "        values.view(-1, 97, 5)\n", "RuntimeError: shape"),
    "receiver": ("        return Reception(", "        open(size)\n", "TypeError: expected str"),
    "exit": ("        return Reception(", "        raise SystemExit(0)\n", "SystemExit: 0"),
    "no text": ("        return Reception(", "        assert size is None\n", "AssertionError"),
    "build": ("    return System(", "    {}[block]\n", "KeyError: 8"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An image, a scenario of two SNRs, and a system, a channel and a metric of the user, all without error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "one.png")
    for name, text in {"mine": TOY_TEXT, "channel": CHANNEL, "metric": METRIC, "helper": HELPER}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "s.yaml").write_text(
        "systems: [{name: ./mine.py, label: mine}]\nchannel: {name: ./channel.py, label: ours}\nmedium_cbr: 0.125\n"
        "sweep: {snr_db: [0, 10]}\nimages: {source: 'folder:images'}\nmetrics: [psnr, './metric.py:mine']\n"
    )
    return tmp_path


def insert(path, before, line):
    """Insert a line in a file; return its place as FILE:LINE."""
    text = path.read_text()
    head, found, tail = text.partition(before)
    assert found
    path.write_text(f"{head}{line}{found}{tail}")
    return f"{path}:{head.count(chr(10)) + 1}"


def failed(capsys, *arguments):
    """Run a command that must fail with status 1 and one line; return this line."""
    assert main([str(argument) for argument in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("semcom: ")
    return line.removeprefix("semcom: ")


def send(*more):
    return ["send", "images/one.png", "--snr", "6", *more]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_system(folder, capsys, fault):
    before, line, end = FAULTS[fault]
    place = insert(folder / "mine.py", before, line)
    assert failed(capsys, *send("--system", "./mine.py")).startswith(f"{place}: {end}")
    line = failed(capsys, "run", "s.yaml", "--quiet", "--out", "out")
    assert f": {place}: {end}" in line
    assert main(["check", "./mine.py"]) == 1
    assert f" {place}: {end}" in capsys.readouterr().out


def test_a_channel(folder, capsys):
    place = insert(folder / "channel.py", "        return received", "        received.no_such_part\n")
    line = failed(capsys, *send("--system", "analog", "--channel", "./channel.py"))
    assert line.startswith(f"{place}: AttributeError: 'Received' object has no attribute 'no_such_part'")
    assert f": {place}: AttributeError" in failed(capsys, "run", "s.yaml", "--quiet", "--out", "out")
    assert main(["check", "./channel.py"]) == 1
    assert f" {place}: AttributeError" in capsys.readouterr().out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_metric_that_fails_at_one_snr_leaves_the_rows_of_the_other(folder, capsys, workers):
    fault = "    delivery.snr_db[0] > 5 and found.view(1, 7)\n"
    place = insert(folder / "helper.py", "    return found", fault)
    line = failed(capsys, "run", "s.yaml", "--quiet", "--out", "out", "--workers", workers)
    assert line.startswith(
        f"mine over ours at 10 dB, 1 user, medium_cbr 0.125, repetition 0: {place}: RuntimeError: shape"
    )
    assert line.endswith("(the results of finished points are saved)")
    if workers == "1":  # of two, the other may still be at work
        assert table.read(folder / "out")["snr_db"].to_pylist() == [0]


@pytest.mark.parametrize(
    ("file", "before", "line", "words"),
    [
        ("mine.py", "        return Reception(", "        return None\n", "the receiver of toy_system must return a"),
        ("mine.py", "        return Payload(", "        return symbols\n", "must return a Payload, not Tensor"),
        (
            "mine.py",
            "        uses = torch",
            "        symbols = 2 * symbols\n",
            "toy_system: row 0 has a mean energy of 4.0",
        ),
        (
            "mine.py",
            "        return Reception(",
            "        images = 2 + images\n",
            "toy_system: a receiver must return images",
        ),
        (
            "channel.py",
            "        return received",
            "        return None\n",
            "the channel must return a Received, not None",
        ),
        (
            "channel.py",
            "        return received",
            "        received.symbols.mul_(float('nan'))\n",
            "the channel returns symbols that are not finite",
        ),
        (
            "channel.py",
            "        return received",
            "        received = shortened(received)\n",
            "the channel returns symbols of shape (1, ",
        ),
    ],
)
def test_a_broken_rule_of_the_link(folder, capsys, file, before, line, words):
    insert(folder / file, before, line)
    assert words in failed(capsys, *send("--system", "./mine.py", "--channel", "./channel.py"))
    line = failed(capsys, "run", "s.yaml", "--quiet", "--out", "out", "--workers", "1")
    assert line.startswith("mine over ours at 0 dB")
    assert words in line


def test_an_error_of_semcom_itself_keeps_its_traceback(folder, capsys, monkeypatch):
    from semcom import link

    monkeypatch.setattr(link, "_realized_snr_db", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(send("--system", "./mine.py"))
    assert main(["run", "s.yaml", "--quiet", "--out", "out"]) == 1
    assert "in _deliver" in capsys.readouterr().err


def test_a_channel_in_place_of_a_system(folder, capsys):
    command = ["send", "images/one.png", "--system", "./channel.py", "--snr", "10", "--out", "o.png"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "channel.py: build lacks the argument cbr, like that of a channel; begin with `def build(cbr`" in error
    assert error.count("\n") == 1
