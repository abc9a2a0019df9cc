"""`semcom send` with several systems or images: one table, one file for each, and one image that compares them."""

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refused
from toy import TOY

from semcom.cli.main import main
from semcom.images.comparison import comparison, tile


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for seed, path in enumerate(paths):
        pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return list(map(str, paths))


def test_systems_with_arguments_are_compared_in_one_table_and_one_image(images, capsys, tmp_path, monkeypatch):
    out, captions = tmp_path / "out", []
    monkeypatch.setattr("semcom.images.comparison.tile", lambda *texts: captions.append(texts[1]) or tile(*texts))
    systems = ["--system", "analog", "--system", f"{TOY}:block=4"]
    assert main(["send", *images, *systems, "--snr=10", "--cbr", "1/8", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("image "))
    assert "PSNR (dB)" in lines[head]
    rows = [line.split() for line in lines[head + 1 : head + 5]]
    assert [row[:3] for row in rows] == [
        [image, system, "384"] for image in ("a.png", "b.png") for system in ("analog", "toy_system:block=4")
    ]
    of_systems = [caption for caption in captions if caption[1] != "original"]
    titles = {"analog": "Analog DCT"}
    assert [caption[:2] for caption in of_systems] == [[titles.get(row[1], row[1]), "384 channel uses"] for row in rows]
    column = lines[head].split("  ")
    column = [name.strip() for name in column if name.strip()].index("PSNR (dB)")
    for caption, row in zip(of_systems, rows, strict=True):
        assert float(caption[2].removeprefix("PSNR ").partition(" ")[0]) == pytest.approx(float(row[column]), abs=0.01)
    names = [f"{i}-{name}" for i, name in ((1, "a"), (2, "b"))]
    assert {path.name for path in out.iterdir()} == {
        "comparison.png",
        *(f"{name}-analog.png" for name in names),
        *(f"{name}-toy_system_block=4.png" for name in names),
    }
    with Image.open(out / "comparison.png") as page:
        assert page.width > 3 * 224
        assert page.height > 2 * 224


def test_the_table_names_the_user_whose_images_it_shows(images, capsys, tmp_path):
    options = ["--system", "analog", "--snr=10", "--cbr", "1/8", "--out", str(tmp_path / "out")]
    for users, lines in ((1, []), (3, ["0 of 3, counted from 0"])):
        assert main(["send", *images, *options, "--users", str(users)]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert [line.split(maxsplit=1)[1] for line in printed if line.startswith("user ")] == lines


def test_one_image_and_one_system_are_written_to_one_file(images, tmp_path):
    out = tmp_path / "one.png"
    assert main(["send", images[0], "--system", "analog", "--snr", "10", "--out", str(out)]) == 0
    with Image.open(out) as received:
        assert received.size == (32, 32)


def test_several_images_are_not_written_to_one_file(images, capsys, tmp_path):
    out = tmp_path / "out.png"
    message = refused(capsys, "send", *images, "--system", "analog", "--snr", "10", "--out", out)
    assert f"--out {out} must be a folder for several images or systems; name it {tmp_path / 'out'}" in message
    assert not out.exists()


def test_a_payload_needs_one_system(images, capsys, tmp_path):
    more = ["--payload", images[1], "--payload-out", str(tmp_path / "received.png")]
    assert main(["send", images[0], "--system", "analog", "--system", TOY, "--snr", "10", *more]) == 2
    assert "--payload supports one --system only" in capsys.readouterr().err


def test_the_caption_is_below_the_tile_and_no_wider():
    one = tile(torch.zeros(3, 16, 300), ["a label without any space that is much wider than the tile " + "x" * 200])
    assert one.image.size == (300, 16)
    assert len(one.caption) > 3
    page = np.asarray(comparison([[one, one], [one]]))
    assert page.shape[1] == 2 * 316
    assert (page[:, 310:324] == 255).all(), "no text between the tiles"
