"""Image files: container removal, fitting to a budget, decoding of damaged streams, cache."""

import io
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from channels.errors import UsageError
from semcom import cache
from semcom.codecs import image_file
from semcom.codecs._containers import CONTAINERS
from semcom.codecs._streams import stream as write_stream
from semcom.codecs._writers import CODECS, blank, write
from semcom.codecs.image_file import UndecodableFile, decode, encode, fit
from semcom.codecs.plugins import load_plugin
from semcom.images.files import to_bytes
from semcom.images.sources import load
from semcom.systems import digital

CONTAINER_BYTES = {"jpeg": 180, "webp": 27, "avif": 280, "jpeg2000": 100, "hevc": 380, "jxl": 4}  # or more
SIZES = [(1, 1), (1, 9), (2, 1), (16, 16), (17, 33), (768, 512)]
SIZES += [tuple(int(side) for side in pair) for pair in np.random.default_rng(1).integers(1, 90, (48, 2))]


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def photo():
    return np.ascontiguousarray(to_bytes(load("photos", count=1, size=512)[0].pixels))


@pytest.fixture(scope="module")
def small(photo):
    return np.asarray(Image.fromarray(photo).resize((96, 64), Image.Resampling.BICUBIC))


def psnr(decoded, pixels):
    return -10 * np.log10(np.mean(np.square((decoded.astype(float) - pixels) / 255)))


@pytest.mark.parametrize("codec", CODECS)
def test_restore_inverts_strip(codec, photo):
    rng = np.random.default_rng(2)
    for width, height in SIZES:
        image = Image.fromarray(photo).resize((width, height))
        variant = int(rng.integers(len(CODECS[codec].variants)))
        quality = int(rng.choice(CODECS[codec].qualities))
        file = write(image, codec, variant, quality, speed=int(rng.integers(6, 11)))
        black = blank(codec, image.size, variant, quality if codec == "jpeg" else 0)
        body = CONTAINERS[codec].strip(file, black)
        assert CONTAINERS[codec].restore(body, black) == file
        assert len(body) <= len(file) - CONTAINER_BYTES[codec]


def test_the_sequence_header_is_shared_by_all_avif_speeds(small):
    image = Image.fromarray(small)
    for speed in (3, 4, 5, 6, 10):
        stream = write_stream(image, "avif", 0, 0, 50, speed)
        assert stream[0] == 0  # scale 0, variant 0: sent without container


@pytest.mark.parametrize("codec", CODECS)
def test_stream_decodes_to_the_pixels_of_the_file(codec, small):
    """Reference: the file written by Pillow."""
    quality = CODECS[codec].qualities[len(CODECS[codec].qualities) // 2]
    stream = write_stream(Image.fromarray(small), codec, 0, 0, quality, 6)
    file = write(Image.fromarray(small), codec, 0, quality, 6)
    assert np.array_equal(decode(stream, codec, small.shape[:2]), np.asarray(Image.open(io.BytesIO(file))))


@pytest.mark.parametrize("codec", CODECS)
def test_streams_fit_the_budget_and_psnr_increases_with_it(codec, small):
    budgets = [3, 20, 40, 80, 160, 320, 640, 1280, 2560]
    quality = []
    for budget in budgets:
        stream = encode(small, codec, budget, speed=8)
        assert len(stream) <= budget
        quality.append(psnr(decode(stream, codec, small.shape[:2]), small))
    assert np.all(np.diff(quality) >= 0)
    assert quality[-1] > quality[0] + 12


@pytest.mark.parametrize("codec", CODECS)
def test_search_is_as_good_as_trying_all_qualities(codec, small):
    """Without downscaling."""
    stream = encode(small, codec, 700, speed=10, downscale=False)
    best = 0.0
    for variant in range(len(CODECS[codec].variants)):
        for quality in CODECS[codec].qualities[:: 8 if codec == "jpeg2000" else 1]:
            every = write_stream(Image.fromarray(small), codec, 0, variant, quality, 10)
            if len(every) <= 700:
                best = max(best, psnr(decode(every, codec, small.shape[:2]), small))
    assert psnr(decode(stream, codec, small.shape[:2]), small) >= best - 0.1


def test_downscaling_increases_psnr_at_low_budgets(small):
    full, scaled = (encode(small, "webp", 150, downscale=downscale) for downscale in (False, True))
    size = small.shape[:2]
    assert psnr(decode(scaled, "webp", size), small) > psnr(decode(full, "webp", size), small) + 0.5


def largest_psnr(pixels, kind, qualities, most_bytes):
    """Of the files that Pillow writes by default in 4:4:4, container included."""
    found = 0.0
    for quality in qualities:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind, quality=quality, subsampling="4:4:4")
        if len(file.getvalue()) <= most_bytes:
            found = max(found, psnr(np.asarray(Image.open(file)), pixels))
    return found


def test_avif_tuning_beats_the_default_of_libavif(small):
    ours = encode(small, "avif", 1000)
    theirs = largest_psnr(small, "AVIF", range(0, 101, 2), 1000)
    assert psnr(decode(ours, "avif", small.shape[:2]), small) > theirs + 0.7


def test_hevc_beats_the_default_of_x265(small):
    ours = encode(small, "hevc", 1000)
    theirs = largest_psnr(small, "HEIF", range(0, 101, 4), 1000)
    assert psnr(decode(ours, "hevc", small.shape[:2]), small) > theirs + 0.7


@pytest.mark.parametrize("codec", ["hevc", "jxl"])
def test_a_codec_whose_plugin_is_missing_names_the_extra(codec, monkeypatch):
    load_plugin.cache_clear()
    monkeypatch.setitem(sys.modules, {"hevc": "pillow_heif", "jxl": "pillow_jxl"}[codec], None)
    with pytest.raises(UsageError, match=rf"pip install 'semcom\[{codec}\]'"):
        digital.build(cbr=1 / 16, codec=codec)
    load_plugin.cache_clear()


@pytest.mark.parametrize("codec", CODECS)
def test_one_pixel(codec):
    pixel = np.array([[[200, 30, 90]]], np.uint8)
    assert np.array_equal(decode(encode(pixel, codec, 3), codec, (1, 1)), pixel)
    assert encode(pixel, codec, 2) is None


def test_three_bytes_are_the_mean_color(small):
    shown = decode(encode(small, "avif", 3), "avif", small.shape[:2])
    assert np.allclose(shown, small.mean((0, 1)), atol=0.5)


@pytest.mark.parametrize("codec", CODECS)
def test_invalid_streams_give_an_image_or_undecodable_file(codec, small, capfd):
    """Random bytes, damaged streams and truncated streams."""
    rng = np.random.default_rng(3)
    size = small.shape[:2]
    stream = encode(small, codec, 900, speed=10)
    decoded = 0
    for trial in range(150):
        if trial % 3 == 0:
            data = rng.bytes(int(rng.integers(0, 200)))
        elif trial % 3 == 1:
            damaged = bytearray(stream)
            for place in rng.integers(0, len(stream), int(rng.integers(1, 6))):
                damaged[place] = int(rng.integers(256))
            data = bytes(damaged)
        else:
            data = stream[: int(rng.integers(len(stream)))]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                shown = decode(data, codec, size)
            except UndecodableFile:
                continue
        decoded += 1
        assert shown.shape == small.shape
        assert shown.dtype == np.uint8
    assert decoded < 150
    assert capfd.readouterr() == ("", "")


def test_a_file_of_another_size_is_an_error():
    file = io.BytesIO()
    Image.new("RGB", (3000, 2000)).save(file, "WEBP")
    with pytest.raises(UndecodableFile):
        decode(bytes((31,)) + file.getvalue(), "webp", (16, 16))


def test_unknown_codecs_are_errors(small):
    for function in (encode, fit):
        with pytest.raises(UsageError, match="jpeg, webp, avif, jpeg2000, hevc, jxl"):
            function(small, "bpg", 100)


def test_fit_is_cached_and_a_damaged_cache_is_recomputed(small, monkeypatch):
    first = fit(small, "webp", 500)
    assert first == encode(small, "webp", 500)
    with monkeypatch.context() as patched:
        patched.setattr(image_file, "Search", lambda *_: pytest.fail("the cache was not used"))
        assert fit(small, "webp", 500) == first
    entries = [path for path in cache.folder().rglob("*") if path.is_file()]
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:-1] + b"?")
    assert fit(small, "webp", 500) == first
    assert sorted(entries) == sorted(path for path in cache.folder().rglob("*") if path.is_file())


def test_an_unwritable_cache_is_ignored(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "file" / "cache"))
    assert cache.remember("name", "1", [b"x"], lambda: b"value") == b"value"


def test_cache_keys_separate_arguments():
    cache.remember("name", "1", [b"ab", b"c"], lambda: b"first")
    assert cache.remember("name", "1", [b"a", b"bc"], lambda: b"second") == b"second"
    assert cache.remember("name", "2", [b"ab", b"c"], lambda: b"third") == b"third"
