"""Image files of every kind, image sources, and one-line errors for files that cannot be read."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from channels.errors import UsageError
from semcom.images.files import open_image, save_png, to_bytes, to_pil, to_tensor
from semcom.images.padding import crop, pad_to_multiple
from semcom.images.source_image import group_by_shape
from semcom.images.sources import SOURCES, load

RED = (204, 51, 51)


def quarters():
    """Four colors, which distinguish all orientations."""
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:10, :15], pixels[:10, 15:], pixels[10:, :15], pixels[10:, 15:] = (
        RED,
        (20, 200, 60),
        (30, 40, 210),
        (220,) * 3,
    )
    return Image.fromarray(pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
    upright = quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    undone = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undone is None else upright.transpose(undone)
    stored.save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(np.asarray(open_image(tmp_path / "photo.png")), np.asarray(upright))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "RGBA", "LA", "PA"])
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".jpg", ".gif", ".webp"])
def test_modes(tmp_path, mode, suffix):
    image = Image.new("RGB", (8, 6), (255, 255, 255) if mode in ("1", "L", "LA") else RED).convert(mode)
    try:
        image.save(tmp_path / f"image{suffix}")
    except (OSError, ValueError):
        pytest.skip(f"{suffix} has no mode {mode}")
    opened = np.asarray(open_image(tmp_path / f"image{suffix}")).astype(int)
    expected = (255, 255, 255) if mode in ("1", "L", "LA") else RED
    assert opened.shape == (6, 8, 3)
    assert np.abs(opened - expected).max() <= 8


def test_sixteen_bits_are_scaled(tmp_path):
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "gray.png")
    Image.fromarray(values).save(tmp_path / "gray.tiff")
    _png_of_16_bit_rgb(tmp_path / "rgb.png", np.stack([values, values[::-1], values], -1))
    expected = values / 257
    for name in ("gray.png", "gray.tiff", "rgb.png"):
        opened = np.asarray(open_image(tmp_path / name))
        assert np.abs(opened[..., 0] - expected).max() <= 1
        assert np.abs(opened[..., 1] - (expected[::-1] if name == "rgb.png" else expected)).max() <= 1


def _png_of_16_bit_rgb(path, values):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )


def test_floating_point_tiff(tmp_path):
    Image.fromarray(np.full((2, 2), 0.5, np.float32)).save(tmp_path / "half.tiff")
    assert np.all(np.asarray(open_image(tmp_path / "half.tiff")) == 128)
    Image.fromarray(np.full((2, 2), 7.0, np.float32)).save(tmp_path / "seven.tiff")
    with pytest.raises(UsageError, match="outside 0 to 1"):
        open_image(tmp_path / "seven.tiff")


def test_transparency_is_blended_with_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "half.png")
    assert np.all(np.asarray(open_image(tmp_path / "clear.png")) == 255)
    assert np.all(np.abs(np.asarray(open_image(tmp_path / "half.png")).astype(int) - 127) <= 1)


def test_first_frame_of_an_animation_is_used(tmp_path):
    frames = [Image.new("RGB", (5, 4), color) for color in (RED, "blue", "green")]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert np.abs(np.asarray(open_image(tmp_path / "film.gif")).astype(int) - RED).max() <= 8


def test_unreadable_files_are_one_line_errors(tmp_path, monkeypatch):
    file = io.BytesIO()
    quarters().resize((300, 200)).save(file, "PNG")
    (tmp_path / "cut.png").write_bytes(file.getvalue()[:-200])
    file = io.BytesIO()
    quarters().resize((300, 200)).save(file, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    quarters().save(tmp_path / "bomb.png")
    reasons = {
        "missing.png": "no image file",
        "empty.png": "empty",
        "text.png": "not an image in a known format",
        "cut.png": "truncated",
        "cut.jpg": "truncated",
    }
    for name, reason in reasons.items():
        with pytest.raises(UsageError, match=reason) as raised:
            open_image(tmp_path / name)
        assert "\n" not in str(raised.value)
        assert name in str(raised.value)
    for limit in (400, 100):  # Pillow warns above its limit and raises above twice that
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(UsageError, match=f"more than {limit} pixels"):
            open_image(tmp_path / "bomb.png")


def test_damaged_files_raise_usage_errors_only(tmp_path):
    rng = np.random.default_rng(0)
    messages = []
    for suffix in ("png", "jpeg", "gif", "tiff", "webp", "bmp", "avif", "jp2", "ppm", "ico"):
        quarters().save(tmp_path / f"whole.{suffix}")
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        for _ in range(25):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), 4):
                damaged[place] = int(rng.integers(256))
            (tmp_path / "damaged").write_bytes(damaged)
            try:
                open_image(tmp_path / "damaged")
            except UsageError as error:
                messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)


def test_tensors_and_files_are_inverse(tmp_path):
    image = quarters()
    assert to_tensor(image).shape == (3, 20, 30)
    assert np.array_equal(np.asarray(to_pil(to_tensor(image))), np.asarray(image))
    save_png(to_tensor(image), tmp_path / "saved.png")
    assert np.array_equal(np.asarray(open_image(tmp_path / "saved.png")), np.asarray(image))
    assert to_bytes(torch.full((3, 1, 1), 1.7)).tolist() == [[[255, 255, 255]]]


def test_photos_have_a_fixed_order_and_any_size():
    whole = load("photos")
    assert len(whole) == 10
    assert [image.name for image in load("photos", count=3)] == [image.name for image in whole[:3]]
    assert {tuple(image.pixels.shape) for image in load("photos", size=40)} == {(3, 40, 40)}
    assert all(image.pixels.min() >= 0 and image.pixels.max() <= 1 for image in whole)
    assert len(group_by_shape(whole)) < 10


def test_folder_is_sorted_by_name(tmp_path):
    for name in ("b.png", "a.jpg", "c.webp"):
        quarters().save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    assert [image.name for image in load(f"folder:{tmp_path}")] == ["a.jpg", "b.png", "c.webp"]
    Image.new("RGB", (1, 1), RED).save(tmp_path / "0.png")
    assert load(f"folder:{tmp_path}", count=1)[0].pixels.shape == (3, 1, 1)
    assert load(f"folder:{tmp_path}", count=1, size=8)[0].pixels.shape == (3, 8, 8)


def test_refusals(tmp_path, monkeypatch):
    monkeypatch.delenv("SEMCOM_DATA", raising=False)
    with pytest.raises(UsageError, match="SEMCOM_DATA"):
        load("kodak")
    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))
    with pytest.raises(UsageError, match=r"r0k\.us"):
        load("kodak")
    with pytest.raises(UsageError, match="has 10 images"):
        load("photos", count=11)
    with pytest.raises(UsageError, match="no splits"):
        load("photos:val")
    with pytest.raises(UsageError, match="did you mean 'photos'"):
        load("photo")
    with pytest.raises(UsageError, match="photos, folder, kodak"):
        load("moon")
    with pytest.raises(UsageError, match="no image files"):
        load(f"folder:{tmp_path}")
    with pytest.raises(UsageError, match="requires a path"):
        load("folder:")


def test_data_sets_have_captions_labels_and_categories(tmp_path, monkeypatch):
    """A small copy of the layout of SEMCOM_DATA."""
    for folder in ("natural/test", "camvid/test/images", "camvid/test/labels", "imagenette128/train/n1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "imagenette128/train/n2").mkdir()
    quarters().save(tmp_path / "natural/test/1.jpg")
    (tmp_path / "natural/captions.jsonl").write_text('{"file": "test/1.jpg", "captions": ["four colors", "x"]}\n')
    quarters().save(tmp_path / "camvid/test/images/1.jpg")
    classes = np.arange(600, dtype=np.uint8).reshape(20, 30) % 12
    labels = Image.fromarray(classes)
    labels.putpalette([255] * 36)
    labels.save(tmp_path / "camvid/test/labels/1.png")
    quarters().save(tmp_path / "imagenette128/train/n2/1.jpg")
    (tmp_path / "imagenette128/labels.csv").write_text("file,wnid,label,split\ntrain/n2/1.jpg,n2,tench,train\n")
    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))
    assert load("natural")[0].caption == "four colors"
    assert [entry.captions for entry in SOURCES["natural"]("test")] == [("four colors", "x")]
    assert np.array_equal(load("camvid:test")[0].labels.numpy(), classes)
    assert load("camvid", size=10)[0].labels.shape == (10, 10)
    assert (load("imagenette:train")[0].caption, load("imagenette:train")[0].category) == ("tench", 1)
    with pytest.raises(UsageError, match="no split 'val'; there are test"):
        load("natural:val")


@pytest.mark.parametrize(
    ("source", "damage", "words"),
    [
        ("natural", {"natural/captions.jsonl": b'{"file": "test/1.jpg"'}, "captions.jsonl:1: not a record like"),
        ("natural", {"natural/captions.jsonl": b'{"file": "test/1.jpg"}'}, "captions.jsonl:1: not a record like"),
        ("natural", {"natural/captions.jsonl": b"[1]"}, "captions.jsonl:1: not a record like"),
        (
            "natural",
            {"natural/captions.jsonl": b'{"file": "1", "captions": []}'},
            "captions.jsonl:1: not a record like",
        ),
        ("natural", {"natural/captions.jsonl": b'{"file": "1", "captions": [2]}'}, "captions.jsonl:1: not a record"),
        (
            "natural",
            {"natural/captions.jsonl": b'{"file": "1", "captions": ["a", 2]}'},
            "captions.jsonl:1: not a record",
        ),
        ("natural", {"natural/captions.jsonl": b'{"file": "1", "captions": "ab"}'}, "captions.jsonl:1: not a record"),
        ("natural", {"natural/captions.jsonl": b"\xff"}, "captions.jsonl is not text in UTF-8"),
        ("natural", {}, "captions.jsonl, a part of the data set: No such file"),
        ("imagenette", {"imagenette128/labels.csv": b"file,wnid\na,b\n"}, "labels.csv has no column label"),
        ("imagenette", {"imagenette128/labels.csv": b""}, "labels.csv has no column file and no column label"),
        (
            "imagenette",
            {"imagenette128/labels.csv": b"file,label\na\n"},
            "labels.csv:2: a file or its label is missing",
        ),
        (
            "imagenette",
            {"imagenette128/labels.csv": b"file,label\n", "imagenette128/val/n1/1.jpg": b""},
            "imagenette128/train, which defines the class numbers",
        ),
        (
            "imagenette",
            {
                "imagenette128/labels.csv": b"file,label\n",
                "imagenette128/val/n1/1.jpg": b"",
                "imagenette128/train/n2/1.jpg": b"",
            },
            "imagenette128/val/n1 is no class in",
        ),
        ("imagenette", {"imagenette128/labels.csv": b"file,label\n"}, "put the folders of its splits into"),
        ("camvid", {}, "camvid has no split 'test'; put the folders of its splits into"),
    ],
)
def test_a_damaged_set_is_refused_in_one_line(tmp_path, monkeypatch, source, damage, words):
    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))
    for folder in ("natural/test", "camvid", "imagenette128"):
        (tmp_path / folder).mkdir(parents=True)
    for name, content in damage.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as raised:
        load(source)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_damaged_label_map_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))
    for folder in ("images", "labels"):
        (tmp_path / "camvid/test" / folder).mkdir(parents=True)
    quarters().save(tmp_path / "camvid/test/images/1.jpg")
    (tmp_path / "camvid/test/labels/1.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"1\.png cannot be read"):
        load("camvid")
    quarters().save(tmp_path / "camvid/test/labels/1.png")
    with pytest.raises(UsageError, match="of class numbers, not RGB"):
        load("camvid")
    for number in (12, 200, 255):
        Image.new("L", (30, 20), number).save(tmp_path / "camvid/test/labels/1.png")
        with pytest.raises(UsageError, match=rf"1\.png has the class {number}: write 0 to 10, and 11 for unlabeled"):
            load("camvid")


@pytest.mark.parametrize("shape", [(1, 1), (8, 16), (13, 40)])
def test_padding_is_undone(shape):
    images = torch.rand(2, 3, *shape)
    padded, size = pad_to_multiple(images, 16)
    assert padded.shape[-2] % 16 == padded.shape[-1] % 16 == 0
    assert torch.equal(crop(padded, size), images)
    assert torch.equal(padded[..., -1, -1], images[..., -1, -1])
