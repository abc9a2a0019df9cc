"""The README: its length, its links and its map of packages; scenario files."""

import re
import subprocess

import pytest
from printed import PAGES, ROOT, blocks

from semcom import scenario
from semcom.recognition.task import is_task, load_task

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_fits_on_a_few_screens():
    assert len(README.splitlines()) <= 160


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_make_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in blocks(page):
        for words in block.commands if block.language == "sh" else []:
            if words[0] == "make":
                assert all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words[1:] if "=" not in word)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


def test_packages_are_those_of_the_tree():
    """The map names every package and every folder at the top."""
    packages = {path.parent.name for path in ROOT.glob("semcom/*/__init__.py")}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    folders = {name.partition("/")[0] for name in tracked if "/" in name} - {".ci", "semcom"}
    text = README[README.index("## Packages") :]
    assert not [name for name in packages if f"semcom/{name}" not in text]
    assert not [name for name in folders if not re.search(rf"\b{name}\b", text)]


@pytest.mark.parametrize("path", sorted(ROOT.glob("scenarios/*.yaml")), ids=lambda path: path.stem)
def test_scenario_files_are_valid(path):
    assert (load_task if is_task(path) else scenario.load_scenario)(path).points()
