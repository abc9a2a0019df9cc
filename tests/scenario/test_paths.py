"""Files that a scenario names: beside the scenario file first, then in the working directory."""

import os

import pytest
from PIL import Image
from toy import TOY

from semcom.scenario.load import load_scenario, to_yaml

METRIC = "def mae(delivery):\n    return delivery.uses\n"


@pytest.fixture
def folder(tmp_path, monkeypatch, scenario_data, write_scenario):
    """A working directory with a scenario in the folder `study`."""
    (tmp_path / "study").mkdir()
    scenario_data["systems"] = ["./mine.py"]
    scenario_data["metrics"] = ["psnr", "./mine.py:mae"]
    scenario_data["images"] = {"source": "photo.png"}
    write_scenario(scenario_data, "study/scenario.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder, level):
    """A system, a metric and an image."""
    build = f"def build(cbr: float, level: int = {level}):\n    return None\n"
    (folder / "mine.py").write_text(build + METRIC)
    Image.new("RGB", (8, 8)).save(folder / "photo.png")


def test_files_beside_the_scenario_come_first(folder):
    put(folder, 1)
    scenario = load_scenario("study/scenario.yaml")
    assert (scenario.systems[0].name, scenario.images[0].source) == ("./mine.py", "folder:photo.png")
    put(folder / "study", 2)
    scenario = load_scenario("study/scenario.yaml")
    assert dict(scenario.systems[0].arguments)["level"] == 2
    assert scenario.images[0].source == f"folder:{os.path.join('study', 'photo.png')}"
    assert scenario.metrics == ("psnr", f"{os.path.join('study', 'mine.py')}:mae")
    key = scenario.points()[0].key
    (folder / "run").mkdir()
    (folder / "run" / "scenario.yaml").write_text(to_yaml(scenario))
    assert load_scenario("run/scenario.yaml").points()[0].key == key, "the written scenario names the same files"


def test_the_working_directory_is_that_of_the_scenario(folder, monkeypatch):
    put(folder / "study", 3)
    monkeypatch.chdir(folder / "study")
    assert load_scenario("scenario.yaml").systems[0].name == "./mine.py", "as written, so that keys do not change"


def test_an_argument_that_names_a_file_is_found_too(folder, scenario_data, write_scenario):
    (folder / "study" / "weights.safetensors").touch()
    system = {"name": "deepjscc", "weights": "weights.safetensors"}
    path = write_scenario(
        {**scenario_data, "systems": [system], "metrics": ["psnr"], "images": {"source": "photos"}}, "study/b.yaml"
    )
    assert dict(load_scenario(path).systems[0].arguments)["weights"] == os.path.join("study", "weights.safetensors")
    assert load_scenario(path, [f"systems=[{TOY}]"]).systems[0].name == TOY
