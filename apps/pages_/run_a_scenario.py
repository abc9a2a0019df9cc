"""A scenario (parameter sweep) that is edited, checked and run on the page, and files of its results to download."""

import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st
from semcom_demo import errors, live, parts, reproduce, scenarios
from semcom_demo.words import TOOLTIPS

from channels import UsageError
from semcom.results import table, table_formats
from semcom.results.labels import axis_label
from semcom.scenario.load import to_yaml

EXAMPLE = """\
title: Three systems over AWGN
systems: [digital, analog, deepjscc]
channel: awgn
medium_cbr: 0.0625
sweep: {snr_db: [0, 10, 20]}
images: {source: photos, count: 8, size: 96}
metrics: [psnr, ms_ssim]
repetitions: 1
seed: 0
"""


@st.cache_resource(show_spinner=False)
def plot_lock() -> threading.Lock:
    """Lock around matplotlib, whose settings all visitors share."""
    return threading.Lock()


@st.cache_resource(show_spinner=False)
def presets() -> dict[str, str]:
    """The example, and scenarios of the project that this page can run, by title."""
    with TemporaryDirectory() as folder:
        return {"Example": EXAMPLE} | scenarios.presets(Path(folder))


def take_preset() -> None:
    """Replace the text by a preset."""
    st.session_state["scenario_text"] = presets()[st.session_state["scenario_preset"]]


parts.title(
    "Run a scenario",
    "A scenario is a parameter sweep in one YAML file: systems, channels, SNR values, users, images and metrics.",
    "Edit it, run it, and download the figure, the results and the report.",
)
pressed_place = st.container()
st.selectbox(
    "Scenarios to start from", list(presets()), key="scenario_preset", on_change=take_preset, help=TOOLTIPS["preset"]
)
st.session_state.setdefault("scenario_text", EXAMPLE)
text = st.text_area(
    "Scenario (YAML)", height=250, key="scenario_text", help=TOOLTIPS["scenario"], persist_state="session"
)

with TemporaryDirectory() as temporary:
    folder = Path(temporary)
    try:
        scenario = scenarios.read_scenario(text, folder)
        scenarios.check_source(scenario)
    except UsageError as error:
        message = " ".join(str(error).split())
        st.error(message, icon=":material/info:")
        if match := re.search(r"scenario\.yaml:(\d+)", message):
            number = int(match[1])
            lines = text.splitlines() or [""]
            nearby = range(max(0, number - 2), min(len(lines), number + 1))
            excerpt = "\n".join(f"{'>' if i + 1 == number else ' '} {i + 1:3}  {lines[i]}" for i in nearby)
            st.code(excerpt, "yaml", wrap_lines=True)
        st.stop()
    count = len(scenario.points())
    with pressed_place.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Run scenario", type="primary", key="scenario_run")
        st.caption(
            f"{count} points{'' if scenario.stop is None else ' or more, until the stopping rule is met'}: "
            "every combination of system, channel, SNR and other swept values."
        )
    with pressed_place:
        progress = live.progress_place()
    if pressed:
        st.session_state.pop("scenario_result", None)
        with progress.container(horizontal=True, vertical_alignment="center"):
            bar, stop = st.progress(0.0, f"0 of {count} points"), st.empty()
        stop.button("Stop", key="scenario_stop", help="The results of the points that are done stay on the page.")
        partial = st.empty()
        with errors.stop_on_usage_error():
            for done, total, rows in scenarios.run_points(scenario, folder):
                bar.progress(done / total, f"{done} of {total} points")
                partial.code(table_formats.as_text(rows, scenario.metrics[0]), None)
                with plot_lock():
                    files = scenarios.files(rows, folder) if done == total else {}
                st.session_state["scenario_result"] = (to_yaml(scenario), rows, files, f"{done} of {total} points")
        bar.empty()
        stop.empty()
        partial.empty()

if "scenario_result" in st.session_state:
    written, rows, files, done = st.session_state["scenario_result"]
    if not files:  # stopped before the last point
        with errors.stop_on_usage_error(), plot_lock(), TemporaryDirectory() as temporary:
            files = scenarios.files_of(written, rows, Path(temporary))
        st.session_state["scenario_result"] = (written, rows, files, done)
    if written != to_yaml(scenario):
        st.caption("This figure belongs to the last run. The scenario above has been edited since.")
    st.caption(f"Results of {done}")
    metrics = table.metrics(rows)
    theme = "_dark" if st.context.theme.type == "dark" else ""
    for kind in ("", "_phone"):  # the style of the pages shows one of them
        with st.container(key=f"figure{kind}"):
            shown, alt = (
                files[f"figure{kind}{theme}.png"],
                f"Figure of the last run: {', '.join(metrics)} of each system",
            )
            st.image(shown, width="stretch", alt=alt)
    metric = st.selectbox(
        "Metric in the table",
        list(metrics),
        format_func=lambda name: axis_label(name, metrics[name]),
        key="scenario_metric",
        help=TOOLTIPS["metric"],
    )
    st.caption(scenarios.interval_note(rows))
    st.code(table_formats.as_text(rows, metric), None)
    with st.container(horizontal=True):
        for label, name in (
            ("Report (HTML)", "report.html"),
            ("Figure (PNG)", "figure.png"),
            ("Means and confidence intervals (CSV)", "summary.csv"),
            ("Results, one row per image (Parquet)", "rows.parquet"),
        ):
            st.download_button(label, files[name], name, on_click="ignore")
        st.download_button("Scenario (YAML)", written, "scenario.yaml", on_click="ignore")
reproduce.show_script(
    "from pathlib import Path\nfrom tempfile import mkdtemp\n\n"
    "from semcom_demo.scenarios import read_scenario, run_points\n\n"
    'text, folder = Path("scenario.yaml").read_text(), Path(mkdtemp())\n'
    "for done, total, rows in run_points(read_scenario(text, folder), folder):\n"
    '    print(f"{done} of {total} points")',
    [scenarios.run_points, scenarios.read_scenario],
    "semcom run scenario.yaml --out runs/scenario",
)
