"""Drawn streets: the same seed is the same street, labels are exact, any size works, and the source serves them."""

import numpy as np
import pytest

from channels._errors import UsageError
from semcom import images
from semcom.streets import COUNTS, Streets, draw_street
from semcom.streets.canvas import Canvas, Light, band, flat, noise, rough, stripes

SMALL = (48, 64)


@pytest.fixture(scope="module")
def drawings():
    return [draw_street(seed, SMALL) for seed in range(16)]


def test_a_street_is_its_seed(drawings):
    again = draw_street(3, SMALL)
    assert (again.pixels == drawings[3].pixels).all()
    assert (again.labels == drawings[3].labels).all()
    assert again.caption == drawings[3].caption
    assert (drawings[2].pixels != drawings[3].pixels).mean() > 0.5


def test_sixteen_streets_show_every_class(drawings):
    shares = sum(np.bincount(drawing.labels.ravel(), minlength=11) for drawing in drawings) / (16 * 48 * 64)
    assert len(shares) == 11
    assert (shares > 0.0005).all()
    assert 0.2 < shares[3] < 0.6
    assert shares[0] > 0.08


def test_the_sky_is_up_and_the_road_is_down(drawings):
    for drawing in drawings:
        sky, road = (np.nonzero(drawing.labels == label)[0].mean() for label in (0, 3))
        assert sky < 20 < 30 < road
        assert (drawing.labels[-1] == 0).sum() == 0


def test_pictures_use_the_range_and_differ_in_light(drawings):
    means = [drawing.pixels.mean() for drawing in drawings]
    assert max(means) - min(means) > 40
    assert all(drawing.pixels.std() > 20 for drawing in drawings)


def test_captions_say_what_is_visible(drawings):
    for drawing in drawings:
        assert drawing.caption.endswith(".")
        assert ("car" in drawing.caption) <= bool((drawing.labels == 8).any())
        assert ("cyclist" in drawing.caption) <= bool((drawing.labels == 10).any())
        assert ("fences" in drawing.caption) <= bool((drawing.labels == 7).any())


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (40, 21)])
def test_any_size(size):
    drawing = draw_street(5, size)
    assert drawing.pixels.shape == (*size, 3)
    assert drawing.labels.shape == size


def test_a_size_without_pixels_is_refused():
    with pytest.raises(UsageError, match="16 pixels"):
        draw_street(1, (8, 64))


def test_splits_share_no_street():
    assert (Streets("train", SMALL)[0].pixels != Streets("test", SMALL)[0].pixels).mean() > 0.5
    with pytest.raises(UsageError, match="no split"):
        Streets("nowhere")


def test_the_source_serves_pictures_labels_and_captions():
    pictures = images.load("streets:val:64x48", count=2)
    assert pictures[1].name == "val001"
    assert pictures[1].pixels.shape == (3, 48, 64)
    assert (pictures[1].labels.numpy() == Streets("val", SMALL)[1].labels).all()
    assert pictures[1].caption == Streets("val", SMALL)[1].caption
    assert images.load("streets:val:64x48", count=1, size=32)[0].labels.shape == (32, 32)
    with pytest.raises(UsageError, match="fewer"):
        images.load("streets:val", count=COUNTS["val"] + 1)
    with pytest.raises(UsageError, match="width first"):
        images.load("streets:val:large", count=1)


# --- the canvas against geometry -------------------------------------------------------------------------------------


def _canvas():
    light = Light(np.array([0.0, 1.0, 0.0]), np.zeros(3), np.ones(3))
    return Canvas(200, 200, 0.5, 0.5, 1.5, light)


def test_a_square_is_as_large_as_a_pinhole_says():
    canvas = _canvas()
    canvas.upright(0.0, 10.0, 4.0, 2.0, flat(np.ones(3)), 7)
    side = canvas.focal / 10
    assert (canvas.label == 7).sum() == pytest.approx(8 * side**2, rel=0.05)
    rows = np.nonzero(canvas.label == 7)[0]
    assert rows.min() == pytest.approx(100 - 0.5 * side, abs=1)
    assert np.allclose(canvas.depth[canvas.label == 7], 10)


def test_the_nearer_surface_wins_in_either_order():
    for order in ((5.0, 9.0), (9.0, 5.0)):
        canvas = _canvas()
        for z in order:
            canvas.upright(0.0, z, 2.0, 2.0, flat(np.ones(3)), int(z))
        assert canvas.label[100, 100] == 5


def test_what_is_behind_the_camera_is_not_seen():
    canvas = _canvas()
    canvas.upright(0.0, -5.0, 2.0, 2.0, flat(np.ones(3)), 7)
    assert not (canvas.label == 7).any()


def test_stripes_are_the_mean_of_the_pattern():
    x = np.linspace(-3, 3, 41)
    fine = np.linspace(-0.5, 0.5, 20001)
    pattern = ((x[:, None] + 0.4 * fine) % 1.0) < 0.3
    assert np.allclose(stripes(x, 1.0, 0.3, np.full(41, 0.4)), pattern.mean(1), atol=1e-3)
    inside = np.abs(x[:, None] + 0.4 * fine - 0.5) < 0.5
    assert np.allclose(band(x, 0.0, 1.0, np.full(41, 0.4)), inside.mean(1), atol=1e-3)


def test_noise_is_smooth_uniform_at_the_lattice_and_fades():
    cells = np.arange(20000.0)
    values = noise(cells, 0 * cells, 3)
    assert abs(values.mean() - 0.5) < 4 / np.sqrt(12 * 20000)
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 4 / np.sqrt(20000)
    assert np.abs(noise(cells + 1e-4, 0 * cells, 3) - values).max() < 1e-3
    assert np.abs(rough(cells, cells, np.full(20000, 5.0), 1)).max() == 0
