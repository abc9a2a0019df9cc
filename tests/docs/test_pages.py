"""Every command and code block of the README and of the documentation runs, in the order of its page.

Each page has a separate folder, in which its files and runs stay from one block to the next. `printed.py` lists the
commands that are shortened, and those that are tested elsewhere.
"""

import contextlib
import importlib
import multiprocessing
import os
import random
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from printed import ELSEWHERE, PAGES, PREPARED, ROOT, SCENARIOS, SHORTENED, blocks, executed, first_pages

from semcom import scenario
from semcom.budget import load_hardware
from semcom.cli.main import main
from semcom.images.files import to_pil
from semcom.images.sources import load
from semcom.recognition.task import load_task

LANGUAGES = {"python", "yaml", "sh", "console"}
NOT_CODE = {"text", "bash"}  # an error message; a batch script for Slurm, see test_cluster_page.py
WITH_BLOCKS = [page for page in PAGES if any(block.language in LANGUAGES for block in blocks(page))]


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the pages take for granted: a checkout, some photographs and a file to hide."""
    monkeypatch.chdir(tmp_path)
    # files of other tests, such as mine.py, are still found for their imports inside of functions
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not list(Path(path).glob("mine.py"))])
    for name in ("scenarios", "benchmarks", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "results" / "published", tmp_path / "results" / "published")
    for name in ("photos", "my/photos", "docs"):
        (tmp_path / name).mkdir(parents=True)
    for number, image in enumerate(load("photos", count=8, size=128)):
        for name in ("photos", "my/photos") if number < 2 else ("my/photos",):
            to_pil(image.pixels).save(tmp_path / name / f"{number}.jpg", quality=92)
    to_pil(image.pixels[:, :64, :96]).save(tmp_path / "photo.jpg")
    (tmp_path / "message.txt").write_text("meet at noon\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(random, "getstate", lambda: None)  # the type checks of these tests draw from it
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: fork)  # workers need not import torch again
    before = set(sys.modules)
    yield tmp_path
    for module in set(sys.modules) - before:  # modules of the page, such as mine.py
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]


def run(words):
    """Run a command in this process; `> FILE` at its end is that of a shell."""
    if words[-2:-1] == [">"]:
        with open(words[-1], "w") as file, contextlib.redirect_stdout(file):
            run(words[:-2])
        assert os.path.getsize(words[-1])
        return
    if words[0] == "/usr/bin/python3":  # the Python of GNU Radio, without the packages of this one
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        assert subprocess.run(words, env=environment).returncode == 0, shlex.join(words)
        return
    if words[0] == "semcom":
        assert main(words[1:]) == 0, shlex.join(words)
        return
    before, threads = sys.argv, torch.get_num_threads()
    sys.argv = words[1:]
    status = None
    try:
        runpy.run_path(words[1], run_name="__main__")
    except SystemExit as end:
        status = end.code
    finally:
        sys.argv = before
        torch.set_num_threads(threads)
    assert not status, shlex.join(words)


def check_yaml(text, scenario_data, folder):
    """A block of YAML is a part of a scenario, a scenario of recognition, or a file of constants."""
    data, file = yaml.safe_load(text), folder / "block.yaml"
    if "joule_per_mac" in data:
        file.write_text(text, encoding="utf-8")
        assert load_hardware(str(file)).name == data["name"]
    elif "task" in data:
        file.write_text(text, encoding="utf-8")
        assert load_task(file).points()
    else:
        assert scenario.scenario_from({**scenario_data, "metrics": ["psnr"], **data}).points()


def repeated(words, page):
    """Whether another page runs the command, and nothing on this one reads its files."""
    return page.parent.name == "results" and first_pages()[tuple(words)] != page


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name_of)
def test_page(page, folder, scenario_data):
    names, finished = {"__name__": "page"}, set()
    for command in PREPARED.get(name_of(page), ()):
        run(shlex.split(command))
    for block in blocks(page):
        if block.name:
            (folder / block.name).write_text(block.text, encoding="utf-8")
            sys.modules.pop(block.name.removesuffix(".py"), None)  # another page's file of that name
            importlib.invalidate_caches()
        if block.language == "python":
            exec(compile(block.text, name_of(page), "exec"), names)
        elif block.language == "yaml":
            check_yaml(block.text, scenario_data, folder)
        elif block.language in ("sh", "console"):
            for words in map(executed, block.commands):
                if words and tuple(words) not in finished and not repeated(words, page):
                    with contextlib.chdir(folder):
                        run(words)
                    finished.add(tuple(words))


def test_the_tables_list_printed_commands_only():
    printed = [
        shlex.join(words[1:] if "=" in words[0] else words)
        for page in PAGES
        for block in blocks(page)
        if block.language in ("sh", "console")
        for words in block.commands
    ]
    assert not SHORTENED.keys() - set(printed)
    assert not [beginning for beginning in ELSEWHERE if not any(line.startswith(beginning) for line in printed)]
    assert not [name for name in SCENARIOS if not any(f"scenarios/{name}.yaml" in line for line in printed)]
    assert not {block.language for page in PAGES for block in blocks(page)} - LANGUAGES - NOT_CODE
    assert not PREPARED.keys() - {name_of(page) for page in PAGES}
