"""The panels of an image strip: received images with their captions and messages."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from channels.errors import UsageError
from semcom.results import former_names, labels, panels
from semcom.results.printing import printable
from semcom.results.style import Format

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes

_CAPTIONS = {  # name and form of the metrics below an image
    "psnr": ("PSNR", "{:.1f} dB"),
    "clip_image_similarity": ("CLIP image similarity", "CLIP {:.2f}"),
    "miou": ("mIoU", "mIoU {:.2f}"),
}
Row = dict[str, Any]
Crop = tuple[int, int, int, int]


@dataclass(frozen=True)
class Block:
    """The images of one source in a strip.

    Args:
        rows: rows of the images that are shown, all of one image, user and repetition.
        sent: image as transmitted, uint8 [h, w, 3].
        label: label of the source; None for the only one of a run.
    """

    rows: list[Row]
    sent: np.ndarray
    label: str | None


class Grid:
    """The panels of one block: systems by swept values, or the other way round.

    Args:
        block: images to show.
        table: table of the run.
        across: swept quantity.
        levels: its values.
        turned: whether systems are columns.
    """

    def __init__(self, block: Block, table: pyarrow.Table, across: str, levels: list[Any], turned: bool) -> None:
        names = {row["point"]: panels.curve_name(row, table, across) for row in block.rows}
        systems = list(dict.fromkeys(names.values()))
        shown = [labels.condition(across, level) for level in levels]
        self.block, self.lines, self.columns = block, shown if turned else systems, systems if turned else shown
        self.places = [
            (row, (i, systems.index(names[row["point"]])) if turned else (systems.index(names[row["point"]]), i))
            for row in block.rows
            for i, level in enumerate(levels)
            if row[across] in (level, None)
        ]

    def aspect(self, crop: Crop | None) -> float:
        """Height over width of an image."""
        height, width = self.block.sent.shape[:2] if crop is None else (crop[3], crop[2])
        return height / width

    def draw(self, axes: np.ndarray, crop: Crop | None, out: Path, look: Format, cell: float) -> None:
        """Draw the block.

        Args:
            axes: panels [lines, columns].
            crop: part of each image that is shown; None for whole images.
            out: folder of the run.
            look: format of the figure.
            cell: width of a panel in inches.
        """
        from matplotlib.patches import Rectangle

        sent = self.block.sent
        axes[0, 0].imshow(sent)
        axes[0, 0].set_title(self.heading())
        if crop is not None:
            x, y, wide, high = crop
            axes[0, 0].add_patch(
                Rectangle((x - 0.5, y - 0.5), wide, high, fill=False, edgecolor="#E69F00", linewidth=1.5)
            )
            axes[0, 1].imshow(part(sent, crop), interpolation="nearest")
            axes[0, 1].set_title(textwrap.fill("Original, enlarged", look.characters(cell)))
        first = 1 if crop is None else 2
        for row, (line, column) in self.places:
            panel = axes[line, first + column]
            received = pixels(former_names.image_file(out, row["image_file"]))
            panel.imshow(received if crop is None else part(received, crop), interpolation="nearest")
            caption = textwrap.fill(_caption(row), look.characters(cell))
            panel.set_xlabel(caption, fontsize=look.font_size - 1, labelpad=2)
            if row.get("received_message") is not None:
                _frame(panel, row["received_message"], look, cell)
        for column, name in enumerate(self.columns):
            axes[0, first + column].set_title(textwrap.fill(printable(name), look.characters(cell)))
        for line, name in enumerate(self.lines):
            text = textwrap.fill(printable(name), look.characters(cell * self.aspect(crop)))
            axes[line, first].set_ylabel(text)

    def heading(self) -> str:
        """Text above the original; with several sources it names the source and the channel-use budget."""
        if self.block.label is None:
            return "Original"
        height, width, colors = self.block.sent.shape
        uses = int(self.block.rows[0]["medium_cbr_budget"] * height * width * colors + 1e-6)
        return f"Original\n{printable(self.block.label)}\n{uses} channel uses"


def part(image: np.ndarray, crop: Crop) -> np.ndarray:
    """The part (x, y, width, height) of an image.

    Raises:
        UsageError: the part is not within the image.
    """
    x, y, width, height = crop
    if x + width > image.shape[1] or y + height > image.shape[0]:
        raise UsageError(
            f"--crop {','.join(map(str, crop))} is not within the image of {image.shape[1]} x {image.shape[0]} pixels"
        )
    return image[y : y + height, x : x + width]


def pixels(path: Path) -> np.ndarray:
    """The pixels of a PNG file, uint8 [h, w, 3].

    Raises:
        UsageError: the file cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            return np.asarray(image)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error}); run the scenario again with another --out") from None


def _caption(row: Row) -> str:
    failed = row.get("outage.numerator") and row["outage.denominator"]
    values = [(form, _value(row, metric)) for metric, (_, form) in _CAPTIONS.items()]
    quality = ", ".join(form.format(value) for form, value in values if value is not None)
    return " ".join(word for word in (quality, "outage" if failed else "") if word)


def _value(row: Row, metric: str) -> float | None:
    """The value of a metric in one row; None if it does not apply."""
    if row.get(metric) is not None:
        return float(row[metric])
    numerators, denominators = (row.get(f"{metric}.{part}") for part in ("numerator", "denominator"))
    if numerators is None or not np.any(denominators):
        return None
    counted = np.asarray(denominators) > 0
    return float(np.mean(np.asarray(numerators)[counted] / np.asarray(denominators)[counted]))


def legend(rows: list[Row]) -> str:
    """What is written below and on the images."""
    names = [name for metric, (name, _) in _CAPTIONS.items() if any(_value(row, metric) is not None for row in rows)]
    has_text = any(row.get("received_message") is not None for row in rows)
    boxed = "; box: received text, drawn over the image" if has_text else ""
    below = f"{', '.join(names)} below each image, higher is better" if names else "results below each image"
    return below + boxed


def _frame(panel: Axes, message: str, look: Format, cell: float) -> None:
    """Write a received message into the lower part of an image, in a frame."""
    text = (
        f"\N{LEFT DOUBLE QUOTATION MARK}{message}\N{RIGHT DOUBLE QUOTATION MARK}" if message else "message not received"
    )
    panel.text(
        0.5,
        0.05,
        textwrap.fill(printable(text), look.characters(0.8 * cell)),
        transform=panel.transAxes,
        ha="center",
        va="bottom",
        fontsize=look.font_size - 1,
        color="black" if message else "#B00020",
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "black" if message else "#B00020"},
    )
