"""Simulate a scenario: the rows of each point are one file, written atomically, so that a run can always resume.

    OUT/scenario.yaml            the scenario with all defaults
    OUT/rows/<point>.parquet     conditions and metrics, one row for each image and user
    OUT/rows.parquet             all rows and their run times in one table, written at the end
    OUT/seconds/<point>.parquet  run time of each row
    OUT/images.json              hashes of the images and their annotations
    OUT/images/*.png             the first image of each source, as transmitted and as received

For the same scenario and installation the files in rows/ are equal byte for byte, also after an interruption, with
several workers or on a cluster. Run times differ, and are therefore stored separately.
"""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from channels.arguments import within
from channels.errors import UsageError
from channels.extras import require
from semcom import devices, threads
from semcom.metrics.metric import metric
from semcom.results import strip
from semcom.scenario.load import to_yaml
from semcom.scenario.model import Point, Scenario
from semcom.sweep import inputs, memory, record
from semcom.sweep import workers as _workers
from semcom.sweep.extension import Extension
from semcom.sweep.progress import bar as progress_bar
from semcom.sweep.ray import Ray
from semcom.sweep.repetitions import Repetitions
from semcom.sweep.run_folder import TABLE, RunFolder, png
from semcom.sweep.transmission import attempt, build_system, built_channel, cbr_budget, forget, loaded_images
from semcom.system import System

if TYPE_CHECKING:
    import pyarrow


def run(
    scenario: Scenario,
    out: str | Path,
    workers: int | None = 1,
    progress: bool = False,
    cluster: Ray | None = None,
    device: str = "auto",
) -> Path:
    """Simulate the points of a scenario whose results are not in `out` yet.

    Args:
        scenario: scenario from `load_scenario`.
        out: folder for the results. Points of the same scenario that it contains are not simulated again. Points that
            lack some of the metrics are simulated again, and must give the same rows with further metrics.
        workers: number of processes; None for as many as shorten the run, at most one for each `threads` cores.
        progress: whether to show a progress bar on stderr.
        cluster: Ray cluster that simulates the points, or None for this computer.
        device: device of networks, channels and metrics: "cpu", "cuda", "mps", or "auto" ("cuda" if there is one, else
            "cpu"; on a cluster the device that `cluster` reserves). On "cuda" as many rows are transmitted together as
            fit into its memory, instead of `batch` of the scenario; on a cluster `batch` applies.

    Returns:
        `out`, to be read with `semcom.results.table.read`.

    Raises:
        UsageError: a package is not installed; a system or channel rejects its arguments; `out` contains rows of
            another scenario, of other images, of other weights or of another kind of device; `out` cannot be written;
            there is no such device.
        PointError: any other failure; the message names the point.
    """
    if workers is not None:
        within("workers", workers, 1)
    if workers is not None and workers > 1 and cluster is not None:
        raise UsageError("the number of workers on a cluster is set by the cluster; leave out --workers")
    _require_extras(scenario)
    kind = devices.resolve(device) if cluster is None else cluster.device(device)
    forget()  # weight files in the cache of the hub may have changed since
    folder = RunFolder.opened(Path(out))
    try:
        _simulate(scenario, folder, workers, progress, cluster, kind)
    except UsageError:
        folder.discard()
        raise
    folder.write_table()
    return folder.out


def _simulate(
    scenario: Scenario, folder: RunFolder, workers: int | None, progress: bool, cluster: Ray | None, kind: str
) -> None:
    """Simulate what is missing in a folder, on a device of a kind."""
    repetitions, weights = Repetitions(scenario), _WeightCheck(folder.out)
    planned, missing, reused = deque(scenario.points()), deque[Point](), set[str]()
    extension = Extension.of(folder, scenario)
    total = len(planned)
    while planned:
        point = planned.popleft()
        if point.key not in folder.done:
            missing.append(point)
            continue
        extension.remove(point)
        rows = folder.rows(point.key)
        weights.check(point, rows)
        reused.add(point.key)
        more = repetitions.next_points(point, rows)
        planned.extend(more)
        total += len(more)
    folder.refuse_others(reused | extension.keys(scenario), scenario)
    weights.check_current()
    loaded = [(images, *inputs.loaded(images)) for images in scenario.images]
    for images, _, digests in loaded if folder.done else ():
        inputs.check(folder.out, images, digests)
    most = max(1, threads.cores() // scenario.threads)
    pixels = max(image.pixels[0].numel() for _, found, _ in loaded for image in found)
    batch = _batch(folder, kind, pixels, most if workers is None else workers, cluster)
    folder.write("scenario.yaml", to_yaml(scenario).encode())
    folder.write(record.NAME, record.record(folder.out, kind, batch))
    folder.write(inputs.NAME, inputs.record((images, digests) for images, _, digests in loaded))
    for i, (images, found, _) in enumerate(loaded):
        name = strip.sent_file(found[0].name, images.label) if i else strip.SENT
        folder.write(f"images/{name}", png(found[0].pixels))
    if missing:
        (folder.out / TABLE).unlink(missing_ok=True)  # it would lack the rows of this run
    if workers is not None and scenario.stop is None:
        workers = max(1, min(workers, len(missing)))
    simulated = partial(attempt, device=kind, batch=batch)
    if cluster is None or not missing:
        simulation = _workers.results(simulated, missing, workers, most)
    else:
        simulation = cluster.results(simulated, missing)
    with (
        closing(simulation) as results,
        progress_bar(total, len(reused), progress) as bar,
    ):
        for point, part in results:
            weights.check(point, part.rows)
            inputs.check(folder.out, point.images, part.inputs)  # may change during a run, and differ between nodes
            extension.check(point, part.rows)
            folder.write_part(point.key, part.rows, part.seconds, part.images)
            extension.remove(point)
            more = repetitions.next_points(point, part.rows)
            missing.extend(more)
            bar.total += len(more)
            bar.update()


def _require_extras(scenario: Scenario) -> None:
    """Raise a `UsageError` if a package that a system, a channel or a metric requires is not installed."""
    for variant in (*scenario.systems, *scenario.channels):
        require(variant.entry.extra)
    for name in scenario.all_metrics:
        require(metric(name).extra)


def _batch(folder: RunFolder, kind: str, pixels: int, workers: int, cluster: Ray | None) -> int | None:
    """Number of rows transmitted together, the same as for the rows in the folder; None for that of the scenario.

    Args:
        folder: folder of the run.
        kind: kind of the device.
        pixels: number of pixels of the largest image.
        workers: number of processes that share the device.
        cluster: Ray cluster, or None.

    Raises:
        UsageError: the rows in the folder were computed on another kind of device.
    """
    if not folder.done:
        return None if cluster is not None else memory.batch_of(kind, pixels, workers)
    former, batch = record.device_of(folder.out)
    if former != kind:
        raise UsageError(
            f"{folder.out} contains rows computed on {former}, this run is on {kind}, and rounding differs between "
            f"them; add --device {former}, or choose another --out"
        )
    return batch


@dataclass(frozen=True)
class _WeightCheck:
    """Makes sure that all rows of a system in a folder were computed with the same weights.

    Args:
        out: folder of the run, for the error message.
        found: weights, and a point that used them, by system.
    """

    out: Path
    found: dict[tuple[object, ...], tuple[str, Point]] = field(default_factory=dict)

    def check(self, point: Point, rows: pyarrow.Table) -> None:
        """Raise a `UsageError` if the rows were computed with other weights than earlier rows of the system."""
        self._same(point, rows["weights"][0].as_py())

    def check_current(self) -> None:
        """Raise a `UsageError` if the weights on disk differ from those of the rows."""
        for weights, point in list(self.found.values()):
            if "@" in weights:  # name@hash of a weight file
                image, channel = loaded_images(point.images)[0], built_channel(point.channel)
                system = build_system(point.system, cbr_budget(point, channel, image))
                self._same(point, system.weights if isinstance(system, System) else "")

    def _same(self, point: Point, weights: str) -> None:
        texts = tuple(pair for pair in point.system.arguments if isinstance(pair[1], str))  # a file is named by text
        before, _ = self.found.setdefault((point.system.label, texts), (weights, point))
        if weights != before:
            raise UsageError(
                f"{self.out} contains rows of {point.system.label} with weights {before}, but they are now {weights}; "
                "choose another --out, remove the folder, or restore the former weights"
            )
