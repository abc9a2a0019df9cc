"""Search for an image file of limited length: budget, quality, number of encodings, independence of the cache."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from semcom import cache
from semcom.codecs import _trials
from semcom.codecs._trials import Trials
from semcom.codecs._writers import CODECS
from semcom.codecs.image_file import decode, encode, fit
from semcom.images.files import to_bytes
from semcom.images.sources import load

BUDGETS = [200, 260, 340, 440, 570]


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def photo():
    return np.ascontiguousarray(to_bytes(load("photos", count=1, size=96)[0].pixels))


@pytest.fixture
def encodings(monkeypatch):
    """Settings of all encodings, previews and others, in order."""
    found = []

    def counted(kind, original):
        def function(*arguments):
            found.append(kind)
            return original(*arguments)

        return function

    for name in ("stream", "preview"):
        monkeypatch.setattr(_trials._streams, name, counted(name, getattr(_trials._streams, name)))
    return found


def psnr(stream, codec, pixels):
    shown = decode(stream, codec, pixels.shape[:2])
    return -10 * np.log10(max(np.mean(np.square((shown.astype(float) - pixels) / 255)), 1e-10))


def empty_cache(monkeypatch, tmp_path, name):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / name))
    return tmp_path / name


@pytest.mark.parametrize("codec", CODECS)
def test_the_stream_depends_on_image_and_budget_only(codec, photo, tmp_path, monkeypatch):
    """Not on earlier budgets, their order, other images in the cache, or the existence of a cache."""
    expected = {budget: encode(photo, codec, budget, speed=8) for budget in BUDGETS}
    other = np.ascontiguousarray(photo[:, ::-1])
    for number, order in enumerate((BUDGETS, BUDGETS[::-1], random.Random(1).sample(BUDGETS, len(BUDGETS)))):
        empty_cache(monkeypatch, tmp_path, f"{codec}-{number}")
        fit(other, codec, order[0], speed=8)
        assert {budget: fit(photo, codec, budget, speed=8) for budget in order} == {
            budget: expected[budget] for budget in order
        }


def test_the_stream_does_not_depend_on_half_a_cache(photo, tmp_path, monkeypatch):
    """An interrupted run leaves some of the encodings of a search in the cache."""
    folder = empty_cache(monkeypatch, tmp_path, "half")
    expected = [fit(photo, "avif", budget, speed=8) for budget in BUDGETS]
    entries = sorted(path for path in folder.rglob("*") if path.is_file())
    for seed in range(3):
        for path in random.Random(seed).sample(entries, len(entries) // 2):
            path.unlink(missing_ok=True)
        assert [fit(photo, "avif", budget, speed=8) for budget in BUDGETS] == expected


def test_threads_that_share_a_cache_find_the_same_streams(photo):
    expected = [encode(photo, "avif", budget, speed=8) for budget in BUDGETS]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda budget: fit(photo, "avif", budget, speed=8), BUDGETS * 2))
    assert found == expected * 2


def test_two_speeds_share_previews_and_nothing_else(photo, encodings):
    first = fit(photo, "avif", 400, speed=8)
    assert encodings.count("preview") > 0
    encodings.clear()
    second = fit(photo, "avif", 400, speed=10)
    assert encodings.count("preview") == 0
    assert second == encode(photo, "avif", 400, speed=10) != first


@pytest.mark.parametrize(("codec", "previews", "runs"), [("avif", 20, 8), ("webp", 14, 9), ("jpeg2000", 0, 16)])
def test_a_search_needs_few_encodings(codec, previews, runs, photo, encodings):
    for budget in BUDGETS:
        encodings.clear()
        encode(photo, codec, budget, speed=8)
        assert encodings.count("preview") <= previews
        assert encodings.count("stream") <= runs


def test_neighboring_budgets_share_encodings(photo, encodings):
    for budget in BUDGETS:
        fit(photo, "avif", budget, speed=8)
    shared = len(encodings)
    encodings.clear()
    for budget in BUDGETS:
        encode(photo, "avif", budget, speed=8)
    assert shared < 0.7 * len(encodings)
    assert encodings.count("preview") > 2 * len(BUDGETS)


@pytest.mark.parametrize("codec", CODECS)
def test_the_budget_is_never_exceeded(codec, photo):
    """Images that are hard to predict: noise, flat, thin, smaller than a block, one color but for a pixel."""
    draw = np.random.default_rng(4)
    noise = draw.integers(0, 256, (40, 56, 3), np.uint8)
    dot = np.full((33, 47, 3), 70, np.uint8)
    dot[12, 30] = 255
    images = [noise, np.full((40, 40, 3), 90, np.uint8), noise[:2], noise[:3, :3], dot, photo]
    for pixels, budget in itertools.product(images, [2, 3, 9, 60, 777, 10**6]):
        pixels = np.ascontiguousarray(pixels)
        stream = encode(pixels, codec, budget, speed=10)
        assert (stream is None) == (budget < 3)
        if stream is not None:
            assert len(stream) <= budget
            assert decode(stream, codec, pixels.shape[:2]).shape == pixels.shape


@pytest.mark.parametrize("codec", ["avif", "webp", "jpeg"])
def test_psnr_increases_with_the_budget_within_a_tolerance(codec, photo):
    """Budgets 4 % apart; the search does not find the best file for each of them."""
    found = [
        psnr(encode(photo, codec, budget, speed=8), codec, photo)
        for budget in np.geomspace(120, 1200, 60).astype(int).tolist()
    ]
    assert np.all(found >= np.maximum.accumulate(found) - 0.35)
    assert np.mean(np.maximum.accumulate(found) - found) < 0.05


def test_an_exhaustive_search_gains_little(photo):
    """Reference: all scales, variants and qualities of AVIF."""
    gains = []
    trials = Trials(photo, "avif", 10)
    streams = [
        trials.final(scale, group, quality)
        for scale, group, quality in itertools.product(range(5), range(2), CODECS["avif"].qualities)
    ]
    for budget in BUDGETS:
        best = min((trial for trial in streams if trial.length <= budget), key=lambda trial: trial.error)
        found = encode(photo, "avif", budget, speed=10)
        gains.append(psnr(best.stream, "avif", photo) - psnr(found, "avif", photo))
    assert min(gains) >= 0
    assert np.mean(gains) < 0.1
    assert max(gains) < 0.25


def test_entries_of_the_cache_are_small(photo):
    fit(photo, "avif", 570, speed=8)
    sizes = [path.stat().st_size for path in cache.folder().rglob("*") if path.is_file()]
    assert len(sizes) < 30
    assert sum(sizes) < 15 * 570
