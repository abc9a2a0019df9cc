"""Energy, delay and quality of systems at an SNR that follows from radiated power and distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from semcom.budget import Constant, Cost, Hardware, measure_cost
from semcom.scenario.model import Point
from semcom.sweep.single import link_for
from semcom.system import Sample, System
from semcom_demo import calls, charts
from semcom_demo.memory import Memory
from semcom_demo.photos import Photo
from semcom_demo.shots import Shot
from semcom_demo.words import title

_NOT_COUNTED = "not counted"
_UNCOUNTED = f"Computation {_NOT_COUNTED}: the bar is the energy of the radio alone. The computation is not zero."
# Colors of Okabe and Ito
_COLORS = {"Computation": "#0072B2", "Radio": "#E69F00", "Transmitter": "#0072B2", "Channel": "#E69F00"} | {
    "Receiver": "#009E73"
}

Parts = dict[str, Sequence[float | None]]
"""Values of each part, one for each system."""

_memory: Memory[Cost] = Memory("costs", most=200, most_of_upload=0)


@dataclass(frozen=True)
class Line:
    """One system.

    Args:
        system: System.
        shot: Transmission at the SNR of the link.
        compute_j: Energy of the computation of the transmitter in J; None if its operations are not counted.
        radio_j: Energy of the radio of the transmitter in J.
        seconds: Processor time of the transmitter, duration of the channel uses, processor time of the receiver.
    """

    system: str
    shot: Shot
    compute_j: float | None
    radio_j: float
    seconds: tuple[float, float, float]


def cost(photo: Photo, point: Point) -> Cost:
    """Cost of both ends, measured once."""
    return _memory.get(photo, point, lambda: _measured(photo, point))


def _measured(photo: Photo, point: Point) -> Cost:
    channel = calls.build_channel(point.channel)
    system = link_for(point, channel, photo.image).system
    assert isinstance(system, System)
    return measure_cost(system, channel, Sample(photo.image.pixels[None]), point.snr_db, repetitions=1)


def with_power(hardware: Hardware, radiated_w: float) -> Hardware:
    """Hardware with the radiated power of the slider in W, in place of that of its file."""
    return replace(hardware, radiated_w=Constant(radiated_w, "slider of this page"))


def line(measured: Cost, shot: Shot, system: str, hardware: Hardware) -> Line:
    """Energy and delay of a system."""
    seconds = (measured.transmitter.cpu_s, hardware.air_s(measured), measured.receiver.cpu_s)
    return Line(system, shot, hardware.compute_j(measured.transmitter), hardware.radio_j(measured), seconds)


def show_table(lines: Sequence[Line]) -> None:
    """Show quality, energy and delay, one column a system."""
    rows = [
        ["", *(title(one.system) for one in lines)],
        ["---"] * (len(lines) + 1),
        ["PSNR", *("outage" if one.shot.outage else f"{one.shot.values['psnr']:.1f} dB" for one in lines)],
        ["Channel uses", *(f"{one.shot.uses:,}" for one in lines)],
        [
            "Computation",
            *(_NOT_COUNTED if one.compute_j is None else f"{1e3 * one.compute_j:.2f} mJ" for one in lines),
        ],
        ["Radio", *(f"{1e3 * one.radio_j:.3g} mJ" for one in lines)],
    ]
    for number, name in enumerate(("Transmitter", "Channel", "Receiver")):
        rows.append([name, *(f"{1e3 * one.seconds[number]:.3g} ms" for one in lines)])
    st.markdown("\n".join(f"| {' | '.join(row)} |" for row in rows))


def show_charts(lines: Sequence[Line]) -> None:
    """Draw the energy of the transmitter and the delay, by part."""
    energies: Parts = {"Computation": [one.compute_j for one in lines], "Radio": [one.radio_j for one in lines]}
    delays: Parts = {
        name: [one.seconds[number] for one in lines]
        for number, name in enumerate(("Transmitter", "Channel", "Receiver"))
    }
    left, right = st.columns(2)
    names = [title(one.system) for one in lines]
    with left:
        marked = [
            name if one.compute_j is not None else f"{name}\ncomputation {_NOT_COUNTED}"
            for name, one in zip(names, lines, strict=True)
        ]
        _bars(marked, energies, "Energy of the transmitter (mJ)")
    with right:
        _bars(names, delays, "Delay (ms)")


def _bars(names: Sequence[str], parts: Parts, label: str) -> None:
    """Draw a bar of each name, which may have two lines."""
    rows = [
        {"system": name, "part": part, "order": order, "value": 1e3 * value}
        for order, (part, values) in enumerate(parts.items())
        for name, value in zip(names, values, strict=True)
        if value is not None
    ]
    colors = {"domain": list(parts), "range": [_COLORS[name] for name in parts]}
    encoding = {
        "x": {"field": "value", "type": "quantitative", "title": label, "stack": "zero"},
        "y": {
            "field": "system",
            "type": "nominal",
            "title": None,
            "sort": list(names),
            "axis": {"labelLimit": 150, "labelOverlap": False, "labelExpr": r"split(datum.label, '\n')"},
        },
        "order": {"field": "order", "type": "quantitative"},
        "color": {
            "field": "part",
            "type": "nominal",
            "title": None,
            "scale": colors,
            "legend": {"orient": "bottom", "columns": 3},
        },
        "tooltip": [
            {"field": "system", "type": "nominal"},
            {"field": "part", "type": "nominal"},
            {"field": "value", "type": "quantitative", "title": label, "format": ".3g"},
        ],
    }
    charts.show({"mark": "bar", "height": 110 + 52 * len(names), "encoding": encoding}, rows, label)


def sentence(lines: Sequence[Line]) -> str:
    """What the bars leave out, and the system of least energy among those whose image arrived."""
    uncounted = any(one.compute_j is None for one in lines)
    return " ".join([*([_UNCOUNTED] if uncounted else []), *_least(lines)])


def _least(lines: Sequence[Line]) -> list[str]:
    found = {one.system: one.compute_j + one.radio_j for one in lines if one.compute_j is not None}
    arrived = {one.system: found[one.system] for one in lines if one.system in found and not one.shot.outage}
    if len(arrived) < 2:
        return []
    least = min(arrived, key=arrived.__getitem__)
    (chosen,) = [one for one in lines if one.system == least]
    assert chosen.compute_j is not None
    larger = "computation" if chosen.compute_j > chosen.radio_j else "the radio"
    return [
        f"Least energy of the counted systems: {title(least)}, {1e3 * arrived[least]:.3g} mJ, the larger part for "
        f"{larger}."
    ]
