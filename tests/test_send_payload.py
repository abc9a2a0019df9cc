"""A file in the pictures that `semcom send` sends: byte-exact or not at all, and what cannot be is said in one line."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import TOY
from PIL import Image

from semcom.__main__ import main

MESSAGE = bytes(range(200, 255))  # no text: every byte counts


@pytest.fixture
def folder(tmp_path):
    """Three pictures of two sizes, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, size in (("a.png", (128, 128)), ("b.jpg", (120, 128)), ("c.png", (200, 128))):
        pixels = np.random.default_rng(len(name)).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture
def message(tmp_path):
    path = tmp_path / "message.bin"
    path.write_bytes(MESSAGE)
    return path


@pytest.fixture
def send(folder, message, tmp_path):
    """`semcom send` of all pictures with the message; options that follow replace these."""

    def send(*more, pictures=(folder,)):
        arguments = ["send", *map(str, pictures), "--system", "carrier_image", "--snr", "10", "--cbr", "0.02"]
        arguments += ["--set", "carrier_image.weights=none"]
        arguments += ["--payload", str(message), "--payload-out", str(tmp_path / "received.bin")]
        return main([*arguments, *map(str, more)])

    return send


def refused(status, capsys) -> str:
    assert status == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in line
    return line


def test_a_file_arrives_byte_for_byte_in_pictures_of_a_folder(send, capsys, tmp_path):
    assert send("--out", tmp_path / "out") == 0
    assert (tmp_path / "received.bin").read_bytes() == MESSAGE
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].endswith("these 3 pictures carry at most 117 bytes")  # a, b: 251 bits; c, two tiles: 502
    assert printed[-1].endswith("55 bytes, CRC-32 holds")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1-a.png", "2-b.png", "3-c.png"]
    with Image.open(tmp_path / "out" / "3-c.png") as received:
        assert received.size == (200, 128)


def test_bits_beside_a_picture_carry_a_file_too(send, folder, message, tmp_path):
    message.write_bytes(b"short")
    more = ["--system", "bits_beside", "--set", "bits_beside.picture=deepjscc", "--set", "bits_beside.weights=none"]
    arguments = ["send", str(folder / "a.png"), *more, "--snr", "10", "--payload", str(message)]
    assert main([*arguments, "--payload-out", str(tmp_path / "received.bin")]) == 0
    assert (tmp_path / "received.bin").read_bytes() == b"short"


def test_a_file_that_is_lost_is_not_written(send, capsys, tmp_path):
    assert send("--snr", "-12") == 1
    assert not (tmp_path / "received.bin").exists()
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("semcom: the file did not arrive, the message of a.png, b.jpg, c.png was lost")


def test_a_file_that_is_too_large_says_how_many_pictures_it_takes(send, capsys, message, folder):
    message.write_bytes(bytes(100))
    pictures = [folder / "a.png", folder / "a.png"]
    line = refused(send(pictures=pictures), capsys)
    assert "the file has 100 bytes, 2 pictures carry 54: it takes 4 such pictures" in line
    assert send(pictures=[folder / "a.png"] * 4) == 0


def test_what_cannot_be_is_refused_in_one_line(send, capsys, folder, message, tmp_path):
    for more, words in [
        (["--payload", tmp_path / "nowhere"], "cannot read"),
        (["--payload", tmp_path], "cannot read"),
        (["--payload-out", tmp_path / "no" / "folder"], "cannot write"),
        (["--payload-out", tmp_path], "a folder"),
        (["--users", 2], "--users 1"),
        (["--set", "carrier_image.mask=random"], "carries no message"),
        (["--set", "sweep.users=[1, 2]"], "each picture once"),
    ]:
        assert words in refused(send(*more), capsys)
    message.write_bytes(b"")
    assert "is empty" in refused(send(), capsys)
    (folder / "broken.png").write_text("no picture at all")
    message.write_bytes(b"a")
    assert "broken.png is not an image" in refused(send(), capsys)
    assert not (tmp_path / "received.bin").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--payload", "message.bin"], "--payload-out"),
        (["--payload-out", "received.bin"], "give both"),
    ],
)
def test_a_payload_needs_a_place_to_go(folder, capsys, more, words):
    assert words in refused(main(["send", str(folder), "--system", TOY, "--snr", "6", *more]), capsys)


def test_a_system_without_messages_takes_no_file(folder, message, capsys):
    more = ["--payload", str(message), "--payload-out", str(message)]
    line = refused(main(["send", str(folder), "--system", TOY, "--snr", "6", *more]), capsys)
    assert "toy_system as given carries no message" in line
    assert message.read_bytes() == MESSAGE


def test_several_pictures_need_no_payload(folder, capsys, tmp_path):
    arguments = ["send", str(folder / "a.png"), str(folder / "c.png"), "--system", TOY, "--snr", "6"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert capsys.readouterr().out.count("psnr") == 2
    (tmp_path / "file").touch()
    assert "cannot write several pictures" in refused(main([*arguments, "--out", str(tmp_path / "file")]), capsys)
    (tmp_path / "empty").mkdir()
    assert "no image files" in refused(main(["send", str(tmp_path / "empty"), "--system", TOY, "--snr", "6"]), capsys)


def test_the_command_line_itself_exits_as_it_says(folder, message, tmp_path):
    """In a process of its own, as users call it."""
    arguments = ["send", str(folder / "a.png"), "--system", "carrier_image", "--snr", "-12"]
    arguments += ["--payload", str(message), "--payload-out", str(tmp_path / "received.bin")]
    done = subprocess.run(
        [sys.executable, "-m", "semcom", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "at most 23 bytes" in done.stdout  # printed before it is refused
    assert done.stderr.endswith("it takes 3 such pictures\n")


def test_no_file_of_another_kind_is_overwritten(folder, capsys):
    photo = next(path for path in sorted(folder.iterdir()) if path.is_file())
    other = photo.with_suffix(".jpg")
    other.write_bytes(b"mine")
    arguments = ["send", str(photo), "--system", "analog", "--snr", "10", "--out", str(other)]
    assert "is written as PNG" in refused(main(arguments), capsys)
    assert other.read_bytes() == b"mine"
