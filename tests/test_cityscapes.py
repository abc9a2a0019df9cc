"""Cityscapes in its standard folders: classes by hand, sizes, and wrong layouts answered in a line."""

import numpy as np
import pytest
from PIL import Image

from channels._errors import UsageError
from semcom import _cityscapes
from semcom.images import load
from semcom.systems.scene.cityscapes import SAME
from semcom.systems.scene.classes import CLASSES, IGNORED

SCENES = ("aachen_000000_000019", "aachen_000001_000019", "bochum_000000_000313")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three scenes of 12 x 6, whose pixels have all 34 ids, as -1 would be read, and ids that there are not."""
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


def test_scenes_come_with_their_own_labels_in_an_order_that_stays(folder):
    pictures = load("cityscapes:val")
    assert sorted(picture.name for picture in pictures) == sorted(SCENES)
    assert [picture.name for picture in load("cityscapes", count=2)] == [picture.name for picture in pictures[:2]]
    for picture in pictures:
        assert picture.pixels.shape == (3, 6, 12)
        assert round(picture.pixels[0, 0, 0].item() * 255) == SCENES.index(picture.name)


def test_ids_become_the_eleven_classes_and_the_rest_nothing(folder):
    labels = load("cityscapes:val")[0].labels.flatten().tolist()
    read = dict(zip([*range(36), 255], labels, strict=False))
    named = {7: "road", 8: "pavement", 11: "building", 17: "pole", 21: "tree", 23: "sky", 24: "pedestrian", 26: "car"}
    assert {number: CLASSES[read[number]] for number in named} == named
    assert {number for number, label in read.items() if label != IGNORED} == _cityscapes.IDS.keys()
    assert {CLASSES[read[number]] for number in _cityscapes.IDS} == set(CLASSES)
    assert set(_cityscapes.IDS.values()) == SAME.keys()


def test_a_smaller_size_has_no_new_classes(folder):
    small = load("cityscapes:val:6x3")[0]
    assert small.pixels.shape == (3, 3, 6)
    assert set(small.labels.flatten().tolist()) <= set(load("cityscapes:val")[0].labels.flatten().tolist())


@pytest.mark.parametrize(
    ("argument", "says"), [("winter", "there are val"), (":12", "512x256"), ("val:0x3", "512x256"), ("val:6y3", "512")]
)
def test_arguments_are_answered(folder, argument, says):
    with pytest.raises(UsageError, match=says):
        load(f"cityscapes:{argument}")


def test_wrong_layouts_are_answered_in_a_line(folder):
    def refusal():
        with pytest.raises(UsageError) as raised:
            load("cityscapes:val")
        assert "\n" not in str(raised.value)
        return str(raised.value)

    labels = folder / "gtFine" / "val" / "bochum" / f"{SCENES[2]}_gtFine_labelIds.png"
    labels.write_bytes(b"")
    assert labels.name in refusal()
    labels.rename(labels.with_name("elsewhere.png"))
    assert f"{SCENES[2]}_leftImg8bit.png has no label file" in refusal()
    (folder / "leftImg8bit" / "val").rename(folder / "leftImg8bit" / "city")
    (folder / "leftImg8bit" / "val").mkdir()
    assert "no photographs" in refusal()
    (folder / "gtFine").rename(folder / "gtCoarse")
    assert "gtFine_trainvaltest.zip" in refusal()
    folder.rename(folder.with_name("city"))
    assert "cityscapes-dataset.com" in refusal()
