"""A run as one HTML file: figures, images, table, scenario, software versions and citations.

The page depends only on the folder of the run and on the source of the systems: the same run gives the same bytes. It
contains no scripts and its content security policy forbids network access.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from channels.errors import UsageError
from semcom import atomic, discover
from semcom.report.citations import bibtex
from semcom.report.differences import differences
from semcom.report.elements import estimate, image, tag
from semcom.results import labels, means, plot
from semcom.results import strip as strips
from semcom.results import table as tables
from semcom.results.cells import marked, sample_size, value_text
from semcom.scenario.document import parse_value
from semcom.sweep import record

if TYPE_CHECKING:
    import pyarrow

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 64rem; padding: 1rem; background: #fff; color: #1a1a1a;
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2rem; }
h1, p, li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; } .wide img { display: block; width: 100%; min-width: 34rem; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th { vertical-align: bottom; } .word { text-align: left; } small { color: #555; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f5; padding: .75rem; font-size: .8125rem; }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write(run_folder: str | Path, out: str | Path | None = None, against: str | None = None) -> Path:
    """Write the page of a run, finished or not.

    Args:
        run_folder: folder of the run.
        out: HTML file to write; None for report.html in the folder of the run.
        against: label of the system that the others are compared with; None for no comparison.

    Returns:
        Path of the HTML file.

    Raises:
        UsageError: the folder is not that of a run, or has no rows or no such system; the file cannot be written.
    """
    folder = Path(run_folder)
    if not (folder / "scenario.yaml").is_file():
        raise UsageError(
            f"{folder} is not the folder of a run: it has no scenario.yaml; give the --out folder of semcom run"
        )
    target = folder / "report.html" if out is None else Path(out)
    if target.is_dir() or not target.parent.is_dir():
        what = f"{target} is a folder" if target.is_dir() else f"there is no folder {target.parent}"
        raise UsageError(f"cannot write the report: {what}; name a file, as in --out report.html")
    content = page(folder, against).encode()
    try:
        atomic.write(target, content)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}; choose another --out") from None
    return target


def page(folder: Path, against: str | None = None) -> str:
    """The HTML text of the page of a run.

    Args:
        folder: folder of the run.
        against: label of the system that the others are compared with; None for no comparison.
    """
    text = (folder / "scenario.yaml").read_text(encoding="utf-8")
    written = _scenario(text, folder)
    rows = tables.read(folder)
    title = str(written.get("title", folder.name))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="generator", content="semcom"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", _STYLE),
    )
    body = tag(
        "body",
        tag("h1", title),
        *_summary(folder, rows),
        *_images(folder, rows),
        *_table(rows),
        *(() if against is None else differences(rows, folder, against)),
        tag("h2", "Scenario"),
        tag("pre", text),
        *_origin(folder),
        tag("h2", "Weights"),
        *_weights(rows),
        tag("h2", "Citations"),
        *_citations(written),
    )
    root = tag("html", head, body, lang="en")
    return "<!DOCTYPE html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"


# --- sections --------------------------------------------------------------------------------------------------------


def _summary(folder: Path, rows: pyarrow.Table) -> list[Element]:
    """Progress, number of rows and time of the run."""
    paths = sorted((folder / "rows").glob("[!.]*.parquet"))
    times = sorted(path.stat().st_mtime for path in paths)
    first, last = (datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M") for time in (times[0], times[-1]))
    when = first if first == last else f"{first} to {last}"
    images, repetitions = (len(rows[name].unique()) for name in ("image", "repetition"))
    counts = f"{rows.num_rows} transmissions, {_count(images, 'image')}, {_count(repetitions, 'repetition')}."
    return [tag("p", f"{_progress(folder, len(paths))} {counts} Rows written {when} UTC.")]


def _progress(folder: Path, done: int) -> str:
    """Number of finished points and of all points."""
    from semcom.scenario.load import load_scenario
    from semcom.sweep.repetitions import Repetitions

    try:
        scenario = load_scenario(folder / "scenario.yaml", count=False)
    except UsageError as error:
        return f"{_count(done, 'point')}; the total is unknown, because the scenario cannot be loaded ({error})."
    repetitions, known, total, missing = Repetitions(scenario), deque(scenario.points()), 0, 0
    while known:
        point, total = known.popleft(), total + 1
        part = folder / "rows" / f"{point.key}.parquet"
        if part.is_file():
            known.extend(repetitions.next_points(point, tables.read_part(part)))
        else:
            missing += 1
    if not missing:
        return f"Complete: {_count(total, 'point')}."
    least = "at least " if scenario.stop else ""
    return f"Unfinished: {total - missing} of {least}{total} points."


def _images(folder: Path, rows: pyarrow.Table) -> list[Element]:
    """A figure for each swept quantity with at least three values, and the image strip, plotted from the rows."""
    swept = tables.conditions(rows)
    quantities = [
        name
        for name, values in swept.items()
        if name != "snr_db" and len(values) > 2 and not any(isinstance(value, str | bool) for value in values)
    ]
    systems = ", ".join(rows["system"].unique().to_pylist())
    with TemporaryDirectory() as scratch:
        copy = Path(scratch)  # a writable folder with the inputs of the figures
        for name in ("scenario.yaml", "images", "pictures"):
            (copy / name).symlink_to((folder / name).resolve())
        figures = dict.fromkeys([plot.figure(rows, copy), *(plot.figure(rows, copy, x=name) for name in quantities)])
        shown = [image(path, f"{', '.join(tables.metrics(rows))} of {systems}") for path in figures]
        try:
            strip = image(strips.figure(rows, copy), f"an image as transmitted and as received with {systems}")
        except UsageError:
            strip = tag("p", "This run saved no images.")
    return [tag("h2", "Figures"), *shown, tag("h2", "Images"), strip]


def _table(rows: pyarrow.Table) -> list[Element]:
    """Mean and 95 % interval: one line for each system and condition, one column for each metric."""
    swept = tables.conditions(rows)
    shown = [name for name, values in swept.items() if len(values) > 1 or name == "snr_db"]
    fixed = [labels.fixed_condition(name, values[0]) for name, values in swept.items() if name not in shown and values]
    metrics = tables.metrics(rows)
    cells: dict[tuple[Any, ...], dict[str, str]] = {}
    estimates = []
    for metric in metrics:
        for line in means.summarize(rows, metric):
            system = f"{line.system} (bound)" if line.bound else line.system
            key = (system, *(line.conditions[name] for name in shown))
            cells.setdefault(key, {})[metric] = marked(line.estimate)
            estimates.append(line.estimate)
    head = tag(
        "tr",
        tag("th", "System", scope="col", class_="word"),
        *(tag("th", labels.axis_label(name), scope="col") for name in shown),
        *(tag("th", labels.axis_label(name, unit), scope="col") for name, unit in metrics.items()),
    )
    lines = [
        tag(
            "tr",
            tag("th", key[0], scope="row", class_="word"),
            *(tag("td", value_text(value)) for value in key[1:]),
            *(estimate(found.get(metric, "")) for metric in metrics),
        )
        for key, found in cells.items()
    ]
    one_image = len(rows["image"].unique()) == 1
    about = "; ".join(filter(None, ["Means", *fixed, labels.csit(rows), sample_size(estimates, one_image)])) + "."
    table = tag("table", tag("thead", head), tag("tbody", *lines))
    return [tag("h2", "Table"), tag("p", about), tag("div", table, class_="wide")]


def _origin(folder: Path) -> list[Element]:
    """The recorded commands and software versions; without a record, a command that reproduces the rows."""
    sessions = record.sessions(folder)
    if not sessions:
        return [
            tag("h2", "Command"),
            tag(
                "p",
                "The command was not recorded. With the scenario above as scenario.yaml, this one gives the same rows:",
            ),
            tag("pre", f"semcom run scenario.yaml --out {folder.resolve().name}"),
            tag("h2", "Software"),
            tag("p", "The software versions were not recorded. This page was written with:"),
            tag("pre", _versions(record.versions())),
        ]
    several = len(sessions) > 1
    found: list[Element] = []
    for number, session in enumerate(sessions, 1):
        found += [
            tag("h2", f"Command {number} of {len(sessions)}" if several else "Command"),
            tag("pre", session["command"]),
            tag("h2", f"Software of command {number}" if several else "Software"),
            tag("pre", _versions({**session["versions"], "commit": session["commit"]})),
        ]
    return found


def _weights(rows: pyarrow.Table) -> list[Element]:
    pairs = zip(rows["system"].to_pylist(), rows["weights"].to_pylist(), strict=True)
    found = [f"{system}: {weights}" for system, weights in dict.fromkeys(pairs) if weights]
    if not found:
        return [tag("p", "No system of this run has trained weights.")]
    return [
        tag("p", "Name of each weight file and first 8 hexadecimal digits of its SHA-256 hash:"),
        tag("ul", *(tag("li", text) for text in found)),
    ]


def _citations(written: dict[str, Any]) -> list[Element]:
    """BibTeX of each system of the scenario."""
    cited: dict[str, None] = {}
    uncited: dict[str, None] = {}
    for system in written.get("systems", []):
        try:
            text = bibtex(system["name"], discover.find("system", system["name"]).path, system)
        except UsageError:
            text = ""
        (cited if text else uncited)[text or system["name"]] = None
    found = [tag("pre", "\n\n".join(cited))] if cited else []
    if uncited:
        found.append(tag("p", f"No citation is known for {', '.join(uncited)}."))
    return found


# --- texts ----------------------------------------------------------------------------------------------------------


def _scenario(text: str, folder: Path) -> dict[str, Any]:
    try:
        written = parse_value(text, str(folder / "scenario.yaml"))
    except UsageError:
        written = None
    if not isinstance(written, dict):
        raise UsageError(f"{folder / 'scenario.yaml'} is not a scenario; give the --out folder of semcom run")
    return written


def _versions(versions: dict[str, Any]) -> str:
    return "\n".join(f"{name} {version}" for name, version in versions.items())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
