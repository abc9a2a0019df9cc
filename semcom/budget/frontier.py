"""Energy of the transmitter beside the quality of a run, and the systems that no other one beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels.errors import UsageError
from semcom.budget.cost import Cost, EndCost
from semcom.budget.energy import Hardware
from semcom.results import means
from semcom.results import table as tables
from semcom.results.printing import printable

if TYPE_CHECKING:
    import pyarrow

_NEEDED = ("tx_gflop", "tx_bytes", "tx_parameters", "channel_uses", "tx_symbol_energy")


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
        on_frontier: whether no other system under the same channel and SNR is at least as good in quality, channel uses
            and energy, and better in one of them.
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
        same = all(other.conditions[name] == one.conditions[name] for name in ("channel", "snr_db", "users"))
        if other.energy_j is not None and same:
            theirs = (sign * other.quality, -other.channel_uses, -other.energy_j)
            if theirs != mine and all(a >= b for a, b in zip(theirs, mine, strict=True)):
                return False
    return True


def figure(rows: pyarrow.Table, found: Sequence[Operation], metric: str, hardware: Hardware, path: Path) -> Path:
    """Plot quality over the energy of the transmitter, and that energy over the radiated power of the radio.

    A filled marker is on the frontier. On the right, the systems on the frontier: where curves cross, the one with
    fewer channel uses begins to save energy.

    Raises:
        UsageError: the operations of no system are counted.
    """
    import matplotlib as mpl
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from semcom.results.labels import axis_label
    from semcom.results.panels import logarithmic, save
    from semcom.results.style import Format, looks

    counted = [one for one in found if one.energy_j is not None]
    if not counted:
        raise UsageError("no energy: the operations of no system of this run are counted")
    look = Format()
    names = list(dict.fromkeys(one.system for one in counted))
    styles = looks({name: [name] for name in names})
    unit = (tables.metrics(rows) | tables.costs(rows))[metric]
    with mpl.rc_context(look.settings()):
        drawing = Figure(figsize=(10, 4.6), layout="constrained")
        FigureCanvasAgg(drawing)
        left, right = drawing.subplots(1, 2)
        handles: dict[str, Any] = {}
        for one in counted:
            style = styles[one.system]
            face = style["color"] if one.on_frontier else "white"
            (handles[one.system],) = left.plot(
                [1e3 * (one.energy_j or 0)],
                [one.quality],
                linestyle="",
                marker=style["marker"],
                color=style["color"],
                markerfacecolor=face,
            )
        radiated = hardware.radiated_w.value or 1.0
        powers = radiated * np.logspace(-2, 2, 81)
        for one in (one for one in counted if one.on_frontier):
            energies = [1e3 * ((one.compute_j or 0) + one.radio_j * power / radiated) for power in powers]
            style = styles[one.system]
            right.plot(powers, energies, color=style["color"], marker=style["marker"], markevery=20)
        right.axvline(radiated, color="#999999", linestyle=":")
        left.set_xlabel("Energy of the transmitter (mJ per image)")
        left.set_ylabel(axis_label(metric, unit))
        right.set_xlabel("Radiated power (W)")
        right.set_ylabel("Energy of the transmitter (mJ per image)")
        left.set_xlim(left=0)
        logarithmic(right, horizontal=True)
        logarithmic(right)
        drawing.suptitle(f"Computation and radio, {printable(hardware.name)}; filled marker: on the frontier")
        drawing.legend(handles.values(), list(handles), loc="outside lower center", ncols=3)
        return save(drawing, path, look)
