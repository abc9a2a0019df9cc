"""Scenarios that visitors run: small ones, which name no files, point by point."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels import UsageError
from semcom import sweep
from semcom.images.sources import entries_of
from semcom.report import page
from semcom.results import plot, table, table_formats
from semcom.results.intervals import FEW
from semcom.results.style import Format
from semcom.scenario.load import load_scenario, to_yaml
from semcom.scenario.model import Scenario
from semcom.sweep.repetitions import Repetitions
from semcom.sweep.run_folder import RunFolder
from semcom_demo.calls import device

if TYPE_CHECKING:
    import pyarrow

MAX_POINTS = 400
MAX_SIDE = 512
MAX_IMAGES = 24
MAX_USERS = 16
MAX_CANDIDATES = 16


PHONE = 3.5
"""Width in inches of the figure for a phone, which has one panel a row."""


class _Dark(Format):
    """Look of a figure on a dark page."""

    def settings(self) -> dict[Any, Any]:
        texts = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        page = {"figure.facecolor": "#171614", "axes.facecolor": "#171614", "grid.color": "#454545"}
        return super().settings() | dict.fromkeys(texts, "#f0f0f0") | page


def read_scenario(text: str, folder: Path) -> Scenario:
    """Parse and check the text of a scenario. It must be small and name no files; it is written to `folder`."""
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        scenario = load_scenario(path)
    except UsageError as error:
        message = str(error).replace(str(path), path.name).replace(f"{folder} and {Path.cwd()}", "this page")
        raise UsageError(_without_folders(message)) from None
    points = _max_points(scenario)
    for violated, limit in (
        (_needs_large_model(scenario), f"candidates and steps: at most {MAX_CANDIDATES}, only with preset tiny"),
        (_names_files(scenario), "use built-in systems, channels and weights here; semcom run accepts files"),
        (
            any(images.source.startswith(("folder", "hf")) for images in scenario.images),
            "use a built-in image source here; semcom run accepts folders",
        ),
        (points > MAX_POINTS, f"{points} points: at most {MAX_POINTS} here; semcom run has no limit"),
        (any((images.size or 0) > MAX_SIDE for images in scenario.images), f"images.size: at most {MAX_SIDE} here"),
        (
            any(images.size is None and images.source == "photos" for images in scenario.images),
            f"images.size is missing: give at most {MAX_SIDE}",
        ),
        (
            sum(images.count or MAX_IMAGES + 1 for images in scenario.images) > MAX_IMAGES,
            f"images.count: give at most {MAX_IMAGES} here",
        ),
        (max(scenario.users) > MAX_USERS, f"users: at most {MAX_USERS} here"),
        (scenario.batch > 64 or scenario.threads > 1, "batch: at most 64 here; threads: 1 here"),
    ):
        if violated:
            raise UsageError(f"scenario.yaml: {limit}")
    return scenario


def check_source(scenario: Scenario) -> None:
    """Check that the image source is installed and has as many images as the scenario asks for."""
    for images in scenario.images:
        try:
            entries = entries_of(images.source)
        except UsageError as error:
            raise UsageError(f"scenario.yaml: {_without_folders(str(error))}") from None
        if isinstance(entries, Sequence) and images.count is not None and images.count > len(entries):
            raise UsageError(
                f"scenario.yaml: images.count: {images.source} has {len(entries)} images; give at most that"
            )


def _without_folders(message: str) -> str:
    """An error message without paths of the computer that runs the demo."""
    return re.sub(r"(?<![\w./:])(?:/[\w.+-]+)+(/[\w.+-]+)", r"...\1", message)


def _max_points(scenario: Scenario) -> int:
    """Largest possible number of points, from the lengths of the axes: listing a billion points would take too long."""
    grids = sum(
        prod(
            len(axis.values)
            for axis in scenario.axes
            for owner in [axis.name.partition(".")[0]]
            if system.has_name(owner) or channel.has_name(owner)
        )
        for system in scenario.systems
        for channel in scenario.channels
    )
    repetitions = scenario.stop.max_repetitions if scenario.stop else scenario.repetitions
    conditions = (scenario.images, scenario.medium_cbr, scenario.users, scenario.snr_db)
    return grids * prod(map(len, conditions)) * repetitions


def _needs_large_model(scenario: Scenario) -> bool:
    """Whether an argument or a swept value needs more memory, or larger networks, than the demo offers."""
    settings = [pair for system in scenario.systems for pair in system.arguments]
    settings += [(axis.name.rpartition(".")[2], value) for axis in scenario.axes for value in axis.values]
    return any(
        (name in ("candidates", "steps") and value > MAX_CANDIDATES) or value in ("base", "retrieval")
        for name, value in settings
    )


def _names_files(scenario: Scenario) -> bool:
    """Whether a system, a channel, an argument or a swept value names a file or a repository."""
    variants = [*scenario.systems, *scenario.channels]
    texts = [variant.name for variant in variants]
    texts += [str(value) for variant in variants for _, value in variant.arguments]
    texts += [str(value) for axis in scenario.axes for value in axis.values]
    marks, suffixes = ("/", "\\", "hf:", "folder:"), (".py", ".onnx", ".keras", ".pth", ".pkl", ".model")
    return any(text.endswith(suffixes) or any(mark in text for mark in marks) for text in texts)


def run_points(scenario: Scenario, folder: Path) -> Iterator[tuple[int, int, pyarrow.Table]]:
    """Run point by point like `sweep.run`; yield the number of points done, the total, and all rows so far.

    The parts of the run are written to `folder`.
    """
    repetitions, queue, parts = Repetitions(scenario), deque(scenario.points()), []
    run = RunFolder.opened(folder)
    (folder / "scenario.yaml").write_text(to_yaml(scenario), encoding="utf-8")
    while queue:
        point = queue.popleft()
        part = sweep.run_point(point, device())
        run.write_part(point.key, part.rows, part.seconds, part.images)
        queue.extend(repetitions.next_points(point, part.rows))
        parts.append(part.rows)
        yield len(parts), len(parts) + len(queue), table.joined(parts)


def files(rows: pyarrow.Table, folder: Path) -> dict[str, bytes]:
    """Contents of the files of a run in a folder, by name: figure, report, means and rows."""
    looks = {"figure_dark": _Dark(), "figure_phone": Format(width=PHONE), "figure_phone_dark": _Dark(width=PHONE)}
    return {
        **{f"{name}.png": plot.figure(rows, folder, look=look).read_bytes() for name, look in looks.items()},
        "figure.png": plot.figure(rows, folder).read_bytes(),
        "report.html": page(folder).encode(),
        "summary.csv": table_formats.as_csv(rows).encode(),
        "rows.parquet": as_parquet(rows),
    }


def files_of(text: str, rows: pyarrow.Table, folder: Path) -> dict[str, bytes]:
    """As `files`, for the rows of a run whose folder does not exist any more."""
    import pyarrow

    (folder / "scenario.yaml").write_text(text, encoding="utf-8")
    run = RunFolder.opened(folder)
    unknown = pyarrow.nulls(len(rows), pyarrow.float64())
    run.write_part("rows", rows, pyarrow.table({"seconds": unknown}), {})
    return files(rows, folder)


def interval_note(rows: pyarrow.Table) -> str:
    """What the numbers of the table are; an interval of few images says little."""
    count = len(set(rows["image"].to_pylist()))
    if count < FEW:
        return (
            f"Mean over {count} image{'s' if count > 1 else ''}. An interval of so few images is hardly more than the "
            f"values themselves; use at least {FEW} images to compare systems."
        )
    return f"Mean over {count} images with its 95 % confidence interval"


def presets(folder: Path) -> dict[str, str]:
    """Scenarios of the project that this page can run, by title; none in an installation without them."""
    found = {}
    for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        try:
            scenario = read_scenario(text, folder)
        except UsageError:
            continue  # too large for this page
        if all(images.source.partition(":")[0] in ("photos", "streets") for images in scenario.images):  # installed
            found[f"{path.stem}: {scenario.title}"] = text
    return found


def as_parquet(rows: pyarrow.Table) -> bytes:
    """The rows as a Parquet file."""
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(rows, file)
    return file.getvalue()
