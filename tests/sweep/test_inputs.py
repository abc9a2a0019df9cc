"""Rows belong to the bytes of their inputs: images, annotations and code of the user."""

import json

import numpy as np
import pytest
from PIL import Image

from channels.errors import UsageError
from semcom.images.sources import load
from semcom.results import table
from semcom.scenario.load import scenario_from
from semcom.sweep import inputs
from semcom.sweep.runner import run
from semcom.sweep.transmission import loaded_images


def noise(path, seed):
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def scenario(scenario_data, tmp_path):
    """Function that returns a scenario of the images in a folder at some SNRs."""
    (tmp_path / "images").mkdir()

    def scenario(*snr_db, **changes):
        data = scenario_data | {"images": {"source": f"folder:{tmp_path / 'images'}"}, "repetitions": 1}
        return scenario_from(data | {"sweep": {"snr_db": list(snr_db)}} | changes)

    return scenario


def test_another_image_of_the_same_name_is_refused(scenario, tmp_path):
    noise(tmp_path / "images" / "x.png", 1)
    run(scenario(0), tmp_path / "r")
    before = table.read(tmp_path / "r")
    noise(tmp_path / "images" / "x.png", 2)
    with pytest.raises(UsageError, match=r"rows of other images: x\.png changed"):
        run(scenario(0, 10), tmp_path / "r")
    run(scenario(0), tmp_path / "other")  # not the image of the first run
    assert table.read(tmp_path / "other")["psnr"] != before["psnr"]
    noise(tmp_path / "images" / "x.png", 1)
    noise(tmp_path / "images" / "y.png", 1)
    with pytest.raises(UsageError, match=r"y\.png changed"):
        run(scenario(0, 10), tmp_path / "r")
    (tmp_path / "images" / "y.png").unlink()
    run(scenario(0, 10), tmp_path / "r")
    assert table.read(tmp_path / "r").num_rows == 2


def test_annotations_are_part_of_an_image(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))
    (tmp_path / "natural" / "test").mkdir(parents=True)
    noise(tmp_path / "natural" / "test" / "a.jpg", 1)
    found = []
    for caption in ("a dog", "a cat"):
        record = {"file": "test/a.jpg", "captions": [caption]}
        (tmp_path / "natural" / "captions.jsonl").write_text(json.dumps(record))
        (image,) = loaded_images(inputs.Images("natural:test"))
        assert image.caption == caption
        found.append(image.digest)
    assert found[0] != found[1]
    (image,) = load("streets", count=1)
    changed = image.labels.clone()
    changed[0, 0] += 1
    assert image.digest != type(image)(image.name, image.pixels, image.caption, changed).digest


def test_modules_beside_a_file_are_part_of_its_key(scenario, tmp_path):
    (tmp_path / "mine.py").write_text("import helper\n\ndef build(cbr: float = 1.0):\n    return helper\n")
    keys = set()
    for text in ("A = 1\n", "A = 2\n", "import deeper\nA = 2\n"):
        (tmp_path / "helper.py").write_text(text)
        keys.add(scenario(0, systems=[{"name": str(tmp_path / "mine.py")}]).points()[0].key)
    (tmp_path / "deeper.py").write_text("B = 1\n")
    keys.add(scenario(0, systems=[{"name": str(tmp_path / "mine.py")}]).points()[0].key)
    assert len(keys) == 4
