"""Markdown tables of the summaries in results/."""

from __future__ import annotations

import re
from decimal import Decimal

from semcom.results import labels
from semcom.results.intervals import FEW, Estimate

_GIVEN = ("metric", "unit", "system", "mean", "low", "high", "clusters", "rows")  # columns that are not conditions


def markdown(title: str, lines: list[dict[str, str]]) -> str:
    """Markdown: a line for each condition that varies, a column for each system.

    A condition that changes no number has no column, and the title says so.
    """
    names = [name for name in lines[0] if name not in _GIVEN]
    varied = [name for name in names if len({line[name] for line in lines}) > 1]
    unchanged = [name for name in varied if len(varied) > 1 and _changes_nothing(name, varied, lines)]
    varied = [name for name in varied if name not in unchanged[:1]]
    systems = list(dict.fromkeys(line["system"] for line in lines))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for line in lines:
        below = cell(line).replace(", ", ",\N{NO-BREAK SPACE}")  # in a narrow column the interval is below the mean
        rows.setdefault(tuple(line[name] for name in varied), {})[line["system"]] = below
    places = {value: _place(value, place) for place, value in enumerate(dict.fromkeys(sum(rows, ())))}
    counts = sorted({int(line["clusters"]) for line in lines})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    star = f"; * fewer than {FEW} images, indicative only" if counts[0] < FEW else ""
    head = [*(labels.axis_label(name) for name in varied), *systems]
    body = [
        [
            *(_plain(value, name) for name, value in zip(varied, key, strict=True)),
            *(cells.get(system, "") for system in systems),
        ]
        for key, cells in sorted(rows.items(), key=lambda row: [places[value] for value in row[0]])
    ]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *body])
    same = f", the same at every value of {labels.axis_label(unchanged[0])}" if unchanged else ""
    return f"**{title}**, mean and 95 % interval{same}, n = {span} images{star}\n\n{table}\n"


def _changes_nothing(name: str, varied: list[str], lines: list[dict[str, str]]) -> bool:
    """Whether all numbers are the same at every value of a condition."""
    cells: dict[tuple[str, ...], set[str]] = {}
    for line in lines:
        others = tuple(line[other] for other in ("system", *varied) if other != name)
        cells.setdefault(others, set()).add(cell(line))
    return all(len(found) == 1 for found in cells.values())


def cell(line: dict[str, str]) -> str:
    """Mean and interval of a line of a summary; a star marks fewer than five images."""
    found = Estimate(*(float(line[key]) for key in ("mean", "low", "high")), int(line["clusters"]), int(line["rows"]))
    text = re.sub(r"^(\S+) \[\1, \1\]$", r"\1", f"{found}")  # an interval within the last digit shown
    return text + ("*" if found.clusters < FEW else "")


def with_bounds(text: str) -> str:
    """Mean and interval with both bounds, also for a cell that states half the width.

    >>> with_bounds("19.35 ± 0.35"), with_bounds("0.463 [0.454, 0.472]")
    ('19.35 [19.00, 19.70]', '0.463 [0.454, 0.472]')
    """
    if " ± " not in text:
        return text
    mean, half = map(Decimal, text.split(" ± "))
    return f"{mean} [{mean - half}, {mean + half}]"


def _place(value: str, first: int) -> float:
    """Numbers ascend, with systems that a condition does not concern at the end; texts stay in their order."""
    try:
        return float(value or "inf")
    except ValueError:
        return first


def _plain(value: str, name: str) -> str:
    """A condition as people write it: 10 for 10.0, 1/6 for a budget of 0.166667, any where it does not apply."""
    if not value:
        return "any"
    try:
        return labels.ratio(float(value)) if name == "medium_cbr_budget" else f"{float(value):g}"
    except ValueError:
        return value
