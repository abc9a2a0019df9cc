"""Every command, and every wrong input: one line on stderr, status 2, no traceback."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import TOY
from PIL import Image

from semcom import discover
from semcom.__main__ import main

COMMAND = [sys.executable, "-m", "semcom"]


@pytest.fixture
def _random_is_for_beartype(monkeypatch):
    """The type checks of these tests draw from `random` themselves, which a law would notice."""
    monkeypatch.setattr(random, "getstate", lambda: None)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    return path


def refused(capsys, *arguments: str) -> str:
    """The one line that answers a wrong input."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert "Traceback" not in line
    return line


def send(photo, *more: str) -> list[str]:
    return ["send", str(photo), "--system", TOY, "--snr", "6", *more]


# --- what the commands do ------------------------------------------------------------------------------------------


def test_list_names_everything_there_is(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = " ".join(lines).split()
    described = [line for line in lines if line.startswith("  ")]
    assert all(re.match(r"  \w+ +\S", line) for line in described), "each with a phrase"
    assert len({re.match(r"  \w+ +", line).end() for line in described}) == 1, "in even columns"
    assert max(map(len, described)) <= 120
    kinds = (discover.entries("system"), discover.entries("channel"), discover.metrics(), discover.sources())
    assert {name for kind in kinds for name in kind} <= set(words)


def test_what_is_listed_is_what_is_there():
    """The names read from the source are those of the dictionaries in it."""
    from semcom.images import SOURCES
    from semcom.metrics import METRICS

    assert list(discover.metrics()) == list(METRICS)
    assert list(discover.sources()) == list(SOURCES)


def test_show_prints_arguments_and_defaults(capsys):
    assert main(["show", "rician"]) == 0
    out = capsys.readouterr().out
    assert "k_factor_db: float = 6.0" in out
    assert "in dB" in out
    assert main(["show", TOY]) == 0
    assert "cbr" not in capsys.readouterr().out, "what nobody may write is not offered"


def test_show_counts_the_points_of_a_scenario(capsys, scenario_data, write_scenario):
    assert main(["show", str(write_scenario(scenario_data)), "--set", "sweep.users=[1]"]) == 0
    assert capsys.readouterr().out.strip().endswith("\n4 points")
    stop = "stop={metric: psnr, half_width: 1, max_repetitions: 7}"
    assert main(["show", str(write_scenario(scenario_data)), "--set", stop]) == 0
    assert capsys.readouterr().out.strip().endswith("\n8 to 28 points")


@pytest.mark.usefixtures("_random_is_for_beartype")
def test_a_file_of_ones_own_is_a_channel_if_its_build_takes_no_cbr(capsys, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from channels import rayleigh\n\n"
        'def build(coherence_uses: int = 4):\n    """Fades."""\n    return rayleigh.build(coherence_uses)\n'
    )
    assert main(["show", str(mine)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("channel ")
    assert "coherence_uses: int = 4" in printed
    assert main(["check", str(mine), "--set", "channel.coherence_uses=8"]) == 0
    assert "pass            fading has unit power" in capsys.readouterr().out


def test_a_file_that_builds_neither_is_refused(capsys, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def build():\n    return 3\n")
    assert "returns int, not a Channel; that of a system takes cbr" in refused(capsys, "check", str(mine))


@pytest.mark.usefixtures("_random_is_for_beartype")
def test_a_law_that_does_not_apply_is_not_passed(capsys):
    assert main(["check", "broadcast"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "another user changes nothing" in line]
    assert line.startswith("does not apply ")
    assert sum(line.startswith("pass ") for line in lines) == len(lines) - 1


@pytest.mark.parametrize("users", ["1", "2"])
def test_send_prints_cost_and_score_and_saves_the_picture(capsys, photo, tmp_path, users):
    out = tmp_path / "received.png"
    assert main(send(photo, "--users", users, "--cbr", "0.1", "--channel", "rayleigh", "--out", str(out))) == 0
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert float(printed["cbr"].split()[0]) == pytest.approx(0.1 / int(users), rel=0.01)
    assert float(printed["medium_cbr"].split()[0]) == pytest.approx(0.1, rel=0.01)
    with Image.open(out) as received, Image.open(photo) as sent:
        psnr = 10 * np.log10(255**2 / np.mean((np.asarray(received, float) - np.asarray(sent, float)) ** 2))
    assert float(printed["psnr"].split()[0]) == pytest.approx(psnr, abs=0.05)  # the file is rounded to 8 bits


def test_send_prints_what_a_generator_was_told_and_what_it_chose_by(capsys, photo):
    few = [f"--set=multimodal_generation.{name}" for name in ("candidates=3", "steps=1")]
    assert main(["send", str(photo), "--system", "multimodal_generation", "--snr", "10", *few]) == 0
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed["description"].startswith("a photo of a ")
    listed, _, kept = printed["scores"].partition("; kept number ")
    scores = [float(score) for score in listed.split(", ")]
    assert len(scores) == 3
    assert scores[int(kept.split(",")[0]) - 1] == min(scores)


def test_run_and_plot_print_a_table_and_draw_pictures(capsys, scenario_data, write_scenario, tmp_path):
    out = tmp_path / "out"
    assert main(["run", str(write_scenario(scenario_data)), "--out", str(out), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "psnr, mean and 95 % interval" in printed
    for name in ("figure.png", "strip.png"):
        assert str(out / name) in printed
        with Image.open(out / name) as drawn:
            assert min(drawn.size) > 100
    assert (out / "summary.csv").read_text().startswith("metric,unit,system,channel,")
    assert main(["plot", str(out), "--x", "users", "--metric", "psnr", "--format", "pdf"]) == 0
    assert (out / "figure-users.pdf").read_bytes().startswith(b"%PDF")


def test_a_pipe_that_closes_early_is_no_error():
    command = f"{sys.executable} -m semcom list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("systems\n", "")


def _hears_interrupts():
    """A test run in the background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("workers", "moment", "seconds"),
    [(1, "rows/*.parquet", 0), (2, "rows/*.parquet", 0), (2, "pictures/sent.png", 0.5)],
    ids=["alone", "two workers", "two workers that still start"],
)
def test_ctrl_c_says_how_to_go_on(scenario_data, write_scenario, tmp_path, workers, moment, seconds):
    scenario_data |= {"repetitions": 500}
    out = tmp_path / "out"
    command = [*COMMAND, "run", str(write_scenario(scenario_data)), "--out", str(out), "--quiet"]
    with subprocess.Popen(
        [*command, "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hears_interrupts,
        start_new_session=True,
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not list(out.glob(moment)) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and its workers
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    (line,) = errors.splitlines()
    assert "the same command goes on from there" in line


# --- what they refuse ----------------------------------------------------------------------------------------------


def test_wrong_input_is_one_line_and_status_2_in_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [*COMMAND, "run", str(tmp_path / "nowhere.yaml")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"semcom: no scenario file {tmp_path / 'nowhere.yaml'}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["lst"], "invalid choice"),
        (["run"], "required"),
        (["show", "raleigh"], "did you mean 'rayleigh'?"),
        (["check", "rican"], "did you mean 'rician'?"),
        (["check", "rician", "--set", "rician.k_factor=3"], "did you mean 'k_factor_db'?"),
        (["check", "rician", "--set", "seed=3"], "only arguments of rician can be set here"),
        (
            ["check", "multimodal_generation", "--set", "multimodal_generation.clip_guidance=3"],
            "clip_guidance must be 0 to 1, not 3",
        ),
        (["plot", "nowhere"], "no rows in nowhere"),
        (["train", "zz"], "nothing to train is called 'zz'; there are carrier_image, deepjscc"),
        (["train", "deepjsc"], "did you mean 'deepjscc'?"),
        (["send", "nowhere.png", "--system", TOY, "--snr", "6"], "no image file nowhere.png"),
    ],
)
def test_wrong_commands_are_refused(capsys, arguments, words):
    assert words in refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--system", "nosuch"], "no system 'nosuch'"),
        (["--channel", "rayleig"], "did you mean 'rayleigh'?"),
        (["--snr", "nan"], "a number of dB from -100 to 100, not NaN"),
        (["--snr", "inf"], "a number of dB from -100 to 100, not infinity"),
        (["--snr", "-101"], "a number of dB from -100 to 100, not -101"),
        (["--snr", "high"], "invalid float value"),
        (["--users", "0"], "users must be a whole number, 1 or more"),
        (["--users", "-2"], "users must be a whole number, 1 or more"),
        (["--cbr", "0"], "--cbr must be a number above 0"),
        (["--set", "toy_system.blok=4"], "did you mean 'block'?"),
        (["--set", "toy_system.block=big"], "wants block: int, not 'big'"),
        (["--set", "block"], "write KEY=VALUE"),
        (["--set", "toy_system=4"], "did you mean 'toy_system.block'?"),
        (["--set", "threads=2000"], "threads must be a whole number from 1 to 1024, not 2000"),
        (["--out", "/nowhere/received.png"], "cannot write /nowhere/received.png: there is no folder /nowhere"),
        (["--out", ""], "--out '' is empty; name a file, as in received.png"),
        (["--out", "/tmp"], "--out '/tmp' is a folder; name a file, as in received.png"),
        (["--out", "received"], "name it received.png"),
        (["--out", "received.jpg"], "name it received.png"),
    ],
)
def test_wrong_options_of_send_are_refused(capsys, photo, more, words):
    assert words in refused(capsys, *send(photo, *more))


def test_files_that_are_no_pictures_are_refused(capsys, photo, tmp_path, monkeypatch):
    words = tmp_path / "words.png"
    words.write_text("no picture at all")
    assert "not an image" in refused(capsys, *send(words))
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(photo.read_bytes()[:2000])
    assert "cannot be read" in refused(capsys, *send(truncated))
    empty = tmp_path / "empty.png"
    empty.touch()
    assert "empty" in refused(capsys, *send(empty))
    assert "empty.png is empty" in refused(capsys, *send(tmp_path))


def test_a_picture_of_one_pixel_is_refused(capsys, tmp_path):
    path = tmp_path / "pixel.png"
    Image.new("RGB", (1, 1)).save(path)
    assert "no channel use" in refused(capsys, *send(path))


def test_a_decompression_bomb_is_refused(capsys, photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "more than 100 pixels" in refused(capsys, *send(photo))


def test_an_output_folder_that_cannot_be_written_is_refused(capsys, scenario_data, write_scenario, tmp_path):
    (tmp_path / "file").touch()
    out = str(tmp_path / "file" / "out")
    assert "cannot write to" in refused(capsys, "run", str(write_scenario(scenario_data)), "--out", out)


def test_an_output_folder_of_another_scenario_is_refused(capsys, scenario_data, write_scenario, tmp_path):
    path, out = str(write_scenario(scenario_data)), str(tmp_path / "out")
    assert main(["run", path, "--out", out, "--quiet"]) == 0
    capsys.readouterr()
    assert "another scenario" in refused(capsys, "run", path, "--out", out, "--set", "seed=1")


@pytest.mark.parametrize("source", ["kodak", "natural", "camvid", "imagenette"])
def test_a_missing_data_set_is_refused_with_its_address(
    capsys, scenario_data, write_scenario, tmp_path, monkeypatch, source
):
    monkeypatch.delenv("SEMCOM_DATA", raising=False)
    arguments = ("run", str(write_scenario(scenario_data)), "--out", str(tmp_path / "o"), "--set")
    for words in ("SEMCOM_DATA", str(tmp_path)):
        line = refused(capsys, *arguments, f"images={{source: {source}}}")
        assert words in line
        assert "https://" in line
        monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))


def test_a_plot_of_what_was_not_swept_is_refused(capsys, scenario_data, write_scenario, tmp_path):
    path, out = str(write_scenario(scenario_data)), str(tmp_path / "out")
    assert main(["run", path, "--out", out, "--quiet"]) == 0
    capsys.readouterr()
    assert "did you mean 'users'?" in refused(capsys, "plot", out, "--x", "user")
    assert "did you mean 'psnr'?" in refused(capsys, "plot", out, "--metric", "psn")


def test_a_point_that_breaks_names_itself_and_exits_with_1(capsys, scenario_data, write_scenario, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def build(cbr: float):\n    raise RuntimeError('out of ideas')\n")
    scenario_data["systems"] = [str(mine)]
    assert main(["run", str(write_scenario(scenario_data)), "--out", str(tmp_path / "out"), "--quiet"]) == 1
    assert "mine over rayleigh at 0 dB" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.skipif(os.name != "posix", reason="needs /dev/full")
def test_a_full_disk_under_the_received_picture_is_one_line(capsys, photo):
    assert "cannot write /dev/full" in refused(capsys, *send(photo, "--out", "/dev/full"))


def test_send_sends_one_picture_once(capsys, photo):
    assert "sweep with semcom run" in refused(capsys, *send(photo, "--set", "sweep.snr_db=[1,2]"))


@pytest.mark.parametrize("line", ["import nomodule", "1 / 0"])
def test_a_file_that_cannot_be_imported_is_named_with_the_line_of_the_fault(capsys, tmp_path, line):
    file = tmp_path / "mine.py"
    file.write_text(f'"""Mine."""\n\n{line}\n\n\ndef build(cbr: float):\n    """Mine."""\n')
    assert f"{file}:3: cannot be imported, " in refused(capsys, "check", str(file))
