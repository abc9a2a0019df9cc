"""The architecture, read from the imports of all source files, those inside functions and under TYPE_CHECKING included.

Stub files (.pyi) are read too: they are the public interface of the packages. Importing a module also runs its parent
packages; that is not counted as an import, because their `__init__.py` files load names on first use only.
"""

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = (  # from top to bottom: a module may import its own layer and the layers below it
    ("semcom", "__main__"),  # the public interface and the start of the program
    ("cli",),
    ("report",),
    ("recognition",),
    ("radio",),
    ("systems",),
    ("sweep",),
    ("training",),
    ("contract",),
    ("budget",),
    ("edge",),
    ("metrics",),
    ("link",),
    ("results",),
    ("scenario",),
    ("images",),
    ("codecs",),
    ("weights",),
    ("system",),
    ("discover",),
    ("cache", "atomic", "devices", "limits", "threads", "allocator"),
)
FORMER_NAMES = "semcom.results.former_names"  # may name systems: it renames columns of old runs, new papers add nothing
MAX_LINES = 400


@dataclass(frozen=True)
class Module:
    """A module and what it refers to; `imports` maps imported modules to the places of the imports."""

    name: str
    folder: Path
    imports: dict[str, str] = field(default_factory=dict)
    private: list[str] = field(default_factory=list)
    strings: list[tuple[str, str]] = field(default_factory=list)


@cache
def modules(root):
    """All modules of semcom and channels; a stub file and its source are one module."""
    paths = [path for package in ("semcom", "channels") for path in sorted((root / package).rglob("*.py*"))]
    names = {path: dotted(path.relative_to(root)) for path in paths if path.suffix in (".py", ".pyi")}
    found = {}
    for path, name in names.items():
        module = found.setdefault(name, Module(name, path.parent))
        read(module, path, root, {name: path.parent for path, name in names.items()})
    return found


def dotted(path):
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(module, path, root, folders):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
    }
    bound = {}  # names in this file that stand for a module or name of another file
    for node in ast.walk(tree):
        place = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
        for target, name, alias in imported(node, module.name, path.stem == "__init__"):
            if target.partition(".")[0] not in ("semcom", "channels"):
                continue
            whole = f"{target}.{name}" if name else target
            module.imports.setdefault(whole if whole in folders else target, place)
            bound[alias] = whole
            if is_private(whole, path.parent, folders):
                module.private.append(f"{place} imports {whole}")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            module.strings.append((node.value, place))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            whole = f"{bound[node.value.id]}.{node.attr}"
            if is_private(whole, path.parent, folders):
                module.private.append(f"{path.relative_to(root)}:{node.lineno} uses {whole}")


def imported(node, importer, is_package):
    """(module, name in it or "", name that it has in the file) for each import of a statement."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, "", alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom):
        parents = importer.split(".")
        above = parents[: len(parents) - node.level + is_package] if node.level else []
        target = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            yield target, alias.name, alias.asname or alias.name


def is_private(name, folder, folders):
    """Whether a dotted name has a part with a leading underscore that belongs to another folder."""
    parts = name.split(".")
    for index, part in enumerate(parts):
        if part.startswith("_") and not part.endswith("__"):
            above = ".".join(parts[:index])
            whole = ".".join(parts[: index + 1])
            home = folders.get(whole) or folders.get(above) or folders.get(above.rpartition(".")[0])
            return home is not None and home != folder
    return False


# --- the checks ------------------------------------------------------------------------------------------------------


def layer(module):
    """Index in LAYERS; None for a module of channels."""
    first, _, rest = module.partition(".")
    if first == "channels":
        return None
    part = rest.partition(".")[0] or first
    return next((index for index, parts in enumerate(LAYERS) if part in parts), -1)


def upward(root):
    problems = []
    for module in modules(root).values():
        own = layer(module.name)
        if own == -1:
            problems.append(f"{module.name} is not in LAYERS")
        for target, place in module.imports.items():
            other = layer(target)
            if own is not None and other is not None and other < own:
                problems.append(f"{place}: {module.name} imports {target}, which is above it")
    return problems


def out_of_channels(root):
    return [
        f"{place}: channels imports {target}"
        for module in modules(root).values()
        for target, place in module.imports.items()
        if module.name.partition(".")[0] == "channels" and target.partition(".")[0] == "semcom"
    ]


def cycles(root):
    found = modules(root)
    problems = []
    for module in found.values():
        path = shortest(found, module.name)
        if path and min(path) == module.name:  # each circle once
            problems.append(" -> ".join([*path, path[0]]))
    return problems


def shortest(found, start):
    """The shortest circle of imports through a module, None if there is none."""
    paths, seen = [[start]], set()
    while paths:
        path = paths.pop(0)
        for target in found[path[-1]].imports:
            if target == start:
                return path
            if target in found and target not in seen:
                seen.add(target)
                paths.append([*path, target])
    return None


def systems_in_the_core(root):
    """Modules outside semcom/systems that import a system, or name one in a string that is not documentation."""
    systems = sorted(path.name for path in (root / "semcom" / "systems").iterdir() if is_system(path))
    problems = []
    for module in modules(root).values():
        if module.name.startswith("semcom.systems"):
            continue
        problems += [
            f"{place}: {module.name} imports {target}"
            for target, place in module.imports.items()
            if target.startswith("semcom.systems")
        ]
        problems += [
            f"{place}: {module.name} names the system {name}"
            for text, place in module.strings
            for name in systems
            if module.name != FORMER_NAMES
            if text == name or f"systems.{name}" in text or f"systems/{name}" in text
        ]
    return problems


def is_system(path):
    return path.is_dir() and not path.name.startswith("_")


def private_names(root):
    return [problem for module in modules(root).values() for problem in module.private]


def long_files(root):
    return [
        f"{path.relative_to(root)} has {lines} lines"
        for package in ("semcom", "channels", "apps")
        for path in sorted((root / package).rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    ]


CHECKS = (upward, out_of_channels, cycles, systems_in_the_core, private_names, long_files)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_architecture_holds(check):
    assert check(ROOT) == []


def test_the_table_of_the_architecture_page_lists_the_layers():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(?:semcom\.)?([a-z]+)` \|", page, re.MULTILINE)
    assert rows == [part for layer in LAYERS[1:] for part in layer] + ["channels"]


# --- each check finds a planted fault --------------------------------------------------------------------------------

SOUND = {
    "semcom/__init__.py": "import lazy_loader\n",
    "semcom/__init__.pyi": "from .link import Link as Link\n",
    "semcom/cache.py": "from semcom import limits\n",
    "semcom/limits.py": "MAX = 3\n_HIDDEN = 4\n",
    "semcom/link.py": '"""See semcom.systems.scene."""\nfrom channels.base import Channel\nclass Link: ...\n',
    "semcom/codecs/__init__.py": "",
    "semcom/codecs/image_file.py": "from semcom.codecs._writers import write\n"
    "from semcom.codecs import _writers as own\n"
    "own._quiet()\n",
    "semcom/codecs/_writers.py": "def write(): ...\ndef _quiet(): ...\n",
    "semcom/systems/__init__.py": "",
    "semcom/systems/scene/__init__.py": "from semcom import cache\n"
    "from semcom.systems.scene.agreement import Agreement\n",
    "semcom/systems/scene/agreement.py": "class Agreement: ...\n",
    "channels/__init__.py": "",
    "channels/base.py": "import math\nclass Channel: ...\n",
    "apps/home.py": "import streamlit\n",
}

FAULTS = {
    "module level": (upward, "semcom/cache.py", "from semcom.link import Link", "semcom/cache.py:1"),
    "package of a higher layer": (upward, "semcom/codecs/image_file.py", "import semcom.link", "image_file.py:1"),
    "inside a function": (upward, "semcom/limits.py", "def f():\n    from semcom import link\n", "limits.py:2"),
    "type checking only": (
        upward,
        "semcom/limits.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from semcom.link import Link\n",
        "limits.py:3",
    ),
    "relative": (upward, "semcom/codecs/image_file.py", "from ..link import Link", "image_file.py:1"),
    "relative in a stub file": (upward, "semcom/codecs/__init__.pyi", "from ..link import Link", "__init__.pyi:1"),
    "public interface": (upward, "semcom/cache.py", "from semcom import Link", "cache.py:1"),
    "unknown folder": (upward, "semcom/misc.py", "", "semcom.misc is not in LAYERS"),
    "channels import semcom": (out_of_channels, "channels/base.py", "from semcom import limits", "channels/base.py:1"),
    "channels import semcom in a function": (
        out_of_channels,
        "channels/base.py",
        "def f():\n    import semcom.limits\n",
        "channels/base.py:2",
    ),
    "circle of two": (cycles, "semcom/limits.py", "from semcom import cache", "semcom.cache -> semcom.limits"),
    "circle of three": (
        cycles,
        "semcom/codecs/_writers.py",
        "from semcom.codecs.third import x\n",
        "semcom.codecs._writers -> semcom.codecs.third -> semcom.codecs.image_file",
    ),
    "circle for types": (
        cycles,
        "semcom/limits.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .cache import x\n",
        "semcom.cache -> semcom.limits",
    ),
    "circle through a stub file": (
        cycles,
        "semcom/codecs/image_file.py",
        "from semcom.codecs import write\n",
        "semcom.codecs -> semcom.codecs.image_file",
    ),
    "core imports a system": (
        systems_in_the_core,
        "semcom/link.py",
        "def f():\n    from semcom.systems.scene import agreement\n",
        "link.py:2",
    ),
    "core imports the systems": (systems_in_the_core, "semcom/link.py", "from semcom import systems", "link.py:1"),
    "core names a system": (systems_in_the_core, "semcom/link.py", 'name = "scene"', "names the system scene"),
    "core names a module": (systems_in_the_core, "semcom/link.py", 'x = "semcom.systems.scene.y"', "names the system"),
    "private name": (private_names, "semcom/codecs/image_file.py", "from semcom.limits import _HIDDEN", "_HIDDEN"),
    "private module": (private_names, "semcom/link.py", "from semcom.codecs._writers import write", "_writers"),
    "private module of a package": (private_names, "semcom/link.py", "from semcom.codecs import _writers", "_writers"),
    "private attribute": (
        private_names,
        "semcom/codecs/image_file.py",
        "from semcom import limits as bounds\nbounds._HIDDEN\n",
        "image_file.py:2 uses semcom.limits._HIDDEN",
    ),
    "long file": (long_files, "apps/home.py", "x = 1\n" * 401, "apps/home.py has 401 lines"),
}


def write_tree(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_sound_tree_has_no_problem(tmp_path, check):
    write_tree(tmp_path, SOUND)
    assert check(tmp_path) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found(tmp_path, fault):
    check, path, text, words = FAULTS[fault]
    write_tree(tmp_path, SOUND)
    write_tree(
        tmp_path, {"semcom/codecs/third.py": "from semcom.codecs.image_file import y\n"} if "three" in fault else {}
    )
    write_tree(
        tmp_path, {"semcom/codecs/__init__.pyi": "from .image_file import write\n"} if "through" in fault else {}
    )
    write_tree(tmp_path, {path: text + "\n" + SOUND.get(path, "") if "circle" in fault else text})
    problems = check(tmp_path)
    assert len(problems) == 1
    assert words in problems[0]
