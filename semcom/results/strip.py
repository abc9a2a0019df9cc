"""Image strips of a run: an image as transmitted and as received, side by side."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels.errors import UsageError
from semcom.discover import nearest
from semcom.results import former_names, labels, panels, scenario_file
from semcom.results import table as tables
from semcom.results.printing import printable
from semcom.results.strip_panels import Block, Crop, Grid, Row, legend, part, pixels
from semcom.results.style import Format
from semcom.scenario.numbers import number

if TYPE_CHECKING:
    import pyarrow

_MOST_LEVELS = 7  # columns of received images
SENT = "sent.png"  # first image of a run, as transmitted


@dataclass(frozen=True)
class Choice:
    """What a strip shows; None for the first one that has images.

    Args:
        image: name of the image.
        channel: label of the channel.
        user: index of the user, from 0.
        crop: (x, y, width, height) in pixels of the part of each image that is shown enlarged; None for whole images.
    """

    image: str | None = None
    channel: str | None = None
    user: int | None = None
    crop: Crop | None = None


def crop_of(text: str) -> Crop:
    """The part of an image as the command line writes it.

    Args:
        text: "X,Y,WIDTH,HEIGHT" in pixels.

    Raises:
        UsageError: `text` is not four whole numbers, or width or height is 0.

    >>> crop_of("10,20,64,48")
    (10, 20, 64, 48)
    """
    try:
        x, y, width, height = (number(part) for part in text.split(","))
    except (UsageError, ValueError):  # another count of parts
        x = y = width = height = -1
    if not all(isinstance(part, int) for part in (x, y, width, height)) or min(x, y, width - 1, height - 1) < 0:
        raise UsageError(f"--crop must be X,Y,WIDTH,HEIGHT in pixels, as in 40,20,64,48; not {text!r}")
    return int(x), int(y), int(width), int(height)


def figure(table: pyarrow.Table, out: Path, choice: Choice | None = None, look: Format | None = None) -> Path:
    """Plot an image and its receptions: one row for each system, one column for each swept value.

    A run with several image sources has one block for each, with a row for each swept value and a column for each
    system. Other conditions have one value each, which the title names; at most seven swept values are shown, and the
    title names their number if there are more. The repetition is the first. A received text message is in a box.

    Args:
        table: table from `table.read`.
        out: folder of the run.
        choice: image, channel, user and part of the image; None for the first ones and the whole image.
        look: file format, size and style; None for a PNG file.

    Returns:
        Path of the file, OUT/strip.SUFFIX.

    Raises:
        UsageError: the folder has no such images, or the part is not within the image.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    choice, look = choice or Choice(), look or Format()
    across = panels.first_swept(tables.conditions(table))
    blocks, several = check(table, out, choice), len(tables.conditions(table).get(tables.SOURCE, [])) > 1
    found = [row for block in blocks for row in block.rows]
    values = [value for value in tables.conditions(table)[across] if any(row[across] in (value, None) for row in found)]
    levels = _thinned(values)
    first = 1 if choice.crop is None else 2  # columns of the original
    grids = [Grid(block, table, across, levels, several) for block in blocks]
    columns = first + max(len(grid.columns) for grid in grids)
    scale = look.font_size / 9
    width = look.width or (0.3 + 1.45 * columns) * scale
    cell = (width - 0.3) / columns
    look = replace(look, largest=cell * 72 / (0.56 * 10))  # ten characters, as of a word, fit into a column
    scale = look.font_size / 9
    with mpl.rc_context(look.settings() | {"axes.grid": False}):
        title = _title(table, out, found, across, f"{len(levels)} of {len(values)}" if levels != values else "")
        title += f"; {legend(found)}{' (metrics: whole image)' if choice.crop else ''}"
        title = "\n".join(textwrap.wrap(printable(title), look.characters(width)))
        above = (title.count("\n") + 2) * 1.4 * look.font_size / 72 + 0.3
        heights, tops = list[float](), list[int]()  # inches; a line of space between blocks
        for grid in grids:
            heights += [0.1 * scale] * bool(heights)
            tops.append(len(heights))
            heights += [0.93 * cell * grid.aspect(choice.crop)] * len(grid.lines)
        texts = 0.2 * len(heights) + (0.5 * len(grids) if several else 0)
        tight = ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.02, hspace=0, wspace=0)
        drawing = Figure(figsize=(width, look.height or above + sum(heights) + texts * scale), layout=tight)
        FigureCanvasAgg(drawing)
        axes = drawing.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
        for panel in axes.flat:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        for top, grid in zip(tops, grids, strict=True):
            grid.draw(axes[top : top + len(grid.lines)], choice.crop, out, look, cell)
        drawing.suptitle(title)
        return panels.save(drawing, out / f"strip.{look.suffix}", look)


def check(table: pyarrow.Table, out: Path, choice: Choice) -> list[Block]:
    """The images that a strip shows, one block for each image source; errors as in `figure`."""
    found: dict[str | None, list[Row]] = {}
    for row in chosen_rows(table, choice):
        if row["image_file"]:
            found.setdefault(row.get(tables.SOURCE), []).append(row)
    if not found:
        raise UsageError(f"no images in {out}; run the scenario again with another --out")
    blocks = [Block(rows, pixels(_original(out, rows[0])), label) for label, rows in found.items()]
    if choice.crop is not None:
        for block in blocks:
            part(block.sent, choice.crop)
    return blocks


def chosen_rows(table: pyarrow.Table, choice: Choice) -> list[Row]:
    """The rows that a strip shows: of each source one image, user, repetition and set of conditions, all swept values.

    Args:
        table: table from `table.read`.
        choice: image, channel and user; the default of the image is one whose received images were saved.

    Raises:
        UsageError: the run has no such image, channel or user.
    """
    rows = sorted(table.to_pylist(), key=lambda row: not row["image_file"])  # rows with images first
    for name, value in (("image", choice.image), ("channel", choice.channel), ("user", choice.user)):
        known = list(dict.fromkeys(row[name] for row in rows))
        if name == "channel" and isinstance(value, str):
            value = labels.chosen("channel", value, known)
        if value is not None and value not in known:
            hint = nearest(value, known) if isinstance(value, str) else f"there are {', '.join(map(str, known))}"
            raise UsageError(f"no {name} {value!r} in this run; {hint}")
        rows = [row for row in rows if value is None or row[name] == value]
    across = panels.first_swept(tables.conditions(table))
    shared = [name for name in panels.panel_conditions(table, across) if name != tables.SOURCE]
    for name in ("repetition", *shared):
        rows = [row for row in rows if row[name] == rows[0][name]]
    of_source = {row.get(tables.SOURCE): (row["image"], row["user"]) for row in reversed(rows)}  # its first row
    rows = [row for row in rows if (row["image"], row["user"]) == of_source[row.get(tables.SOURCE)]]
    order = {key: place for place, key in enumerate(table["point"].to_pylist())}
    return sorted(rows, key=lambda row: order[row["point"]])


def sent_file(image: str, source: str | None) -> str:
    """Name of the PNG file of an image as transmitted, other than the first one of a run, which is sent.png.

    Args:
        image: name of the image.
        source: label of its source; None or "" for the only one.
    """
    return f"sent-{_digest(image, source) if source else _digest(image)}.png"


def received_file(row: Row) -> str:
    """Name of the PNG file of a received image, other than those that a run saves by itself."""
    return f"{row['point']}-{_digest(row['image'], row['user'])}.png"


def _digest(*names: object) -> str:
    return hashlib.sha256(repr(names).encode()).hexdigest()[:8]


def _title(table: pyarrow.Table, out: Path, rows: list[Row], across: str, shown: str) -> str:
    """Title of the run, the conditions of the images, and how many values of conditions are left out."""
    swept, row = tables.conditions(table), rows[0]
    names = list(dict.fromkeys(row["image"] for row in rows))
    several = len(names) > 1
    image = f"image {names[0]}{_others('image', len(table['image'].unique()))}"
    parts = ["one image of each set" if several else image]
    users = len(table["user"].unique())
    parts += [f"user {row['user']}{_others('user', users)}"] if users > 1 else []
    for name in panels.panel_conditions(table, across):
        if name == tables.SOURCE or (several and name == "medium_cbr_budget"):
            continue  # headings name them
        if row[name] is not None:
            if name == "users" and swept[name] == [1]:
                continue
            noun = "channel" if name == "channel" else "value"
            parts.append(labels.fixed_condition(name, row[name]) + _others(noun, len(swept[name])))
    knowledge = {str(row["csit"]) for row in rows if row.get("csit") is not None}
    parts += map(labels.knowledge_of_transmitter, knowledge if len(knowledge) == 1 else [])
    if shown:
        parts.append(f"{shown} values of {labels.axis_label(across)}")
    return f"{scenario_file.title(out)}: {', '.join(parts)}"


def _others(noun: str, count: int) -> str:
    """How many of a number of images, channels or values are not shown beside one of them."""
    return f" ({count - 1} more {noun}{'s' if count > 2 else ''} not shown)" if count > 1 else ""


def _original(out: Path, row: Row) -> Path:
    """The file of the image of a row as transmitted."""
    other = out / "images" / sent_file(row["image"], row.get(tables.SOURCE))
    path = other if other.is_file() else former_names.image_file(out, SENT)
    if not path.is_file():
        raise UsageError(f"no images in {out}; run the scenario again with another --out")
    return path


def _thinned(levels: Sequence[Any], most: int = _MOST_LEVELS) -> list[Any]:
    """At most `most` values, evenly spaced, with the first and the last."""
    if len(levels) <= most:
        return list(levels)
    return [levels[round(i * (len(levels) - 1) / (most - 1))] for i in range(most)]
