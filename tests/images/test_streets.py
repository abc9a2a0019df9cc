"""Rendered streets: reproducible from their seed, labels and captions, sizes, image source, and geometry."""

import numpy as np
import pytest

from channels.errors import UsageError
from semcom import images
from semcom.images.street_classes import CLASSES, StreetClass
from semcom.images.streets import COUNTS, Streets, render_street
from semcom.images.streets.canvas import Canvas, Light, band, flat, noise, rough, stripes

SMALL = (48, 64)


@pytest.fixture(scope="module")
def scenes():
    return [render_street(seed, SMALL) for seed in range(16)]


def test_a_seed_determines_the_street(scenes):
    again = render_street(3, SMALL)
    assert (again.pixels == scenes[3].pixels).all()
    assert (again.labels == scenes[3].labels).all()
    assert again.caption == scenes[3].caption
    assert (scenes[2].pixels != scenes[3].pixels).mean() > 0.5


def test_sixteen_streets_contain_every_class(scenes):
    shares = sum(np.bincount(scene.labels.ravel(), minlength=len(CLASSES)) for scene in scenes) / (16 * 48 * 64)
    assert len(shares) == len(CLASSES)
    assert (shares > 0.0005).all()
    assert 0.2 < shares[StreetClass.ROAD] < 0.6
    assert shares[StreetClass.SKY] > 0.08


def test_the_sky_is_above_the_road(scenes):
    for scene in scenes:
        sky, road = (np.nonzero(scene.labels == label)[0].mean() for label in (StreetClass.SKY, StreetClass.ROAD))
        assert sky < 20 < 30 < road
        assert (scene.labels[-1] != StreetClass.SKY).all()


def test_images_have_contrast_and_differ_in_brightness(scenes):
    means = [scene.pixels.mean() for scene in scenes]
    assert max(means) - min(means) > 40
    assert all(scene.pixels.std() > 20 for scene in scenes)


def test_captions_name_only_visible_objects(scenes):
    for scene in scenes:
        assert scene.caption.endswith(".")
        assert ("car" in scene.caption) <= bool((scene.labels == StreetClass.CAR).any())
        assert ("cyclist" in scene.caption) <= bool((scene.labels == StreetClass.BICYCLIST).any())
        assert ("fences" in scene.caption) <= bool((scene.labels == StreetClass.FENCE).any())


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (40, 21)])
def test_any_size(size):
    scene = render_street(5, size)
    assert scene.pixels.shape == (*size, 3)
    assert scene.labels.shape == size


def test_a_small_size_is_rejected():
    with pytest.raises(UsageError, match="16 pixels"):
        render_street(1, (8, 64))


def test_splits_have_different_streets():
    assert (Streets("train", SMALL)[0].pixels != Streets("test", SMALL)[0].pixels).mean() > 0.5
    with pytest.raises(UsageError, match="no split"):
        Streets("nowhere")


def test_the_image_source_has_labels_and_captions():
    photos = images.load("streets:val:64x48", count=2)
    assert photos[1].name == "val001"
    assert photos[1].pixels.shape == (3, 48, 64)
    assert (photos[1].labels.numpy() == Streets("val", SMALL)[1].labels).all()
    assert photos[1].caption == Streets("val", SMALL)[1].caption
    assert images.load("streets:val:64x48", count=1, size=32)[0].labels.shape == (32, 32)
    with pytest.raises(UsageError, match="fewer"):
        images.load("streets:val", count=COUNTS["val"] + 1)
    with pytest.raises(UsageError, match="width first"):
        images.load("streets:val:large", count=1)


# --- the canvas against geometry -------------------------------------------------------------------------------------


def _canvas():
    light = Light(np.array([0.0, 1.0, 0.0]), np.zeros(3), np.ones(3))
    return Canvas(200, 200, 0.5, 0.5, 1.5, light)


def test_sizes_follow_the_pinhole_projection():
    canvas = _canvas()
    canvas.upright(0.0, 10.0, 4.0, 2.0, flat(np.ones(3)), 7)
    side = canvas.focal / 10
    assert (canvas.label == 7).sum() == pytest.approx(8 * side**2, rel=0.05)
    rows = np.nonzero(canvas.label == 7)[0]
    assert rows.min() == pytest.approx(100 - 0.5 * side, abs=1)
    assert np.allclose(canvas.depth[canvas.label == 7], 10)


def test_the_nearer_surface_is_visible_in_either_order():
    for order in ((5.0, 9.0), (9.0, 5.0)):
        canvas = _canvas()
        for z in order:
            canvas.upright(0.0, z, 2.0, 2.0, flat(np.ones(3)), int(z))
        assert canvas.label[100, 100] == 5


def test_surfaces_behind_the_camera_are_invisible():
    canvas = _canvas()
    canvas.upright(0.0, -5.0, 2.0, 2.0, flat(np.ones(3)), 7)
    assert not (canvas.label == 7).any()


def test_stripes_are_averaged_over_the_footprint():
    x = np.linspace(-3, 3, 41)
    fine = np.linspace(-0.5, 0.5, 20001)
    pattern = ((x[:, None] + 0.4 * fine) % 1.0) < 0.3
    assert np.allclose(stripes(x, 1.0, 0.3, np.full(41, 0.4)), pattern.mean(1), atol=1e-3)
    inside = np.abs(x[:, None] + 0.4 * fine - 0.5) < 0.5
    assert np.allclose(band(x, 0.0, 1.0, np.full(41, 0.4)), inside.mean(1), atol=1e-3)


def test_noise_is_uniform_at_the_lattice_smooth_and_fades_out():
    cells = np.arange(20000.0)
    values = noise(cells, 0 * cells, 3)
    assert abs(values.mean() - 0.5) < 4 / np.sqrt(12 * 20000)
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 4 / np.sqrt(20000)
    assert np.abs(noise(cells + 1e-4, 0 * cells, 3) - values).max() < 1e-3
    assert np.abs(rough(cells, cells, np.full(20000, 5.0), 1)).max() == 0
