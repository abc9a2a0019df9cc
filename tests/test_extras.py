"""Packages: those of the core are the dependencies, all others are imported where an error names their extra."""

import ast
import sys
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from channels import UsageError, extras
from semcom import discover
from semcom.cli.main import main
from semcom.metrics.metric import metric

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = metadata.packages_distributions()
OWN = {"semcom", "channels", "semcom_demo"}


def names(requirements):
    """Names of distributions in requirements, in the spelling of package indexes."""
    return {name.strip().lower().replace("_", "-") for name in (text.split(">")[0] for text in requirements)}


def distributions(package):
    return {name.lower().replace("_", "-") for name in PACKAGES.get(package, ())}


def imports(path):
    """(package, line, extra or None) of each import of a package of others, except those for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped, inside = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= {id(child) for child in ast.walk(node)}
        if isinstance(node, ast.With):
            for item in node.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "extra":
                    inside |= {id(child): ast.unparse(call.args[0]).strip("'") for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped or not isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "level", 0):
            continue
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
        for package in {module.partition(".")[0] for module in modules} - OWN - set(sys.stdlib_module_names):
            yield package, node.lineno, inside.get(id(node))


def test_every_import_is_of_the_core_or_names_its_extra():
    core = names(PROJECT["dependencies"])
    problems = []
    for path in sorted([*ROOT.glob("semcom/**/*.py"), *ROOT.glob("channels/**/*.py")]):
        for package, line, extra in imports(path):
            needed = core if extra is None else names(PROJECT["optional-dependencies"][extra])
            if not distributions(package) & (needed | core) and extra != "lpips":
                problems.append(f"{path.relative_to(ROOT)}:{line} imports {package} (extra {extra})")
            if extra is None and package in {name for found in extras.EXTRAS.values() for name in found}:
                problems.append(f"{path.relative_to(ROOT)}:{line} imports {package} without an extra")
    assert not problems


def test_extras_are_those_of_the_project():
    declared = {name: names(found) for name, found in PROJECT["optional-dependencies"].items()}
    everything = declared.pop("all")
    assert declared.keys() == extras.EXTRAS.keys()
    assert everything == names([f"semcom[{','.join(sorted(declared))}]"])
    for name, packages in extras.EXTRAS.items():
        for package in packages:
            assert distributions(package) & declared[name] or package == "torchvision"  # lpips requires torchvision


def test_declared_extras_exist_and_agree():
    entries = [*discover.entries("system").values(), *discover.entries("channel").values()]
    assert {entry.name: entry.extra for entry in entries if entry.extra} == {
        "keras": "tensorflow",
        "multimodal_generation": "semantic",
        "onnx": "onnx",
        "scene": "semantic",
    }
    for name, entry in discover.metrics().items():
        assert metric(name).extra == entry.extra
        assert entry.extra in {"", *extras.EXTRAS}


# --- a package that is not installed ----------------------------------------------------------------------------------


@pytest.fixture
def without_semantic(monkeypatch):
    def found(name, package=None):
        return None if name in extras.EXTRAS["semantic"] else find_spec(name, package)

    monkeypatch.setattr("importlib.util.find_spec", found)


MISSING = "diffusers is not installed: pip install 'semcom[semantic]'"


def test_a_failed_import_is_one_line():
    missing, broken = (
        r"^no_such_package is not installed: pip install 'semcom\[onnx\]'$",
        r"^json cannot be imported \(",
    )
    with pytest.raises(UsageError, match=missing), extras.extra("onnx"):
        import no_such_package  # noqa: F401
    with pytest.raises(UsageError, match=broken), extras.extra("ray"):
        from json import no_such_name  # noqa: F401
    with pytest.raises(ModuleNotFoundError), extras.extra("onnx"):
        import semcom.no_such_module  # noqa: F401


@pytest.mark.usefixtures("without_semantic")
def test_list_shows_everything_and_what_is_missing(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in (*discover.entries("system"), *discover.metrics()))
    end = printed[printed.index("not installed, pip install 'semcom[semantic]':") :]
    assert "multimodal_generation, scene, clip_image_similarity" in " ".join(end.split())
    assert main(["show", "scene"]) == 0
    assert capsys.readouterr().out.endswith("\nnot installed: pip install 'semcom[semantic]'\n")


@pytest.mark.usefixtures("without_semantic")
@pytest.mark.parametrize(
    ("arguments", "before"),
    [
        (["check", "scene"], ""),
        (["train", "scene", "--steps", "1"], ""),
        (["send", "a.png", "--system", "multimodal_generation", "--snr", "9"], "system 'multimodal_generation': "),
        (["run", "system.yaml"], ""),
        (["run", "metric.yaml"], ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands_name_the_extra(tmp_path, monkeypatch, capsys, scenario_data, write_scenario, arguments, before):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save("a.png")
    write_scenario({**scenario_data, "systems": [{"name": "digital"}, {"name": "scene"}]}, "system.yaml")
    write_scenario({**scenario_data, "metrics": ["psnr", "miou"]}, "metric.yaml")
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"semcom: {before}{MISSING}\n"
    assert not list(tmp_path.glob("runs/**/*.parquet"))
