"""`semcom recognize`: GNU Radio's modulators, transmissions of semcom, and recordings without anything to recognize."""

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from channels import Rng
from channels.recognition import MODULATIONS
from channels.waveform.header import Header
from channels.waveform.modulator import modulate
from channels.waveform.pulse import Pulse, scatter
from channels.waveform.symbol_recovery import recover
from semcom.cli.main import main
from semcom.images import load
from semcom.radio import recording
from semcom.radio.shared import Shared
from semcom.sweep.run_folder import png

PYTHON = "/usr/bin/python3"  # GNU Radio of a Linux distribution belongs to the Python of the system
SCRIPT = Path(__file__).with_name("gnuradio_modulators.py")
RATE = 1e6


def write(path, samples):
    np.asarray(samples, np.complex64).tofile(recording.data_file(path))
    fields = {"core:datatype": "cf32_le", "core:sample_rate": RATE, "core:version": "1.2.0"}
    path.write_text(json.dumps({"global": fields, "captures": [{"core:sample_start": 0}], "annotations": []}))
    return path


def samples_of(name, snr_db, uses=1024, rate=4, offset=0.0, ppm=0.0):
    """A burst with a root-raised-cosine pulse over AWGN, from the pulse of this project."""
    pulse, rng = Pulse(rate, 0.25, 16), Rng([5])
    sent = MODULATIONS[name].draw(uses, rng)[0]
    times = torch.arange(uses, dtype=torch.float64) * rate * (1 + ppm * 1e-6) + pulse.reach + 0.37
    length = int(times[-1] + pulse.reach)
    clean = scatter(sent, times, pulse.table, length)
    clean = clean * torch.polar(torch.ones(length), 2 * np.pi * offset * torch.arange(length))
    return (clean + 10 ** (-snr_db / 20) * rng.derive("noise").complex_normal(length)[0]).numpy()


@cache
def without_gnuradio():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run([PYTHON, "-c", "import gnuradio.channels"], capture_output=True, env=environment)
    except OSError as error:
        return f"{PYTHON}: {error.strerror}"
    return "" if done.returncode == 0 else f"{PYTHON} has no GNU Radio: apt-get install gnuradio"


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_gnuradio_modulators(tmp_path, capsys):
    """Offset 1 kHz of 1 MHz, clock error 20 ppm: right at 10 and 20 dB; at 5 dB 16QAM may be undecided, never wrong."""
    if reason := without_gnuradio():
        pytest.skip(reason)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [PYTHON, SCRIPT, tmp_path, "1e-3", "1.00002", "3", "5", "10", "20"]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    for path in sorted(tmp_path.glob("*.cf32")):
        name, snr_db = path.stem.split("_")
        samples = np.fromfile(path, np.complex64)[: 4 * 3100]
        meta = write(tmp_path / f"{path.stem}.sigmf-meta", samples)
        assert main(["recognize", str(meta), "--roll-off", "0.35"]) == 0
        *segments, together = lines(capsys)
        decided = [line.split(": ")[1].split(",")[0] for line in segments[:3]]
        if snr_db == "5" and name == "16qam":
            assert set(decided) <= {"undecided", "16qam"}
            continue
        assert decided == [name] * 3, path.stem
        assert f": {name}, posterior 1.000" in together
        measured = [float(re.search(r"SNR (\S+) dB", line)[1]) for line in segments[:3]]
        assert np.abs(np.array(measured) - float(snr_db)).max() < 1
        if (name, snr_db) != ("8psk", "5"):  # the line of the eighth power is under the noise
            assert abs(float(re.search(r"offset (\S+) Hz", segments[0])[1]) - 1000) < 5


@pytest.mark.parametrize("rate", [2, 4, 6, 8])
def test_symbols_are_recovered(rate):
    """The noise after the matched filter is that of the SNR, at every rate, with offset and clock error."""
    samples = torch.from_numpy(samples_of("qpsk", 15.0, 1500, rate, offset=3e-3, ppm=40))
    found = recover(samples, None if rate > 2 else rate)
    assert found.power == 4
    assert found.frequency == pytest.approx(3e-3, abs=2e-5)
    assert found.period == pytest.approx(rate * (1 + 40e-6), rel=4e-5)
    middle = found.symbols[100:1400]
    angle = torch.angle(-(middle**4).mean()) / 4
    turned = middle * torch.polar(torch.ones(()), -angle)
    points = torch.view_as_complex(torch.view_as_real(turned).sign().contiguous())
    gain = (points.conj() * turned).mean() / 2
    error = (turned / gain - points).abs().square().mean() / 2
    assert 10 * torch.log10(error).item() == pytest.approx(-15, abs=0.7)


def test_payload_of_a_frame_is_found_by_its_preamble(tmp_path, capsys):
    """Preamble, header and pilots are no part of the segments; neither are the first uses of a transmission."""
    shared = Shared("digital", "waveform", 1 / 6, RATE)
    layout, rng = shared.channel().layout, Rng([3])
    payload = torch.cat([MODULATIONS["qpsk"].draw(64, rng), MODULATIONS["16qam"].draw(960, rng.derive("rest"))], 1)[0]
    wave = modulate(payload, layout, Header(shared.configuration, 1024, 0, 0, 0, 64, 64))
    wave = torch.nn.functional.pad(wave, (500, 500)) / 8
    noise = 0.02 * rng.derive("noise").complex_normal(len(wave))[0]
    meta = tmp_path / "sent.sigmf-meta"
    recording.write(meta, wave + noise, RATE, "cf32_le", shared.fields(), [])
    assert main(["recognize", str(meta)]) == 0
    first, *_ = lines(capsys)
    assert re.match(r"image 1, frame 1 at 0\.00\d+ s, 960 symbols: 16qam, posterior 1.000, SNR", first)


@pytest.mark.parametrize(
    ("system", "expected"), [("digital", "16qam"), ("analog", "gaussian"), ("deepjscc", "gaussian")]
)
def test_transmissions_of_a_system(system, expected, tmp_path, capsys):
    """The gain and the noise that the receiver of the frame measures keep analog symbols apart from QPSK with noise."""
    photo, meta = tmp_path / "photo.png", tmp_path / "sent.sigmf-meta"
    photo.write_bytes(png(load("photos", 1, 128)[0].pixels))
    command = ["transmit", str(photo), "--system", system, "--designed-snr", "10", "--cbr", "1/8", "--out", str(meta)]
    assert main(command) == 0
    lines(capsys)
    assert main(["recognize", str(meta)]) == 0
    *segments, together = lines(capsys)
    assert len(segments) >= 2
    for line in [*segments, together]:
        assert f": {expected}, posterior 1.000" in line


@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        (np.zeros(0), [], "read|empty"),
        (np.zeros(5000), [], "silent"),
        (np.ones(3), [], "shorter|symbol rate"),
        (samples_of("qpsk", 10.0), ["--modulations", "qpsk"], "two or more"),
        (samples_of("qpsk", 10.0), ["--modulations", "qpsk,fm"], "no modulation 'fm'"),
        (samples_of("qpsk", 10.0), ["--samples-per-symbol", "5"], "samples-per-symbol"),
        (samples_of("qpsk", 10.0), ["--roll-off", "0"], "roll-off"),
        (samples_of("qpsk", 10.0), ["--segment", "0"], "segment"),
        (Rng([1]).complex_normal(20000)[0].numpy(), [], "no symbol rate"),
    ],
)
def test_wrong_recordings_and_options_are_one_line(tmp_path, capsys, samples, options, words):
    meta = write(tmp_path / "capture.sigmf-meta", samples)
    assert main(["recognize", str(meta), *options]) == 2
    text = capsys.readouterr().err
    assert re.search(words, text)
    assert len(text.strip().splitlines()) == 1


def test_too_few_symbols_are_undecided(tmp_path, capsys):
    meta = write(tmp_path / "capture.sigmf-meta", samples_of("16qam", 10.0, 60))
    assert main(["recognize", str(meta), "--samples-per-symbol", "4", "--segment", "16"]) == 0
    assert "undecided" in lines(capsys)[0]


def test_a_file_of_another_type_is_one_line(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"no recording")
    for name in ("a.png", "missing.sigmf-meta"):
        assert main(["recognize", str(tmp_path / name)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
