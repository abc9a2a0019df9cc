"""Options of all commands: defaults in the help, file names, ports, and a wrong package `channels`."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from PIL import Image
from refusals import refused

from semcom.cli.main import build_parser, main


def test_the_help_of_every_option_states_its_default():
    subparsers = next(action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    options = [
        (command, action.option_strings[-1], action.help or "")
        for command, parser in subparsers.choices.items()
        for action in parser._actions
        if action.option_strings and "--help" not in action.option_strings
    ]
    assert len(options) > 30
    assert [option for option in options if "default" not in option[2] and "required" not in option[2]] == []


def test_the_help_of_train_lists_the_arguments_of_the_system(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["train", "deepjscc", "--help"])
    assert raised.value.code == 0
    printed = capsys.readouterr().out
    assert "--learning-rate" in printed
    assert (
        "arguments of deepjscc, for --set:\n  cbr: a number; default 0.0625\n      channel bandwidth ratio" in printed
    )


def test_a_scenario_file_may_have_any_name(capsys, scenario_data, write_scenario):
    for name in ("UP.YAML", "plain"):
        assert main(["show", str(write_scenario(scenario_data, name))]) == 0
        assert capsys.readouterr().out.endswith("\n# 8 points\n")


def test_a_file_name_that_starts_with_a_hyphen_is_recognized(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (16, 16)).save("-photo.png")
    assert "for the file -photo.png, write ./-photo.png" in refused(capsys, "send", "-photo.png", "--system", "analog")
    assert main(["send", "./-photo.png", "--system", "analog", "--snr", "-5."]) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--port", "0"], "--port must be 1 to 65535, not 0"),
        (["--port", "70000"], "--port must be 1 to 65535, not 70000"),
        (["--port", "80.5"], "'80.5' is not a whole number"),
        (["--address", "no such host"], "is not an address of this computer"),
        (["--address", "192.0.2.1"], "is not an address of this computer"),
    ],
)
def test_a_wrong_address_of_the_app_is_one_line(capsys, more, words):
    assert words in refused(capsys, "app", *more)


def test_a_port_that_is_in_use_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert f"--port {port} is in use" in refused(capsys, "app", "--address", "127.0.0.1", "--port", port)


def test_the_app_asks_nothing_in_a_new_home(tmp_path):
    """Streamlit asks for an e-mail address at its first start, and does not serve pages before the answer."""
    pytest.importorskip("streamlit")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    environment = os.environ | {"HOME": str(tmp_path), "BROWSER": "true"}
    command = [sys.executable, "-m", "semcom", "app", "--port", port]
    log, end = tmp_path / "log", time.monotonic() + 240
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        ) as app,
    ):
        try:
            while not _responds(f"http://localhost:{port}/_stcore/health"):
                assert app.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.5)
        finally:
            os.killpg(app.pid, signal.SIGKILL)
    assert "mail" not in log.read_text()


def _responds(address):
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def test_another_module_named_channels_is_one_line(tmp_path):
    (tmp_path / "channels.py").write_text("mine = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "semcom", "list"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"`import channels` finds {tmp_path / 'channels.py'}" in done.stderr
