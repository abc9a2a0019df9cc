"""Scenarios with several image sources, each with its own metrics and systems, and texts in messages."""

from dataclasses import asdict

import pytest
from toy import TOY

from channels import UsageError
from semcom.scenario.load import load_scenario, scenario_from, to_yaml

PHOTOS = {"source": "photos", "count": 2, "size": 32}
STREET = {"source": "streets:test", "count": 1, "label": "Street", "metrics": ["ssim", "psnr"], "systems": ["other"]}


@pytest.fixture
def data(scenario_data):
    systems = [{"name": TOY, "label": "toy"}, {"name": TOY, "label": "other", "block": 4}]
    return scenario_data | {"systems": systems, "images": [PHOTOS, STREET]}


def test_each_source_has_its_systems_and_metrics(data):
    points = scenario_from(data).points()
    assert {(point.images.label, point.system.label) for point in points} == {
        ("photos", "toy"),
        ("photos", "other"),
        ("Street", "other"),
    }
    metrics = {point.images.label: point.metrics for point in points}
    assert metrics == {"photos": ("psnr", "outage"), "Street": ("psnr", "outage", "ssim")}
    assert scenario_from(data).all_metrics == ("psnr", "outage", "ssim")
    assert len({point.key for point in points}) == len(points) == 3 * 2 * 2 * 2


def test_the_key_of_a_point_depends_on_its_source_but_not_on_the_systems_and_metrics_of_others(data):
    def keys(images, metrics=("psnr",)):
        scenario = scenario_from(data | {"images": images, "metrics": list(metrics)})
        return {point.key for point in scenario.points() if point.images.source == "photos"}

    alone = keys(PHOTOS)
    assert keys([PHOTOS]) == keys([PHOTOS | {"systems": ["toy", "other"]}]) == alone
    assert keys([PHOTOS | {"metrics": ["ssim"]}]) == keys(PHOTOS, ["psnr", "ssim"]) != alone
    both = keys([PHOTOS, STREET])
    assert not both & alone  # their rows have a column more
    assert keys([PHOTOS, STREET | {"metrics": ["ms_ssim"], "systems": ["toy"]}]) == both


def test_a_written_scenario_of_several_sources_loads_as_the_same_scenario(data, write_scenario):
    data["systems"][0]["message"] = "42"
    scenario = scenario_from(data)
    assert asdict(load_scenario(write_scenario(to_yaml(scenario)))) == asdict(scenario)
    assert scenario.systems[0].message == "42"
    assert len({point.key for one in (data, data | {"seed": 1}) for point in scenario_from(one).points()}) == 48


def test_a_message_is_part_of_the_key(data):
    before = {point.key for point in scenario_from(data).points() if point.system.label == "toy"}
    data["systems"][0]["message"] = "hello"
    assert not before & {point.key for point in scenario_from(data).points()}


def test_an_override_of_images_applies_to_all_sources(data):
    assert [images.count for images in scenario_from(data, ["images.count=1"]).images] == [1, 1]
    assert [images.source for images in scenario_from(data, ["images={source: kodak}"]).images] == ["kodak"]
    assert [images.label for images in scenario_from(data, ["images={source: kodak}"]).images] == [""]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"images": [PHOTOS, PHOTOS]},
            "images.1: the label 'photos' occurs twice; set label of this entry",
        ),
        ({"images": [PHOTOS | {"count": 99}]}, "photos has 10 images, fewer than count: 99"),
        ({"images": [PHOTOS, STREET | {"systems": ["tyo"]}]}, "no system 'tyo' here; did you mean 'toy'?"),
        ({"images": [STREET]}, "no entry of images lists 'toy' in its systems; add it to one"),
        ({"images": [PHOTOS, STREET | {"metrics": ["psrn"]}]}, "no metric 'psrn'; did you mean 'psnr'?"),
        ({"images": [PHOTOS, STREET | {"metrics": []}]}, "metrics is empty; give it at least one value"),
        ({"images": [PHOTOS, STREET | {"label": 3}]}, "a label must be text, not 3"),
        ({"images": [PHOTOS, "kodak"]}, "must consist of keys and values"),
        ({"images": [PHOTOS, {"size": 32}]}, "'source' is missing; choose one of"),
        ({"images": [PHOTOS, STREET | {"sise": 32}]}, "images has no key 'sise'; did you mean 'size'?"),
        ({"images": []}, "images is empty; give it at least one value"),
        ({"systems": [{"name": TOY, "message": 3}]}, "a message must be text, not 3"),
        ({"systems": [{"name": TOY, "message": ""}]}, "a message must be text, not ''"),
        ({"channel": {"name": "awgn", "message": "hello"}}, "awgn has no argument 'message'"),
    ],
)
def test_wrong_sources_and_messages_are_refused(data, change, words):
    with pytest.raises(UsageError) as raised:
        scenario_from(data | change)
    assert words.rpartition(": ")[2] in str(raised.value)


def test_one_source_of_several_cannot_be_replaced_by_another_name(data):
    with pytest.raises(UsageError, match=r"images has 2 sources; write images=\{source: \.\.\.\}"):
        scenario_from(data, ["images.source=kodak"])
