"""Uploads to the demo: those that are no photographs, and that none leaves a trace."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import visiting
from semcom_demo import uploads
from visiting import captions, opened

from channels import UsageError
from semcom import cache

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    visiting.made_small(monkeypatch)


def saved(image, suffix, **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def huge_png():
    """200 megapixels in the header, and hardly a pixel: whoever decodes it finds it damaged."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


BROKEN = {
    "notes.png": (lambda: b"Dear diary,\n" * 50, "is not a picture"),
    "huge.png": (huge_png, "more than 16 megapixels"),
    "cut.jpg": (lambda: saved(noise(200, 200), "JPEG")[:9000], "damaged or cut short"),
    "large.bmp": (lambda: b"BM" + bytes(40_000_000), "has 40 MB, a picture may have 10"),
    "moving.gif": (
        lambda: saved(noise(32, 32), "GIF", save_all=True, append_images=[Image.new("RGB", (32, 32))]),
        "is an animation",
    ),
    "drawing.svg": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "is a drawing (SVG)"),
    "drawing.png": (lambda: b'\xef\xbb\xbf <svg width="1" height="1"/>', "is a drawing (SVG)"),
    "empty.png": (lambda: b"", "is empty"),
    "thin.png": (lambda: saved(noise(400, 3), "PNG"), "each side needs 16"),
    "half.png": (lambda: saved(noise(64, 64), "PNG")[:3000], "damaged or cut short"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_uploads_are_refused_in_one_line(name):
    make, message = BROKEN[name]
    with pytest.raises(UsageError) as refusal:
        uploads.picture(name, make(), 4096)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith(name)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 120


@pytest.mark.parametrize("image", [noise(640, 480), noise(640, 480).convert("L"), noise(480, 640).convert("RGBA")])
@pytest.mark.parametrize("suffix", ["PNG", "WEBP", "AVIF", "GIF"])
def test_photographs_of_any_kind_are_taken_and_shrunk(image, suffix):
    picture = uploads.picture("../../holiday photo.webp", saved(image, suffix), 4096)
    assert picture.name == "holiday photo.png", "a name, not a path"
    height, width = picture.pixels.shape[1:]
    assert height * width <= 4096
    assert (width > height) == (image.width > image.height)
    assert 0 <= picture.pixels.min() <= picture.pixels.max() <= 1


def test_an_upright_photograph_stays_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: shown turned by 90 degrees
    picture = uploads.picture("phone.jpg", saved(noise(640, 320), "JPEG", exif=exif), 4096)
    height, width = picture.pixels.shape[1:]
    assert height > width


def test_a_broken_upload_is_refused_on_the_page_and_a_good_one_is_sent_without_a_trace(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    app = opened("send_a_photo", send_system="analog")
    before = captions(app)
    files = sorted(tmp_path.rglob("*"))  # of the photograph that the page opens with
    app.file_uploader(key="send_upload").set_value(("notes.png", b"Dear diary", "image/png")).run()
    assert [error.value for error in app.error] == [
        "notes.png is not a picture: PNG, JPEG, WebP, AVIF, GIF and BMP files can be read"
    ]
    assert captions(app) == before, "the page goes on with the photograph that it had"
    assert app.selectbox(key="send_system").value == "analog", "and forgets nothing"
    app.file_uploader(key="send_upload").set_value(("mine.png", saved(noise(48, 40), "PNG"), "image/png")).run()
    app.selectbox(key="send_system").set_value("digital").run()
    assert not app.error
    assert captions(app)[0] == "sent, 48 x 40 pixels"
    assert app.session_state["upload_results"], "what was fitted is remembered with the visitor"
    assert sorted(tmp_path.rglob("*")) == files, "and nowhere else"


def test_results_kept_in_memory_do_not_touch_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    results, asked = {}, []

    def compute():
        asked.append(1)
        return b"144"

    with cache.kept_in(results):
        assert [cache.remember("square", "1", [b"12"], compute) for _ in range(2)] == [b"144"] * 2
    assert len(asked) == len(results) == 1
    assert not (tmp_path / "cache").exists()
    assert cache.remember("square", "1", [b"12"], compute) == b"144"
    assert len(asked) == 2, "outside nothing of it is known"
    assert (tmp_path / "cache").exists()


def test_no_upload_that_is_allowed_is_spooled_to_disk():
    from starlette.formparsers import MultiPartParser

    opened("send_a_photo")
    assert MultiPartParser.spool_max_size > uploads.MOST_MEGABYTES * 2**20 + 2**20
