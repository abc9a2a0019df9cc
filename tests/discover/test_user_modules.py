"""A Python file of the user is imported as `python FILE` would."""

import pytest

from channels import UsageError
from semcom import discover
from semcom.discover import user_modules

FILE = """\
# -*- coding: latin-1 -*-
from __future__ import annotations

from dataclasses import dataclass

import helper

LEVEL: int = 3
NAME = "\xe9"


@dataclass
class Parts:  # a system has a name
    level: int
    name: str = "mine"


def build(cbr: float, level: int = LEVEL, shift: float = -LEVEL / 2, name: "str | None" = NAME):
    import later

    return Parts(level + helper.STEP + later.STEP)
"""


def write(folder, step):
    folder.mkdir()
    (folder / "mine.py").write_bytes(FILE.encode("latin-1"))
    for name in ("helper", "later"):
        (folder / f"{name}.py").write_text(f"STEP = {step}\n")
    return str(folder / "mine.py")


def test_dataclasses_neighbors_latin_1_and_constants(tmp_path):
    entry = discover.find("system", write(tmp_path / "one", 10))
    arguments = entry.arguments
    assert (arguments["level"].default, arguments["shift"].default, arguments["name"].default) == (3, -1.5, "\xe9")
    assert not arguments["name"].accepts(3), "an annotation in quotes"
    assert entry.load()(cbr=0.1, level=1).level == 21


def test_neighbors_of_the_same_name_in_two_folders(tmp_path):
    one, two = (discover.find("system", write(tmp_path / str(step), step)) for step in (10, 200))
    assert [entry.load()(cbr=0.1, level=1).level for entry in (one, two, one)] == [21, 401, 21]


def test_a_build_without_return_is_one_line(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def build(cbr: float):\n    3\n")
    with pytest.raises(UsageError, match=r"mine.py: build returns None; end it with `return System\(...\)`"):
        discover.find("system", str(path)).load()(cbr=0.1)
    path.write_text("def build(level: int = 3):\n    return level\n")
    with pytest.raises(UsageError, match=r"build returns a value of type int; end it with `return Channel\(...\)`"):
        discover.find("channel", str(path)).load()()


def test_a_file_that_cannot_be_imported_leaves_no_module(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import sys\n\nsys.exit(3)\n")
    with pytest.raises(UsageError, match=r"mine\.py:3: cannot be imported, SystemExit: 3"):
        user_modules.load(path)
