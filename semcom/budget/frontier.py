"""Energy of the transmitter beside the quality of a run, and the systems that no other one beats."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels.errors import UsageError
from semcom.budget.cost import Cost, EndCost
from semcom.budget.energy import Hardware
from semcom.results import labels, means, panels, scenario_file
from semcom.results import table as tables
from semcom.results.printing import printable
from semcom.results.style import Format

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes

_NEEDED = ("tx_gflop", "tx_bytes", "tx_parameters", "channel_uses", "tx_symbol_energy")
_EQUAL = (tables.SOURCE, "channel", "snr_db", "users")  # conditions of systems that are compared
_ACROSS = "snr_db"  # the points of a curve differ in their SNR
_ENERGY = "Transmitter energy (mJ per image)"


@dataclass(frozen=True)
class Operation:
    """One system under one set of conditions.

    Args:
        system: label of the system.
        conditions: values of the conditions and swept arguments.
        quality: mean of the metric.
        channel_uses: mean number of counted channel uses.
        compute_j: energy of the computation at the transmitter, J; None if its operations are not counted.
        radio_j: energy of the radio at the transmitter, J.
        on_frontier: whether no other system with the same images, channel and SNR is at least as good in quality,
            channel uses and energy, and better in one of them.
    """

    system: str
    conditions: dict[str, Any]
    quality: float
    channel_uses: float
    compute_j: float | None
    radio_j: float
    on_frontier: bool = False

    @property
    def energy_j(self) -> float | None:
        """Energy of the transmitter, J: computation and radio."""
        return None if self.compute_j is None else self.compute_j + self.radio_j


def operations(rows: pyarrow.Table, metric: str, hardware: Hardware) -> list[Operation]:
    """Quality, channel uses and energy of each system of a run.

    Args:
        rows: table from `semcom.results.table.read`.
        metric: name of the metric of quality.
        hardware: constants of the processor and the radio of the transmitter.

    Raises:
        UsageError: the run has no such metric, or was made before rows had costs.
    """
    if missing := [name for name in _NEEDED if name not in rows.column_names]:
        raise UsageError(f"the rows have no {missing[0]}: run the scenario again in another folder, with --out")
    by_system: dict[tuple[Any, ...], dict[str, float]] = {}
    labels = {}
    for name in (metric, *_NEEDED):
        for line in means.summarize(rows, name):
            if not line.bound:
                key = (line.system, *line.conditions.values())
                by_system.setdefault(key, {})[name] = line.estimate.mean
                labels[key] = line
    found = []
    for key, mean in by_system.items():
        if metric in mean:
            flops, parameters, size = (mean.get(name, 0.0) for name in ("tx_gflop", "tx_parameters", "tx_bytes"))
            end = EndCost(round(flops * 1e9), round(parameters), round(size), 0, 0.0, 0, {})
            cost = Cost(end, end, round(mean["channel_uses"]), mean["tx_symbol_energy"])
            line = labels[key]
            energies = hardware.compute_j(end), hardware.radio_j(cost)
            found.append(Operation(line.system, line.conditions, mean[metric], mean["channel_uses"], *energies))
    sign = -1 if tables.higher_is_better(rows, metric) is False else 1
    return [replace(one, on_frontier=_is_undominated(one, found, sign)) for one in found]


def _is_undominated(one: Operation, others: Sequence[Operation], sign: int) -> bool:
    if one.energy_j is None:
        return False
    mine = (sign * one.quality, -one.channel_uses, -one.energy_j)
    for other in others:
        same = all(other.conditions.get(name) == one.conditions.get(name) for name in _EQUAL)
        if other.energy_j is not None and same:
            theirs = (sign * other.quality, -other.channel_uses, -other.energy_j)
            if theirs != mine and all(a >= b for a, b in zip(theirs, mine, strict=True)):
                return False
    return True


def file(out: Path, hardware: str, look: Format) -> Path:
    """The path of the figure: OUT/energy-HARDWARE.SUFFIX.

    Args:
        out: folder of the run.
        hardware: name or file of the constants.
        look: format of the figure.
    """
    return out / f"energy-{Path(hardware).stem}.{look.suffix}"


def figure(rows: pyarrow.Table, metric: str, hardware: Hardware, out: Path, path: Path, look: Format) -> Path:
    """Plot quality over the energy of the transmitter, and that energy over the radiated power of the radio.

    One panel of qualities for each channel; a filled marker is on the frontier. In the last panel, the systems on a
    frontier: where curves cross, the one with fewer channel uses begins to save energy.

    Args:
        rows: table from `semcom.results.table.read`.
        metric: name of the metric of quality.
        hardware: constants of the processor and the radio of the transmitter.
        out: folder of the run.
        path: file to write.
        look: format of the figure.

    Raises:
        UsageError: the operations of no system are counted.
    """
    import matplotlib as mpl

    found = operations(rows, metric, hardware)
    counted = [one for one in found if one.energy_j is not None]
    if not counted:
        raise UsageError("no energy: the operations of no system of this run are counted")
    styles = panels.curve_looks(rows, out, _ACROSS)
    unit = (tables.metrics(rows) | tables.costs(rows))[metric]
    channels = list(dict.fromkeys(one.conditions["channel"] for one in counted))
    note = f"energy on {hardware.title}; filled marker: on the Pareto frontier of its channel and SNR"
    omitted = dict.fromkeys(labels.system(one.system) for one in found if one.energy_j is None)
    without = [f"not shown, operations not counted: {', '.join(omitted)}"] if omitted else []
    with mpl.rc_context(look.settings()):
        sheet = panels.Sheet(len(channels) + 1, 1, [scenario_file.title(out), note, *without], look)
        places = [sheet.drawing.add_subplot(sheet.grid[i]) for i in range(len(channels) + 1)]
        upright = textwrap.fill(_ENERGY, look.characters(sheet.panel_height))
        handles: dict[str, Any] = {}
        for place, channel in zip(places, channels, strict=False):
            for one in (one for one in counted if one.conditions["channel"] == channel):
                name = panels.curve_name({"system": one.system, **one.conditions}, rows, _ACROSS)
                color, marker = styles[name]["color"], styles[name]["marker"]
                (handles[name],) = place.plot(
                    [1e3 * (one.energy_j or 0)],
                    [one.quality],
                    linestyle="",
                    marker=marker,
                    color=color,
                    markerfacecolor=color if one.on_frontier else "white",
                    clip_on=False,  # a marker on the axis is shown whole
                )
            place.set_xlim(left=0)
            place.set_xlabel(_ENERGY)
            place.set_ylabel(labels.axis_label(metric, unit))
            if len(channels) > 1:
                place.set_title(printable(labels.condition("channel", channel)))
        _over_power(places[-1], [one for one in counted if one.on_frontier], hardware, rows, styles, upright)
        filled = {name: _filled(styles[name]) for name in handles}
        return sheet.finish(filled, path)


def _filled(style: Mapping[str, Any]) -> Any:
    """Entry of the legend: a filled marker also for a system that is on no frontier."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="", marker=style["marker"], color=style["color"])


def _over_power(
    panel: Axes,
    systems: Sequence[Operation],
    hardware: Hardware,
    rows: pyarrow.Table,
    styles: Mapping[str, Mapping[str, Any]],
    text: str,
) -> None:
    """Draw the energy of each system over the radiated power, from 1/100 to 100 times that of the hardware."""
    import numpy as np

    radiated = hardware.radiated_w.value or 1.0
    powers = radiated * np.logspace(-2, 2, 81)
    curves = {(one.system, one.compute_j, one.radio_j): one for one in systems}  # the SNR changes no energy
    for one in curves.values():
        energies = [1e3 * ((one.compute_j or 0) + one.radio_j * power / radiated) for power in powers]
        style = styles[panels.curve_name({"system": one.system, **one.conditions}, rows, _ACROSS)]
        panel.plot(powers, energies, color=style["color"], marker=style["marker"], markevery=20)
    panel.axvline(radiated, color="#999999", linestyle=":")
    panel.set_xlabel("Radiated power (W)")
    panel.set_ylabel(text)
    panels.logarithmic(panel, horizontal=True)
    panels.logarithmic(panel)
