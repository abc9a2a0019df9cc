"""The retrieval baseline: nearest neighbors in a gallery of images."""

import os
from dataclasses import replace

import pytest
import torch
from PIL import Image
from small_system import CBR, build_small, deliver

from channels.errors import UsageError
from semcom import sweep
from semcom.images.source_image import Entry
from semcom.results import table
from semcom.scenario.load import scenario_from
from semcom.systems import multimodal_generation
from semcom.systems.multimodal_generation.retrieval import _digest, load_gallery
from semcom.systems.multimodal_generation.selection import Criterion


def test_the_sent_image_is_found(networks, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path))
    encoders = networks.clip, networks.features
    for _ in range(2):  # computed, then read from the cache
        gallery = load_gallery("photos", *encoders, "none", Criterion(1.0), 3)
        system = build_small(replace(networks, autoencoder=None), gallery, Criterion(1.0))
        delivery = deliver(system, photos[1:3], snr_db=20.0)
        torch.testing.assert_close(delivery.reception.images, photos[1:3])
        assert not delivery.reception.chosen.any()  # the nearest candidate is the first
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    with pytest.raises(UsageError, match="fewer than 9 candidates"):
        deliver(build_small(networks, gallery, candidates=9), photos[:1])


def test_wrong_galleries_are_refused(networks):
    encoders = networks.clip, networks.features
    with pytest.raises(UsageError, match="gallery: no image source 'nowhere'; use one of"):
        load_gallery("photos + nowhere:train", *encoders, "none", Criterion())
    with pytest.raises(UsageError, match=r"gallery_count must be 1 to \d+, the images of photos, not 99"):
        load_gallery("photos", *encoders, "none", Criterion(), 99)


def test_a_replaced_file_is_computed_anew(networks, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "gallery").mkdir()

    def gallery_of(color):
        Image.new("RGB", (128, 128), color).save(tmp_path / "gallery" / "one.png")
        folder, encoders = f"folder:{tmp_path / 'gallery'}", (networks.clip, networks.features)
        return load_gallery(folder, *encoders, "none", Criterion())

    red, blue, again = gallery_of("red"), gallery_of("blue"), gallery_of("red")
    assert (red.image - blue.image).abs().max() > 0.1
    assert torch.equal(again.image, red.image)
    assert red.identity == again.identity != blue.identity


def test_a_run_does_not_resume_with_another_gallery(tmp_path, scenario_data):
    """Also if the file has the same name, length and time."""
    path = tmp_path / "gallery" / "one.bmp"
    path.parent.mkdir()
    retrieval = {"name": "multimodal_generation", "generator": "retrieval", "candidates": 1}
    retrieval |= {"gallery": f"folder:{path.parent}", "clip_weights": "none", "features_weights": "none"}
    data = scenario_data | {"systems": [retrieval], "images": {"source": "photos", "count": 1, "size": 64}}
    data |= {"repetitions": 1, "channel": "awgn", "metrics": ["psnr"]}
    out = tmp_path / "out"
    for color, snr_db in (("red", [0]), ("blue", [0, 10]), ("red", [0, 10])):
        Image.new("RGB", (128, 128), color).save(path)
        os.utime(path, (0, 0))
        scenario = scenario_from(data | {"sweep": {"snr_db": snr_db}})
        if color == "blue":
            with pytest.raises(UsageError, match=r"with weights .*gallery@[0-9a-f]{8}, but they are now"):
                sweep.run(scenario, out)
        else:
            sweep.run(scenario, out)
    rows = table.read(out)
    assert rows.num_rows == 2


def test_images_without_files_are_distinguished_by_their_pixels():
    def entry(level):
        return Entry("one", lambda: Image.new("RGB", (4, 4), (level, 0, 0)))

    assert _digest(entry(1)) == _digest(entry(1))
    assert _digest(entry(1)) != _digest(entry(2))


def test_a_gallery_smaller_than_the_candidates_is_refused_before_features_are_computed():
    with pytest.raises(UsageError, match="the gallery has 3 images, fewer than 4 candidates"):
        multimodal_generation.build(
            CBR,
            4,
            generator="retrieval",
            gallery="photos",
            gallery_count=3,
            clip_weights="none",
            features_weights="none",
        )
