"""The README's own examples run as they are printed."""

import random
import re
from pathlib import Path

import pytest
import yaml

from semcom import check, scenario

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.split("\n", 1)[0])
def test_python_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


def test_the_system_of_the_readme_keeps_the_laws(tmp_path, monkeypatch):
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests draw from it
    file = tmp_path / "mine.py"
    file.write_text(next(code for code in PYTHON if "def build" in code), encoding="utf-8")
    assert not [law for law in check.check(scenario.variant("system", str(file))) if law.problem]


@pytest.mark.parametrize("text", YAML)
def test_scenarios_are_valid(text):
    data = yaml.safe_load(text)
    assert scenario.scenario_from(data).points()


@pytest.mark.parametrize("path", sorted(ROOT.glob("scenarios/*.yaml")), ids=lambda path: path.stem)
def test_scenario_files_are_valid(path):
    assert scenario.load_scenario(path).points()
