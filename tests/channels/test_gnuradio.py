"""GNU Radio, code that nobody here wrote, as the channel between modulator and receiver."""

import json
import os
import subprocess
import sys
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


def run_script(*words, script=SCRIPT, python=PYTHON):
    command = [python, script, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())


def assert_refused(done, text):
    """Exit status 2 and one line behind the usage, without a traceback."""
    assert done.returncode == 2, done.stderr
    assert text in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1


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
        ((sent.with_suffix(".sigmf-meta"), tmp_path / "out"), "give the samples"),
        ((sent, tmp_path / "out", "--noise=-1"), "--noise must be 0 or more"),
        ((sent, tmp_path / "out", "--frequency-offset=nan"), "-0.5 to 0.5 cycles per sample"),
        ((sent, tmp_path / "out", "--clock-ratio=0"), "--clock-ratio must be 0.5 to 2"),
        ((sent, tmp_path / "out", "--taps=inf"), "--taps must be finite"),
        ((sent, tmp_path / "out", "--seed=-1"), "--seed must be 0 to"),
        ((sent, tmp_path), "exists; choose another file"),
    ):
        assert_refused(run_script(*words), text)
    empty = tmp_path / "empty.sigmf-data"
    empty.touch()
    assert_refused(run_script(empty, tmp_path / "out"), "no whole samples")
    sent.with_suffix(".sigmf-meta").write_text("[]")
    assert_refused(run_script(sent, tmp_path / "out.sigmf-data"), "is no SigMF metadata")
    assert len(np.fromfile(sent, np.complex64)) == 1000


SOAPY = SCRIPT.with_name("soapy.py")


@pytest.mark.parametrize("script", [SCRIPT, SOAPY], ids=lambda path: path.stem)
def test_a_python_without_gnuradio_is_named(script, tmp_path):
    blocked = tmp_path / "gnuradio.py"  # a module without content, which hides GNU Radio where it is installed
    blocked.touch()
    command = [sys.executable, script, "receive", "file"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment() | {"PYTHONPATH": str(tmp_path)})
    assert_refused(done, "has no GNU Radio")
    assert "apt-get install gnuradio" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(bool(without_gnuradio()), reason=without_gnuradio())
def test_the_script_for_radios_refuses_wrong_inputs_in_one_line(tmp_path):
    sent, other = tmp_path / "sent.sigmf-data", tmp_path / "other.sigmf-data"
    np.ones(1000, np.complex64).tofile(sent)
    sent.with_suffix(".sigmf-meta").write_text(
        json.dumps({"global": {"core:datatype": "cf32_le", "core:sample_rate": 2e6}})
    )
    np.ones(3, np.int16).tofile(other)
    radio = ("--device", "driver=none", "--frequency", "433.92e6")
    received = tmp_path / "received.sigmf-data"
    for words, text in (
        (("transmit", tmp_path / "nowhere", *radio), "nowhere does not exist"),
        (("transmit", sent, *radio), "has 2e+06 samples/s; set --sample-rate 2e+06, not 1e+06"),
        (("transmit", sent.with_suffix(".sigmf-meta"), *radio), "give the samples"),
        (("transmit", other, *radio), "no whole samples of cf32_le"),
        (("transmit", sent, *radio, "--sample-rate=2e6"), "--device driver=none: "),
        (("receive", received, *radio), "SoapySDRUtil --find lists the radios"),
        (("receive", received, *radio, "--gain=-1"), "--gain must be 0 dB or more, not -1"),
        (("receive", received, *radio, "--sample-rate=0"), "--sample-rate must be a number above 0, not 0"),
        (("receive", received, *radio, "--seconds=nan"), "--seconds must be a number above 0, not nan"),
        (("receive", received, *radio, "--amplitude=2"), "--amplitude must be above 0 and at most 1"),
        (("receive", received, "--device", "driver=none", "--frequency=-1"), "--frequency must be a number above 0"),
        (("receive", received, "--frequency=1e9"), "required: --device"),
        (("receive", tmp_path / "nowhere" / "r.sigmf-data", *radio), "nowhere does not exist"),
        (("receive", tmp_path / "received.bin", *radio), "name it"),
        (("receive", sent, *radio), "exists; choose another file, or add --force"),
    ):
        assert_refused(run_script(*words, script=SOAPY), text)
    assert not received.exists()
    assert len(np.fromfile(sent, np.complex64)) == 1000
