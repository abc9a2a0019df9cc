"""Pages made from the sources at each build: the API, the command line, and the course from the notebooks."""

from __future__ import annotations

import argparse
import ast
import importlib
import itertools
import pydoc
from collections.abc import Iterator
from pathlib import Path
from typing import get_origin

import yaml
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from semcom import discover
from semcom.cli.main import build_parser

ROOT = Path(__file__).parents[2]

# Packages without a stub file: their public modules, each documented with all its public names.
_MODULES = {
    "semcom.results": ("table", "means", "table_formats", "intervals", "plot"),
    "semcom.codecs": ("image_file", "label_map", "mask_positions", "file_frames"),
    "semcom.radio": ("link", "recording", "shared", "capture"),
    "semcom.recognition": ("recording", "networks", "set_network", "sequence_network", "metrics"),
    "channels.waveform": ("frame", "header", "modulator", "receiver", "pulse", "impairments", "ofdm"),
}
_WITH_STUBS = (
    "semcom",
    "semcom.images",
    "semcom.metrics",
    "semcom.scenario",
    "semcom.sweep",
    "semcom.training",
    "semcom.contract",
    "semcom.weights",
    "semcom.report",
    "semcom.discover",
    "semcom.budget",
    "semcom.edge",
    "channels",
    "channels.modem",
    "channels.certificate",
)

_SINGLE_MODULES = (
    "channels.recognition",
    "channels.blind_recognition",
    "semcom.devices",
    "semcom.images.padding",
    "semcom.images.street_classes",
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before the sources are read."""
    app.connect("config-inited", lambda app, config: write_pages(Path(app.srcdir)))
    app.connect("missing-reference", _to_public_name)
    return {"parallel_read_safe": True}


def write_pages(docs: Path) -> None:
    """Write the generated pages and copies of the notebooks into the folder of the site's sources."""
    api = docs / "reference" / "api"
    api.mkdir(exist_ok=True)
    pages = {name: _stub_page(name) for name in _WITH_STUBS}
    pages |= {name: _modules_page(name, modules) for name, modules in _MODULES.items()}
    pages |= {name: f"{_title(name)}\n.. automodule:: {name}\n   :members:\n" for name in _SINGLE_MODULES}
    pages |= {"semcom.systems": _builds_page("system"), "channels.builds": _builds_page("channel")}
    for name, text in pages.items():
        _write(api / f"{name}.rst", text)
    _write(docs / "reference" / "command_line.rst", _command_line_page())
    _write(docs / "reference" / "metrics.rst", _metrics_page())
    _write(docs / "reference" / "generated_properties.md", _property_tables())
    _write(docs / "reference" / "generated_scenarios.md", _scenario_table())
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    for notebook in notebooks:
        _write(docs / "course" / notebook.name, notebook.read_text(encoding="utf-8"))
    current = {f"{name}.rst" for name in pages} | {notebook.name for notebook in notebooks}
    for path in (*api.glob("*.rst"), *(docs / "course").glob("*.ipynb")):
        if path.name not in current:
            path.unlink()


# --- API -------------------------------------------------------------------------------------------------------------


def _stub_page(package: str) -> str:
    """The public names of a package, in the order of its stub file."""
    module = importlib.import_module(package)
    names = list(_public_names(package))
    parts = [_title(package), f"{_summary(module.__doc__)}\n"]
    parts += [_directive(package, name, getattr(module, name)) for name in names]
    return "\n".join(parts)


def _modules_page(package: str, modules: tuple[str, ...]) -> str:
    parts = [_title(package), f"{_summary(importlib.import_module(package).__doc__)}\n"]
    for module in modules:
        parts += [_title(f"{package}.{module}", "-"), f".. automodule:: {package}.{module}\n   :members:\n"]
    return "\n".join(parts)


def _builds_page(kind: discover.Kind) -> str:
    """The build function of each system or channel: its arguments are those of a scenario."""
    package = "semcom.systems" if kind == "system" else "channels"
    title = "Systems" if kind == "system" else "Channels of a scenario"
    parts = [_title(title)]
    parts.append(
        f"The arguments of ``build`` are the keys that a scenario may write for a {kind}, and the names that\n"
        f"``--set`` and a sweep use. ``semcom show NAME`` prints the same."
        + (" ``cbr`` comes from ``medium_cbr`` and the number of users.\n" if kind == "system" else "\n")
    )
    for name in discover.entries(kind):
        parts += [_title(name, "-"), f".. autofunction:: {package}.{name}.build\n"]
    return "\n".join(parts)


def _directive(package: str, name: str, value: object) -> str:
    is_alias = get_origin(value) is not None
    home = package if is_alias else getattr(value, "__module__", package)
    if home.partition(".")[0] != package.partition(".")[0]:
        return f"``{package}.{name}`` is :class:`{home.partition('.')[0]}.{name}`.\n"
    if isinstance(value, type):
        bases = "" if value.__bases__ == (object,) else "   :show-inheritance:\n"
        return f".. autoclass:: {package}.{name}\n   :members:\n{bases}"
    if callable(value) and not is_alias:
        return f".. autofunction:: {package}.{name}\n"
    return f".. py:data:: {package}.{name}\n\n   {_data_text(dict(_full_names(package))[name])}\n"


def _data_text(full_name: str) -> str:
    """The text that stands under a constant in its source."""
    module, _, name = full_name.rpartition(".")
    body = ast.parse(ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")).body
    for node, text in itertools.pairwise(body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = any(isinstance(target, ast.Name) and target.id == name for target in targets)
        if named and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            return " ".join(str(text.value.value).split()).replace("`", "``")
    return ""


def _public_names(package: str) -> Iterator[str]:
    return (public for public, _ in _full_names(package))


def _full_names(package: str) -> Iterator[tuple[str, str]]:
    """Public names of a package and the full names of what they stand for, from its stub file."""
    stub = ROOT.joinpath(*package.split("."), "__init__.pyi")
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{package}.{node.module}.{alias.name}"


def _to_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Link an annotation such as semcom.system.Sample to where its public name semcom.Sample is documented.

    Names that exist but are not public stay text.
    """
    target = node.get("reftarget", "")
    for package in _WITH_STUBS:
        for public, full in _full_names(package):
            if target in (full, public):
                return env.domains["py"].resolve_xref(
                    env, node["refdoc"], app.builder, "obj", f"{package}.{public}", node, content
                )
    return content if target.startswith(("semcom.", "channels.")) and pydoc.locate(target) else None


# --- tables ----------------------------------------------------------------------------------------------------------


def _metrics_page() -> str:
    directions = {True: "higher", False: "lower", None: ""}
    parts = [_title("Metrics"), ".. list-table::\n   :header-rows: 1\n"]
    rows = [("metric", "meaning", "unit", "better")]
    for metric in discover.metrics().values():
        summary = metric.summary.replace("`", "``")
        rows.append((f"``{metric.name}``", summary, metric.unit, directions[metric.higher_is_better]))
    parts += ["   * - " + "\n     - ".join(row) for row in rows]
    parts += ["\n:doc:`../how_to/metric` describes how a metric is defined, :doc:`run_folder` how rows store ratios.\n"]
    return "\n".join(parts)


def _property_tables() -> str:
    """The properties that `semcom check` tests, as tables in Markdown."""
    from semcom import contract

    parts = []
    for title, properties in (("channel", contract.CHANNEL_PROPERTIES), ("system", contract.SYSTEM_PROPERTIES)):
        parts += [f"**Properties of a {title}**\n", "| property | meaning |", "|---|---|"]
        for function in properties:
            meaning = _summary(function.__doc__).partition("\n")[0].replace("|", "\\|")
            parts.append(f"| `{function.__name__}` | {meaning} |")
        parts.append("")
    return "\n".join(parts)


def _scenario_table() -> str:
    """Files of scenarios/ with their titles, as a table in Markdown."""
    parts = ["| file | title |", "|---|---|"]
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        title = yaml.safe_load(path.read_text(encoding="utf-8"))["title"]
        parts.append(f"| `{path.relative_to(ROOT)}` | {title} |")
    return "\n".join(parts) + "\n"


# --- command line ----------------------------------------------------------------------------------------------------


def _command_line_page() -> str:
    parser = build_parser()
    parts = [
        _title("Command line"),
        f"{parser.description}\n",
        "These are the texts that ``--help`` prints. :doc:`errors` lists the exit codes.\n",
    ]
    for name, command in _commands(parser).items():
        command.formatter_class = _Wide
        parts += [f".. _command-{name}:\n", _title(f"semcom {name}", "-"), ".. code-block:: text\n"]
        parts.append("".join(f"   {line}".rstrip() + "\n" for line in command.format_help().splitlines()))
    return "\n".join(parts)


class _Wide(argparse.HelpFormatter):
    """The same width whatever the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("semcom has no commands")


# --- pieces ----------------------------------------------------------------------------------------------------------


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"


def _summary(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n\n")[0].replace("`", "``")


def _write(path: Path, text: str) -> None:
    """Write only what has changed, so that Sphinx reads only that again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
