"""Simulation of a scenario of recognition: one row for each frame, with truth, decision and posterior.

OUT/scenario.yaml            the scenario with all defaults
OUT/rows/<point>.parquet     rows of a point; a point that is there is not simulated again
OUT/rows.parquet             all rows in one table
OUT/summary.csv              accuracy with its 95 % interval, log loss and expected calibration error by point
OUT/*.png                    accuracy over SNR, confusion matrices, reliability diagram
"""

from __future__ import annotations

import csv
import io
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from channels.blind_recognition import blind_log_likelihoods
from channels.errors import UsageError
from channels.recognition import MODULATIONS, log_likelihoods, posterior
from channels.rng import Rng, seed_for
from semcom import atomic, discover
from semcom.recognition import figures, metrics, networks
from semcom.recognition.task import LIKELIHOODS, Point, Task, load_task
from semcom.results.intervals import proportion
from semcom.results.style import Format

if TYPE_CHECKING:
    import pyarrow

_BLOCK = 256  # frames that are received together
_LEAST_RANGE_DB = 1.0  # of the prior of an unknown SNR
SUMMARY = ("recognizer", "uses", "snr_db", "frames", "accuracy", "low", "high", "log_loss", "calibration_error")


def run(task: Task, out: Path, progress: bool = False) -> list[dict[str, object]]:
    """Simulate the points that are not in `out` yet; write rows, summary and figures; return the summary.

    Args:
        task: scenario from `semcom.recognition.task.load_task`.
        out: folder of the results.
        progress: whether to show a progress bar on stderr.

    Raises:
        UsageError: the folder holds points of another scenario or cannot be written; weights cannot be loaded.
    """
    import pyarrow as pa

    for name in set(task.recognizers) - set(LIKELIHOODS):
        _columns(task, name)
    points = {task.key(point): point for point in task.points()}
    _open(out, set(points))
    _write(out / "scenario.yaml", task.yaml())
    tables = []
    for key, point in tqdm(points.items(), disable=not progress, unit="point"):
        path = out / "rows" / f"{key}.parquet"
        if not path.is_file():
            _write(path, _parquet(_rows(task, point)))
        import pyarrow.parquet

        tables.append(pyarrow.parquet.read_table(path))
    _write(out / "rows.parquet", _parquet(pa.concat_tables(tables)))
    summary = [_summarized(task, point, table) for point, table in zip(points.values(), tables, strict=True)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, SUMMARY, lineterminator="\n")
    writer.writeheader()
    writer.writerows(summary)
    _write(out / "summary.csv", text.getvalue().encode())
    _draw(task, list(points.values()), summary, tables, out, Format())
    return summary


def plot(out: Path, look: Format) -> list[Path]:
    """Write the figures of a finished run, and return their paths.

    Args:
        out: folder of the run.
        look: file format, size and style.

    Raises:
        UsageError: points of the run are missing, or a file cannot be written.
    """
    import pyarrow.parquet

    task = load_task(out / "scenario.yaml")
    files = {point: out / "rows" / f"{task.key(point)}.parquet" for point in task.points()}
    if missing := sum(not path.is_file() for path in files.values()):
        raise UsageError(f"{out} lacks {missing} of {len(files)} points; run the scenario again to resume")
    tables = [pyarrow.parquet.read_table(path) for path in files.values()]
    summary = [_summarized(task, point, table) for point, table in zip(files, tables, strict=True)]
    return _draw(task, list(files), summary, tables, out, look)


def _draw(
    task: Task,
    points: list[Point],
    summary: list[dict[str, object]],
    tables: list[pyarrow.Table],
    out: Path,
    look: Format,
) -> list[Path]:
    try:
        return figures.draw(task, points, summary, [_arrays(task, table) for table in tables], out, look)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror or error}; choose another --out") from None


def receive(task: Task, point: Point, name: str, first: int, count: int) -> tuple[Tensor, Tensor]:
    """Frames of a modulation as an antenna receives them, and their gains, complex64 [frames, uses].

    The streams of a frame do not depend on SNR or recognizer, so that all of them face the same fading and noise. The
    carrier phase of each frame is uniform.
    """
    rng = Rng([seed_for(task.seed, "recognition", name, frame) for frame in range(first, first + count)])
    sent = MODULATIONS[name].draw(point.uses, rng)
    channel = discover.find("channel", task.channel).load()()
    counts = torch.full((count, 1), point.uses)
    received = channel.carry(sent[:, None], counts, torch.full((count, 1), point.snr_db), rng.derive("air")).fold()
    turn = torch.polar(torch.ones(count, 1), 2 * math.pi * rng.derive("carrier phase").uniform(1))
    gains = received.gains[:, 0] * turn
    return received.symbols * gains, gains


def posteriors(task: Task, point: Point, symbols: Tensor, gains: Tensor) -> Tensor:
    """Posterior of each modulation, float64 [frames, modulations], of frames and gains from `receive`."""
    noise, names = 10 ** (-point.snr_db / 10), task.modulations
    match point.recognizer:
        case "all_known":
            return posterior(log_likelihoods(symbols, names, noise_variance=noise, gain=gains))
        case "phase_unknown":
            level = gains.abs() + 0j
            found = log_likelihoods(symbols, names, noise_variance=noise, gain=level, phase="unknown")
            return posterior(found)
        case "nothing_known":
            low, high = min(task.snr_db), max(task.snr_db)
            return posterior(
                blind_log_likelihoods(symbols, names, (low, max(high, low + _LEAST_RANGE_DB))).log_likelihood
            )
        case weights:
            network, columns = _columns(task, weights)
            with torch.inference_mode():
                return torch.softmax(network(symbols)[:, columns].double(), 1)


def _columns(task: Task, name: str) -> tuple[torch.nn.Module, list[int]]:
    """A learned recognizer, and the columns of its logits for the modulations of the task."""
    network, modulations, _ = networks.load(name)
    if missing := [modulation for modulation in task.modulations if modulation not in modulations]:
        raise UsageError(f"recognizer {name!r} was not trained for {missing[0]}; it knows {', '.join(modulations)}")
    return network, [modulations.index(modulation) for modulation in task.modulations]


def _rows(task: Task, point: Point) -> pyarrow.Table:
    """Rows of a point."""
    import pyarrow as pa

    found, truth = [], []
    for index, name in enumerate(task.modulations):
        for first in range(0, task.frames, _BLOCK):
            count = min(_BLOCK, task.frames - first)
            found.append(posteriors(task, point, *receive(task, point, name, first, count)))
            truth += [index] * count
    values = torch.cat(found).numpy()
    names = np.array(task.modulations)
    columns = {
        "recognizer": [point.recognizer] * len(truth),
        "channel": [task.channel] * len(truth),
        "snr_db": [point.snr_db] * len(truth),
        "uses": [point.uses] * len(truth),
        "frame": list(range(task.frames)) * len(names),
        "truth": names[truth],
        "decision": names[values.argmax(1)],
        **{f"posterior_{name}": values[:, column] for column, name in enumerate(names)},
    }
    return pa.table(columns)


def _arrays(task: Task, table: pyarrow.Table) -> tuple[np.ndarray, np.ndarray]:
    """Truth and posterior of the rows of a point."""
    truth = np.array([task.modulations.index(name) for name in table["truth"].to_pylist()])
    return truth, np.stack([table[f"posterior_{name}"].to_numpy() for name in task.modulations], 1)


def _summarized(task: Task, point: Point, table: pyarrow.Table) -> dict[str, object]:
    truth, values = _arrays(task, table)
    right = (values.argmax(1) == truth).astype(float)
    estimate = proportion(right, np.ones(len(right)), range(len(right)))
    numbers = {
        "accuracy": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "log_loss": metrics.log_loss(truth, values),
        "calibration_error": metrics.expected_calibration_error(truth, values),
    }
    place = {"recognizer": point.recognizer, "uses": point.uses, "snr_db": f"{point.snr_db:g}", "frames": len(truth)}
    return place | {name: f"{value:z.4f}" for name, value in numbers.items()}


def _open(out: Path, keys: set[str]) -> None:
    """Create the folder, or check that its points are those of the scenario."""
    try:
        (out / "rows").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create {out}: {error.strerror}; choose another --out") from None
    atomic.remove_abandoned(out)
    if others := {path.stem for path in (out / "rows").glob("*.parquet")} - keys:
        raise UsageError(
            f"{out} contains rows of {len(others)} point(s) of another scenario (see {out / 'scenario.yaml'}): "
            "choose another --out, or delete this folder to compute it anew"
        )


def _write(path: Path, content: bytes) -> None:
    try:
        atomic.write(path, content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --out") from None


def _parquet(table: pyarrow.Table) -> bytes:
    import pyarrow.parquet

    file = io.BytesIO()
    partial(pyarrow.parquet.write_table, compression="zstd")(table, file)
    return file.getvalue()
