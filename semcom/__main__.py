"""The command line. A new subcommand is one function below and one `_command(...)` in `_parser`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from channels._errors import UsageError
from semcom import discover, train_settings

if TYPE_CHECKING:
    from semcom.scenario import Scenario

# Imported inside the commands: torch and everything that imports it. `semcom --help` must not take seconds.

_PHRASE = 76  # characters of a description in `semcom list`, where it can be cut


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 2 wrong input, 1 a failure, 130 an interrupt."""
    try:
        options = _parser().parse_args(arguments)
        return options.command(options) or 0
    except UsageError as error:
        return _complain(str(error), 2)
    except KeyboardInterrupt:
        return _interrupted("interrupted")
    except BrokenPipeError:  # `semcom list | head`: nobody reads on, and that is all right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _list(options: argparse.Namespace) -> None:
    """What there is: systems, channels, image sources, metrics."""
    sections = {
        "systems": {name: entry.summary for name, entry in discover.entries("system").items()},
        "channels": {name: entry.summary for name, entry in discover.entries("channel").items()},
        "image sources": discover.sources(),
        "metrics": discover.metrics(),
    }
    width = max(len(name) for items in sections.values() for name in items)
    for title, items in sections.items():
        print(title)
        for name, summary in items.items():
            print(f"  {name:<{width}}  {_phrase(summary)}".rstrip())


def _show(options: argparse.Namespace) -> None:
    """What a system or channel is and takes, or what a scenario file comes to."""
    from semcom._scenario_file import writable

    if Path(options.name).suffix in (".yaml", ".yml"):
        from semcom.scenario import load_scenario, to_yaml

        scenario = load_scenario(options.name, options.set)
        print(f"{to_yaml(scenario)}\n{_points(scenario)}")
        return
    entry = _find(options.name)
    print(f"{entry.kind} {entry.name} ({_relative(entry.path)})\n\n{entry.text.partition('Args:')[0].strip()}\n")
    for argument in writable(entry).values():
        default = "required" if argument.required else f"= {argument.default!r}"
        print(f"  {argument.name}: {argument.annotation or 'any'} {default}\n      {argument.text}".rstrip())
    if not writable(entry):
        print("  no arguments")


def _run(options: argparse.Namespace) -> int:
    """Run a scenario, or what is missing of it, and show what came out."""
    from semcom.cluster import Ray
    from semcom.scenario import load_scenario

    if options.engine != "ray" and (options.address or options.gpus):
        raise UsageError("--address and --gpus are for a Ray cluster; add --engine ray")
    cluster = Ray(options.address, options.gpus) if options.engine == "ray" else None
    scenario = load_scenario(options.scenario, options.set)
    out = Path(options.out or Path("runs") / Path(options.scenario).stem)

    from semcom import sweep

    try:
        sweep.run(scenario, out, options.workers, progress=not options.quiet, cluster=cluster)
    except KeyboardInterrupt:
        done = len(list((out / "rows").glob("*.parquet")))
        return _interrupted(f"interrupted with {done} of {_points(scenario)} done; the same command goes on from there")
    except sweep.PointError as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        return _complain(f"{error} (the rows of other points are kept)", 1)
    _results(out)
    if scenario.stop is not None:
        from semcom import repeats, table

        stop = scenario.stop
        wide, means = repeats.wide(stop, table.read(out))
        rest = f"; the others ended at {stop.max_repetitions} repetitions" if wide else ""
        print(f"\n{means - wide} of {means} means of {stop.metric} are known to +-{stop.half_width:g}{rest}")
    return 0


def _plot(options: argparse.Namespace) -> None:
    """Draw the figure and the picture strip of a finished or unfinished run."""
    _results(Path(options.out), options.x, options.metric, options.format)


def _report(options: argparse.Namespace) -> None:
    """Write one self-contained HTML page about a finished or unfinished run."""
    from semcom import report

    print(report.write(options.run, options.out))


def _results(out: Path, x: str | None = None, chosen: Sequence[str] = (), suffix: str = "png") -> None:
    from semcom import plot, table

    rows = table.read(out)
    for metric in chosen or table.metrics(rows):
        print(f"\n{metric}, mean and 95 % interval\n{table.as_text(rows, metric)}")
    summary = out / "summary.csv"
    try:
        summary.write_text(table.as_csv(rows), encoding="utf-8")
        figure = plot.figure(rows, out, x, chosen, suffix)
        strip = plot.strip(rows, out, suffix)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror or error}; the rows are kept") from None
    print("\n" + "\n".join(str(path) for path in (summary, figure, strip)))


def _send(options: argparse.Namespace) -> int:
    """Send pictures, a file in their messages if you like, and say what it cost and what came of it."""
    from semcom import send

    try:
        for line in send.command(options):
            print(line, flush=True)
    except send.PayloadError as error:
        return _complain(str(error), 1)
    return 0


def _check(options: argparse.Namespace) -> int:
    """Run the contract laws on a system or channel."""
    from semcom.scenario import variant

    entry = _find(options.name)
    subject = variant(entry.kind, options.name, options.set)

    from semcom.check import check

    failed = 0
    for law in check(subject):
        outcome = ("FAIL" if law.problem else "pass") if law.applies else "does not apply"
        print(f"{outcome:<15} {law.name:<45} {law.problem or law.says}", flush=True)
        failed += bool(law.problem)
    return 1 if failed else 0


def _certify(options: argparse.Namespace) -> int:
    """Measure every channel and the modem against theory."""
    from channels import certificate

    try:
        text, status = certificate.run(options.out, options.scale)
    except OSError as error:
        raise UsageError(f"cannot write to {options.out}: {error.strerror or error}; choose another --out") from None
    print(f"{text}\n\n{Path(options.out, 'certificate.json')}\n{Path(options.out, 'certificate.png')}")
    return status


def _app(options: argparse.Namespace) -> int:
    """Start the interactive demo in the browser."""
    if importlib.util.find_spec("streamlit") is None:
        raise UsageError("the demo needs Streamlit: pip install 'semcom[app]'")
    settings = {
        "server.address": options.address,
        "server.port": options.port,
        "server.headless": str(options.no_browser).lower(),
        "server.maxUploadSize": 10,
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return subprocess.run([sys.executable, "-m", "streamlit", "run", str(_demo()), *flags]).returncode


def _demo() -> Path:
    """The demo's first file: of a checkout, or where the wheel has put it."""
    checkout = Path(__file__).parents[1] / "apps" / "demo.py"
    if checkout.is_file():
        return checkout
    from importlib import metadata

    installed = metadata.files("semcom") or []
    found = next((Path(str(file.locate())).resolve() for file in installed if file.match("semcom/apps/demo.py")), None)
    if found is None or not found.is_file():
        raise UsageError("this installation has no apps/demo.py; install semcom again, or run make app in a checkout")
    return found


def _train(options: argparse.Namespace) -> int:
    """Train a system through the air, or go on with a training run."""
    import logging

    trainable = discover.trainable()
    if options.system not in trainable:
        raise UsageError(
            f"nothing to train is called {options.system!r}; {discover.nearest(options.system, trainable)}"
        )

    from semcom import train

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        path = train.command(options)
    except KeyboardInterrupt:
        there = (train.folder_of(options) / "checkpoint.pt").exists()
        begun = "the same folder with --resume goes on from there" if there else "nothing was trained yet"
        return _interrupted(f"interrupted; {begun}")
    print(f"weights and their card: {_relative(path)}")
    return 0


# --- pieces --------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="semcom", description="Send pictures over simulated channels, the classical ways and the learned."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Callable[[argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        added.set_defaults(command=function)
        return added

    command("list", _list)

    show = command("show", _show)
    show.add_argument("name", help="of a system or channel, a .py file of your own with one, or a scenario file")
    _add_set(show)

    run = command("run", _run)
    run.add_argument("scenario", help="YAML file")
    run.add_argument("--out", help="folder for the rows; default runs/NAME")
    run.add_argument("--workers", type=int, default=1, help="processes that share the points")
    run.add_argument("--engine", choices=["processes", "ray"], default="processes", help="what runs the points")
    run.add_argument("--address", metavar="HOST:PORT", help="of the Ray cluster; default the one of this computer")
    run.add_argument("--gpus", type=float, default=0.0, metavar="SHARE", help="of a GPU for a point on Ray; default 0")
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_set(run)

    send = command("send", _send)
    send.add_argument("pictures", nargs="+", metavar="PICTURE", help="any image files, or one folder of them")
    send.add_argument("--system", required=True)
    send.add_argument("--channel", default="awgn")
    send.add_argument("--snr", type=float, required=True, metavar="DB", help="Es/N0 per channel use")
    send.add_argument("--users", type=int, default=1, help="that share the medium; default 1")
    send.add_argument(
        "--cbr", type=float, default=1 / 16, help="uses of the medium per real number of the picture; default 1/16"
    )
    send.add_argument("--seed", type=int, default=0)
    send.add_argument("--out", metavar="PNG", help="where to put the received picture; a folder for several")
    send.add_argument("--payload", metavar="FILE", help="to send in the messages of the pictures (carrier_image)")
    send.add_argument("--payload-out", metavar="FILE", help="where to write the file that is received")
    _add_set(send)

    plot = command("plot", _plot)
    plot.add_argument("out", help="folder of a run")
    plot.add_argument("--x", help="what to put on the horizontal axis; default snr_db if it was swept")
    plot.add_argument("--metric", action="append", default=[], help="which metrics; default all")
    plot.add_argument("--format", default="png", choices=["png", "pdf", "svg"])

    report = command("report", _report)
    report.add_argument("run", help="folder of a run")
    report.add_argument("--out", metavar="HTML", help="the page; default report.html in the run's folder")

    check = command("check", _check)
    check.add_argument("name", help="of a system or channel, or a .py file of your own with one")
    _add_set(check)

    certify = command("certify", _certify)
    certify.add_argument("--out", default="runs/certificate", help="folder for the table and the figure")
    certify.add_argument("--scale", type=float, default=1.0, help="multiplies all counts; default 1")

    app = command("app", _app)
    app.add_argument("--address", default="localhost", help="to listen at; default localhost, this computer alone")
    app.add_argument("--port", type=int, default=8501)
    app.add_argument("--no-browser", action="store_true", help="do not open one")

    train_settings.add_arguments(command("train", _train))
    return parser


class _OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message} ({self.prog} --help)")


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="in place of what the scenario says: sweep.snr_db=[0,10], digital.codec=webp, channel.k_factor_db=3",
    )


def _find(name: str) -> discover.Entry:
    """The system or channel of that name, or in that file."""
    if name.endswith(".py"):
        return discover.find_file(name)
    if name in discover.entries("system"):
        return discover.find("system", name)
    if name in discover.entries("channel"):
        return discover.find("channel", name)
    names = [*discover.entries("system"), *discover.entries("channel")]
    raise UsageError(f"no system or channel {name!r}; {discover.nearest(name, names)}")


def _points(scenario: Scenario) -> str:
    """How many points a scenario has: exactly, or from least to most."""
    count = len(scenario.points())
    if scenario.stop is None:
        return f"{count} points"
    return f"{count} to {count // scenario.repetitions * scenario.stop.max_repetitions} points"


def _phrase(text: str) -> str:
    """The first phrase of a summary: without what follows a semicolon, and without clauses that make it long."""
    phrase = text.partition("; ")[0].partition(". ")[0].removesuffix(".")
    while len(phrase) > _PHRASE and ", " in phrase:
        phrase = phrase.rpartition(", ")[0]
    return phrase


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _complain(message: str, status: int) -> int:
    print(f"semcom: {' '.join(message.split())}", file=sys.stderr)
    return status


def _interrupted(message: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only make Python print where it ends
    return _complain(message, 130)


if __name__ == "__main__":
    sys.exit(main())
