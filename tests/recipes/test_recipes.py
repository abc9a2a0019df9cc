"""Recipes of the bundled networks: the commands of their cards, and stages that are resumed and start from others."""

import argparse
import importlib.util
import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from semcom import weights
from semcom.training.settings import add_arguments, from_arguments

FOLDER = Path(__file__).parents[2] / "recipes"
FORMER = {"judge": "evaluation_network", "drawing": "fine_tuning", "scene_judge": "scene_evaluation_network"}


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings(command):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = shlex.split(command)
    assert words[:2] == ["semcom", "train"]
    return from_arguments(parser.parse_args(words[2:]))


def of_card(name):
    """Settings of a bundled network, with present names and without the files that it was started from."""
    card = weights.find(name).with_suffix(".md").read_text(encoding="utf-8")
    found = json.loads(re.search(r"^All settings: `(.*)`$", card, re.MULTILINE)[1])
    build = {FORMER.get(key, key): str(value) for key, value in found["build"].items()}
    for key, value in build.items():
        if value.endswith(".safetensors"):  # runs/scene/scene_judge.safetensors, .../autoencoder/multimodal_....
            file = Path(value)
            value = file.stem if file.stem.startswith("scene") else f"multimodal_{file.parent.name}"
        build[key] = FORMER.get(value, value)
    return {**found, "build": build, "start": ""}


def test_every_bundled_network_has_a_recipe(make):
    bundled = {path.stem for path in weights.find("deepjscc").parent.glob("*.safetensors")}
    assert bundled == set(make.ORDER) == {path.stem for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_last_stage_is_the_command_of_the_card(path):
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert recipe["weights"] == path.stem
    assert len({settings(command).system for command in recipe["commands"]}) == 1
    last, card = asdict(settings(recipe["commands"][-1])), of_card(path.stem)
    last["build"] = {key: str(value) for key, value in last["build"].items()}
    differing = {key for key, value in card.items() if json.loads(json.dumps(last[key])) != value}
    assert not differing


def test_networks_that_others_are_trained_with_come_first(make):
    for number, name in enumerate(make.ORDER):
        text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        needed = set(re.findall(r"--set=\w+=(\w+)", text)) & set(make.ORDER)
        assert needed <= set(make.ORDER[:number])


def test_stages_start_from_one_another_and_are_resumed(make, tmp_path, monkeypatch, capfd):
    (tmp_path / "recipes").mkdir()
    command = "semcom train deepjscc --steps 1 --rows 1 --crop 32 --validation-count 1"
    recipe = {"weights": "deepjscc", "commands": [command, f"{command} --seed 1"]}
    (tmp_path / "recipes" / "deepjscc.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(make, "FOLDER", tmp_path / "recipes")
    folder = tmp_path / "weights"
    first = make.train("deepjscc", folder, [])
    assert "started from" in first.with_suffix(".md").read_text()  # the second stage from the first one
    make.compare("deepjscc", first)
    assert re.search(r"psnr_db at 7 dB +26\.73 +\d", capfd.readouterr().out)

    (folder / "deepjscc" / "2" / "deepjscc.safetensors").unlink()
    make.train("deepjscc", folder, [])
    printed = capfd.readouterr().out
    assert "--resume" in printed
    assert printed.count("semcom train") == 1  # the first stage is not repeated


def test_weights_of_the_user_are_not_replaced(make, tmp_path, monkeypatch, capsys):
    (tmp_path / "deepjscc.safetensors").write_bytes(b"mine")
    monkeypatch.setattr("sys.argv", ["make.py", "deepjscc", "--folder", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        make.main()
    assert end.value.code == 2
    assert "--force" in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / "deepjscc.safetensors").read_bytes() == b"mine"
