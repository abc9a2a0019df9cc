"""What crossed the channel: constellations, channel gains, the OFDM grid, and the budget of channel uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
import torch
from torch import Tensor

from channels import Channel
from channels.propagation.ofdm import Ofdm
from semcom import Delivery
from semcom.images.source_image import SourceImage
from semcom.metrics.budget import channel_uses_by_part
from semcom.scenario.model import Point
from semcom_demo import calls, charts, content, errors, prefetch
from semcom_demo.photos import Photo

# Few marks, which a browser draws at once
POINTS = 300  # received symbols
_FRAMES = 2  # OFDM frames
_SUBCARRIERS = 36
# Colors of Okabe and Ito
_PART_COLORS = ["#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#F0E442", "#999999"]


@st.fragment  # the toggle does not run the rest of the page again
def offer(photo: Photo, point: Point, deliver: Callable[[SourceImage, Point], Delivery] = calls.send_photo) -> None:
    """Show what crossed the channel if the visitor asks for it.

    Args:
        photo: Image.
        point: Operating point.
        deliver: Function that transmits the image.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="signals"):
        shown = st.toggle("What crossed the channel", key="signals_shown")
        progress = st.container()  # beside the toggle, so that nothing moves
    if not shown:
        charts.preload()
        return
    with prefetch.worker().paused(), errors.stop_on_usage_error():
        key = (photo.key, point.key)
        if st.session_state.get("signals", (None, None))[0] != key:
            with progress, photo.private_cache(), st.spinner("Transmitting with all symbols"):
                st.session_state["signals"] = (key, deliver(photo.image, point))
        show(photo.image, point, st.session_state["signals"][1])


def show(image: SourceImage, point: Point, delivery: Delivery) -> None:
    """Show the first row of a delivery on its way: content of its system, budget, constellation and channel gain."""
    channel = calls.build_channel(point.channel)
    if delivery.signals is None or not int(delivery.uses[0]):
        st.caption("Nothing was transmitted.")
        return
    content.show(image, point, delivery)
    if scheme := delivery.truth.get("scheme"):
        st.caption(f"Modulation and code rate, chosen for the designed SNR: {scheme[0]}.")
    show_budget(channel_uses_by_part(delivery, channel))
    left, right = st.columns(2)
    with left:
        show_constellation(constellation(delivery))
    with right:
        show_gains(delivery, channel)


def show_budget(parts: dict[str, float]) -> None:
    """Draw the channel uses by part as one bar."""
    rows = [{"part": name, "uses": uses, "order": number} for number, (name, uses) in enumerate(parts.items())]
    total = sum(parts.values())
    charts.show(
        {
            "mark": "bar",
            "height": 220,  # with its axis and legend
            "encoding": {
                "x": {"field": "uses", "type": "quantitative", "title": "Channel uses", "stack": "zero"},
                "order": {"field": "order", "type": "quantitative"},
                "color": {
                    "field": "part",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": list(parts), "range": _PART_COLORS[: len(parts)]},
                    "legend": {"orient": "bottom", "columns": 4},
                },
                "tooltip": [
                    {"field": "part", "type": "nominal"},
                    {"field": "uses", "type": "quantitative", "format": ",.0f"},
                ],
            },
        },
        rows,
    )
    shares = ", ".join(f"{name} {uses:,.0f}" for name, uses in parts.items())
    st.caption(f"Budget of {total:,.0f} channel uses: {shares}.")


def constellation(delivery: Delivery) -> list[dict[str, Any]]:
    """Received symbols of the first row, evenly spread over the transmission, and the different ones sent for them."""
    assert delivery.signals is not None
    uses = int(delivery.uses[0])
    chosen = torch.linspace(0, uses - 1, min(uses, POINTS)).long()
    rows = []
    for kind, symbols in (("received", delivery.signals.received.symbols), ("sent", delivery.signals.sent)):
        values = symbols[0].cpu()[chosen].tolist()
        for value in values if kind == "received" else dict.fromkeys(values):
            rows.append({"kind": kind, "real": value.real, "imaginary": value.imag})
    return rows


def show_constellation(rows: Sequence[dict[str, Any]]) -> None:
    """Draw sent and received symbols in the complex plane."""
    sizes = torch.tensor([max(abs(row["real"]), abs(row["imaginary"])) for row in rows if row["kind"] == "sent"])
    limit = 1.8 * sizes.quantile(0.99).item()  # analog symbols have rare large values
    x, y = _plane_scales(limit)
    charts.show(
        {
            "mark": {"type": "point", "filled": True, "clip": True},
            "height": 420,
            "encoding": {
                "x": {"field": "real", "type": "quantitative", "title": "In-phase", "scale": x},
                "y": {"field": "imaginary", "type": "quantitative", "title": "Quadrature", "scale": y},
                "color": {
                    "field": "kind",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": ["received", "sent"], "range": ["#56B4E9", "#D55E00"]},
                    "legend": {"orient": "bottom", "symbolOpacity": 1},
                },
                "size": {"condition": {"test": "datum.kind == 'sent'", "value": 26}, "value": 12},
                "opacity": {"condition": {"test": "datum.kind == 'sent'", "value": 0.9}, "value": 0.4},
            },
        },
        rows,
    )
    st.caption(f"Symbols sent, and received ones after equalization ({POINTS} of them at most).")


def show_received(symbols: Tensor) -> None:
    """Draw received symbols, complex64 [uses], in the complex plane."""
    limit = 1.1 * float(torch.view_as_real(symbols).abs().max())
    x, y = _plane_scales(limit)
    charts.show(
        {
            "mark": {"type": "point", "filled": True, "size": 14, "color": "#56B4E9", "opacity": 0.8},
            "height": 420,
            "encoding": {
                "x": {"field": "real", "type": "quantitative", "title": "In-phase", "scale": x},
                "y": {"field": "imaginary", "type": "quantitative", "title": "Quadrature", "scale": y},
            },
        },
        [{"real": value.real, "imaginary": value.imag} for value in symbols.tolist()],
    )


def _plane_scales(limit: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scales of both axes with as many pixels per unit; the shorter axis ends at -limit and limit."""
    ends = [f"{limit} * max(1, {ratio})" for ratio in ("width / height", "height / width")]
    x, y = (
        {"domainMin": {"expr": f"-{end}"}, "domainMax": {"expr": end}, "nice": False, "zero": False} for end in ends
    )
    return x, y


def show_gains(delivery: Delivery, channel: Channel) -> None:
    """Draw |h| over time and frequency, or state it where it is constant."""
    assert delivery.signals is not None
    if isinstance(channel, Ofdm):
        _show_grid(channel, channel.responses(_FRAMES, delivery.signals.channel_rng)[0, 0])
        return
    power_db = gains_db(delivery)
    if float(power_db.max() - power_db.min()) < 1e-3:
        st.metric("Channel gain |h| in dB", f"{float(power_db[0]):.1f} dB", help=GAIN_HELP)
        st.caption("The gain is constant over this image: block fading, or no fading.")
        return
    step = max(1, len(power_db) // POINTS)
    rows = [{"use": use, "gain": value} for use, value in enumerate(power_db.tolist()) if use % step == 0]
    charts.show(
        {
            "mark": "line",
            "height": 420,
            "encoding": {
                "x": {"field": "use", "type": "quantitative", "title": "Channel use"},
                "y": {"field": "gain", "type": "quantitative", "title": "|h| (dB)"},
            },
        },
        rows,
    )


GAIN_HELP = "20 log10 |h| of this realization; its mean power is 0 dB. The realized SNR is the SNR plus this gain."


def gains_db(delivery: Delivery) -> Tensor:
    """20 log10 |h| of the channel uses of the first row, over all receive antennas, float32 [uses]."""
    assert delivery.signals is not None
    gains = delivery.signals.received.gains[0, :, : int(delivery.uses[0])].cpu()
    return 10 * torch.log10(gains.abs().square().sum(0).clamp(min=1e-12))


def _show_grid(channel: Ofdm, response: Tensor) -> None:
    """Draw |h| on the resource grid, [frames, symbols, subcarriers], with the pilots."""
    power_db = 20 * torch.log10(response.abs().clamp(min=1e-6)).flatten(0, 1)
    per_frame = response.shape[1]
    cells = [
        {"symbol": symbol, "subcarrier": subcarrier, "gain": power_db[symbol, subcarrier].item()}
        for symbol in range(power_db.shape[0])
        for subcarrier in range(0, power_db.shape[1], -(-power_db.shape[1] // _SUBCARRIERS))
    ]
    pilots = [
        {"symbol": frame * per_frame + symbol, "subcarrier": subcarrier}
        for frame in range(response.shape[0])
        for symbol, subcarrier in channel.grid.pilots.tolist()
    ]
    x = {"field": "symbol", "type": "ordinal", "title": "OFDM symbol", "axis": {"labelOverlap": True, "labelAngle": 0}}
    y = {"field": "subcarrier", "type": "ordinal", "title": "Subcarrier", "sort": "descending",
         "axis": {"labelOverlap": True}}  # fmt: skip
    charts.show(
        {
            "height": 420,
            "layer": [
                {
                    "mark": "rect",
                    "encoding": {
                        "x": x,
                        "y": y,
                        "color": {
                            "field": "gain",
                            "type": "quantitative",
                            "title": "|h| (dB)",
                            "scale": {"scheme": "viridis"},
                            "legend": {"orient": "bottom"},
                        },
                    },
                },
                {
                    "data": {"values": pilots},
                    "mark": {"type": "point", "filled": True, "size": 6, "color": "#ffffff", "opacity": 1},
                    "encoding": {"x": x, "y": y},
                },
            ],
        },
        cells,
    )
    st.caption(f"|h| of the first {_FRAMES} OFDM frames over time and frequency; white: pilots. The rest are data.")
