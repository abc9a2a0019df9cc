"""Results that the documentation quotes: measure them with `semcom run`, store them in results/, render the pages.

    python benchmarks/results.py list                 # experiments of results/experiments/ and their commands
    python benchmarks/results.py run kodak_awgn       # measure one again (hours for some) and store its summary
    python benchmarks/results.py collect kodak_awgn runs/kodak_awgn       # store the summary of a finished run
    python benchmarks/results.py render               # docs/results/*.md and the table in README.md

Stored for each run: results/NAME.csv (means and intervals), results/NAME.json (command, version, commit, date, machine,
seconds) and docs/results/NAME.png. An entry with `against: LABEL` has results/NAME_paired.csv, too: the difference
of each other system to that one, paired by image, in the metrics of the figure. The pages hold no other numbers. The
images are those of the scenario in the command. A commit that is not part of the published history is left empty in
NAME.json; the page then states version and date alone.

results/experiments/PAGE.yaml has the texts, which state no numbers, and the command of each experiment. The key `x` is
the horizontal axis of a figure; `tables` are metrics that the figure does not show. An entry with the key `data` is a
table: results/NAME.csv is the table itself, and the entry states the data. Its command writes the table (`--out
results/NAME.csv`, or `--out results` for all tables of a measurement), and `run` stores its origin in
results/NAME.json. A table that was stored otherwise has the key `measured`, which says how; one that was read from
published figures has no command.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version as package_version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import differences
import outputs
import result_tables
import yaml
from argument_types import whole

from channels import UsageError
from semcom import atomic, discover
from semcom.discover import metrics, nearest
from semcom.results import labels
from semcom.scenario import load_scenario
from semcom.training import provenance

if TYPE_CHECKING:
    from semcom.scenario import Scenario

ROOT = Path(__file__).parents[1]
SUMMARIES, PAGES, README = ROOT / "results", ROOT / "docs" / "results", ROOT / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
_OWN_SIZE = {  # pixels of the images of a source, width first
    **{"camvid": "256 x 192", "streets": "256 x 192", "natural": "128 x 128", "imagenette": "128 x 128"},
    **{"kodak": "768 x 512 or 512 x 768"},
}


def experiments() -> dict[str, dict[str, Any]]:
    """Entries of results/experiments/PAGE.yaml by name, each with its page."""
    return {
        entry["name"]: entry | {"page": page} for page, content in pages().items() for entry in content["experiments"]
    }


def pages() -> dict[str, dict[str, Any]]:
    """Title, first paragraph and experiments of each page of results."""
    files = sorted((SUMMARIES / "experiments").glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def chosen(name: str) -> dict[str, Any]:
    """One entry.

    Raises:
        UsageError: no such experiment.
    """
    known = experiments()
    if name not in known:
        raise UsageError(f"no experiment {name!r}; {nearest(name, known)}")
    return known[name]


def writes(command: str, name: str) -> bool:
    """Whether the command of a table writes results/NAME.csv: the table itself, or all tables of the folder results."""
    return any(after in (f"results/{name}.csv", "results") for _, after in _outs(command))


def _outs(command: str) -> list[tuple[str, str]]:
    words = shlex.split(command)
    return [(option, value) for option, value in pairwise(words) if option == "--out"]


def _by_hand(name: str, entry: dict[str, Any]) -> str:
    """How the table of an experiment is made again whose command does not write it."""
    if entry["measured"].startswith("Read from"):
        return "it was read from published figures, and there is nothing to measure"
    first, *more = _lines(entry["command"])
    if first.startswith("semcom run"):
        if more:
            first = " and ".join(
                f"`{line} --out runs/{name}/{number}`" for number, line in enumerate([first, *more], 1)
            )
        else:
            first = f"`{first} --out runs/{name}`"
        return f"run {first}, edit the table by the summary.csv of the run, then `make results`"
    commands = " and ".join(f"`{line}`" for line in [first, *more])
    return f"run {commands}, edit the table by what it prints, then `make results`"


def _lines(command: str) -> list[str]:
    return [line.removeprefix("$ ") for line in command.splitlines()]


def run(name: str, workers: int) -> None:
    """Measure an experiment again and store it.

    A scenario runs in runs/results/NAME, and resumes an interrupted run; the command of a table writes the table, and
    the origin of all tables that it writes is stored.

    Raises:
        UsageError: the command fails, or does not write the table.
    """
    entry = chosen(name)
    if "data" not in entry:
        folder = ROOT / "runs" / "results" / name
        _execute(f"{entry['command']} --out {shlex.quote(str(folder))} --workers {workers}")
        collect(name, folder)
        return
    command = entry.get("command", "")
    if not writes(command, name):
        raise UsageError(f"results/{name}.csv is not stored from a run: {_by_hand(name, entry)}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    commit, before = provenance.commit(), os.times()  # the commit of the code, before tables change
    for line in _lines(command):
        _execute(f"{line} --force" if "--out" in line else line)  # a former table may have other columns
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    origin = {
        **_made(command, commit, package_version("semcom")),
        "load_average": None if load is None else round(load, 1),
        "cpu_s": round(cpu_s),
    }
    for other, one in experiments().items():
        if one.get("command") == command and writes(command, other):
            _store_origin(other, origin)


def _execute(line: str) -> None:
    """Run a printed command with this Python, from the folder of the project."""
    words, environment = shlex.split(line), dict(os.environ)
    while "=" in words[0]:
        variable, _, value = words.pop(0).partition("=")
        if value != "...":  # a value of the user, as in SEMCOM_DATA=...
            environment[variable] = value
    start = [sys.executable] if words[0] == "python" else [sys.executable, "-m", words[0]]
    if subprocess.run([*start, *words[1:]], cwd=ROOT, env=environment).returncode:
        raise UsageError(f"`{line}` failed; its message is above")


def _made(command: str, commit: str, version: str) -> dict[str, Any]:
    return {
        "command": command,
        "version": version,
        "commit": commit,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
    }


def _store_origin(name: str, origin: dict[str, Any]) -> None:
    outputs.write_text(_origin_file(name), json.dumps(origin, indent=1) + "\n")


def collect(name: str, folder: Path) -> None:
    """Store summary, figure and origin of a finished run."""
    from semcom.results import plot, table, table_formats
    from semcom.sweep.record import sessions

    entry, rows = chosen(name), table.read(folder)
    outputs.write_text(SUMMARIES / f"{name}.csv", table_formats.as_csv(rows))
    if "against" in entry:
        paired = differences.as_csv(rows, entry["metrics"], entry["against"])
        outputs.write_text(SUMMARIES / f"{name}_paired.csv", paired)
    PAGES.mkdir(exist_ok=True)
    shown = [metric for metric in entry["metrics"] if metric in table.metrics(rows)]
    atomic.write(PAGES / f"{name}.png", plot.figure(rows, folder, entry.get("x"), shown).read_bytes())
    made = sessions(folder)
    commit, version = (made[-1]["commit"], made[-1]["versions"].get("semcom", "")) if made else ("", "")
    origin = {
        **_made(entry["command"], commit, version),
        "transmissions": rows.num_rows,
        "cpu_s": round(sum(rows["seconds"].to_pylist())) if "seconds" in rows.column_names else None,
    }
    _store_origin(name, origin)


def render() -> list[Path]:
    """Write a page for each system and the table of README.md; return what was written."""
    written = []
    for page, content in pages().items():
        sections = [
            (verbatim if "data" in entry else section)(entry["name"], entry)
            for entry in content["experiments"]
            if (SUMMARIES / f"{entry['name']}.csv").is_file()
        ]
        path, head = PAGES / f"{page}.md", f"# {content['title']}\n\n{content['text'].strip()}\n\n"
        outputs.write_text(path, head + "\n".join(sections))
        written.append(path)
    if README.is_file() and BEGIN in (text := README.read_text(encoding="utf-8")):
        before, _, rest = text.partition(BEGIN)
        try:
            outputs.write_text(README, f"{before}{BEGIN}\n{overview()}{END}{rest.partition(END)[2]}")
            written.append(README)
        except UsageError as error:
            print(f"results: README.md is unchanged: {error}", file=sys.stderr)
    return written


def section(name: str, entry: dict[str, Any]) -> str:
    """One experiment: text, figure, a table a metric, and how to repeat it."""
    lines, origin = _summary(name), json.loads(_origin_file(name).read_text(encoding="utf-8"))
    parts = [f"## {entry['title']}\n"]
    if "text" in entry:
        parts.append(entry["text"].strip() + "\n")
    if (PAGES / f"{name}.png").is_file():
        shown = ", ".join(_title(metric) for metric in entry["metrics"])
        parts.append(f"![{entry['title']}: {shown}]({name}.png)\n")
    for metric in [*entry["metrics"], *entry.get("tables", [])]:
        found = [line for line in lines if line["metric"] == metric]
        if found:
            parts.append(result_tables.markdown(_title(metric), found))
    if "against" in entry and (SUMMARIES / f"{name}_paired.csv").is_file():
        paired = _summary(f"{name}_paired")
        for metric in dict.fromkeys(line["metric"] for line in paired if float(line["mean"])):  # some image differs
            title = f"{_title(metric)}: difference to {entry['against']}, paired by image"
            parts.append(result_tables.markdown(title, [line for line in paired if line["metric"] == metric]))
    shown = f"{data(origin['command'])}{link(origin['command'])}"
    conditions = f"Data: {shown}. {origin['transmissions']} transmissions, {_measured(origin)}"
    parts.append(f"```console\n$ {entry['command']}\n```\n\n{conditions} Numbers: `results/{name}.csv`.\n")
    return "\n".join(parts)


def _origin_file(name: str) -> Path:
    return SUMMARIES / f"{name}.json"


def _measured(origin: dict[str, Any]) -> str:
    """Machine, time and version of a measurement, with its full stop."""
    took, load = origin.get("cpu_s"), origin.get("load_average")
    unit = "run time in all" if "transmissions" in origin else "processor time"
    spent = "" if not took else f", {took} s of {unit}" if took < 90 else f", {took / 60:.0f} min of {unit}"
    busy = "" if load is None else f", load average {load} at the start"
    made = f"version {origin['version']}" + (f" (commit `{origin['commit']}`)" if origin["commit"] else "")
    return f"{origin['machine']}{spent}{busy}, measured {origin['date']} with {made}."


def data(command: str) -> str:
    """Images and repetitions of the scenario that a command `semcom run FILE --set KEY=VALUE ...` transmits."""
    scenario, found = _scenario(command), []
    for images in scenario.images:
        own = _OWN_SIZE.get(images.source.partition(":")[0], "their own number of")
        size = f"{images.size} x {images.size}" if images.size else own
        found.append(f"{images.count or 'all'} images of `{images.source}`, {size} pixels")
    repetitions = scenario.repetitions
    return f"{'; '.join(found)}; {repetitions} repetition{'' if repetitions == 1 else 's'}"


def link(command: str) -> str:
    """Channel-use budgets and channels of the scenario that a command transmits, with a semicolon before."""
    if not command.startswith("semcom run"):
        return ""
    try:
        scenario = _scenario(command)
    except UsageError:  # a scenario with a task, which transmits no images
        return ""
    of_all = " of all users together" if max(scenario.users) > 1 else ""
    budgets = ", ".join(map(labels.ratio, scenario.medium_cbr))
    channels = [discover.title("channel", channel.label) for channel in scenario.channels]
    plural = "s" if len(channels) > 1 else ""
    return f"; channel-use budget{of_all}: CBR {budgets}; channel{plural}: {'; '.join(channels)}"


def _scenario(command: str) -> Scenario:
    words = shlex.split(command.splitlines()[0])
    return load_scenario(ROOT / words[2], [value for option, value in pairwise(words) if option == "--set"])


def verbatim(name: str, entry: dict[str, Any]) -> str:
    """A table as results/NAME.csv holds it, and how to repeat it."""
    with (SUMMARIES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        head, *body = csv.reader(file)
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *body])
    text = f"{entry['text'].strip()}\n\n" if "text" in entry else ""
    command = f"```console\n$ {entry['command']}\n```\n\n" if "command" in entry else ""
    origin = _origin_file(name)
    known = origin.is_file()
    measured = _measured(json.loads(origin.read_text(encoding="utf-8"))) if known else entry["measured"].strip()
    made = f"Data: {entry['data'].strip()}{link(entry.get('command', ''))}. {measured} Numbers: `results/{name}.csv`.\n"
    return f"## {entry['title']}\n\n{text}{table}\n\n{command}{made}"


def overview() -> str:
    """The table of README.md: one line a system, as results/overview.yaml says, with numbers from results/*.csv."""
    wanted = yaml.safe_load((SUMMARIES / "overview.yaml").read_text(encoding="utf-8"))
    text = "| System | Measured | Result | Baseline |\n|---|---|---|---|\n"
    for entry in wanted:
        result = _value(entry["experiment"], **entry["result"])
        baseline = dict(entry.get("baseline") or {})
        name = baseline.pop("name", "")
        other = f"{name}: {_value(entry['experiment'], **baseline)}" if baseline else ""
        text += f"| [{entry['title']}](docs/results/{entry['page']}.md) | {entry['measured']} | {result} | {other} |\n"
    return text


def _value(name: str, where: dict[str, Any], column: str = "") -> str:
    """One number of results/NAME.csv: a cell of the only line that `where` describes, or its mean and interval."""
    found = [line for line in _summary(name) if all(line[key] == str(value) for key, value in where.items())]
    if len(found) != 1:
        raise UsageError(f"results/{name}.csv has {len(found)} lines with {where}; name exactly one")
    return result_tables.with_bounds(found[0][column]) if column else result_tables.cell(found[0])


def _summary(name: str) -> list[dict[str, str]]:
    path = SUMMARIES / f"{name}.csv"
    if not path.is_file():
        raise UsageError(f"results/{name}.csv is missing; measure it: python benchmarks/results.py run {name}")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _title(metric: str) -> str:
    entry = metrics().get(metric)
    return labels.axis_label(metric, entry.unit if entry else "")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="experiments, and whether each has a summary")
    one = commands.add_parser("run", help="measure experiments again")
    one.add_argument("names", nargs="+", metavar="NAME")
    one.add_argument("--workers", type=whole(1), default=1, help="number of processes (default 1)")
    collected = commands.add_parser("collect", help="store the summary of a finished run")
    collected.add_argument("name", metavar="NAME")
    collected.add_argument("folder", type=Path, help="folder of the run")
    commands.add_parser("render", help="write the pages and the table of README.md")
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            for name, entry in experiments().items():
                state = "summary" if (SUMMARIES / f"{name}.csv").is_file() else "not measured"
                print(f"{name:<22} {state:<13} {entry.get('command', 'read from published figures')}")
        elif options.command == "run":
            for name in options.names:
                run(name, options.workers)
        elif options.command == "collect":
            collect(options.name, options.folder)
        if options.command != "list":
            print("\n".join(str(path.relative_to(ROOT)) for path in render()))
    except UsageError as error:
        print(f"results: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
