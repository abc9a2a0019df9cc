"""`semcom budget`: what each end of a link computes, and the energy of computation and radio."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from channels.errors import UsageError
from semcom.cli import send_inputs
from semcom.cli.common import Commands, add_argument_set_option
from semcom.results.printing import printable

if TYPE_CHECKING:
    from semcom.budget import Cost, EndCost, Hardware
    from semcom.scenario.model import Point

_WIDTH = 32  # of the column of systems


def add_commands(commands: Commands) -> None:
    """Add `budget`."""
    budget = commands.add("budget", _budget)
    budget.add_argument(
        "systems",
        nargs="+",
        metavar="SYSTEM",
        help="system with its arguments, as in digital:codec=webp; one scenario file, whose systems are measured; or "
        "one results folder of semcom run, whose rows hold the costs",
    )
    budget.add_argument(
        "--image", metavar="FILE", help="image file to transmit (default: an embedded photograph of --size pixels)"
    )
    budget.add_argument(
        "--size", type=int, default=128, metavar="N", help="side of the embedded photograph in pixels (default: 128)"
    )
    budget.add_argument(
        "--snr",
        type=float,
        default=10.0,
        metavar="DB",
        help="Es/N0 in dB of the AWGN channel, also for the systems of a scenario (default: 10)",
    )
    budget.add_argument(
        "--cbr",
        type=float,
        default=1 / 16,
        metavar="RATIO",
        help="channel bandwidth ratio: channel uses per real number of the image; a scenario states its own "
        "(default: 1/16)",
    )
    budget.add_argument(
        "--hardware",
        metavar="NAME",
        help="constants for the energies of computation and radio: arithmetic_45nm (float32 arithmetic and memory "
        "access in a 45 nm process), arithmetic_45nm_int8 (8-bit integers), or a YAML file of the same form (default: "
        "no energies)",
    )
    budget.add_argument(
        "--metric", metavar="NAME", help="quality metric of a results folder (default: the first one of its scenario)"
    )
    budget.add_argument(
        "--modules",
        action="store_true",
        help="list the operations of each network and its layers (default: the totals of each end)",
    )
    add_argument_set_option(budget)


def _budget(options: argparse.Namespace) -> int:
    """Measure computation and energy of transmitter and receiver for one image (not the channel-use budget)."""
    if (Path(options.systems[0]) / "rows").is_dir():
        return _of_run(options)
    points = _points(options)

    from semcom.budget import load_hardware

    hardware = load_hardware(options.hardware) if options.hardware else None
    costs: dict[str, Cost] = {}
    for line in _table(points, options, costs):
        print(printable(line), flush=True)
    if hardware:
        print()
        for line in _energies(costs, hardware):
            print(printable(line))
    return 0


def _of_run(options: argparse.Namespace) -> int:
    """Quality, channel uses and energy of the systems of a run."""
    from semcom.budget import load_hardware
    from semcom.budget.frontier import operations
    from semcom.results import labels
    from semcom.results import table as tables

    if len(options.systems) > 1 or not options.hardware:
        raise UsageError("give one folder of semcom run with --hardware NAME, as in --hardware arithmetic_45nm")
    folder, hardware = Path(options.systems[0]), load_hardware(options.hardware)
    rows = tables.read(folder)
    metric = options.metric or next(iter(tables.metrics(rows)))
    found = operations(rows, metric, hardware)
    channels = [labels.condition("channel", one.conditions["channel"]) for one in found]
    width = max(map(len, ["channel", *channels]))
    print(f"transmitter on {hardware.title}; *: on the Pareto frontier of {metric}, channel uses and energy")
    head = f"{'SNR dB':>6} {metric:>10} {'uses':>8} {'compute mJ':>11} {'radio mJ':>9}"
    print(f"{'system':<{_WIDTH}} {'channel':<{width}} {head}")
    for one, channel in zip(found, channels, strict=True):
        compute = "not counted" if one.compute_j is None else f"{one.compute_j * 1e3:.3f}"
        print(
            printable(
                f"{labels.system(one.system)[:_WIDTH]:<{_WIDTH}} {channel:<{width}} "
                f"{one.conditions['snr_db']:>6g} {one.quality:>10.3f} {one.channel_uses:>8.0f} {compute:>11} "
                f"{one.radio_j * 1e3:>9.3f}{' *' if one.on_frontier else ''}"
            )
        )
    for line in _constants(hardware):
        print(line)
    print(f"semcom plot {folder} --hardware {options.hardware} draws them")
    return 0


def _points(options: argparse.Namespace) -> list[Point]:
    """Each system once, with the conditions of the options or of the scenario."""
    scenarios = [name for name in options.systems if name.endswith((".yaml", ".yml"))]
    if not scenarios:
        given = argparse.Namespace(
            system=options.systems, channel="awgn", cbr=options.cbr, snr=options.snr, users=1, designed_snr=None, seed=0
        )
        given.set = options.set
        return send_inputs.points(given)
    if len(options.systems) > 1:
        raise UsageError("give one scenario file, or one or more systems")

    from semcom.scenario.load import load_scenario

    found = load_scenario(Path(scenarios[0]), options.set).points()
    return list({point.system.label: point for point in reversed(found) if point.users == found[0].users}.values())[
        ::-1
    ]


def _table(points: Sequence[Point], options: argparse.Namespace, costs: dict[str, Cost]) -> Iterator[str]:
    """Measure each system; yield a line for each end as soon as it is known."""
    from channels import awgn
    from semcom.budget import measure_cost
    from semcom.images import load
    from semcom.sweep.transmission import build_system, cbr_budget
    from semcom.system import Bound, Sample

    image = send_inputs.read_image(Path(options.image)) if options.image else load("photos", 1, options.size)[0]
    height, width = image.pixels.shape[1:]
    channel = awgn.build()
    systems = [build_system(point.system, cbr_budget(point, channel, image)) for point in points]
    yield f"one image of {width}x{height} pixels over AWGN at {options.snr:g} dB, one thread"
    sizes = f"{'GFLOP':>8} {'parameters':>11} {'MB':>6} {'peak MB':>8}"
    yield f"{'system':<{_WIDTH}} {'end':<11} {sizes}   CPU ms   calls"
    sample = Sample(image.pixels[None].float(), captions=None if image.caption is None else (image.caption,))
    for point, system in zip(points, systems, strict=True):
        if isinstance(system, Bound):
            yield f"{point.system.label[:_WIDTH]:<{_WIDTH}} is a bound: it transmits nothing"
            continue
        costs[point.system.label] = cost = measure_cost(system, channel, sample, options.snr)
        yield from _lines(point.system.label, cost, options.modules)


def _lines(label: str, cost: Cost, modules: bool) -> Iterator[str]:
    for name, end in (("transmitter", cost.transmitter), ("receiver", cost.receiver)):
        yield _line(label if name == "transmitter" else f"  {cost.channel_uses} channel uses", name, end)
        if modules:
            for module, flops in end.flops_by_module.items():
                yield f"{'':<{_WIDTH}}   {module:<30} {flops / 1e9:>10.4f} GFLOP"


def _line(label: str, name: str, end: EndCost) -> str:
    calls = str(end.encodings) if end.encodings else "-"
    flops = f"{end.flops / 1e9:8.3f}" if end.is_counted else f"{'-':>8}"  # uncounted is not free
    return (
        f"{label[:_WIDTH]:<{_WIDTH}} {name:<11} {flops} {end.parameters:>11,} {end.parameter_bytes / 1e6:>6.1f} "
        f"{end.peak_bytes / 1e6:>8.1f} {end.cpu_s * 1e3:>8.1f} {calls:>7}"
    )


def _energies(costs: Mapping[str, Cost], hardware: Hardware) -> Iterator[str]:
    yield f"energy on {hardware.title}"
    yield f"{'system':<{_WIDTH}} {'transmitter mJ':>15} {'radio mJ':>10} {'receiver mJ':>12} {'airtime ms':>11}"
    for label, cost in costs.items():
        ends = [hardware.compute_j(end) for end in (cost.transmitter, cost.receiver)]
        first, last = ("not counted" if joule is None else f"{joule * 1e3:.3f}" for joule in ends)
        radio, air = hardware.radio_j(cost) * 1e3, hardware.air_s(cost) * 1e3
        yield f"{label[:_WIDTH]:<{_WIDTH}} {first:>15} {radio:>10.3f} {last:>12} {air:>11.3f}"
    yield from _constants(hardware)


def _constants(hardware: Hardware) -> Iterator[str]:
    for name, constant in hardware.constants.items():
        value = "unknown" if constant.value is None else f"{constant.value:g}"
        yield f"  {name} = {value} ({constant.source})"
