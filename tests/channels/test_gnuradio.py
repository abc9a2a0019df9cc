"""GNU Radio, code that nobody here wrote, as the channel between modulator and receiver."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from channels import waveform
from channels.rng import Rng
from channels.waveform.header import Header
from channels.waveform.modulator import modulate

SCRIPT = Path(__file__).parents[2] / "examples" / "gnuradio" / "channel_model.py"
PYTHON = "/usr/bin/python3"  # GNU Radio of a Linux distribution belongs to the Python of the system
TAPS = np.array([1, 0.3j, -0.1]) / np.linalg.norm([1, 0.3, 0.1])


@cache
def without_gnuradio():
    """Reason why GNU Radio cannot be used; empty if it can."""
    try:
        done = subprocess.run([PYTHON, "-c", "import gnuradio.channels"], capture_output=True, env=environment())
    except OSError as error:
        return f"{PYTHON}: {error.strerror}"
    return "" if done.returncode == 0 else f"{PYTHON} has no GNU Radio: apt-get install gnuradio"


def environment():
    """The environment without variables of this Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def through_gnuradio(samples, folder, **options):
    sent, received = folder / "sent.cf32", folder / "received.cf32"
    samples.astype(np.complex64).tofile(sent)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    subprocess.run([PYTHON, SCRIPT, sent, received, *arguments], check=True, env=environment(), capture_output=True)
    return torch.from_numpy(np.fromfile(received, np.complex64))


@pytest.mark.parametrize("snr_db", [5.0, 10.0, 15.0])
def test_a_frame_passes_noise_frequency_clock_and_taps(tmp_path, snr_db):
    if reason := without_gnuradio():
        pytest.skip(reason)
    channel, count = waveform.build(), 4000
    payload = Rng([1]).complex_normal(count)[0]
    sent = modulate(payload, channel.layout, Header(channel.receiver.configuration, count))
    silence = np.zeros(1500)
    received = through_gnuradio(
        np.concatenate([silence, sent.numpy(), silence]),
        tmp_path,
        noise=10 ** (-snr_db / 20),
        frequency_offset=1e-3,
        clock_ratio=1 + 2e-5,
        taps=",".join(str(tap).strip("()") for tap in TAPS),
        seed=3,
    )
    (frame,), rejected = channel.receiver.receive(received)
    assert not rejected
    error = float((frame.symbols - payload).abs().square().mean())
    assert error / float(frame.noise_var.mean()) == pytest.approx(1, abs=0.12)
    assert frame.frequency == pytest.approx(1e-3, abs=2e-6)
    assert frame.clock_ppm == pytest.approx(20, abs=15)
    # the taps lose at most a decibel within the band of the pulse
    assert -1.5 < -10 * np.log10(error) - snr_db < 0.2


def run_script(*words):
    command = [PYTHON, SCRIPT, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())


@pytest.mark.skipif(bool(without_gnuradio()), reason=without_gnuradio())
def test_the_script_copies_metadata_and_refuses_what_it_cannot_pass(tmp_path):
    sent = tmp_path / "sent.sigmf-data"
    np.ones(1000, np.complex64).tofile(sent)
    meta = {"global": {"core:datatype": "cf32_le", "core:sha512": "0", "semcom:shared": {"cbr": 0.1}}}
    sent.with_suffix(".sigmf-meta").write_text(json.dumps(meta))
    assert run_script(sent, tmp_path / "received.sigmf-data").returncode == 0
    again = run_script(sent, tmp_path / "received.sigmf-data")
    assert again.returncode == 2
    assert "received.sigmf-data exists" in again.stderr.splitlines()[-1]
    assert run_script(sent, tmp_path / "received.sigmf-data", "--force").returncode == 0
    assert not list(tmp_path.glob(".*"))  # no temporary file is left
    copied = json.loads((tmp_path / "received.sigmf-meta").read_text())
    assert copied["global"] == {"core:datatype": "cf32_le", "semcom:shared": {"cbr": 0.1}}

    integers = tmp_path / "integers.sigmf-data"
    integers.write_bytes(sent.read_bytes())
    integers.with_suffix(".sigmf-meta").write_text(json.dumps({"global": {"core:datatype": "ci16_le"}}))
    for words, text in (
        ((sent, sent), "is also the file of the samples"),
        ((tmp_path / "nowhere", tmp_path / "out"), "does not exist"),
        ((sent, tmp_path / "nowhere" / "out"), "the folder"),
        ((sent, tmp_path / "out", "--taps", "a,b"), "--taps must be numbers"),
        ((integers, tmp_path / "out.sigmf-data"), "--format cf32_le"),
    ):
        done = run_script(*words)
        assert done.returncode == 2
        assert text in done.stderr.splitlines()[-1]
    assert len(np.fromfile(sent, np.complex64)) == 1000
