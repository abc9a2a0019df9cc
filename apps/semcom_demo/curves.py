"""The curve of a metric over the SNR, drawn again whenever points have arrived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamlit.delta_generator import DeltaGenerator

from semcom_demo import calls

NAMES = {"psnr": "PSNR", "ms_ssim": "MS-SSIM"}
# Okabe and Ito's colours, which people with any colour vision tell apart, as in the figures of semcom.
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]


def draw(
    place: DeltaGenerator,
    rows: Sequence[dict[str, Any]],
    metric: str,
    systems: Sequence[str],
    now_db: float,
    span_db: tuple[float, float],
) -> None:
    """Draw the rows (system, snr_db, value) that are known so far, and a rule at the SNR that the pictures are of."""
    unit = calls.unit(metric)
    title = f"{NAMES[metric]} in {unit}" if unit else NAMES[metric]
    x = {
        "field": "snr_db",
        "type": "quantitative",
        "title": "SNR in dB",
        "scale": {"domain": list(span_db), "nice": False},
        "axis": {"tickMinStep": 2, "tickCount": 14, "labelFlush": False},
    }
    y = {"field": "value", "type": "quantitative", "title": title, "scale": {"zero": False}}
    colour = {
        "field": "system",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(systems), "range": _COLOURS[: len(systems)]},
        "legend": {"orient": "bottom", "columns": 4, "symbolOpacity": 1},
    }
    dash = {"condition": {"test": "datum.system == 'capacity'", "value": [6, 4]}, "value": [1, 0]}
    tooltip = [
        {"field": "system", "type": "nominal"},
        {"field": "snr_db", "type": "quantitative", "title": "SNR in dB"},
        {"field": "value", "type": "quantitative", "title": title, "format": ".3g"},
    ]
    layers = [
        {"mark": "line", "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash}},
        {
            "transform": [{"filter": "datum.system != 'capacity'"}],
            "mark": {"type": "point", "filled": True, "size": 45},
            "encoding": {"x": x, "y": y, "color": colour, "tooltip": tooltip},
        },
        {
            "data": {"values": [{"now": now_db}]},
            "mark": {"type": "rule", "color": "#888888", "strokeDash": [2, 3]},
            "encoding": {"x": {"field": "now", "type": "quantitative"}},
        },
    ]
    shown = [row for row in rows if row["value"] is not None]
    place.vega_lite_chart({"data": {"values": shown}, "layer": layers, "height": 340}, width="stretch")
