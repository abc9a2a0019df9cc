"""Systems at equal channel uses: received images at one SNR, and a metric over the SNR."""

import streamlit as st
from semcom_demo import calls, curves, downloads, parts, reproduce, state
from semcom_demo.words import SYSTEM_LABELS, TOOLTIPS

parts.title(
    "Compare systems",
    "All systems transmit the same image with the same number of channel uses and the same realization of noise and "
    "fading.",
)

results = st.container()
options = calls.available_systems(["digital", "analog", "deepjscc", "carrier_image", "capacity"])
systems = st.multiselect(
    "Systems to compare",
    options,
    format_func=SYSTEM_LABELS.__getitem__,
    help=f"{TOOLTIPS['system']}\n\n{TOOLTIPS['bound']}",
    **state.bound_list("systems", ["digital", "analog", "deepjscc"], options),
)
inputs = parts.link_inputs(1 / 16)
if not systems:
    results.info("Select at least one system.")
    st.stop()
with results:
    shots, frames = parts.show_stage("stage_compare", inputs, systems)
    curves.show(inputs, systems)
points = [inputs.point(name) for name in systems]
downloads.show(inputs, points, shots, frames)
reproduce.show_systems(inputs.photo, points)
