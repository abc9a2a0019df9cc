"""`semcom receive --capture`: what the figure shows against theory, and files that are refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from channels import Rng, waveform
from channels.waveform.header import Header
from channels.waveform.modulator import modulate
from semcom.cli.main import main
from semcom.radio.capture import channel_response, power_density, unequalized


def received(taps, noise=0.01, offset=0.0, **arguments):
    """A frame of 2000 QPSK symbols behind taps at distances of one symbol."""
    channel = waveform.build(**arguments)
    signs = torch.where(Rng([1]).uniform(2000, 2)[0] < 0.5, -(0.5**0.5), 0.5**0.5)
    symbols = torch.view_as_complex(signs)
    samples = modulate(symbols, channel.layout, Header(channel.receiver.configuration, 2000)).numpy()
    spaced = np.zeros(4 * (len(taps) - 1) + 1, complex)
    spaced[::4] = taps
    samples = np.convolve(np.r_[np.zeros(500), samples, np.zeros(500)], spaced)
    samples = samples * np.exp(2j * np.pi * offset * np.arange(len(samples)))
    disturbance = Rng([2]).complex_normal(len(samples))[0].numpy() * noise
    recording = torch.from_numpy((samples + disturbance).astype(np.complex64))
    (frame,), _ = channel.receiver.receive(recording)
    return recording, frame, channel.layout, symbols.numpy()


def test_the_power_density_of_noise_is_flat_and_that_of_a_tone_is_at_its_frequency():
    noise = Rng([3]).complex_normal(200_000)[0]
    frequencies, power = power_density(noise)
    assert power.mean() == pytest.approx(1, abs=0.02)
    assert power.std() < 0.1
    tone = torch.polar(torch.ones(50_000), 2 * torch.pi * 0.125 * torch.arange(50_000))
    assert frequencies[power_density(tone)[1].argmax()] == 0.125
    assert len(power_density(noise[:10])[0]) == 10


def test_the_channel_response_is_that_of_the_taps():
    taps = np.array([1, 0.5j])
    _, frame, layout, _ = received(taps)
    frequencies, magnitude = channel_response(frame, layout)
    expected = np.abs(np.exp(-2j * np.pi * np.outer(frequencies, [0, 1])) @ taps)
    inside = np.abs(frequencies) < 0.5  # beyond, the pulse leaves little power to measure
    error = 20 * np.log10(magnitude / expected)[inside]
    assert np.abs(error).max() < 0.5


def test_equalization_removes_the_interference_of_the_taps():
    recording, frame, layout, symbols = received(np.array([1, 0.5j]), offset=1e-3)
    before = unequalized(recording, frame, layout)
    ratio = np.mean(np.abs(before - symbols) ** 2)
    assert ratio == pytest.approx(0.25, rel=0.1)  # the power of the second tap over the first
    assert np.mean(np.abs(frame.symbols.numpy() - symbols) ** 2) < ratio / 20
    recording, frame, layout, symbols = received(np.array([1.0]), offset=1e-3)
    assert np.mean(np.abs(unequalized(recording, frame, layout) - symbols) ** 2) < 1e-3


def test_before_equalization_subcarriers_have_the_response_of_the_taps():
    recording, frame, layout, symbols = received(np.array([1, 0.5j]), subcarriers=32)
    gains = unequalized(recording, frame, layout) / symbols
    carrier = np.resize(layout.grid.data[:, 1].numpy(), len(gains))
    measured = np.array([gains[carrier == k].mean() for k in range(32)])
    expected = 1 + 0.5j * np.exp(-2j * np.pi * (np.arange(32) - 16) / 32)
    assert np.abs(measured / expected - measured.mean() / expected.mean()).max() < 0.05
    assert np.mean(np.abs(frame.symbols.numpy() - symbols) ** 2) < 0.01


@pytest.fixture
def recording_file(tmp_path):
    image, sent = tmp_path / "image.png", tmp_path / "sent.sigmf-meta"
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))).save(image)
    arguments = ["--system", "analog", "--designed-snr", "20", "--cbr", "1/3", "--out", str(sent)]
    assert main(["transmit", str(image), *arguments]) == 0
    return sent


def test_the_figure_is_written_and_may_be_replaced(recording_file, tmp_path, capsys):
    out, figure = tmp_path / "received.png", tmp_path / "capture.png"
    for _ in range(2):
        assert main(["receive", str(recording_file), "--out", str(out), "--capture", str(figure)]) == 0
        assert f"figure: {figure}" in capsys.readouterr().out
    pixels = np.asarray(Image.open(figure).convert("L"))
    assert pixels.std() > 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("capture.gif", "--capture must be a PNG, PDF or SVG file; name it"),
        ("received.png", "is also --out"),
        ("missing/capture.png", "create it first"),
        ("image.png", "was not written by semcom"),
    ],
)
def test_files_that_are_refused(recording_file, tmp_path, capsys, name, message):
    out = tmp_path / "received.png"
    assert main(["receive", str(recording_file), "--out", str(out), "--capture", str(tmp_path / name)]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
