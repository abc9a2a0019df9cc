"""`semcom transmit` and `semcom receive`: round trips, what is measured, and recordings that are wrong."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semcom import weights
from semcom.cli.main import main
from semcom.radio import recording
from semcom.radio.link import decode
from semcom.radio.shared import Shared
from semcom.systems.deepjscc.system import DeepJscc


@pytest.fixture
def photos(tmp_path):
    """Two images of different shape in a folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, (height, width) in {"a": (64, 64), "b": (64, 96)}.items():
        y, x = np.mgrid[:height, :width]
        pixels = np.stack([128 + 100 * np.sin(x / 9), 128 + 100 * np.cos(y / 7), x + y], -1)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def transmit(source, out, *options):
    arguments = ["--system", "analog", "--designed-snr", "20", "--cbr", "1/3", "--out", str(out), *options]
    return main(["transmit", str(source), *arguments])


def change(source, out, function, **fields):
    """A copy of a recording with other samples, and other fields of the metadata."""
    read = recording.read(source)
    samples = function(read.samples.numpy()).astype(np.complex64)
    samples.view(np.float32).tofile(recording.data_file(out))
    meta = json.loads(source.read_text())
    meta["global"] |= {"core:datatype": "cf32_le", **fields}
    meta["global"].pop("core:sha512", None)
    meta["annotations"] = []
    out.write_text(json.dumps(meta))


def psnr(first, second):
    difference = np.asarray(Image.open(first), float) - np.asarray(Image.open(second), float)
    return 10 * np.log10(255**2 / (difference**2).mean())


@pytest.mark.parametrize("sample_format", ["cf32_le", "ci16_le", "ci8"])
def test_one_image_returns_in_every_format(photos, tmp_path, capsys, sample_format):
    sent, out = tmp_path / "sent.sigmf-meta", tmp_path / "received.png"
    assert transmit(photos / "a.png", sent, "--format", sample_format) == 0
    assert main(["receive", str(sent), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "image 1, frame 1 of 1" in printed
    assert "EVM" in printed
    assert psnr(photos / "a.png", out) > 25
    assert transmit(photos / "a.png", sent) == 0  # what semcom wrote may be replaced


def test_the_metadata_are_valid_and_hold_no_image(photos, tmp_path):
    sent = tmp_path / "sent.sigmf-meta"
    assert transmit(photos / "a.png", sent, "--sample-rate", "250e3") == 0
    from sigmf import sigmffile

    file = sigmffile.fromfile(str(sent))  # checks the hash of the samples
    file.validate()
    assert file.get_global_info()["core:sample_rate"] == 250e3
    assert set(file.get_global_info()[recording.FIELD]) == {
        *("system", "waveform", "cbr", "sample_rate", "weights", "symbol_rate", "configuration")
    }
    assert len(file.get_annotations()) == 1
    assert np.abs(file.read_samples().view(np.float32)).max() == pytest.approx(1)
    assert "a.png" not in sent.read_text()


def test_a_receiver_with_other_weights_is_refused(photos, tmp_path, capsys):
    """Names of files may differ, their content may not."""
    mine, sent, out = tmp_path / "mine.safetensors", tmp_path / "sent.sigmf-meta", str(tmp_path / "out.png")
    shutil.copy(weights.find("deepjscc"), mine)
    options = ["--designed-snr", "10", "--cbr", "1/16", "--out", str(sent)]
    assert main(["transmit", str(photos / "a.png"), "--system", f"deepjscc:weights={mine}", *options]) == 0
    assert main(["receive", str(sent), "--out", out]) == 0
    network, _ = weights.rebuild("none", "deepjscc", DeepJscc)
    weights.save(mine, network, "deepjscc", network.configuration, {})
    capsys.readouterr()
    capture = tmp_path / "capture.png"
    assert main(["receive", str(sent), "--out", out, "--force", "--capture", str(capture)]) == 2
    error = capsys.readouterr().err
    assert re.search(r"transmitted with the weights mine@\w{8}, and .* here has mine@\w{8}; copy the weight", error)
    assert not capture.exists()


def test_several_images_wherever_they_lie_with_offsets_and_noise(photos, tmp_path, capsys):
    sent, received, out = tmp_path / "sent.sigmf-meta", tmp_path / "received.sigmf-meta", tmp_path / "out"
    assert transmit(photos, sent) == 0
    random = np.random.default_rng(0)

    def radio(samples):
        power = (np.abs(samples) ** 2).mean()
        samples = np.concatenate([np.zeros(1234), samples])
        noise = random.normal(size=(len(samples), 2)) @ [1, 1j]
        return 0.01 * (samples * np.exp(2e-3j * np.arange(len(samples))) + noise * np.sqrt(power * 4 / 200))

    change(sent, received, radio)
    assert main(["receive", str(received), "--shared", str(sent), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["1.png", "2.png"]
    assert "offset +318." in capsys.readouterr().out  # 2e-3 / (2 pi) of 1 MHz
    assert psnr(photos / "a.png", out / "1.png") > 18
    assert psnr(photos / "b.png", out / "2.png") > 18


@pytest.mark.parametrize("argument", ["subcarriers=64", "frame_payload=600"])
def test_an_image_returns_in_ofdm_symbols_and_in_several_frames(photos, tmp_path, argument):
    sent, out = tmp_path / "sent.sigmf-meta", tmp_path / "received.png"
    assert transmit(photos / "a.png", sent, "--waveform", f"waveform:{argument}") == 0
    assert main(["receive", str(sent), "--out", str(out)]) == 0
    assert psnr(photos / "a.png", out) > 25


def test_a_missing_image_and_a_missing_frame_are_named(photos, tmp_path, capsys):
    sent, received, out = tmp_path / "sent.sigmf-meta", tmp_path / "received.sigmf-meta", tmp_path / "out"
    assert transmit(photos, sent) == 0
    change(sent, received, lambda samples: samples[: int(0.7 * len(samples))])
    assert main(["receive", str(received), "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert "the recording ends before the frame" in printed.out
    assert "image 2 of 2 is incomplete or missing" in printed.err
    assert [path.name for path in out.iterdir()] == ["1.png"]


def test_a_digital_transmission_that_is_not_decoded_is_incomplete(photos, tmp_path, capsys):
    sent, received = tmp_path / "sent.sigmf-meta", tmp_path / "received.sigmf-meta"
    system = "digital:codec=jpeg,adaptation=fixed,modulation=256qam,code_rate=0.9"
    arguments = ["--system", system, "--designed-snr", "40", "--cbr", "1/2", "--out", str(sent)]
    assert main(["transmit", str(photos / "a.png"), *arguments]) == 0
    assert main(["receive", str(sent), "--out", str(tmp_path / "right.png")]) == 0
    random = np.random.default_rng(0)
    change(sent, received, lambda samples: samples + 0.2 * random.normal(size=(len(samples), 2)) @ [1, 1j])
    assert main(["receive", str(received), "--out", str(tmp_path / "wrong.png")]) == 1
    assert "an outage; raise the received power" in capsys.readouterr().err
    good = (tmp_path / "right.png").read_bytes()
    assert main(["receive", str(received), "--out", str(tmp_path / "right.png")]) == 1
    assert "left as it was" in capsys.readouterr().out
    assert (tmp_path / "right.png").read_bytes() == good


WRONG = {
    "empty": (lambda samples: samples[:0], {}, 2, "is empty; record it again"),
    "noise": (lambda samples: np.random.default_rng(0).normal(size=(9000, 2)) @ [1, 1j], {}, 1, "has no frame"),
    "zeros": (lambda samples: 0 * samples, {}, 1, "has no frame"),
    "beginning": (lambda samples: samples[:900], {}, 1, "has no frame"),
    "not a number": (lambda samples: samples * np.nan, {}, 2, "not numbers"),
    "another rate": (lambda samples: samples, {"core:sample_rate": 2e6}, 2, "resample"),
    "two channels": (lambda samples: samples, {"core:num_channels": 2}, 2, "received.sigmf-meta"),
    "real samples": (lambda samples: samples, {"core:datatype": "rf32_le"}, 2, "complex samples"),
    "unknown format": (lambda samples: samples, {"core:datatype": "cf99"}, 2, "cannot be read"),
    "foreign": (lambda samples: samples, {recording.FIELD: None}, 2, "no complete shared configuration"),
    "half a configuration": (lambda samples: samples, {recording.FIELD: {"system": 3}}, 2, "shared configuration"),
    "rate that is text": (lambda samples: samples, {"core:sample_rate": "abc"}, 2, "received.sigmf-meta"),
    "rate that is a list": (lambda samples: samples, {"core:sample_rate": [1]}, 2, "received.sigmf-meta"),
    "rate of zero": (lambda samples: samples, {"core:sample_rate": 0}, 2, "received.sigmf-meta"),
    "shared rate of zero": (
        lambda samples: samples,
        {recording.FIELD: {"system": "analog", "waveform": "waveform", "cbr": 1, "sample_rate": 0}},
        2,
        "give the metadata of the transmitted recording",
    ),
    "changed configuration": (
        lambda samples: samples,
        {
            recording.FIELD: {
                **{"system": "analog", "waveform": "waveform", "cbr": 0.3, "sample_rate": 1e6},
                "configuration": 7,
            }
        },
        2,
        "was changed",
    ),
    "another channel": (
        lambda samples: samples,
        {recording.FIELD: {"system": "analog", "waveform": "awgn", "cbr": 0.3, "sample_rate": 1e6}},
        2,
        "is no waveform",
    ),
    "another configuration": (
        lambda samples: samples,
        {recording.FIELD: {"system": "analog", "waveform": "waveform", "cbr": 0.25, "sample_rate": 1e6}},
        1,
        "has no frame",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_recordings_are_refused_in_one_line(photos, tmp_path, capsys, name):
    function, fields, status, words = WRONG[name]
    sent, received = tmp_path / "sent.sigmf-meta", tmp_path / "received.sigmf-meta"
    assert transmit(photos / "a.png", sent) == 0
    change(sent, received, function, **fields)
    capsys.readouterr()
    assert main(["receive", str(received), "--out", str(tmp_path / "out.png")]) == status
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_a_recording_without_its_samples_is_refused(photos, tmp_path, capsys):
    sent = tmp_path / "sent.sigmf-meta"
    assert transmit(photos / "a.png", sent) == 0
    recording.data_file(sent).unlink()
    assert main(["receive", str(sent), "--out", str(tmp_path / "out.png")]) == 2
    error = capsys.readouterr().err
    assert "sent.sigmf-data does not exist; put the file of the samples beside sent.sigmf-meta" in error
    assert error.count("\n") == 1


_SAMPLES = (0.9 * np.random.default_rng(0).uniform(-1, 1, 100)).astype("<f4").view("<c8")


@pytest.mark.parametrize("order", ["_le", "_be"])
@pytest.mark.parametrize("kind", ["cf64", "cf32", "ci32", "ci16", "cu32", "cu16", "ci8", "cu8"])
def test_every_sample_format_of_sigmf_is_read(tmp_path, kind, order):
    """Full scale is 1 in every format, at the resolution of the format or of float32, which has 24 bits."""
    letter, bits = kind[1], int(kind[2:])
    parts = _SAMPLES.view("<f4").astype(float)
    scale = 1 if letter == "f" else 2.0 ** (bits - 1)
    stored = parts if letter == "f" else np.round(parts * scale) + (scale if letter == "u" else 0)
    sample_format = kind if bits == 8 else kind + order
    name = "<>"[order == "_be"] + letter + str(bits // 8)
    meta = tmp_path / "x.sigmf-meta"
    stored.astype(name).tofile(recording.data_file(meta))
    content = {"core:datatype": sample_format, "core:version": "1.2.0"}
    meta.write_text(json.dumps({"global": content, "captures": [{"core:sample_start": 0}], "annotations": []}))
    np.testing.assert_allclose(
        recording.read(meta).samples.numpy(), _SAMPLES, atol=max(1 / scale, 2**-23) if letter != "f" else 0
    )


def _random_recording(random, kind, first, second):
    """A recording of one of five kinds, of the samples of two transmissions."""
    if kind == 0:  # noise of any power
        return 10 ** random.uniform(-3, 3) * random.normal(size=(int(random.integers(1, 40_000)), 2)) @ [1, 1j]
    if kind == 1:  # cut off anywhere
        whole = np.pad(first, 25_000)
        start, end = np.sort(random.integers(0, len(whole), 2))
        return whole[start:end]
    if kind == 2:  # two transmissions that overlap
        shift = int(random.integers(0, len(first)))
        return (
            np.pad(first, (0, shift)) + np.pad(second, (shift, max(0, len(first) - len(second))))[: len(first) + shift]
        )
    if kind == 3:  # frequency offset beyond the range of the receiver
        return first * np.exp(1j * random.uniform(0.3, 3.1) * np.arange(len(first)))
    pieces = np.array_split(first, 30)  # parts in random order
    return np.concatenate([pieces[place] for place in random.permutation(30)])


def test_two_hundred_random_recordings_give_no_image_that_was_not_sent(photos, tmp_path):
    """A complete image of digital is one that was sent, bit by bit; whatever the recording, there is no exception."""
    arguments = ["--system", "digital:codec=jpeg,adaptation=fixed,modulation=16qam,code_rate=0.5", "--cbr", "1/2"]
    transmissions, images = [], []
    for name in ("a", "b"):
        sent = tmp_path / f"{name}.sigmf-meta"
        command = ["transmit", str(photos / f"{name}.png"), *arguments, "--designed-snr", "10", "--out", str(sent)]
        assert main(command) == 0
        read = recording.read(sent)
        shared = Shared.read(read.shared)
        transmissions.append(read.samples.numpy())
        (image,), _, _ = decode(shared, read.samples)
        images.append(image.reception.images)
    random, complete = np.random.default_rng(5), [0] * 5
    for trial in range(200):
        samples = _random_recording(random, trial % 5, *transmissions).astype(np.complex64)
        found, _, _ = decode(shared, torch.from_numpy(samples))
        for image in found:
            if image.complete:
                complete[trial % 5] += 1
                assert any(torch.equal(image.reception.images, sent) for sent in images), trial
    assert complete[0] == complete[3] == complete[4] == 0
    assert min(complete[1:3]) > 2


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"global": {}}', "\0\1"])
def test_metadata_that_are_none_are_refused_in_one_line(tmp_path, capsys, content):
    meta = tmp_path / "x.sigmf-meta"
    meta.write_text(content)
    assert main(["receive", str(meta), "--out", str(tmp_path / "out.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_wrong_options_and_outputs_of_the_user(photos, tmp_path, capsys):
    image, sent = photos / "a.png", tmp_path / "sent.sigmf-meta"
    assert transmit(image, tmp_path / "sent.iq") == 2
    assert "name it" in capsys.readouterr().err
    assert transmit(image, sent, "--format", "cf64") == 2
    assert transmit(image, sent, "--waveform", "rayleigh") == 2
    assert transmit(image, sent, "--waveform", "waveform:frequency_offset=0.001") == 2
    assert "impairments" in capsys.readouterr().err
    assert transmit(image, sent, "--sample-rate", "0") == 2
    capsys.readouterr()
    assert (
        main(
            ["transmit", str(image), "--system", "analog", "--designed-snr", "10", "--cbr", "1/16", "--out", str(sent)]
        )
        == 2
    )
    assert "leaves no channel uses beside preamble" in capsys.readouterr().err
    assert main(["receive", str(image), "--out", "x.png"]) == 2
    assert main(["receive", str(tmp_path / "none.sigmf-meta"), "--out", "x.png"]) == 2
    recording.data_file(sent).write_bytes(b"samples of the user")
    assert transmit(image, sent) == 2
    assert recording.data_file(sent).read_bytes() == b"samples of the user"
    assert transmit(image, sent, "--force") == 0
    shutil.copy(image, tmp_path / "mine.png")
    before = Path(tmp_path / "mine.png").read_bytes()
    assert main(["receive", str(sent), "--out", str(tmp_path / "mine.png")]) == 2
    assert (tmp_path / "mine.png").read_bytes() == before
    assert main(["receive", str(sent), "--out", str(tmp_path / "file.jpg")]) == 2
