"""Section of a report: paired differences of all systems to one of them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from semcom.report.elements import estimate, image, tag
from semcom.results import compare, difference, labels
from semcom.results import table as tables
from semcom.results.cells import marked, value_text

if TYPE_CHECKING:
    import pyarrow


def differences(rows: pyarrow.Table, folder: Path, against: str) -> list[Element]:
    """Figure, table and crossing points of the differences of each system to one of them.

    Args:
        rows: table of the run.
        folder: folder of the run.
        against: label of the system to compare with.

    Raises:
        UsageError: the run has no such system.
    """
    about = (
        f"Value of each system minus that of {against}, paired by image, fading and noise, with the paired 95 % "
        "interval over n images; * n below 5. Wins and losses count images; they are marked where a metric has no "
        "direction."
    )
    with TemporaryDirectory() as scratch:
        (Path(scratch) / "scenario.yaml").symlink_to((folder / "scenario.yaml").resolve())
        drawing = image(difference.figure(rows, Path(scratch), against), f"differences to {against}")
    content = [
        tag("h2", f"Differences to {against}"),
        tag("p", about),
        drawing,
        tag("div", _table(rows, against), class_="wide"),
    ]
    crossings = [text for metric in tables.metrics(rows) for text in _crossings(rows, metric, against)]
    return [*content, tag("ul", *(tag("li", text) for text in crossings))] if crossings else content


def _table(rows: pyarrow.Table, against: str) -> Element:
    """One line for each metric, system and set of conditions."""
    shown = [name for name, values in tables.conditions(rows).items() if len(values) > 1]
    names = [labels.axis_label(name) for name in shown]
    heads = ["Metric", "System", *names, "Difference", "n", "Wins : losses"]
    lines = [
        tag(
            "tr",
            tag("td", labels.axis_label(metric, found.unit), class_="word"),
            tag("th", found.system, scope="row", class_="word"),
            *(tag("td", value_text(found.conditions.get(name))) for name in shown),
            estimate(marked(found.difference)),
            tag("td", str(found.difference.clusters)),
            tag("td", f"{found.wins} : {found.losses}{'' if directed else ' (higher : lower)'}"),
        )
        for metric in tables.metrics(rows)
        for directed in [tables.higher_is_better(rows, metric) is not None]
        for found in compare.compare(rows, metric, against)
    ]
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    return tag("table", tag("thead", head), tag("tbody", *lines))


def _crossings(rows: pyarrow.Table, metric: str, against: str) -> list[str]:
    """A sentence for each crossing point."""
    swept = tables.conditions(rows)
    texts = []
    for found in compare.crossings(rows, metric, against):
        conditions = found.conditions
        where = labels.conditions(list(conditions), list(conditions.values()), swept)
        side = "above" if found.better_above else "below"
        better = "higher" if tables.higher_is_better(rows, metric) is None else "better"
        texts.append(
            f"{labels.axis_label(metric)}, {found.system}{f', {where}' if where else ''}: "
            f"{better} than {against} {side} SNR {found}."
        )
    return texts
