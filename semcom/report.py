"""One page about a run, in a file that needs no other: figures, pictures, table, scenario, software, citations.

The page is made from the run's folder and the systems' source, so that the same run gives the same bytes. It has no
scripts, asks the network for nothing, and forbids its reader's browser to.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import yaml

from channels._errors import UsageError
from semcom import _report_record, discover, plot
from semcom import table as tables
from semcom._report_citations import bibtex

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


def write(run_folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the page of a run, finished or not.

    Args:
        run_folder: that `sweep.run` wrote to.
        out: the HTML file; by default report.html in the run's folder.

    Returns:
        The file.

    Raises:
        UsageError: not the folder of a run, one without rows, a file that cannot be written.
    """
    folder = Path(run_folder)
    if not (folder / "scenario.yaml").is_file():
        raise UsageError(f"{folder} is not the folder of a run: it has no scenario.yaml; semcom run SCENARIO makes one")
    target = folder / "report.html" if out is None else Path(out)
    if target.is_dir() or not target.parent.is_dir():
        what = f"{target} is a folder" if target.is_dir() else f"there is no folder {target.parent}"
        raise UsageError(f"cannot write the report: {what}; name a file, as in --out report.html")
    content = page(folder).encode()
    temporary = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}; choose another --out") from None
    return target


def page(folder: Path) -> str:
    """The page as text."""
    text = (folder / "scenario.yaml").read_text(encoding="utf-8")
    written = _scenario(text, folder)
    rows = tables.read(folder)
    title = str(written.get("title", folder.name))
    head = _tag(
        "head",
        _tag("meta", charset="utf-8"),
        _tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        _tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _tag("title", title),
        _tag("style", _STYLE),
    )
    body = _tag(
        "body",
        _tag("h1", title),
        *_summary(folder, rows),
        *_pictures(folder, rows),
        *_table(rows),
        _tag("h2", "Scenario"),
        _tag("pre", text),
        *_origin(folder),
        _tag("h2", "Weights"),
        *_weights(rows),
        _tag("h2", "Citations"),
        *_citations(written),
    )
    root = _tag("html", head, body, lang="en")
    return "<!DOCTYPE html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"


# --- sections --------------------------------------------------------------------------------------------------------


def _summary(folder: Path, rows: pyarrow.Table) -> list[Element]:
    """How much of the run there is, and when it was made."""
    paths = sorted((folder / "rows").glob("[!.]*.parquet"))
    times = sorted(path.stat().st_mtime for path in paths)
    first, last = (datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M") for time in (times[0], times[-1]))
    when = first if first == last else f"{first} to {last}"
    pictures, repetitions = (len(rows[name].unique()) for name in ("image", "repetition"))
    counts = f"{rows.num_rows} transmissions, {_count(pictures, 'picture')}, {_count(repetitions, 'repetition')}."
    return [_tag("p", f"{_progress(folder, len(paths))} {counts} Rows written {when} UTC.")]


def _progress(folder: Path, done: int) -> str:
    """How many of the scenario's points have been measured."""
    from semcom.repeats import Repeats
    from semcom.scenario import load_scenario

    try:
        scenario = load_scenario(folder / "scenario.yaml")
    except UsageError as error:
        return f"{_count(done, 'point')}; how many there were to be cannot be told here ({error})."
    repeats, known, total, missing = Repeats(scenario), deque(scenario.points()), 0, 0
    while known:
        point, total = known.popleft(), total + 1
        part = folder / "rows" / f"{point.key}.parquet"
        if part.is_file():
            known.extend(repeats.after(point, tables.read_part(part)))
        else:
            missing += 1
    if not missing:
        return f"Complete: {_count(total, 'point')}."
    least = "at least " if scenario.stop else ""
    return f"Unfinished: {total - missing} of {least}{total} points."


def _pictures(folder: Path, rows: pyarrow.Table) -> list[Element]:
    """The figure over each swept quantity of three values or more, and the strip, drawn anew from the rows."""
    swept = tables.conditions(rows)
    also = [
        name
        for name, values in swept.items()
        if name != "snr_db" and len(values) > 2 and not any(isinstance(value, str | bool) for value in values)
    ]
    systems = ", ".join(rows["system"].unique().to_pylist())
    with TemporaryDirectory() as scratch:
        drawn = Path(scratch)  # a folder that may be written, with what figures and strips are made of
        for name in ("scenario.yaml", "pictures"):
            (drawn / name).symlink_to((folder / name).resolve())
        figures = dict.fromkeys([plot.figure(rows, drawn), *(plot.figure(rows, drawn, x=name) for name in also)])
        shown = [_image(path, f"{', '.join(tables.metrics(rows))} of {systems}") for path in figures]
        try:
            strip = _image(plot.strip(rows, drawn), f"a picture as sent and as delivered by {systems}")
        except UsageError:
            strip = _tag("p", "This run kept no pictures.")
    return [_tag("h2", "Figures"), *shown, _tag("h2", "Pictures"), strip]


def _table(rows: pyarrow.Table) -> list[Element]:
    """A line for each system under each condition, a column for each metric: mean and 95 % interval."""
    swept = tables.conditions(rows)
    shown = [name for name, values in swept.items() if len(values) > 1 or name == "snr_db"]
    fixed = [f"{name} {_value(values[0])}" for name, values in swept.items() if name not in shown and values]
    metrics = tables.metrics(rows)
    cells: dict[tuple[Any, ...], dict[str, str]] = {}
    for metric in metrics:
        for line in tables.summarise(rows, metric):
            system = f"{line.system} (bound)" if line.bound else line.system
            key = (system, *(line.conditions[name] for name in shown))
            cells.setdefault(key, {})[metric] = str(line.estimate)
    head = _tag(
        "tr",
        _tag("th", "system", scope="col", class_="word"),
        *(_tag("th", name, scope="col") for name in shown),
        *(_tag("th", f"{name} ({unit})" if unit else name, scope="col") for name, unit in metrics.items()),
    )
    lines = [
        _tag(
            "tr",
            _tag("th", key[0], scope="row", class_="word"),
            *(_tag("td", _value(value)) for value in key[1:]),
            *(_estimate(found.get(metric, "")) for metric in metrics),
        )
        for key, found in cells.items()
    ]
    about = "Mean and 95 % interval over pictures" + "".join(f"; {text}" for text in fixed) + "."
    table = _tag("table", _tag("thead", head), _tag("tbody", *lines))
    return [_tag("h2", "Table"), _tag("p", about), _tag("div", table, class_="wide")]


def _origin(folder: Path) -> list[Element]:
    """The commands and the software that made the rows; if nobody wrote them down, what would make them, and with."""
    sessions = _report_record.sessions(folder)
    if not sessions:
        return [
            _tag("h2", "Command"),
            _tag(
                "p",
                "The run did not record its command. With the scenario above in scenario.yaml, the same rows come from",
            ),
            _tag("pre", f"semcom run scenario.yaml --out {folder.resolve().name}"),
            _tag("h2", "Software"),
            _tag("p", "The run did not record its software. This page was made with"),
            _tag("pre", _versions(_report_record.versions())),
        ]
    several = len(sessions) > 1
    found: list[Element] = []
    for number, session in enumerate(sessions, 1):
        found += [
            _tag("h2", f"Command {number} of {len(sessions)}" if several else "Command"),
            _tag("pre", session["command"]),
            _tag("h2", f"Software of command {number}" if several else "Software"),
            _tag("pre", _versions({**session["versions"], "commit": session["commit"]})),
        ]
    return found


def _weights(rows: pyarrow.Table) -> list[Element]:
    pairs = zip(rows["system"].to_pylist(), rows["weights"].to_pylist(), strict=True)
    found = [f"{system}: {weights}" for system, weights in dict.fromkeys(pairs) if weights]
    if not found:
        return [_tag("p", "Nothing in this run was trained.")]
    return [
        _tag("p", "Name and first 8 hex digits of the SHA-256 of each file:"),
        _tag("ul", *(_tag("li", text) for text in found)),
    ]


def _citations(written: dict[str, Any]) -> list[Element]:
    """BibTeX of each system that is written in the scenario."""
    cited: dict[str, None] = {}
    silent: dict[str, None] = {}
    for system in written.get("systems", []):
        try:
            text = bibtex(system["name"], discover.find("system", system["name"]).path, system)
        except UsageError:
            text = ""
        (cited if text else silent)[text or system["name"]] = None
    found = [_tag("pre", "\n\n".join(cited))] if cited else []
    if silent:
        found.append(_tag("p", f"No citation is known for {', '.join(silent)}."))
    return found


# --- pieces ----------------------------------------------------------------------------------------------------------


def _tag(kind: str, /, *content: str | Element, **attributes: str) -> Element:
    """An element; text is escaped when the page is written, wherever it comes from."""
    element = Element(kind, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()})
    for item in content:
        if isinstance(item, str):
            element.text = _printable(item)
        else:
            element.append(item)
    return element


def _printable(text: str) -> str:
    """Text without those control characters that HTML does not allow."""
    return "".join(character for character in text if character >= " " or character in "\n\t")


def _image(path: Path, text: str) -> Element:
    data = f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"
    return _tag("div", _tag("img", src=data, alt=text), class_="wide")


def _estimate(text: str) -> Element:
    """A mean with its interval in small print."""
    mean, space, interval = text.partition(" ")
    cell = _tag("td", mean + space)
    if interval:
        cell.append(_tag("small", interval))
    return cell


def _scenario(text: str, folder: Path) -> dict[str, Any]:
    try:
        written = yaml.safe_load(text)
    except yaml.YAMLError:
        written = None
    if not isinstance(written, dict):
        raise UsageError(f"{folder / 'scenario.yaml'} is not a scenario; is {folder} the folder of a run?")
    return written


def _versions(versions: dict[str, Any]) -> str:
    return "\n".join(f"{name} {version}" for name, version in versions.items())


def _value(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
