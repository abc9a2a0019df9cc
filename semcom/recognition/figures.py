"""Figures of a scenario of recognition: accuracy over SNR, confusion matrices, reliability diagram."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semcom.recognition import metrics
from semcom.recognition.task import LIKELIHOODS, Point, Task
from semcom.results import panels
from semcom.results.printing import printable
from semcom.results.style import Format, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Result = tuple[NDArray[np.int64], NDArray[np.float64]]
_WIDTH = 4.6  # inches, of a figure of curves
_SIDE = 2.2  # inches, of a confusion matrix


def paths(out: Path, look: Format) -> list[Path]:
    """The files that `draw` writes."""
    return [out / f"{name}.{look.suffix}" for name in ("accuracy", "confusion", "reliability")]


def draw(
    task: Task,
    points: Sequence[Point],
    summary: Sequence[Mapping[str, object]],
    results: Sequence[Result],
    out: Path,
    look: Format,
) -> list[Path]:
    """Write all figures, and return their paths.

    Args:
        task: scenario.
        points: simulated points.
        summary: summary of each point, with accuracy, low and high.
        results: truth and posterior of the frames of each point.
        out: folder of the run.
        look: file format, size and style.
    """
    import matplotlib

    with matplotlib.rc_context(look.settings()):
        figures = [
            _accuracy(task, points, summary, look),
            _confusion(task, points, results, look),
            _reliability(task, points, results, look),
        ]
        return [panels.save(figure, path, look) for figure, path in zip(figures, paths(out, look), strict=True)]


def label(recognizer: str) -> str:
    """Name of a recognizer in figures."""
    return LIKELIHOODS.get(recognizer, f"network {recognizer}")


def written(modulation: str) -> str:
    """Name of a modulation in figures.

    >>> written("pi/4-qpsk"), written("gaussian")
    ('pi/4-QPSK', 'Gaussian')
    """
    return "Gaussian" if modulation == "gaussian" else modulation.upper().replace("PI/4", "pi/4")


def _panel(look: Format, entries: int) -> tuple[Figure, Axes]:
    """A figure with one panel, and room for a legend of some entries below it."""
    from matplotlib.figure import Figure

    width = look.width or _WIDTH * look.font_size / Format().font_size
    height = look.height or 0.75 * width + (6 + 2 * entries) * look.font_size / 72
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _finish(figure: Figure, axis: Axes, title: str, x: str, y: str, look: Format) -> Figure:
    """Add title, axis labels and legend, wrapped to the size of the figure."""
    width, height = figure.get_size_inches()
    figure.suptitle(textwrap.fill(printable(title), look.characters(width)))
    axis.set_xlabel(textwrap.fill(x, look.characters(0.7 * width)))
    axis.set_ylabel(textwrap.fill(y, look.characters(0.5 * height)))
    handles, names = axis.get_legend_handles_labels()
    figure.legend(
        handles, [textwrap.fill(name, look.characters(0.7 * width)) for name in names], loc="outside lower center"
    )
    return figure


def _accuracy(task: Task, points: Sequence[Point], summary: Sequence[Mapping[str, object]], look: Format) -> Figure:
    figure, axis = _panel(look, len(task.recognizers) * len(task.uses))
    curves = looks({name: [f"{name} {uses}" for uses in task.uses] for name in task.recognizers})
    for name in task.recognizers:
        for uses in task.uses:
            chosen = [
                (point.snr_db, *(100 * float(str(values[key])) for key in ("accuracy", "low", "high")))
                for point, values in zip(points, summary, strict=True)
                if (point.recognizer, point.uses) == (name, uses)
            ]
            snr, mean, low, high = np.array(sorted(chosen)).T
            curve = curves[f"{name} {uses}"]
            text = label(name) if len(task.uses) == 1 else f"{label(name)}, {uses} uses"
            axis.plot(snr, mean, "--" if name == "all_known" else "-", label=text, **curve)
            axis.fill_between(snr, low, high, color=curve["color"], alpha=0.15, linewidth=0)
    axis.axhline(100 / len(task.modulations), color="#999999", linewidth=0.8, linestyle=":")
    return _finish(figure, axis, task.title, "SNR (dB)", "Correct decisions (%)", look)


def _confusion(task: Task, points: Sequence[Point], results: Sequence[Result], look: Format) -> Figure:
    """A row of matrices for each recognizer, at as many SNRs over the whole range as fit into a row."""
    from matplotlib.figure import Figure

    snrs, most = sorted(task.snr_db), look.columns
    chosen = sorted({snrs[round((i + (most == 1) / 2) * (len(snrs) - 1) / max(most - 1, 1))] for i in range(most)})
    uses, names = task.uses[-1], [written(name) for name in task.modulations]
    em = look.font_size / 72  # inches
    margin = (0.6 * max(map(len, names)) + 3) * em
    side = (look.width - margin) / len(chosen) if look.width else _SIDE * look.font_size / Format().font_size
    height = look.height or len(task.recognizers) * (side + 3 * em) + margin
    figure = Figure(figsize=(look.width or side * len(chosen) + margin, height), layout="constrained")
    size = min(look.font_size, 72 * side / (2 * len(names)))  # three digits fit into a cell
    figure.suptitle(textwrap.fill(f"Decisions (%) after {uses} channel uses", look.characters(figure.get_figwidth())))
    axes = figure.subplots(len(task.recognizers), len(chosen), squeeze=False)
    for row, name in enumerate(task.recognizers):
        for column, snr_db in enumerate(chosen):
            axis, place = axes[row, column], points.index(Point(snr_db, uses, name))
            shares = 100 * metrics.confusion(*results[place])
            axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
            for (i, j), share in np.ndenumerate(shares):
                if share >= 0.5:
                    color = "white" if share > 60 else "black"
                    axis.text(j, i, f"{share:.0f}", ha="center", va="center", color=color, size=size)
            lowest = row == len(task.recognizers) - 1
            axis.set_xticks(range(len(names)), names if lowest else [], rotation=90, size=size)
            axis.set_yticks(range(len(names)), names if column == 0 else [], size=size)
            axis.grid(False)
            title = textwrap.fill(label(name), look.characters(side)) if column == 0 else ""
            axis.set_title(f"{title}\n{snr_db:g} dB", loc="left")
    figure.supxlabel("Decision", size=look.font_size)
    figure.supylabel("Transmitted", size=look.font_size)
    return figure


def _reliability(task: Task, points: Sequence[Point], results: Sequence[Result], look: Format) -> Figure:
    figure, axis = _panel(look, len(task.recognizers))
    axis.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
    curves = looks({name: [name] for name in task.recognizers})
    for name in task.recognizers:
        chosen = [result for point, result in zip(points, results, strict=True) if point.recognizer == name]
        truth, posterior = (np.concatenate(part) for part in zip(*chosen, strict=True))
        confidence, right, _ = np.array(metrics.reliability(truth, posterior)).T
        error = metrics.expected_calibration_error(truth, posterior)
        axis.plot(confidence, right, label=f"{label(name)}: error {100 * error:.1f} %", **curves[name])
    return _finish(figure, axis, "All SNRs", "Posterior of the decision", "Share of correct decisions", look)
