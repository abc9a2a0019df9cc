"""The command line. A new subcommand is one function below and one `_command(...)` in `_parser`."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from channels._errors import UsageError
from semcom import discover, train_settings

# Imported inside the commands: torch and everything that imports it. `semcom --help` must not take seconds.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 2 wrong input, 1 a failure, 130 an interrupt."""
    try:
        options = _parser().parse_args(arguments)
        return options.command(options) or 0
    except UsageError as error:
        return _complain(str(error), 2)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
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
            print(f"  {name:<{width}}  {summary}".rstrip())


def _show(options: argparse.Namespace) -> None:
    """What a system or channel is and takes, or what a scenario file comes to."""
    from semcom._scenario_file import writable

    if Path(options.name).suffix in (".yaml", ".yml"):
        from semcom.scenario import load_scenario, to_yaml

        scenario = load_scenario(options.name, options.set)
        print(f"{to_yaml(scenario)}\n{len(scenario.points())} points")
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
    from semcom.scenario import load_scenario

    scenario = load_scenario(options.scenario, options.set)
    out = Path(options.out or Path("runs") / Path(options.scenario).stem)

    from semcom import sweep

    try:
        sweep.run(scenario, out, options.workers, progress=not options.quiet)
    except KeyboardInterrupt:
        done = len(list((out / "rows").glob("*.parquet")))
        return _complain(
            f"interrupted with {done} of {len(scenario.points())} points done; the same command goes on from there", 130
        )
    except sweep.PointError as error:
        traceback.print_exception(error.__cause__)
        return _complain(f"{error} (the rows of other points are kept)", 1)
    _results(out)
    return 0


def _plot(options: argparse.Namespace) -> None:
    """Draw the figure and the picture strip of a finished or unfinished run."""
    _results(Path(options.out), options.x, options.metric, options.format)


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


def _send(options: argparse.Namespace) -> None:
    """Send one picture and say what it cost and what it scored."""
    from semcom.scenario import scenario_from

    scenario = scenario_from(
        {
            "systems": [options.system],
            "channel": options.channel,
            "medium_cbr": options.cbr,
            "sweep": {"snr_db": options.snr, "users": options.users},
            "images": {"source": "folder"},
            "metrics": ["psnr", "ssim", "ms_ssim", "outage"],
            "seed": options.seed,
        },
        options.set,
        name="semcom send",
    )

    points = scenario.points()
    if len(points) != 1 or any(setting.startswith("sweep.") for setting in options.set):
        raise UsageError("send sends one picture once: give --snr and --users, and sweep with semcom run")
    if options.out and Path(options.out).suffix.lower() not in ("", ".png"):
        raise UsageError(f"the received picture is written as PNG; name it {Path(options.out).with_suffix('.png')}")

    from semcom import sweep
    from semcom.images import Picture, open_image, save_png, to_tensor
    from semcom.metrics import METRICS, measure

    picture = Picture(Path(options.picture).name, to_tensor(open_image(options.picture)))
    delivery = sweep.send(points[0], picture)
    height, width = delivery.sample.size
    print(f"sent             {points[0]}")
    print(f"picture          {picture.name}, {width}x{height} pixels")
    print(f"channel uses     {int(delivery.uses[0])}")
    for name in ("cbr", "medium_cbr", "energy", "snr_realised_db", *scenario.metrics):
        values = measure(name, delivery)
        if isinstance(values, tuple):
            numerator, denominator = float(values[0][0]), float(values[1][0])
            text = f"{numerator / denominator:.4g}" if denominator else "does not apply"
        else:
            text = f"{float(values[0]):.5g}"
        print(f"{name:<16} {text} {METRICS[name].unit}".rstrip())
    if options.out:
        try:
            save_png(delivery.reception.images[0], options.out)
        except OSError as error:
            raise UsageError(f"cannot write {options.out}: {error.strerror or error}") from None
        print(f"received         {options.out}")


def _check(options: argparse.Namespace) -> int:
    """Run the contract laws on a system or channel."""
    from semcom.scenario import variant

    entry = _find(options.name)
    subject = variant(entry.kind, options.name, options.set)

    from semcom.check import check

    failed = 0
    for law in check(subject):
        print(f"{'FAIL' if law.problem else 'pass'}  {law.name:<34} {law.problem or law.says}", flush=True)
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


def _train(options: argparse.Namespace) -> None:
    """Train a system through the air, or go on with a training run."""
    import logging

    from semcom import train

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train.command(options)


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
    show.add_argument("name", help="of a system or channel, or a scenario file")
    _add_set(show)

    run = command("run", _run)
    run.add_argument("scenario", help="YAML file")
    run.add_argument("--out", help="folder for the rows; default runs/NAME")
    run.add_argument("--workers", type=int, default=1, help="processes that share the points")
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_set(run)

    send = command("send", _send)
    send.add_argument("picture", help="any image file")
    send.add_argument("--system", required=True)
    send.add_argument("--channel", default="awgn")
    send.add_argument("--snr", type=float, required=True, metavar="DB", help="Es/N0 per channel use")
    send.add_argument("--users", type=int, default=1, help="that share the medium; default 1")
    send.add_argument(
        "--cbr", type=float, default=1 / 16, help="uses of the medium per real number of the picture; default 1/16"
    )
    send.add_argument("--seed", type=int, default=0)
    send.add_argument("--out", metavar="PNG", help="where to put the received picture")
    _add_set(send)

    plot = command("plot", _plot)
    plot.add_argument("out", help="folder of a run")
    plot.add_argument("--x", help="what to put on the horizontal axis; default snr_db if it was swept")
    plot.add_argument("--metric", action="append", default=[], help="which metrics; default all")
    plot.add_argument("--format", default="png", choices=["png", "pdf", "svg"])

    check = command("check", _check)
    check.add_argument("name", help="of a system or channel")
    _add_set(check)

    certify = command("certify", _certify)
    certify.add_argument("--out", default="runs/certificate", help="folder for the table and the figure")
    certify.add_argument("--scale", type=float, default=1.0, help="multiplies all counts; default 1")

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
    """The system or channel of that name."""
    if name in discover.entries("system") or name.endswith(".py"):
        return discover.find("system", name)
    if name in discover.entries("channel"):
        return discover.find("channel", name)
    names = [*discover.entries("system"), *discover.entries("channel")]
    raise UsageError(f"no system or channel {name!r}; {discover.nearest(name, names)}")


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _complain(message: str, status: int) -> int:
    print(f"semcom: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
