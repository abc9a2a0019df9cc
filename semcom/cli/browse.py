"""`semcom list` and `semcom show`: the available parts, and the details of one."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from channels.errors import UsageError
from channels.extras import is_installed
from semcom import discover
from semcom.cli.common import Commands, add_scenario_set_option, count_points, describe_arguments, find_entry, relative

_LONGEST_SUMMARY = 90  # characters of a description in `semcom list`


def add_commands(commands: Commands) -> None:
    """Add `list` and `show`."""
    commands.add("list", _list)
    show = commands.add("show", _show)
    show.add_argument(
        "name", metavar="NAME", help="system, channel, path of a .py file that defines one, or path of a scenario file"
    )
    add_scenario_set_option(show)


def _list(options: argparse.Namespace) -> None:
    """List the systems, bounds and references, channels, image sources and metrics."""
    systems = discover.entries("system")
    sections = {
        "systems": {name: entry.summary for name, entry in systems.items() if not entry.bound},
        "bounds and references": {name: entry.summary for name, entry in systems.items() if entry.bound},
        "channels": {name: entry.summary for name, entry in discover.entries("channel").items()},
        "image sources": discover.sources(),
        "metrics": {name: metric.summary for name, metric in discover.metrics().items()},
    }
    width = max(len(name) for items in sections.values() for name in items)
    for title, items in sections.items():
        print(title)
        for name, summary in items.items():
            print(f"  {name:<{width}}  {_shortened(summary)}".rstrip())
    for extra, names in discover.missing().items():
        print(f"not installed, pip install 'semcom[{extra}]':")
        print(textwrap.fill(", ".join(names), 100, initial_indent="  ", subsequent_indent="  "))


def _show(options: argparse.Namespace) -> None:
    """Show the arguments of a system or channel, or a scenario file with all its defaults."""
    if _is_scenario(options.name):
        from semcom.scenario.load import load_scenario, to_yaml

        scenario = load_scenario(options.name, options.set, count=False)
        print(f"{to_yaml(scenario)}\n# {count_points(scenario)}")  # what is printed is a scenario file
        return
    from semcom.scenario.arguments import scenario_arguments

    entry = find_entry(options.name)
    if options.set:
        raise UsageError(f"--set applies to a scenario file, and {entry.name} is a {entry.kind}; leave out --set")
    print(f"{entry.kind} {entry.name} ({relative(entry.path)})\n\n{entry.text.partition('Args:')[0].strip()}\n")
    print(describe_arguments(scenario_arguments(entry)))
    if not is_installed(entry.extra):
        print(f"\nnot installed: pip install 'semcom[{entry.extra}]'")


def _is_scenario(name: str) -> bool:
    """Whether a name is that of a scenario file: it ends in .yaml or .yml, or is a file of any other name."""
    if name.endswith(".py") or name in discover.entries("system") or name in discover.entries("channel"):
        return False
    return Path(name).suffix.lower() in (".yaml", ".yml") or Path(name).is_file()


def _shortened(text: str) -> str:
    """The first clause of a summary: without later clauses that exceed the line."""
    clause = text.partition("; ")[0].partition(". ")[0].removesuffix(".")
    for separator in (", ", ": ", " ("):
        while separator in clause and (len(clause) > _LONGEST_SUMMARY or clause.count("(") > clause.count(")")):
            clause = clause.rpartition(separator)[0]
    return textwrap.shorten(clause, _LONGEST_SUMMARY, placeholder=" ...")
