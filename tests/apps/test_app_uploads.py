"""Uploads to the demo: broken files are rejected, and no upload is written to disk."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import demo_pages
from demo_pages import captions, open_page
from semcom_demo import uploads

from channels import UsageError
from semcom import cache

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _small_images(monkeypatch):
    demo_pages.use_small_images(monkeypatch)


def encoded(image, suffix, **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def huge_png():
    """PNG file with 200 megapixels in the header but almost no pixel data; decoding it would fail as damaged."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


BROKEN = {
    "notes.png": (lambda: b"Dear diary,\n" * 50, "is not an image"),
    "huge.png": (huge_png, "more than 50 megapixels"),
    "cut.jpg": (lambda: encoded(noise(200, 200), "JPEG")[:9000], "damaged or cut short"),
    "large.bmp": (lambda: b"BM" + bytes(40_000_000), "has 40 MB, more than the limit of 10 MB"),
    "moving.gif": (
        lambda: encoded(noise(32, 32), "GIF", save_all=True, append_images=[Image.new("RGB", (32, 32))]),
        "is an animation",
    ),
    "drawing.svg": (
        lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        "is a vector graphic (SVG)",
    ),
    "drawing.png": (lambda: b'\xef\xbb\xbf <svg width="1" height="1"/>', "is a vector graphic (SVG)"),
    "empty.png": (lambda: b"", "is empty"),
    "paper.png": (lambda: b"%PDF-1.4\n%%EOF", "is not an image"),
    "thin.png": (lambda: encoded(noise(400, 3), "PNG"), "each side must have at least 16"),
    "half.png": (lambda: encoded(noise(64, 64), "PNG")[:3000], "damaged or cut short"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_uploads_give_a_one_line_error(name):
    make, message = BROKEN[name]
    with pytest.raises(UsageError) as error:
        uploads.read_image(name, make(), 4096)
    assert message in str(error.value)
    assert str(error.value).startswith(name)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 120


@pytest.mark.parametrize("image", [noise(640, 480), noise(640, 480).convert("L"), noise(480, 640).convert("RGBA")])
@pytest.mark.parametrize("suffix", ["PNG", "WEBP", "AVIF", "GIF", "TIFF"])
def test_images_of_any_format_are_read_and_resized(image, suffix):
    photo = uploads.read_image("../../holiday photo.webp", encoded(image, suffix), 4096)
    assert photo.name == "holiday photo.png", "the folder is not part of the name"
    height, width = photo.pixels.shape[1:]
    assert height * width <= 4096
    assert (width > height) == (image.width > image.height)
    assert 0 <= photo.pixels.min() <= photo.pixels.max() <= 1


def test_colors_for_print_and_16_bits_become_8_bit_rgb():
    gray = np.tile(np.linspace(0, 65535, 64, dtype=np.uint16), (64, 1))
    pixels = uploads.read_image("deep.png", encoded(Image.fromarray(gray), "PNG"), 4096).pixels
    assert pixels.shape == (3, 64, 64)
    assert np.abs(pixels.numpy() - gray / 65535).max() < 1 / 255
    cmyk = Image.new("RGB", (64, 64), (200, 60, 20)).convert("CMYK")
    colors = uploads.read_image("print.jpg", encoded(cmyk, "JPEG"), 4096).pixels.mean((1, 2))
    assert colors.tolist() == pytest.approx([200 / 255, 60 / 255, 20 / 255], abs=0.03)


@pytest.mark.parametrize("size", [(16, 16), (16, 4000)])
@pytest.mark.parametrize("page", ["story", "compare", "hide_a_file"])
def test_each_page_transmits_the_smallest_and_the_longest_upload_or_says_why_not(page, size):
    app = open_page("send_a_photo", {"system": "analog"})
    app.file_uploader(key="upload_file").set_value(("odd.png", encoded(noise(*size), "PNG"), "image/png")).run()
    app.switch_page(f"pages_/{page}.py").run()
    assert not app.exception
    if app.error:
        assert [error.value for error in app.error] == [
            "message.txt has 30 bytes, but this image holds 23: shorten it, or choose a larger image"
        ]
    else:
        assert captions(app)[0].startswith(f"Image sent: {size[0]} x ")


def test_an_image_of_24_megapixels_is_resized():
    """A usual camera has as many; the page shrinks the image anyway."""
    photo = uploads.read_image("camera.jpg", encoded(Image.new("RGB", (6000, 4000), (200, 60, 20)), "JPEG"), 4096)
    height, width = photo.pixels.shape[1:]
    assert height * width <= 4096
    assert width / height == pytest.approx(1.5, abs=0.05)
    assert photo.pixels.mean((1, 2)).tolist() == pytest.approx([200 / 255, 60 / 255, 20 / 255], abs=0.03)


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees for display
    image = uploads.read_image("phone.jpg", encoded(noise(640, 320), "JPEG", exif=exif), 4096)
    height, width = image.pixels.shape[1:]
    assert height > width


def test_the_page_rejects_a_broken_upload_and_sends_a_good_one_without_writing_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    app = open_page("send_a_photo", {"system": "analog"})
    before = captions(app)
    files = sorted(tmp_path.rglob("*"))  # cached results of the built-in photograph
    app.file_uploader(key="upload_file").set_value(("notes.png", b"Dear diary", "image/png")).run()
    assert [error.value for error in app.error] == [
        "notes.png is not an image: choose an image file, such as PNG or JPEG"
    ]
    assert captions(app) == before, "the page uses the built-in photograph instead"
    app.file_uploader(key="upload_file").set_value(("mine.png", encoded(noise(48, 40), "PNG"), "image/png")).run()
    app.selectbox(key="input_system").set_value("digital").run()
    assert not app.error
    assert captions(app)[0] == "Image sent: 48 x 40 pixels"
    assert app.session_state["upload"][2], "the fitted image file is cached in the session"
    app.switch_page("pages_/compare.py").run()
    assert captions(app)[0] == "Image sent: 48 x 40 pixels", "other pages have the upload"
    assert sorted(tmp_path.rglob("*")) == files, "no file is written"


def test_an_image_too_small_for_a_file_says_why_nothing_arrives():
    app = open_page("send_a_photo")
    app.file_uploader(key="upload_file").set_value(("dot.png", encoded(noise(16, 16), "PNG"), "image/png")).run()
    assert "nothing was transmitted, the channel-use budget is too small" in captions(app)[1]


def test_the_memory_cache_does_not_write_to_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    results, calls = {}, []

    def compute():
        calls.append(1)
        return b"144"

    with cache.in_memory(results):
        assert [cache.remember("square", "1", [b"12"], compute) for _ in range(2)] == [b"144"] * 2
    assert len(calls) == len(results) == 1
    assert not (tmp_path / "cache").exists()
    assert cache.remember("square", "1", [b"12"], compute) == b"144"
    assert len(calls) == 2, "outside the context the result is computed again"
    assert (tmp_path / "cache").exists()


def test_uploads_of_the_allowed_size_are_not_spooled_to_disk():
    from starlette.formparsers import MultiPartParser

    open_page("send_a_photo")
    assert MultiPartParser.spool_max_size > uploads.MAX_MEGABYTES * 2**20 + 2**20
