"""The results of a run: tables as text, and the files summary.csv, figures and image strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from channels.errors import UsageError
from semcom import atomic
from semcom.results import compare, difference, plot, strip, table_formats
from semcom.results import table as tables
from semcom.results.panels import Plan
from semcom.results.published import PublishedPoint
from semcom.results.style import Format

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Selection:
    """What to tabulate and to plot.

    Args:
        x: swept quantity on the horizontal axis; None for the SNR, if it was swept.
        metrics: names of the metrics; all if empty.
        against: label of the system to compare the others with; None for no comparison.
        look: file format, size and style of the figures.
        choice: contents of the image strip.
        published: published values to draw beside the curves.
    """

    x: str | None = None
    metrics: Sequence[str] = ()
    against: str | None = None
    look: Format = field(default_factory=Format)
    choice: strip.Choice = field(default_factory=strip.Choice)
    published: Sequence[PublishedPoint] = ()


def text(rows: pyarrow.Table, selection: Selection | None = None) -> str:
    """One table for each metric, with means and 95 % intervals, and its differences to one system if asked for.

    Args:
        rows: table from `table.read`.
        selection: metrics and system to compare with; None for all metrics.
    """
    chosen = selection or Selection()
    parts = []
    for metric in chosen.metrics or tables.metrics(rows):
        parts.append(f"\n{tables.title(rows, metric)}\n{table_formats.as_text(rows, metric)}")
        if chosen.against is not None:
            parts.append(f"\n{compare.as_text(rows, metric, chosen.against)}")
    return "\n".join(parts)


def paths(rows: pyarrow.Table, out: Path, selection: Selection | None = None) -> list[Path]:
    """The paths of the files that `write` writes.

    Args:
        rows: table from `table.read`.
        out: folder of the run.
        selection: quantities to plot; None for all metrics over the SNR.

    Raises:
        UsageError: the quantity of the horizontal axis was not swept.
    """
    chosen = selection or Selection()
    names = ["figure", *([] if chosen.against is None else ["difference"])]
    figures = [Plan.of(rows, chosen.x).file(out, name, chosen.look) for name in names]
    return [out / "summary.csv", *figures, out / f"strip.{chosen.look.suffix}"]


def write(rows: pyarrow.Table, out: Path, selection: Selection | None = None) -> list[Path]:
    """Write summary.csv, the figures and the image strip, and return their paths.

    Args:
        rows: table from `table.read`.
        out: folder of the run.
        selection: quantities to plot; None for all metrics over the SNR.

    Raises:
        UsageError: a file cannot be written, or the selection does not fit the run.
    """
    chosen, written = selection or Selection(), paths(rows, out, selection)
    look, choice = chosen.look, chosen.choice
    try:
        strip.check(rows, out, choice)  # what does not fit is refused before the first file is written
        plot.figure(rows, out, chosen.x, chosen.metrics, look, chosen.published)
        atomic.write(written[0], table_formats.as_csv(rows).encode(errors="backslashreplace"))
        if chosen.against is not None:
            difference.figure(rows, out, chosen.against, chosen.x, chosen.metrics, look)
        strip.figure(rows, out, choice, look)
        return written
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"cannot write to {out}: {reason}; the rows are saved, repeat with semcom plot {out}"
        ) from None
