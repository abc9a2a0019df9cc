"""Tables of a run in the formats that papers and pages take: text, CSV, LaTeX and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from semcom.results import labels, means
from semcom.results import table as tables
from semcom.results.cells import aligned, marked, sample_size, spreadsheet, value_text
from semcom.results.printing import printable

if TYPE_CHECKING:
    import pyarrow

_SPECIAL = str.maketrans(
    {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
     "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
     "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)  # fmt: skip
_MARKUP = str.maketrans({character: f"\\{character}" for character in r"\|*_`<[$~"})


def render(rows: pyarrow.Table, metrics: Sequence[str], form: str) -> str:
    """Tables of metrics, one after the other.

    Args:
        rows: table from `table.read`.
        metrics: names of the metrics.
        form: "text", "csv", "latex" (with the package booktabs) or "markdown".

    Raises:
        UsageError: a metric that the rows do not have.
    """
    if form == "csv":
        return as_csv(rows, metrics)
    writers = {"text": _text, "latex": _latex, "markdown": _markdown}
    return "\n".join(writers[form](rows, metric) for metric in metrics)


def as_text(table: pyarrow.Table, metric: str) -> str:
    """A table for a terminal: a line for each condition, a column for each system, and the number of images n.

    A table wider than 100 columns is split into blocks of systems.
    """
    cells = grid(table, metric)
    if len(cells) < 2:
        return "not applicable to these images"
    return f"{aligned(cells, len(_swept(table)))}\n{_sample_size(table, metric)}"


def as_csv(table: pyarrow.Table, chosen: Sequence[str] = ()) -> str:
    """One line for each metric, system and condition, with the ends of the intervals; all metrics by default.

    A text that a spreadsheet would read as a formula has an apostrophe before it.
    """
    file = io.StringIO()
    names = list(tables.conditions(table))
    writer = csv.writer(file, lineterminator="\n")
    head = ["metric", "unit", "system", *names, "mean", "low", "high", "clusters", "rows"]
    writer.writerow([spreadsheet(name) for name in head])
    for metric in chosen or tables.metrics(table):
        for line in means.summarize(table, metric):
            found = line.estimate
            values = [line.conditions[name] for name in names]
            ends = [found.mean, found.low, found.high, found.clusters, found.rows]
            writer.writerow([spreadsheet(cell) for cell in (metric, line.unit, line.system, *values, *ends)])
    return file.getvalue()


def grid(table: pyarrow.Table, metric: str) -> list[list[str]]:
    """Cells of a table, head first: a line for each condition, a column for each swept condition and each system."""
    lines = means.summarize(table, metric)
    swept = _swept(table)
    systems = list(dict.fromkeys(line.system for line in lines))
    cells: dict[tuple[Any, ...], dict[str, str]] = {}
    for line in lines:
        key = tuple(line.conditions[name] for name in swept)
        cells.setdefault(key, {})[line.system] = marked(line.estimate)

    def place(key: tuple[Any, ...]) -> list[int]:
        return [-1 if value is None else values.index(value) for value, values in zip(key, swept.values(), strict=True)]

    body = [
        [*(value_text(value) for value in key), *(cells[key].get(system, "") for system in systems)]
        for key in sorted(cells, key=place)
    ]
    return [[*swept, *systems], *body]


def latex_text(text: str) -> str:
    """Text that LaTeX prints as it is.

    >>> latex_text("AVIF, 50 % & $x_1$")
    'AVIF, 50 \\\\% \\\\& \\\\$x\\\\_1\\\\$'
    """
    return printable(text).translate(_SPECIAL)


def markdown_text(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> markdown_text("a|b, *x* and $x_1$")
    'a\\|b, \\*x\\* and \\$x\\_1\\$'
    """
    return printable(text).translate(_MARKUP)


def _text(rows: pyarrow.Table, metric: str) -> str:
    return f"{tables.title(rows, metric)}\n{as_text(rows, metric)}\n"


def _latex(rows: pyarrow.Table, metric: str) -> str:
    cells = [[latex_text(cell) for cell in line] for line in _named(rows, metric)]
    columns = "r" * len(cells[0])
    head, *body = (" & ".join(line) + r" \\" for line in cells)
    lines = [
        f"% {tables.title(rows, metric)}; {_sample_size(rows, metric)}",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _markdown(rows: pyarrow.Table, metric: str) -> str:
    head, *body = _named(rows, metric)
    names = len(_swept(rows))  # columns with labels of the user; the others hold values
    cells = [
        [markdown_text(cell) for cell in head],
        ["---:"] * len(head),
        *([*map(markdown_text, line[:names]), *line[names:]] for line in body),
    ]
    lines = ["| " + " | ".join(line) + " |" for line in cells]
    return f"{tables.title(rows, metric)}\n\n" + "\n".join(lines) + f"\n\n{_sample_size(rows, metric)}\n"


def _sample_size(rows: pyarrow.Table, metric: str) -> str:
    of_one_image = len(rows["image"].unique()) == 1
    return sample_size((line.estimate for line in means.summarize(rows, metric)), of_one_image)


def _named(rows: pyarrow.Table, metric: str) -> list[list[str]]:
    """The cells, with the names that figures use for conditions, channels and systems."""
    (*head,), *body = grid(rows, metric)
    known = tables.conditions(rows)
    named = [labels.axis_label(name) if name in known else labels.system(name, head) for name in head]
    channel = head.index("channel") if "channel" in head else None
    return [
        named,
        *(
            [labels.condition("channel", cell) if i == channel else cell for i, cell in enumerate(line)]
            for line in body
        ),
    ]


def _swept(table: pyarrow.Table) -> dict[str, list[Any]]:
    """The conditions that have a column in a table: those with several values, and the SNR."""
    return {name: values for name, values in tables.conditions(table).items() if len(values) > 1 or name == "snr_db"}
