"""`semcom send --payload`: the file is received byte for byte or not written, and errors are one line."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from toy import TOY

from semcom.cli.main import main

MESSAGE = bytes(range(200, 255))  # not valid text


@pytest.fixture
def folder(tmp_path):
    """Three images of different sizes, and a file that is not an image."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, size in (("a.png", (128, 128)), ("b.jpg", (120, 128)), ("c.png", (200, 128))):
        pixels = np.random.default_rng(len(name)).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def message(tmp_path):
    path = tmp_path / "message.bin"
    path.write_bytes(MESSAGE)
    return path


@pytest.fixture
def send(folder, message, tmp_path):
    """`semcom send` of all images with the file; further options replace these."""

    def send(*more, images=(folder,)):
        options = {"--system": "carrier_image", "--snr": 10, "--cbr": 0.02, "--payload": message}
        options |= {"--payload-out": tmp_path / "received.bin"}
        options = {option: value for option, value in options.items() if option not in more}
        words = [word for option in options.items() for word in option]
        return main(list(map(str, ["send", *images, *words, "--set", "carrier_image.weights=none", *more])))

    return send


def refused(status, capsys) -> str:
    assert status == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in line
    return line


def test_a_file_is_received_byte_for_byte_in_images_of_a_folder(send, capsys, tmp_path):
    assert send("--out", tmp_path / "out") == 0
    assert (tmp_path / "received.bin").read_bytes() == MESSAGE
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].endswith(
        "at most 117 bytes in the messages of these 3 images"
    )  # 251, 251 and, for two tiles, 502 bits
    assert printed[-1].endswith("55 bytes, CRC-32 correct")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("1-a.png", "2-b.png", "3-c.png"),
        "comparison.png",
    ]
    with Image.open(tmp_path / "out" / "3-c.png") as received:
        assert received.size == (200, 128)


def test_multiplexed_message_transmits_a_file_too(send, folder, message, tmp_path):
    message.write_bytes(b"short")
    more = [
        "--system",
        "multiplexed_message",
        "--set",
        "multiplexed_message.image_system=deepjscc",
        "--set",
        "multiplexed_message.weights=none",
    ]
    arguments = ["send", str(folder / "a.png"), *more, "--snr", "10", "--payload", str(message)]
    assert main([*arguments, "--payload-out", str(tmp_path / "received.bin")]) == 0
    assert (tmp_path / "received.bin").read_bytes() == b"short"


def test_a_file_with_undecodable_messages_is_not_written(send, capsys, tmp_path):
    assert send("--snr", "-12") == 1
    assert not (tmp_path / "received.bin").exists()
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "is not written: the file was not received, the message of a.png, b.jpg, c.png could not be decoded" in line


def test_the_error_of_a_large_file_says_how_many_images_are_needed(send, capsys, message, folder):
    message.write_bytes(bytes(100))
    images = [folder / "a.png", folder / "a.png"]
    line = refused(send(images=images), capsys)
    assert "the file has 100 bytes, 2 images hold 54: send 4 such images" in line
    assert send(images=[folder / "a.png"] * 4) == 0


def test_wrong_options_are_refused_in_one_line(send, capsys, folder, message, tmp_path):
    for more, words in [
        (["--payload", tmp_path / "nowhere"], "cannot read"),
        (["--payload", tmp_path], "cannot read"),
        (["--payload-out", tmp_path / "no" / "folder"], "cannot write"),
        (["--payload-out", tmp_path], "a folder"),
        (["--users", 2], "--users 1"),
        (["--set", "carrier_image.mask=random"], "transmits no message"),
        (["--set", "sweep.users=[1, 2]"], "sweep with semcom run"),
    ]:
        assert words in refused(send(*more), capsys)
    message.write_bytes(b"")
    assert "is empty" in refused(send(), capsys)
    (folder / "broken.png").write_text("no image at all")
    message.write_bytes(b"a")
    assert "broken.png is not an image" in refused(send(), capsys)
    assert not (tmp_path / "received.bin").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--payload", "message.bin"], "--payload-out"),
        (["--payload-out", "received.bin"], "requires --payload"),
    ],
)
def test_payload_and_payload_out_need_each_other(folder, capsys, more, words):
    assert words in refused(main(["send", str(folder), "--system", TOY, "--snr", "6", *more]), capsys)


def test_a_system_without_messages_refuses_a_file(folder, message, capsys):
    more = ["--payload", str(message), "--payload-out", str(message.with_name("received.bin"))]
    line = refused(main(["send", str(folder), "--system", TOY, "--snr", "6", *more]), capsys)
    assert "toy_system with these arguments transmits no message" in line
    assert message.read_bytes() == MESSAGE


def test_several_images_need_no_payload(folder, capsys, tmp_path):
    arguments = ["send", str(folder / "a.png"), str(folder / "c.png"), "--system", TOY, "--snr", "6"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"1-a.png", "2-c.png", "comparison.png"}
    capsys.readouterr()
    (tmp_path / "file").touch()
    assert "cannot be a folder for several images" in refused(
        main([*arguments, "--out", str(tmp_path / "file")]), capsys
    )
    (tmp_path / "empty").mkdir()
    assert "no image files" in refused(main(["send", str(tmp_path / "empty"), "--system", TOY, "--snr", "6"]), capsys)


def test_status_and_output_in_a_separate_process(folder, message, tmp_path):
    arguments = ["send", str(folder / "a.png"), "--system", "carrier_image", "--snr", "-12"]
    arguments += ["--payload", str(message), "--payload-out", str(tmp_path / "received.bin")]
    done = subprocess.run(
        [sys.executable, "-m", "semcom", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "at most 23 bytes" in done.stdout  # printed before the error
    assert done.stderr.endswith("send 3 such images\n")


def test_a_file_of_another_format_is_not_overwritten(folder, capsys):
    photo = next(path for path in sorted(folder.iterdir()) if path.is_file())
    other = photo.with_suffix(".jpg")
    other.write_bytes(b"mine")
    arguments = ["send", str(photo), "--system", "analog", "--snr", "10", "--out", str(other)]
    assert "--out must be a PNG file" in refused(main(arguments), capsys)
    assert other.read_bytes() == b"mine"
