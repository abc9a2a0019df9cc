"""Figures from a run's folder and from nothing else: curves with their 95 % bands, and a strip of pictures."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from channels._errors import UsageError
from semcom import table as tables
from semcom.discover import nearest
from semcom.intervals import Estimate

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people with any colour vision tell apart, less yellow, which is faint on white.
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.markersize": 5,
    "legend.frameon": False,
    "svg.hashsalt": "semcom",
}
_NAMES = {
    "snr_db": "SNR, Es/N0 per use (dB)",
    "users": "users",
    "medium_cbr_granted": "medium cbr (uses per real number)",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "ms_ssim_db": "MS-SSIM",
    "payload_ber": "payload BER",
    "payload_ok": "messages intact",
    "payload_bits": "message",
    "miou": "mIoU",
    "map_miou": "mIoU of the map",
    "pixel_accuracy": "pixel accuracy",
    "class_accuracy": "class accuracy",
    "clip_image_similarity": "CLIP similarity of images",
    "clip_text_similarity": "CLIP similarity to the text",
    "mobilenet_similarity": "MobileNet similarity",
    "candidate_diversity": "diversity of candidates",
    "ber": "BER",
    "bler": "BLER",
    "cbr": "cbr",
    "medium_cbr": "medium cbr spent",
    "snr_realised_db": "realised SNR",
    "arq_delay_s": "delay with ARQ",
    "papr_db": "PAPR",
}
_LOGARITHMIC = ("payload_ber", "ber")
_SHARES = ("outage", "bler")
_LOST = 0.5  # a point at which more rows than this share are in outage is drawn hollow


def figure(
    table: pyarrow.Table, out: Path, x: str | None = None, metrics: Sequence[str] = (), suffix: str = "png"
) -> Path:
    """Draw each metric against one swept quantity: a row of panels a metric, a column for each other condition.

    Lines are systems with the 95 % band of the mean over pictures; bounds are dashed; a hollow marker says that more
    than half of the pictures were lost.

    Args:
        table: from `table.read`.
        out: folder for the file.
        x: the quantity, a name from `table.conditions`; by default the SNR if it was swept, else what was.
        metrics: which ones; all by default.
        suffix: "png", "pdf" or "svg".

    Returns:
        The file, OUT/figure.SUFFIX, with the quantity in its name when it is not the default.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    swept = tables.conditions(table)
    default = _first_swept(swept)
    across = x or default
    if across not in swept:
        raise UsageError(f"{across!r} was not swept; {nearest(across, swept)}")
    chosen = list(metrics) or list(tables.metrics(table))
    apart = _panel_conditions(table, across)
    facets = list(itertools.product(*(swept[name] for name in apart)))
    curves = _curves(table, chosen, across, apart)
    measured = {curve.metric for curve in curves}
    chosen = [metric for metric in chosen if metric in measured] or chosen  # such as no class in photographs without
    looks = dict(zip(dict.fromkeys(curve.name for curve in curves), _looks(), strict=False))
    shape = (len(chosen), len(facets)) if len(facets) > 1 else (1, len(chosen))
    with mpl.rc_context(_STYLE):
        size = (1.0 + 3.4 * shape[1], 1.0 + 2.3 * shape[0])
        drawing = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(drawing)
        grid = drawing.subplots(*shape, sharex=True, sharey="row" if len(facets) > 1 else False, squeeze=False)
        panels = grid.reshape(len(chosen), len(facets))
        for curve in curves:
            panel = panels[chosen.index(curve.metric), facets.index(curve.facet)]
            _draw(panel, curve, looks[curve.name], swept[across])
        for panel in grid[-1]:
            panel.set_xlabel(_NAMES.get(across, across))
        for row, metric in enumerate(chosen):
            unit = tables.metrics(table)[metric]
            panels[row, 0].set_ylabel(_NAMES.get(metric, metric) + (f" ({unit})" if unit else ""))
            if metric in _SHARES:
                panels[row, 0].set_ylim(-0.04, 1.04)
            if metric in _LOGARITHMIC:
                panels[row, 0].set_yscale("log")
        if len(facets) > 1:
            for column, facet in enumerate(facets):
                panels[0, column].set_title(_conditions(apart, facet, swept))
        drawing.suptitle(_title(out))
        _legend(drawing, panels, hollow=any(curve.lost for curve in curves))
        path = out / (f"figure.{suffix}" if across == default else f"figure-{across}.{suffix}")
        drawing.savefig(path, dpi=160)
    return path


def strip(table: pyarrow.Table, out: Path, suffix: str = "png") -> Path:
    """Draw the first picture as it was sent, then what each system delivered along the sweep, with its PSNR.

    Of all conditions but the one on the figure's axis, and of repetitions and users, these are the first.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    folder = out / "pictures"
    across = _first_swept(tables.conditions(table))
    shown = _strip_rows(table, across)
    if not shown or not (folder / "sent.png").is_file():
        raise UsageError(f"no pictures in {folder}; run the scenario again")
    systems = list(dict.fromkeys(_name(row, table, across) for row in shown))
    levels = _thinned(
        [value for value in tables.conditions(table)[across] if any(row[across] == value for row in shown)]
    )
    sent = _pixels(folder / "sent.png")
    apart = _panel_conditions(table, across)
    with mpl.rc_context(_STYLE | {"axes.grid": False}):
        width, height = 1.45 * (len(levels) + 1), 1.35 * sent.shape[0] / sent.shape[1] + 0.2
        tight = ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.02, hspace=0, wspace=0)
        drawing = Figure(figsize=(0.3 + width, 0.7 + height * len(systems)), layout=tight)
        FigureCanvasAgg(drawing)
        panels = drawing.subplots(len(systems), len(levels) + 1, squeeze=False)
        for panel in panels.flat:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        panels[0, 0].imshow(sent)
        panels[0, 0].set_title("sent", fontsize=9)
        for row in shown:
            if row[across] in levels:
                panel = panels[systems.index(_name(row, table, across)), levels.index(row[across]) + 1]
                panel.imshow(_pixels(folder / row["picture"]))
                panel.set_xlabel(_caption(row), fontsize=8, labelpad=2)
        for column, level in enumerate(levels):
            panels[0, column + 1].set_title(_condition(across, level), fontsize=9)
        for line, system in enumerate(systems):
            panels[line, 1].set_ylabel(textwrap.fill(system, int(14 * height)), fontsize=9)
        title = f"{_title(out)}: {', '.join(_condition(name, shown[0][name]) for name in apart)}; PSNR below"
        drawing.suptitle(textwrap.fill(title, int(14 * width)), fontsize=9)
        path = out / f"strip.{suffix}"
        drawing.savefig(path, dpi=160)
    return path


# --- curves ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Curve:
    """A line of a panel.

    Args:
        name: for the legend.
        bound: a limit, drawn dashed.
        metric: whose panels it stands in.
        facet: values of the conditions that have panels of their own.
        points: where along the axis, and how much.
        lost: where more than half of the pictures were lost.
    """

    name: str
    bound: bool
    metric: str
    facet: tuple[Any, ...]
    points: dict[Any, Estimate]
    lost: frozenset[Any]


def _curves(table: pyarrow.Table, metrics: Sequence[str], across: str, apart: Sequence[str]) -> list[_Curve]:
    lost = {
        (line.system, *line.conditions.values())
        for line in (tables.summarise(table, "outage") if "outage" in tables.metrics(table) else [])
        if line.estimate.mean > _LOST and not line.bound
    }
    swept = tables.conditions(table)[across]
    found: dict[tuple[str, str, tuple[Any, ...]], _Curve] = {}
    for metric in metrics:
        for line in tables.summarise(table, metric):
            name = _name({"system": line.system, **line.conditions}, table, leave_out=across)
            facet, position = tuple(line.conditions[key] for key in apart), line.conditions[across]
            empty = _Curve(name, line.bound, metric, facet, {}, frozenset())
            curve = found.get((name, metric, facet), empty)
            along = swept if position is None else [position]  # a system that does not have it is the same everywhere
            hollow = set(along) if (line.system, *line.conditions.values()) in lost else set()
            points = curve.points | dict.fromkeys(along, line.estimate)
            found[name, metric, facet] = replace(curve, points=points, lost=curve.lost | hollow)
    return list(found.values())


def _draw(panel: Axes, curve: _Curve, look: dict[str, Any], along: list[Any]) -> None:
    words = any(isinstance(value, str) for value in along)
    positions = {value: i if words else value for i, value in enumerate(along)}
    values = sorted(curve.points, key=along.index)
    x = [positions[value] for value in values]
    mean = [curve.points[value].mean for value in values]
    line = "" if words else "--" if curve.bound else "-"  # between words there is nothing
    if curve.bound:
        panel.plot(x, mean, linestyle=line, marker="_" if words else "", color=look["color"], label=curve.name)
    else:
        panel.plot(x, mean, linestyle=line, label=curve.name, **look)
        hollow = [i for i, value in enumerate(values) if value in curve.lost]
        panel.plot(
            [x[i] for i in hollow], [mean[i] for i in hollow], linestyle="", **look | {"markerfacecolor": "white"}
        )
    low, high = [curve.points[value].low for value in values], [curve.points[value].high for value in values]
    if words:
        panel.vlines(x, low, high, color=look["color"], alpha=0.4)
    else:
        panel.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
    if words or len(along) <= 10:
        panel.set_xticks(list(positions.values()), [_condition("", value) for value in along])


def _looks() -> Iterator[dict[str, Any]]:
    """A colour and a marker for each line; after seven, other pairs of them."""
    for turn in itertools.count():
        for i, colour in enumerate(_COLOURS):
            yield {"color": colour, "marker": _MARKERS[(i + turn) % len(_MARKERS)], "linewidth": 1.4}


def _legend(drawing: Figure, panels: Any, hollow: bool) -> None:
    """Below the panels, where it covers nothing; each line once."""
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for panel in panels.flat:
        handles |= {label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    if hollow:
        note = Line2D([], [], linestyle="", marker="o", color="#555555", markerfacecolor="white")
        handles["hollow: more than half lost"] = note
    inches = 0.6 + 0.07 * max(map(len, handles))  # a line's mark and its words
    columns = max(1, min(len(handles), int(drawing.get_figwidth() / inches)))
    drawing.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)


def _panel_conditions(table: pyarrow.Table, across: str) -> list[str]:
    """Conditions that get panels of their own: all but the axis and the arguments of systems, which get lines."""
    channels = {"channel", *table["channel"].unique().to_pylist()}
    return [
        name
        for name in tables.conditions(table)
        if name != across and (name in tables.CONDITIONS or name.partition(".")[0] in channels)
    ]


# --- words -----------------------------------------------------------------------------------------------------------


def _name(row: dict[str, Any], table: pyarrow.Table, leave_out: str = "") -> str:
    """A system's label, with those of its arguments that were swept."""
    apart = {leave_out, *_panel_conditions(table, leave_out)}
    arguments = [
        f"{name.rpartition('.')[2]} {_condition('', row[name])}"
        for name in tables.conditions(table)
        if name not in apart and row.get(name) is not None
    ]
    return ", ".join([row["system"], *arguments])


def _condition(name: str, value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    match name:
        case "channel" | "":
            return text
        case "users":
            return f"{text} user{'s' if value > 1 else ''}"
        case "snr_db":
            return f"{text} dB"
        case "medium_cbr_granted":
            return f"medium cbr {text}"
    return f"{name.rpartition('.')[2]} {text}"


def _title(out: Path) -> str:
    import yaml

    path = out / "scenario.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["title"] if path.is_file() else out.name


def _conditions(names: Sequence[str], values: Sequence[Any], swept: dict[str, list[Any]]) -> str:
    """Those conditions that were swept, in words."""
    return ", ".join(_condition(name, value) for name, value in zip(names, values, strict=True) if len(swept[name]) > 1)


def _first_swept(swept: dict[str, list[Any]]) -> str:
    """What belongs on the horizontal axis: the SNR, or what else took more than one value, numbers before words."""
    several = [name for name in ("snr_db", *swept) if len(swept[name]) > 1]
    numbers = [name for name in several if not any(isinstance(value, str) for value in swept[name])]
    return next(iter((*numbers, *several)), "snr_db")


def _strip_rows(table: pyarrow.Table, across: str) -> list[dict[str, Any]]:
    """The rows whose pictures were kept, under the first of all conditions but the one along the strip."""
    rows = [row for row in table.to_pylist() if row["picture"]]
    for name in _panel_conditions(table, across):
        rows = [row for row in rows if row[name] == rows[0][name]]
    return rows


def _thinned(levels: list[Any], most: int = 7) -> list[Any]:
    """So many of them as a page can hold, ends included."""
    if len(levels) <= most:
        return levels
    return [levels[round(i * (len(levels) - 1) / (most - 1))] for i in range(most)]


def _pixels(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def _caption(row: dict[str, Any]) -> str:
    lost = row.get("outage.numerator") and row["outage.denominator"]
    quality = f"{row['psnr']:.1f} dB" if row.get("psnr") is not None else ""
    return " ".join(word for word in (quality, "outage" if lost else "") if word)
