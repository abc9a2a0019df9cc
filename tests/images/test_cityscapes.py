"""Cityscapes in its standard folders: classes by hand, sizes, and errors for wrong layouts."""

import numpy as np
import pytest
from PIL import Image

from channels.errors import UsageError
from semcom.images import cityscapes
from semcom.images.sources import load
from semcom.images.street_classes import CITYSCAPES_TO_CAMVID, CLASSES, IGNORED

SCENES = ("aachen_000000_000019", "aachen_000001_000019", "bochum_000000_000313")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three scenes of 12 x 6 pixels with all 34 ids, 255 (as -1 is stored), and two ids that do not exist."""
    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))
    ids = np.resize(np.array([*range(36), 255], np.uint8), (6, 12))
    for number, name in enumerate(SCENES):
        city = name.partition("_")[0]
        for part in ("leftImg8bit", "gtFine"):
            (tmp_path / "cityscapes" / part / "val" / city).mkdir(parents=True, exist_ok=True)
        photo = Image.new("RGB", (12, 6), (number, 20, 30))
        photo.save(tmp_path / "cityscapes" / "leftImg8bit" / "val" / city / f"{name}_leftImg8bit.png")
        for kind in ("labelIds", "instanceIds", "color"):
            labels = Image.fromarray(ids if kind == "labelIds" else 0 * ids)
            labels.save(tmp_path / "cityscapes" / "gtFine" / "val" / city / f"{name}_gtFine_{kind}.png")
    return tmp_path / "cityscapes"


def test_scenes_have_their_own_labels_and_a_fixed_order(folder):
    images = load("cityscapes:val")
    assert sorted(image.name for image in images) == sorted(SCENES)
    assert [image.name for image in load("cityscapes", count=2)] == [image.name for image in images[:2]]
    for image in images:
        assert image.pixels.shape == (3, 6, 12)
        assert round(image.pixels[0, 0, 0].item() * 255) == SCENES.index(image.name)


def test_ids_map_to_the_eleven_classes_or_are_ignored(folder):
    labels = load("cityscapes:val")[0].labels.flatten().tolist()
    converted = dict(zip([*range(36), 255], labels, strict=False))
    named = {7: "road", 8: "pavement", 11: "building", 17: "pole", 21: "tree", 23: "sky", 24: "pedestrian", 26: "car"}
    assert {number: CLASSES[converted[number]] for number in named} == named
    assert {number for number, label in converted.items() if label != IGNORED} == cityscapes.IDS.keys()
    assert {CLASSES[converted[number]] for number in cityscapes.IDS} == set(CLASSES)
    assert set(cityscapes.IDS.values()) == CITYSCAPES_TO_CAMVID.keys()


def test_resizing_creates_no_new_classes(folder):
    small = load("cityscapes:val:6x3")[0]
    assert small.pixels.shape == (3, 3, 6)
    assert set(small.labels.flatten().tolist()) <= set(load("cityscapes:val")[0].labels.flatten().tolist())


@pytest.mark.parametrize(
    ("argument", "says"), [("winter", "there are val"), (":12", "512x256"), ("val:0x3", "512x256"), ("val:6y3", "512")]
)
def test_wrong_arguments_are_rejected(folder, argument, says):
    with pytest.raises(UsageError, match=says):
        load(f"cityscapes:{argument}")


def test_wrong_layouts_give_a_one_line_error(folder):
    def error():
        with pytest.raises(UsageError) as raised:
            load("cityscapes:val")
        assert "\n" not in str(raised.value)
        return str(raised.value)

    labels = folder / "gtFine" / "val" / "bochum" / f"{SCENES[2]}_gtFine_labelIds.png"
    labels.write_bytes(b"")
    assert labels.name in error()
    labels.rename(labels.with_name("elsewhere.png"))
    assert f"{SCENES[2]}_leftImg8bit.png has no label file" in error()
    (folder / "leftImg8bit" / "val").rename(folder / "leftImg8bit" / "city")
    (folder / "leftImg8bit" / "val").mkdir()
    assert "no photographs" in error()
    (folder / "gtFine").rename(folder / "gtCoarse")
    assert "gtFine_trainvaltest.zip" in error()
    folder.rename(folder.with_name("city"))
    assert "cityscapes-dataset.com" in error()
