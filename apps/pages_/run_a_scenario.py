"""A scenario typed here, checked, run point by point, and what came out of it to take along."""

import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st
from semcom_demo import calls, parts
from semcom_demo.words import MEANINGS

from channels import UsageError
from semcom import plot, table
from semcom.scenario import to_yaml

EXAMPLE = """\
title: Two photographs over noise
systems: [digital, analog, deepjscc]
channel: awgn
medium_cbr: 0.0625
sweep: {snr_db: [0, 6, 12, 18]}
images: {source: photos, count: 2, size: 128}
metrics: [psnr, ms_ssim]
repetitions: 1
seed: 0
"""


@st.cache_resource(show_spinner=False)
def drawing() -> threading.Lock:
    """Matplotlib's settings are those of the whole process: one visitor draws at a time."""
    return threading.Lock()


st.title("Run a scenario")
st.write(
    "A scenario says what to sweep: systems, channels, noise, users, pictures. Change it, run it, and take the figure "
    "and the rows along."
)
text = st.text_area("Scenario", EXAMPLE, height=250, key="scenario_text", help=MEANINGS["scenario"])

with TemporaryDirectory() as temporary:
    folder = Path(temporary)
    try:
        scenario = calls.read_scenario(text, folder)
    except UsageError as error:
        message = " ".join(str(error).split())
        st.error(message, icon=":material/info:")
        if found := re.search(r"scenario\.yaml:(\d+)", message):
            number = int(found[1])
            lines = text.splitlines() or [""]
            shown = range(max(0, number - 2), min(len(lines), number + 1))
            marked = "\n".join(f"{'>' if i + 1 == number else ' '} {i + 1:3}  {lines[i]}" for i in shown)
            st.code(marked, "yaml", wrap_lines=True)
        st.stop()
    count = len(scenario.points())
    start, note = st.columns([1, 3], vertical_alignment="center")
    pressed = start.button("Run", type="primary", key="scenario_run", width="stretch")
    note.caption(
        f"{count} points{'' if scenario.stop is None else ' or more'}: every system under every condition once."
    )
    if pressed:
        st.session_state.pop("scenario_result", None)
        bar, partial = st.progress(0.0, "Starting"), st.empty()
        with parts.refusals():
            for done, total, rows in calls.run_points(scenario):
                bar.progress(done / total, f"{done} of {total} points")
                partial.code(table.as_text(rows, scenario.metrics[0]), None)
        bar.empty()
        partial.empty()
        with parts.refusals(), drawing():
            figure = plot.figure(rows, folder).read_bytes()
        st.session_state["scenario_result"] = (to_yaml(scenario), rows, figure)

if "scenario_result" in st.session_state:
    written, rows, figure = st.session_state["scenario_result"]
    if written != to_yaml(scenario):
        st.caption("The figure is of the scenario that was run last; the text above has changed since.")
    st.image(figure, width="stretch")
    metrics = table.metrics(rows)
    metric = st.selectbox("Numbers", list(metrics), key="scenario_metric", help=MEANINGS["metric"])
    st.caption("Mean and 95 % interval over the pictures")
    st.code(table.as_text(rows, metric), None)
    with st.container(horizontal=True):
        st.download_button("Rows (Parquet)", calls.as_parquet(rows), "rows.parquet", on_click="ignore")
        st.download_button("Means (CSV)", table.as_csv(rows), "summary.csv", "text/csv", on_click="ignore")
        st.download_button("Figure (PNG)", figure, "figure.png", "image/png", on_click="ignore")
        st.download_button("Scenario (YAML)", written, "scenario.yaml", on_click="ignore")
parts.made_by(
    "for done, total, rows in run_points(read_scenario(text, folder)): ...",
    [calls.run_points, calls.read_scenario],
    "semcom run scenario.yaml --out runs/scenario",
)
