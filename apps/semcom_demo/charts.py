"""Charts in the colors of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st


def show(spec: dict[str, Any], rows: Sequence[dict[str, Any]], key: str | None = None) -> None:
    """Draw a Vega-Lite chart; the style of the pages gives its text the color of the page.

    Args:
        spec: Chart without its data.
        rows: Data.
        key: Key of the element.
    """
    padding = {"left": 5, "top": 5, "right": 20, "bottom": 5}  # right: room for half of the last label of an axis
    config = {"legend": {"offset": 4, "padding": 0}, "axis": {"titlePadding": 6}}
    chart = {"data": {"values": list(rows)}, "padding": padding, "config": config, **spec}
    st.vega_lite_chart(chart, width="stretch", key=key)


def preload() -> None:
    """Make the browser load its library of charts, so that a chart that the visitor asks for is drawn at once."""
    with st.container(key="preload"):  # not displayed
        st.vega_lite_chart({"data": {"values": []}, "mark": "point"}, width=1, height=1, key="preload_chart")
