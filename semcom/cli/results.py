"""`semcom compare` and `semcom table`: paired comparisons, and tables for papers, from a run's folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from semcom.cli.common import Commands


def add_commands(commands: Commands) -> None:
    """Add `compare` and `table`."""
    compare = commands.add("compare", _compare)
    compare.add_argument("run", metavar="FOLDER", help="folder with the results of semcom run")
    compare.add_argument(
        "--against", required=True, metavar="LABEL", help="label of the system to compare with (required)"
    )
    compare.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="metric to compare; may be repeated (default: all)",
    )

    table = commands.add("table", _table)
    table.add_argument("run", metavar="FOLDER", help="folder with the results of semcom run")
    table.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="metric to tabulate; may be repeated (default: all)",
    )
    table.add_argument(
        "--format",
        choices=["text", "csv", "latex", "markdown"],
        default="text",
        help="format of the table; latex needs the package booktabs (default: text)",
    )


def _compare(options: argparse.Namespace) -> None:
    """Compare systems image by image: differences with paired 95 % intervals, wins, losses and crossing points."""
    from semcom.results import compare, table

    rows = table.read(Path(options.run))
    metrics = dict.fromkeys(options.metric or table.metrics(rows))
    texts = [
        f"\n{table.title(rows, metric, 'mean difference')}\n{compare.as_text(rows, metric, options.against)}"
        for metric in metrics
    ]
    print("\n".join(texts))  # after all of them: a metric may be missing


def _table(options: argparse.Namespace) -> None:
    """Print the means and 95 % intervals of a run as text, CSV, LaTeX or Markdown."""
    from semcom.results import table, table_formats

    rows = table.read(Path(options.run))
    metrics = list(dict.fromkeys(options.metric or table.metrics(rows)))
    print(table_formats.render(rows, metrics, options.format), end="")
