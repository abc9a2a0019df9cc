"""Image files as cameras, phones, file browsers and editors leave them."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from channels.errors import UsageError
from semcom.codecs.plugins import load_plugin
from semcom.images import caption_lists
from semcom.images.files import image_files, open_image
from semcom.images.names import readable
from semcom.images.sources import entries_of, load

ROTATED = b"Exif\0\0MM\0*\0\0\0\x08\0\2\1\x12\0\3\0\0\0\1\0\6\0\0\1\x1a\0\2\0\0\0\4abc\0\0\0\0\0"  # XResolution: text


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, color_type, key):
    """A PNG of unfiltered samples with a transparent color."""
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    lines = b"".join(b"\0" + np.packbits(row.astype(np.uint8).ravel()).tobytes() for row in bits)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0))
    transparent = chunk(b"tRNS", b"".join(struct.pack(">H", value) for value in key))
    return b"\x89PNG\r\n\x1a\n" + header + transparent + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_gray_is_white_at_any_depth(tmp_path, depth):
    largest = 2**depth - 1
    samples = np.array([[0, 1, largest - 1, largest]])
    (tmp_path / "a.png").write_bytes(png(samples, depth, 0, [1]))
    opened = np.asarray(open_image(tmp_path / "a.png"))[0, :, 0]
    expected = np.where(samples[0] == 1, 255, np.round(samples[0] * 255 / largest))
    assert np.abs(opened - expected).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_rgb_color_is_compared_with_all_bits(tmp_path, depth):
    samples = np.array([[[1, 2, 3], [1, 2, 4]]])
    (tmp_path / "a.png").write_bytes(png(samples, depth, 2, [1, 2, 3]))
    opened = np.asarray(open_image(tmp_path / "a.png"))[0]
    assert opened[0].tolist() == [255, 255, 255]
    assert opened[1].max() < 5


def test_metadata_other_than_the_orientation_do_not_matter(tmp_path):
    image = Image.fromarray(np.arange(24 * 16 * 3, dtype=np.uint8).reshape(16, 24, 3))
    text = PngImagePlugin.PngInfo()
    text.add_text("long", "a" * (1 << 21), zip=True)
    image.save(tmp_path / "a.png", pnginfo=text, icc_profile=bytes(1 << 21))
    assert np.array_equal(np.asarray(open_image(tmp_path / "a.png")), np.asarray(image))
    image.save(tmp_path / "a.jpg", exif=ROTATED)
    assert open_image(tmp_path / "a.jpg").size == (16, 24)
    whole, rng = (tmp_path / "a.jpg").read_bytes(), np.random.default_rng(0)
    for _ in range(100):  # damaged EXIF bytes
        damaged = bytearray(whole)
        damaged[whole.index(b"Exif") + 6 + int(rng.integers(len(ROTATED) - 6))] = int(rng.integers(256))
        (tmp_path / "b.jpg").write_bytes(damaged)
        assert sorted(open_image(tmp_path / "b.jpg").size) == [16, 24]


def test_other_programs_are_not_started_for_an_image(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.eps")
    (tmp_path / "photo.eps").rename(tmp_path / "photo.jpg")
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    with pytest.raises(UsageError, match="not an image in a known format"):
        open_image(tmp_path / "photo.jpg")


def test_heic_without_its_plugin_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    load_plugin.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UsageError, match=r"HEIC: convert it .* pip install 'semcom\[hevc\]'"):
        open_image(tmp_path / "a.jpg")
    load_plugin.cache_clear()


@pytest.mark.parametrize("name", ["a.heic", "a.jpg"])
def test_heic_is_read_under_any_name(tmp_path, name):
    """Also rotated by EXIF, and truncated."""
    load_plugin("hevc")
    image = Image.new("RGB", (48, 32), (200, 40, 90))
    image.paste((20, 160, 220), (0, 0, 24, 16))
    image.save(tmp_path / "b.heic", quality=90, exif=ROTATED)
    (tmp_path / "b.heic").rename(tmp_path / name)
    shown = open_image(tmp_path / name)
    assert shown.size == (32, 48)
    upright = np.asarray(image.transpose(Image.Transpose.ROTATE_270), float)
    assert np.abs(np.asarray(shown) - upright).mean() < 3
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:200])
    with pytest.raises(UsageError, match=rf"{name} cannot be read: the HEIC file is damaged"):
        open_image(tmp_path / name)


def test_heic_without_exif_is_read(tmp_path):
    load_plugin("hevc")
    Image.new("RGB", (48, 32), (200, 40, 90)).save(tmp_path / "a.heic")
    assert open_image(tmp_path / "a.heic").size == (48, 32)


@pytest.fixture
def litter(tmp_path):
    """A folder with one image and what file browsers leave behind."""
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    for name in ("._A.jpg", "weights.h5", "paper.pdf", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / "dead.png").symlink_to("nowhere")
    (tmp_path / "album.jpg").mkdir()
    return tmp_path


def test_litter_is_left_out_and_unreadable_images_are_named(litter):
    assert [path.name for path in image_files(litter)] == ["b.png"]
    assert [image.name for image in load(f"folder:{litter}")] == ["b.png"]
    (litter / "a.png").touch()
    with pytest.raises(UsageError, match=r"a\.png is empty.*--skip-unreadable"):
        load(f"folder:{litter}")
    assert [image.name for image in load(f"folder:{litter}", count=1, skip_unreadable=True)] == ["b.png"]


def test_hidden_files_of_data_sets_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))
    for name in ("train/n2", "train/.hidden", "val/n2"):
        (tmp_path / "imagenette128" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "imagenette128" / name / "a.jpg")
    (tmp_path / "imagenette128" / "val" / "n2" / "._a.jpg").write_bytes(b"")
    (tmp_path / "imagenette128" / "labels.csv").write_text("file,label\n")
    assert [(entry.name, entry.category) for entry in entries_of("imagenette:val")] == [("a", 0)]


def test_lists_with_unusual_lines(tmp_path):
    path = tmp_path / "list"
    path.write_bytes('\ufeff{"file": "a.jpg", "captions": ["one\u2028two"]}\r\n\r\n'.encode())
    assert caption_lists.captions(path) == {"a.jpg": ("one\u2028two",)}
    path.write_bytes('\ufefffile,label\r\n"a\r\nb.jpg",dog\r\n\r\n'.encode())
    assert caption_lists.labels(path) == {"a\r\nb.jpg": "dog"}


def test_names_are_composed_and_printable(tmp_path):
    assert readable("e\u0301.png") == "\u00e9.png"
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    for name in (b"\xff.png", "e\u0301.png".encode()):
        with open(bytes(tmp_path) + b"/" + name, "wb") as target:
            target.write(file.getvalue())
    assert [image.name for image in load(f"folder:{tmp_path}")] == ["\u00e9.png", "\\xff.png"]
