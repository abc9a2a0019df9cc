"""`semcom run`, `semcom plot` and `semcom report`: simulate a scenario, and present its results."""

from __future__ import annotations

import argparse
import functools
import importlib
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from channels.errors import ContractError, UsageError
from semcom.cli.common import (
    Commands,
    add_device_option,
    add_scenario_set_option,
    complain,
    count_points,
    interrupted,
)
from semcom.cli.outputs import add_force_option, guard_file, guard_folder
from semcom.discover import user_modules
from semcom.results.printing import printable

if TYPE_CHECKING:
    import pyarrow

    from semcom.results.style import Format
    from semcom.scenario.model import Scenario
    from semcom.sweep.ray import Ray

_MANY = 32  # points of a run that usually takes longer than the imports of workers
_REPORT = "report.html"
_RESULTS = ("summary.csv", "figure.png", "strip.png")
_RECOGNITION_RESULTS = ("summary.csv", "accuracy.png", "confusion.png", "reliability.png")


def add_commands(commands: Commands) -> None:
    """Add `run`, `plot` and `report`."""
    run = commands.add("run", _run)
    run.add_argument("scenario", metavar="SCENARIO", help="path of the scenario file (YAML)")
    run.add_argument(
        "--out", metavar="FOLDER", help="folder for the results (default: runs/NAME for the scenario file NAME.yaml)"
    )
    run.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="number of parallel processes on this computer (default: as many as shorten the run, at most one for "
        "each core)",
    )
    run.add_argument(
        "--engine",
        choices=["processes", "ray"],
        default="processes",
        help="where points are simulated: processes on this computer, or a Ray cluster; a point is one combination of "
        "system, channel, swept values and repetition (default: processes)",
    )
    run.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="address of the Ray head node, with --engine ray (default: the cluster of this computer)",
    )
    run.add_argument(
        "--gpus",
        type=float,
        metavar="SHARE",
        help="number or fraction of GPUs reserved for each point, with --engine ray (default: 1 with --device cuda, "
        "else 0)",
    )
    add_device_option(run)
    run.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="leave out images that cannot be read, like --set images.skip_unreadable=true (default: stop)",
    )
    run.add_argument(
        "--no-report", action="store_true", help="do not write report.html (default: write it beside the figures)"
    )
    add_force_option(run)
    run.add_argument("--quiet", action="store_true", help="hide the progress bar (default: show it)")
    add_scenario_set_option(run)

    plot = commands.add("plot", _plot)
    plot.add_argument("out", metavar="FOLDER", help="folder with the results of semcom run")
    plot.add_argument(
        "--x", metavar="NAME", help="swept quantity on the horizontal axis (default: snr_db if it was swept)"
    )
    plot.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="metric to tabulate and plot; may be repeated (default: all)",
    )
    plot.add_argument(
        "--against",
        metavar="LABEL",
        help="system that the others are compared with, in a table and a figure of paired differences (default: none)",
    )
    plot.add_argument(
        "--hardware",
        metavar="NAME",
        help="draw the energy of the transmitter on this hardware too: arithmetic_45nm, arithmetic_45nm_int8, or a "
        "YAML file of the same form (default: no energies)",
    )
    plot.add_argument(
        "--published",
        type=Path,
        metavar="CSV",
        help="file of published values to draw beside the curves, as in results/published (default: none)",
    )
    plot.add_argument(
        "--format", default="png", choices=["png", "pdf", "svg"], help="file format of the figures (default: png)"
    )
    plot.add_argument(
        "--size",
        metavar="SIZE",
        help="size of the figures: single (3.5 inches wide), double (7.16 inches wide), or WIDTH,HEIGHT in inches "
        "(default: depends on the number of panels)",
    )
    plot.add_argument(
        "--style",
        default="paper",
        choices=["paper", "slides"],
        help="text and lines of the figures: paper, or slides, which has larger text and lines (default: paper)",
    )
    plot.add_argument("--image", metavar="NAME", help="image of the image strip (default: the first)")
    plot.add_argument("--channel", metavar="LABEL", help="channel of the image strip (default: the first)")
    plot.add_argument("--user", type=int, metavar="N", help="user of the image strip, counted from 0 (default: 0)")
    plot.add_argument(
        "--crop",
        metavar="X,Y,W,H",
        help="part of the image that the image strip shows enlarged, in pixels (default: the whole image)",
    )
    add_force_option(plot)

    report = commands.add("report", _report)
    report.add_argument("run", metavar="FOLDER", help="folder with the results of semcom run")
    report.add_argument("--out", metavar="HTML", help="HTML file to write (default: report.html in FOLDER)")
    add_force_option(report)
    report.add_argument(
        "--against",
        metavar="LABEL",
        help="system that the others are compared with, in a section of paired differences (default: none)",
    )


def _run(options: argparse.Namespace) -> int:
    """Simulate a scenario and print its results; the same command resumes a run that was stopped."""
    from semcom import threads
    from semcom.recognition.task import is_task
    from semcom.scenario.load import load_scenario
    from semcom.sweep.ray import Ray

    if options.out == "":
        raise UsageError("--out is empty; name a folder, or leave out --out")
    if is_task(Path(options.scenario)):
        return _recognize(options)
    if options.engine != "ray" and (options.address or options.gpus):
        raise UsageError("--address and --gpus apply to a Ray cluster; add --engine ray")
    gpus = float(options.device == "cuda") if options.gpus is None else options.gpus
    cluster = Ray(options.address, gpus) if options.engine == "ray" else None
    settings = [*options.set, *(["images.skip_unreadable=true"] if options.skip_unreadable else [])]
    wanted = options.workers or 0
    with _workers_ahead(options, wanted if wanted <= threads.cores() else 0):  # before this process imports much
        scenario = load_scenario(options.scenario, settings)
        out = Path(options.out or Path("runs") / Path(options.scenario).stem)
        points = len(scenario.points())
        most = options.workers or (threads.cores() // scenario.threads if points >= _MANY else 0)
        with _workers_ahead(options, min(points, most)):
            if most > 1:  # this process waits for the first points of its workers
                threading.Thread(target=importlib.import_module, args=["matplotlib.figure"], daemon=True).start()
            return _simulate(scenario, out, cluster, options)


def _workers_ahead(options: argparse.Namespace, most: int) -> AbstractContextManager[None]:
    """Begin the imports of up to `most` workers beside those of this process, unless they have begun."""
    from semcom.sweep import workers

    return workers.ahead(most if options.engine == "processes" else 0)


def _simulate(scenario: Scenario, out: Path, cluster: Ray | None, options: argparse.Namespace) -> int:
    from semcom import sweep
    from semcom.images.sources import folders_of

    folders = [folder for images in scenario.images for folder in folders_of(images.source)]
    _guard_run(out, folders if options.out else [], options)  # the default, runs/NAME, may lie in a folder of images
    for name in (*_RESULTS, *([] if options.no_report else [_REPORT])):
        guard_file("--out", out / name, [], options.force)

    try:
        sweep.run(scenario, out, options.workers, not options.quiet, cluster, options.device)
    except KeyboardInterrupt:
        done = len(list((out / "rows").glob("*.parquet")))
        return interrupted(
            f"interrupted after {done} of {count_points(scenario)}; run the same command again to resume"
        )
    except sweep.PointError as error:
        cause = error.__cause__
        if cause is not None and not isinstance(cause, ContractError) and not user_modules.failed(cause):
            traceback.print_exception(cause)
        return complain(f"{error} (the results of finished points are saved)", 1)
    from semcom.results import table

    rows = table.read(out)
    if scenario.stop is not None:
        from semcom.sweep import repetitions

        print(f"\n{printable(repetitions.describe(scenario.stop, rows))}")
    try:
        _print_results(rows, out, not options.no_report)
    except (UsageError, BrokenPipeError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return complain(f"the figures could not be plotted ({reason}); the rows are saved in {out}", 1)
    return 0


def _guard_run(out: Path, inputs: Sequence[Path], options: argparse.Namespace) -> None:
    """Refuse a folder for a run that the command reads from, or that holds files of the user."""
    rows, record = out / "rows", out / "scenario.yaml"
    begun = rows.is_dir() and all(path.suffix == ".parquet" for path in rows.glob("[!.]*"))
    ours = begun or (out / "made.json").is_file()  # a run that was killed at its start has no record
    guard_folder("--out", out, inputs, options.force, ["rows"] if ours else ["made.json"])
    if record.is_file() and not ours and record.samefile(options.scenario):
        raise UsageError(f"--out {out} holds the scenario file, which its record would replace; choose another --out")


def _recognize(options: argparse.Namespace) -> int:
    """Simulate a scenario of recognition, whose points are short: in this process."""
    from semcom.recognition.task import load_task

    if options.engine != "processes" or options.skip_unreadable or (options.workers or 1) > 1:
        raise UsageError(
            "a scenario of recognition runs in one process: leave out --engine, --workers and image options"
        )
    task = load_task(Path(options.scenario), options.set)
    out = Path(options.out or Path("runs") / Path(options.scenario).stem)
    _guard_run(out, [], options)
    for name in _RECOGNITION_RESULTS:
        guard_file("--out", out / name, [], options.force)

    from semcom.recognition.run import run

    try:
        summary = run(task, out, not options.quiet)
    except KeyboardInterrupt:
        return interrupted("interrupted; run the same command again to resume")
    print(f"{'recognizer':<16}{'uses':>6}{'SNR (dB)':>10}{'accuracy (%)':>14}{'log loss':>10}{'calibration error':>19}")
    for row in summary:
        share = 100 * float(str(row["accuracy"]))
        text = f"{row['recognizer']:<16}{row['uses']:>6}{row['snr_db']:>10}{share:>14.1f}"
        print(printable(f"{text}{row['log_loss']:>10}{row['calibration_error']:>19}"))
    for name in _RECOGNITION_RESULTS:
        print(printable(str(out / name)))
    return 0


def _plot(options: argparse.Namespace) -> None:
    """Print the tables and write the figures of a run, finished or not."""
    from semcom.recognition.task import is_task
    from semcom.results import published, strip, summary, table
    from semcom.results.style import format_of

    out, look = Path(options.out), format_of(options.size, options.format, options.style)
    record = out / "scenario.yaml"
    if record.is_file() and is_task(record):
        return _plot_recognition(out, look, options)
    crop = None if options.crop is None else strip.crop_of(options.crop)
    choice = strip.Choice(options.image, options.channel, options.user, crop)
    selection = summary.Selection(
        options.x,
        list(dict.fromkeys(options.metric)),
        options.against,
        look,
        choice,
        () if options.published is None else published.read(options.published),
    )
    rows = table.read(out)
    energy = _energy(rows, out, look, options)
    for path in (*summary.paths(rows, out, selection), *energy):
        guard_file("FOLDER", path, [], options.force)
    if choice.image is not None or choice.user is not None:
        from semcom.sweep.receptions import with_images

        rows = with_images(rows, out, choice)
    text = summary.text(rows, selection)
    written = [*summary.write(rows, out, selection), *(write() for write in energy.values())]
    print("\n".join([text, "", *(printable(str(path)) for path in written)]))


def _energy(
    rows: pyarrow.Table, out: Path, look: Format, options: argparse.Namespace
) -> dict[Path, Callable[[], Path]]:
    """The figure of energies, if it is wanted: its path, and how it is drawn."""
    if options.hardware is None:
        return {}
    from semcom.budget import frontier, load_hardware
    from semcom.results import table

    hardware, metric = load_hardware(options.hardware), next(iter(options.metric or table.metrics(rows)))
    frontier.operations(rows, metric, hardware)  # refuses rows without costs before anything is written
    path = frontier.file(out, options.hardware, look)
    return {path: functools.partial(frontier.figure, rows, metric, hardware, out, path, look)}


def _plot_recognition(out: Path, look: Format, options: argparse.Namespace) -> None:
    """Write the figures of a scenario of recognition."""
    from semcom.recognition import figures, run

    others = ("x", "against", "hardware", "published", "image", "channel", "user", "crop")
    if given := [f"--{name}" for name in others if getattr(options, name) is not None] + ["--metric"] * bool(
        options.metric
    ):
        raise UsageError(f"{given[0]} does not apply to a scenario of recognition: leave it out")
    for path in figures.paths(out, look):
        guard_file("FOLDER", path, [], options.force)
    print("\n".join(printable(str(path)) for path in run.plot(out, look)))


def _report(options: argparse.Namespace) -> None:
    """Write the results of a run, finished or not, as one self-contained HTML page."""
    from semcom import report

    if options.out is not None and Path(options.out).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out must be an HTML file; name it {Path(options.out).with_suffix('.html')}")
    inputs = [path for path in Path(options.run).rglob("*") if path.suffix != ".html"]
    guard_file("--out", options.out or Path(options.run) / _REPORT, inputs, options.force)
    print(printable(str(report.write(options.run, options.out, options.against))))


def _print_results(rows: pyarrow.Table, out: Path, with_report: bool) -> None:
    from semcom import report
    from semcom.results import summary

    print(summary.text(rows))
    print("\n" + "\n".join(printable(str(path)) for path in summary.write(rows, out)))
    if with_report:
        print(printable(f"open {report.write(out)}"))
