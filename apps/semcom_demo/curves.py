"""Charts of a metric over the SNR: one noise realization over AWGN, the mean of many realizations over fading."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from semcom.scenario.model import Point
from semcom_demo import calls, charts, fading, shots, stage, state
from semcom_demo.errors import stop_on_usage_error
from semcom_demo.parts import Inputs
from semcom_demo.words import FADING_CHANNELS, SYSTEM_COLORS, TOOLTIPS, title

METRIC_NAMES = {"psnr": "PSNR", "ms_ssim": "MS-SSIM"}
_NAMES = METRIC_NAMES | {"outage": "Outage probability"}


def show(inputs: Inputs, systems: Sequence[str]) -> None:
    """Show a metric of each system over the SNR, computed when the visitor asks for it."""
    averaged = inputs.channel in FADING_CHANNELS
    label = f"Curves over SNR, mean of {fading.REALIZATIONS} realizations" if averaged else "Curves over SNR"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.toggle(label, key="curves_shown")
        metric = st.radio(
            "Metric",
            list(METRIC_NAMES),
            key="curves_metric",
            format_func=METRIC_NAMES.__getitem__,
            help=f"{TOOLTIPS['psnr']}\n\n{TOOLTIPS['ms_ssim']}",
            horizontal=True,
        )
    if not shown:
        charts.preload()
        return
    names = [*systems, *(["outage capacity"] if averaged and "capacity" not in systems else [])]
    points = {(name, snr_db): _point(inputs, name, snr_db, averaged) for snr_db in _snrs_db(averaged) for name in names}
    bar = st.container(key="curves_progress").progress(0.0, "Computing the curves")
    rows: list[dict[str, object]] = []
    with stop_on_usage_error():
        for number, ((name, snr_db), point) in enumerate(points.items(), 1):
            rows.append({"system": name, "snr_db": snr_db} | _result(inputs, point, metric, averaged))
            bar.progress(number / len(points), f"Computing the curves: {number} of {len(points)} points")
    bar.empty()
    draw([row for row in rows if row["value"] is not None], metric, names)
    designed = state.get("designed")
    policy = "the SNR of the channel" if designed is None else f"{designed} dB"
    if averaged:
        st.caption(
            f"Mean over {fading.REALIZATIONS} fading realizations; band: 10 % to 90 % quantiles. The transmitters "
            f"assume {policy}. Outage capacity: image file behind an ideal code that fails in 10 % of the realizations."
        )
        draw_outages(rows, names)
    else:
        st.caption(f"One noise realization at each SNR. The transmitters assume {policy}.")


def _snrs_db(averaged: bool) -> range:
    return range(-8, 25, 4) if averaged else range(-8, 25, 2)


def _point(inputs: Inputs, name: str, snr_db: int, averaged: bool) -> Point:
    """Operating point of a curve; over fading the capacity bound is the outage capacity."""
    if averaged and name in ("capacity", "outage capacity"):
        return inputs.point("capacity", snr_db, settings=["capacity.form=outage"])
    return inputs.point(name, snr_db)


def _result(inputs: Inputs, point: Point, metric: str, averaged: bool) -> dict[str, object]:
    """Value of a point with its band and outage probability over fading; no value where nothing can be transmitted."""
    if not averaged:
        return {"value": shots.transmit(inputs.photo, point).values[metric]}
    spread = fading.spread(inputs.photo, point)
    low, high = spread.band(metric)
    return {"value": spread.mean(metric), "low": low, "high": high, "outage": spread.outage_probability}


def draw_outages(rows: Sequence[dict[str, object]], systems: Sequence[str]) -> None:
    """Draw the outage probability of the systems that have one."""
    found = [row | {"value": row["outage"]} for row in rows if row["outage"] is not None]
    found = [{key: row[key] for key in ("system", "snr_db", "value")} for row in found]
    draw(found, "outage", [name for name in systems if any(row["system"] == name for row in found)], height=220)


def draw(rows: Sequence[dict[str, object]], metric: str, systems: Sequence[str], height: int = 340) -> None:
    """Draw rows (system, snr_db, value and, for a band, low and high), and a line at the SNR of the images shown."""
    unit = calls.unit(metric)
    label = f"{_NAMES[metric]} ({unit})" if unit else _NAMES[metric]
    x = {
        "field": "snr_db",
        "type": "quantitative",
        "title": "SNR (dB)",
        "scale": {"domain": [-8, 24], "nice": False},
    }
    y = {"field": "value", "type": "quantitative", "title": label, "scale": {"zero": False}}
    color = {
        "field": "system",
        "type": "nominal",
        "title": None,
        "scale": {"domain": [title(name) for name in systems], "range": [SYSTEM_COLORS[name] for name in systems]},
        "legend": {"orient": "bottom", "columns": 2, "symbolOpacity": 1},
    }
    dash = {"condition": {"test": "indexof(lower(datum.system), 'capacity') >= 0", "value": [6, 4]}, "value": [1, 0]}
    tooltip = [
        {"field": "system", "type": "nominal"},
        {"field": "snr_db", "type": "quantitative", "title": "SNR (dB)"},
        {"field": "value", "type": "quantitative", "title": label, "format": ".3g"},
    ]
    band = [{"mark": {"type": "area", "opacity": 0.2}, "encoding": {
        "x": x, "y": {"field": "low", "type": "quantitative", "title": label}, "y2": {"field": "high"}, "color": color,
    }}]  # fmt: skip
    layers = [
        *(band if any("low" in row for row in rows) else []),
        {"mark": "line", "encoding": {"x": x, "y": y, "color": color, "strokeDash": dash}},
        {
            "mark": {"type": "point", "filled": True, "size": 45},
            "encoding": {"x": x, "y": y, "color": color, "tooltip": tooltip},
        },
        {
            "data": {"values": [{"selected": stage.current()["snr"]}]},
            "mark": {"type": "rule", "color": "#888888", "strokeDash": [2, 3]},
            "encoding": {"x": {"field": "selected", "type": "quantitative"}},
        },
    ]  # fmt: skip
    titled = [row | {"system": title(str(row["system"]))} for row in rows]
    charts.show({"layer": layers, "height": height}, titled)
