"""Every command, and the errors of wrong input: one line on stderr, status 2, no traceback."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from refusals import refused
from toy import TOY

from semcom import discover
from semcom.cli.main import main

COMMAND = [sys.executable, "-m", "semcom"]


@pytest.fixture
def _random_is_for_beartype(monkeypatch):
    """Beartype draws from `random`, which `semcom check` would report."""
    monkeypatch.setattr(random, "getstate", lambda: None)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    return path


def send(photo, *more: str) -> list[str]:
    snr = () if "--snr" in more else ("--snr", "6")
    return ["send", str(photo), "--system", TOY, *snr, *more]


# --- results of commands ------------------------------------------------------------------------------------------


def test_no_temporary_folder_is_a_one_line_error(capsys, monkeypatch):
    import errno

    from semcom.cli import main as entry

    def fails(_):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(entry, "_parse", fails)
    assert main([]) == 2
    assert (
        capsys.readouterr().err.strip().endswith("no temporary folder can be written; set TMPDIR to a writable folder")
    )


def test_list_has_every_system_channel_source_and_metric(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = " ".join(lines).split()
    described = [line for line in lines if line.startswith("  ")]
    assert all(re.match(r"  \w+ +\S", line) for line in described), "each with a description"
    assert len({re.match(r"  \w+ +", line).end() for line in described}) == 1, "descriptions are aligned"
    assert max(map(len, described)) <= 120
    kinds = (discover.entries("system"), discover.entries("channel"), discover.metrics(), discover.sources())
    assert {name for kind in kinds for name in kind} <= set(words)


def test_names_read_from_the_source_are_those_of_the_imported_dictionaries():
    from importlib import import_module

    from semcom.images.sources import SOURCES

    assert list(discover.sources()) == list(SOURCES)
    for name, metric in discover.metrics().items():
        assert name in import_module(metric.module).METRICS


def test_show_prints_arguments_and_defaults(capsys):
    assert main(["show", "rician"]) == 0
    out = capsys.readouterr().out
    assert "k_factor_db: a number; default 6" in out
    assert "in dB" in out
    assert main(["show", TOY]) == 0
    assert "cbr" not in capsys.readouterr().out, "the channel-use budget is not an argument of a scenario"


def test_show_counts_the_points_of_a_scenario(capsys, scenario_data, write_scenario):
    assert main(["show", str(write_scenario(scenario_data)), "--set", "sweep.users=[1]"]) == 0
    assert capsys.readouterr().out.strip().endswith("\n# 4 points")
    stop = "stop={metric: psnr, half_width: 1, max_repetitions: 7}"
    assert main(["show", str(write_scenario(scenario_data)), "--set", stop]) == 0
    assert capsys.readouterr().out.strip().endswith("\n# 8 to 28 points")


@pytest.mark.usefixtures("_random_is_for_beartype")
def test_a_user_file_is_a_channel_if_its_build_has_no_cbr(capsys, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from channels import rayleigh\n\n"
        'def build(coherence_uses: int = 4):\n    """Fades."""\n    return rayleigh.build(coherence_uses)\n'
    )
    assert main(["show", str(mine)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("channel ")
    assert "coherence_uses: a whole number; default 4" in printed
    assert main(["check", str(mine), "--set", "channel.coherence_uses=8"]) == 0
    assert "pass            fading_has_unit_mean_power" in capsys.readouterr().out


def test_a_file_that_builds_neither_system_nor_channel_is_refused(capsys, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def build():\n    return 3\n")
    assert "type int; end it with `return Channel(...)`; a system must have the argument cbr" in refused(
        capsys, "check", str(mine)
    )


@pytest.mark.usefixtures("_random_is_for_beartype")
def test_a_property_that_does_not_apply_is_not_reported_as_passed(capsys):
    assert main(["check", "broadcast"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "users_do_not_affect_each_other" in line]
    assert line.startswith("does not apply ")
    assert sum(line.startswith("pass ") for line in lines) == len(lines) - 1


@pytest.mark.parametrize("users", ["1", "2"])
def test_send_prints_cost_and_quality_and_saves_the_image(capsys, photo, tmp_path, users):
    out = tmp_path / "received.png"
    assert main(send(photo, "--users", users, "--cbr", "0.1", "--channel", "rayleigh", "--out", str(out))) == 0
    printed = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed.get("user") == {"1": None, "2": "0 of 2, counted from 0; medium CBR is that of all users"}[users]
    assert float(printed["CBR"].split()[0]) == pytest.approx(0.1 / int(users), rel=0.01)
    assert float(printed["medium CBR"].split()[0]) == pytest.approx(0.1, rel=0.01)
    with Image.open(out) as received, Image.open(photo) as sent:
        psnr = 10 * np.log10(255**2 / np.mean((np.asarray(received, float) - np.asarray(sent, float)) ** 2))
    assert float(printed["PSNR"].split()[0]) == pytest.approx(psnr, abs=0.05)  # the file is rounded to 8 bits


def test_send_prints_the_description_and_the_scores_of_the_candidates(capsys, photo):
    few = [f"--set=multimodal_generation.{name}" for name in ("candidates=3", "steps=1")]
    assert main(["send", str(photo), "--system", "multimodal_generation", "--snr", "10", *few]) == 0
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed["description"].startswith("a photo of a ")
    listed, _, selected = printed["scores"].partition("; candidate ")
    scores = [float(score) for score in listed.split(", ")]
    assert len(scores) == 3
    assert scores[int(selected.split()[0]) - 1] == min(scores)


def test_run_and_plot_print_tables_and_write_figures(capsys, scenario_data, write_scenario, tmp_path):
    out = tmp_path / "out"
    assert main(["run", str(write_scenario(scenario_data)), "--out", str(out), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "psnr (dB), mean and 95 % interval" in printed
    for name in ("figure.png", "strip.png"):
        assert str(out / name) in printed
        with Image.open(out / name) as figure:
            assert min(figure.size) > 100
    assert (out / "summary.csv").read_text().startswith("metric,unit,system,channel,")
    assert main(["plot", str(out), "--x", "users", "--metric", "psnr", "--format", "pdf"]) == 0
    assert (out / "figure-users.pdf").read_bytes().startswith(b"%PDF")


def test_a_closed_pipe_is_not_an_error():
    command = f"{sys.executable} -m semcom list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("systems\n", "")


def _default_interrupts():
    """A test run in the background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("workers", "moment", "seconds"),
    [(1, "rows/*.parquet", 0), (2, "rows/*.parquet", 0), (2, "images/sent.png", 0.5)],
    ids=["alone", "two workers", "two workers during their start"],
)
def test_ctrl_c_says_how_to_resume(scenario_data, write_scenario, tmp_path, workers, moment, seconds):
    scenario_data |= {"repetitions": 500}
    out = tmp_path / "out"
    command = [*COMMAND, "run", str(write_scenario(scenario_data)), "--out", str(out), "--quiet"]
    with subprocess.Popen(
        [*command, "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_default_interrupts,
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
    assert "run the same command again to resume" in line


INTERRUPTED_IN_A_CALLBACK = """
import signal
import time


class Late:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def build(cbr: float):
    \"\"\"A system whose start is interrupted in a callback, in which Python ignores exceptions.\"\"\"
    Late()
    time.sleep(60)
"""


def test_ctrl_c_in_a_callback_is_not_lost(scenario_data, write_scenario, tmp_path):
    (tmp_path / "late.py").write_text(INTERRUPTED_IN_A_CALLBACK)
    path = write_scenario(scenario_data | {"systems": [str(tmp_path / "late.py")]})
    command = [*COMMAND, "run", str(path), "--out", str(tmp_path / "out"), "--quiet", "--workers", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, preexec_fn=_default_interrupts
    )
    assert done.returncode == 130
    (line,) = done.stderr.splitlines()
    assert "run the same command again to resume" in line


# --- errors ----------------------------------------------------------------------------------------------


def test_wrong_input_is_one_line_and_status_2_in_a_separate_process(tmp_path):
    done = subprocess.run(
        [*COMMAND, "run", str(tmp_path / "nowhere.yaml")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"semcom: there is no scenario file {tmp_path / 'nowhere.yaml'}; check the path\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["lst"], "no command 'lst'; did you mean 'list'?"),
        (["run"], "required"),
        (["run", "scenarios/quickstart.yaml", "--quite"], "no option --quite; did you mean --quiet? see semcom run"),
        (["plot", "run", "--againts=analog"], "no option --againts; did you mean --against? see semcom plot"),
        (["plot", "run", "--qwerty"], "unrecognized arguments: --qwerty; see semcom plot --help"),
        (["show", "raleigh"], "did you mean 'rayleigh'?"),
        (["show", "digital", "--set", "digital.codec=webp"], "--set applies to a scenario file"),
        (["run", "scenarios/quickstart.yaml", "--out", ""], "argument --out: the value is empty"),
        (["check", "keras"], "keras requires the argument encoder (text); set keras.encoder"),
        (["send", "semcom", "x.png", "--system", TOY, "--snr", "6"], "semcom is a folder; give image files"),
        (["check", "rican"], "did you mean 'rician'?"),
        (["check", "rician", "--set", "rician.k_factor=3"], "did you mean 'k_factor_db'?"),
        (["check", "rician", "--set", "seed=3"], "only arguments of rician can be set here"),
        (
            ["check", "multimodal_generation", "--set", "multimodal_generation.clip_guidance=3"],
            "clip_guidance must be 0 to 1, not 3",
        ),
        (["plot", "nowhere"], "no results of semcom run in nowhere"),
        (["train", "zz"], "no trainable system 'zz'; there are carrier_image, deepjscc"),
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
        (["--snr", ".nan"], "a number of dB from -100 to 100, not NaN"),
        (["--snr", ".inf"], "a number of dB from -100 to 100, not infinity"),
        (["--snr", "nan"], "argument --snr: 'nan' is not a number; write for example 10, -0.5, 1e-3 or 1/16"),
        (["--snr", "-101"], "a number of dB from -100 to 100, not -101"),
        (["--snr", "-1e3"], "a number of dB from -100 to 100, not -1000"),
        (["--cbr", "1:16"], "argument --cbr: '1:16' is not a number"),
        (["--users", "1.5"], "argument --users: '1.5' is not a whole number"),
        (["--channel", "awgn", "--channel", "rayleigh"], "--channel is given twice; give it once"),
        (["--system", f"{TOY}:block=4,block=8"], "block is given twice"),
        (["--system", f"{TOY}:block"], "block has no value; write"),
        (["--system", f"{TOY}:blok=4"], "did you mean 'block'?"),
        (["--users", "0"], "users must be a whole number, 1 or more"),
        (["--users", "-2"], "users must be a whole number, 1 or more"),
        (["--cbr", "0"], "--cbr must be a number above 0"),
        (["--set", "toy_system.blok=4"], "did you mean 'block'?"),
        (["--set", "toy_system.block=big"], "block must be a whole number, not 'big'"),
        (["--set", "block"], "--set 'block': block has no value; write block=VALUE"),
        (["--set", "=4"], "write KEY=VALUE"),
        (["--channel", "rayleigh:"], "an argument is missing"),
        (["--channel", "rayleigh:coherence_uses="], "coherence_uses has no value"),
        (["--set", "toy_system=4"], "did you mean 'toy_system.block'?"),
        (["--set", "threads=2000"], "--set threads=2000 is no argument of a system or channel"),
        (["--out", "/nowhere/received.png"], "cannot write /nowhere/received.png: there is no folder /nowhere"),
        (["--out", ""], "argument --out: the value is empty"),
        (["--out", "/tmp"], "--out '/tmp' is a folder; name a file, as in received.png"),
        (["--out", "received"], "name it received.png"),
        (["--out", "received.jpg"], "name it received.png"),
    ],
)
def test_wrong_options_of_send_are_refused(capsys, photo, more, words):
    assert words in refused(capsys, *send(photo, *more))


def test_files_that_are_no_images_are_refused(capsys, photo, tmp_path, monkeypatch):
    words = tmp_path / "words.png"
    words.write_text("no image at all")
    assert "not an image" in refused(capsys, *send(words))
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(photo.read_bytes()[:2000])
    assert "cannot be read" in refused(capsys, *send(truncated))
    empty = tmp_path / "empty.png"
    empty.touch()
    assert "empty" in refused(capsys, *send(empty))
    assert "empty.png is empty" in refused(capsys, *send(tmp_path))


def test_an_image_of_one_pixel_is_refused(capsys, tmp_path):
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


def test_a_plot_over_a_quantity_that_was_not_swept_is_refused(capsys, scenario_data, write_scenario, tmp_path):
    path, out = str(write_scenario(scenario_data)), str(tmp_path / "out")
    assert main(["run", path, "--out", out, "--quiet"]) == 0
    capsys.readouterr()
    assert "did you mean 'users'?" in refused(capsys, "plot", out, "--x", "user")
    assert "did you mean 'psnr'?" in refused(capsys, "plot", out, "--metric", "psn")


def test_a_failing_point_is_named_and_exits_with_1(capsys, scenario_data, write_scenario, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def build(cbr: float):\n    raise RuntimeError('out of ideas')\n")
    scenario_data["systems"] = [str(mine)]
    assert main(["run", str(write_scenario(scenario_data)), "--out", str(tmp_path / "out"), "--quiet"]) == 1
    assert "mine over rayleigh at 0 dB" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.skipif(os.name != "posix", reason="needs /dev/full")
def test_a_full_disk_under_the_received_image_is_one_line(capsys, photo):
    assert main(send(photo, "--out", "/dev/full")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write /dev/full" in line


def test_send_refuses_a_sweep(capsys, photo):
    assert "sweep with semcom run" in refused(capsys, *send(photo, "--set", "sweep.snr_db=[1,2]"))


@pytest.mark.parametrize("line", ["import nomodule", "1 / 0"])
def test_a_file_that_cannot_be_imported_is_named_with_the_line_of_the_error(capsys, tmp_path, line):
    file = tmp_path / "mine.py"
    file.write_text(f'"""Mine."""\n\n{line}\n\n\ndef build(cbr: float):\n    """Mine."""\n')
    assert f"{file}:3: cannot be imported, " in refused(capsys, "check", str(file))
