"""The documentation site builds without a warning, and its links lead somewhere."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from semcom import discover
from semcom.scenario import Scenario

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


# --- the built site --------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Identifiers and links of an HTML file, and the addresses of what a browser loads with it."""

    def __init__(self, path):
        super().__init__()
        self.identifiers, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.identifiers |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif tag != "a":
            self.loaded += [values[name] for name in ("src", "href") if values.get(name)]


def test_site(tmp_path):
    """One test, so that parallel test processes build the site once; notebooks are executed by test_notebooks.py."""
    out = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-b", "html", str(DOCS), str(out)]
    environment = {**os.environ, "SEMCOM_DOCS_EXECUTE": "off"}
    built = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr

    pages = {path: Page(path) for path in out.rglob("*.html")}
    assert len(pages) > 60
    problems = []
    for path, page in pages.items():
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.scheme in ("http", "https", "mailto", "data"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                problems.append(f"{path.relative_to(out)}: no file {address}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].identifiers:
                problems.append(f"{path.relative_to(out)}: no anchor {address}")
        outside = [address for address in page.loaded if urlsplit(address).scheme in ("http", "https")]
        assert not outside, f"{path.name} loads {outside} from the network"
        if unknown := re.findall(r"<m[io][^>]*>(\\[^<]+)<", path.read_text(encoding="utf-8")):
            problems.append(f"{path.relative_to(out)}: no symbol for {unknown}")
    assert not problems, "\n".join(problems)

    script = (out / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
    found = index["terms"]["rayleigh"]
    names = {index["docnames"][i] for i in (found if isinstance(found, list) else [found])}
    assert "start/concepts" in names

    systems = (out / "reference" / "api" / "semcom.systems.html").read_text(encoding="utf-8")
    channels = (out / "reference" / "api" / "channels.builds.html").read_text(encoding="utf-8")
    assert all(f'id="semcom.systems.{name}.build"' in systems for name in discover.entries("system"))
    assert all(f'id="channels.{name}.build"' in channels for name in discover.entries("channel"))
    metrics = (out / "reference" / "metrics.html").read_text(encoding="utf-8")
    assert all(f">{name}<" in metrics for name in discover.metrics())
    courses = {path.stem for path in (out / "course").glob("[01]*.html")}
    assert courses == {path.stem for path in ROOT.glob("notebooks/*.ipynb")}


# --- what the pages say ----------------------------------------------------------------------------------------------


def test_all_columns_of_a_run_are_described(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, names = (DOCS / "reference" / "run_folder.md").read_text(encoding="utf-8"), {"__name__": "page"}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], names)
    metrics = discover.metrics()
    columns = [column for column in names["rows"].column_names if column.partition(".")[0] not in metrics]
    assert not [column for column in columns if f"`{column}`" not in text]


def test_all_scenario_keys_are_described():
    text = (DOCS / "reference" / "scenario.md").read_text(encoding="utf-8")
    keys = {field.name for field in fields(Scenario)} - {"channels", "axes"} | {"channel", "sweep"}
    assert not [key for key in keys if f"`{key}`" not in text]


PAGES = {"system": ("systems", "semcom.systems"), "channel": ("channel_models", "channels")}


@pytest.mark.parametrize("kind", PAGES)
def test_every_system_and_channel_has_its_place(kind):
    """Equation, arguments, source, scenarios and results; scenarios are missing only where there is none."""
    page, package = PAGES[kind]
    text = (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8")
    sections = {part.partition("`")[0]: part for part in text.split("\n### `")[1:]}
    assert sections.keys() == set(discover.entries(kind))
    files = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in ROOT.glob("scenarios/*.yaml")}
    for name, part in sections.items():
        assert part.count("$$") >= 2 or "the equation is that of `onnx`" in part, name
        lines = dict(re.findall(r"^\* (\w+): (.*)$", part, re.MULTILINE))
        assert list(lines) == ["Arguments", "Source", "Scenarios", "Results"], name
        assert lines["Arguments"] == f"{{py:func}}`{package}.{name}.build`"
        stated = re.findall(r"`(\w+\.yaml)`", lines["Scenarios"].partition("; ")[0])
        used = {file for file, scenario in files.items() if name in names_in(scenario, kind)}
        assert set(stated) <= used, (name, set(stated) - used)
        assert stated or not used, (name, used)


def names_in(scenario, kind):
    written = scenario.get("systems" if kind == "system" else "channel", [])
    parts = written if isinstance(written, list) else [written]
    return {part if isinstance(part, str) else part["name"] for part in parts}


def test_every_image_source_is_described():
    text = (DOCS / "how_to" / "images.md").read_text(encoding="utf-8")
    assert not [name for name in discover.sources() if not re.search(rf"[`\"]{name}[:`]", text)]


def test_versions_agree():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert str(yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]) == version
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
