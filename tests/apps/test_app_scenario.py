"""The page that runs a scenario: rejected scenarios, error lines, and results equal to those of `semcom run`."""

import io
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import demo_pages  # makes semcom_demo importable
from semcom_demo import scenarios

from channels import UsageError
from semcom import sweep
from semcom.results import table, table_formats
from semcom.scenario.load import load_scenario

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

SCENARIO = """\
title: one system
systems: [analog]
channel: awgn
medium_cbr: 0.0625
sweep: {snr_db: [0, 10]}
images: {source: photos, count: 2, size: 32}
metrics: [psnr]
"""


def test_results_equal_those_of_semcom_run(tmp_path):
    app = demo_pages.open_page("run_a_scenario", scenario_text=SCENARIO)
    app.button(key="scenario_run").click().run()
    assert not app.exception
    written, rows, files, done = app.session_state["scenario_result"]
    assert done == "2 of 2 points"
    assert files["figure.png"].startswith(b"\x89PNG")
    assert b"<h1>one system</h1>" in files["report.html"]
    assert files["summary.csv"] == table_formats.as_csv(rows).encode()
    assert parquet.read_table(io.BytesIO(files["rows.parquet"])).equals(rows)
    (tmp_path / "two.yaml").write_text(written)
    other = table.read(sweep.run(load_scenario(tmp_path / "two.yaml"), tmp_path / "run"))
    assert rows["psnr"].to_pylist() == other["psnr"].to_pylist()
    assert table_formats.as_text(rows, "psnr") in demo_pages.code(app)


@pytest.mark.parametrize(
    ("before", "after", "message", "line"),
    [
        ("metrics: [psnr]", "metrics: [psnrr]", "scenario.yaml:7: no metric 'psnrr'; did you mean 'psnr'?", ">   7"),
        ("channel: awgn", "channel: [awgn", "invalid YAML", ">   "),
        ("[analog]", "[{name: ./mine.py}]", "mine.py", None),
        ("source: photos", "source: 'folder:/'", "use a built-in image source", None),
        ("source: photos", "source: 'hf:a/b:train'", "use a built-in image source", None),
        ("[analog]", "[{name: multimodal_generation, gallery: 'hf:a:b'}]", "use built-in systems", None),
        ("[0, 10]", str(list(range(-100, 101)) * 1), "", None),
        ("count: 2", "count: 24", "scenario.yaml:6: photos has 10 images, fewer than count: 24", ">   6"),
        ("source: photos", "source: kodak", "scenario.yaml: no folder .../kodak: run: semcom data get kodak", None),
        ("count: 2, size: 32", "count: 2, size: 4096", "images.size: at most 512 here", None),
        ("count: 2, ", "", "images.count: give at most 24 here", None),
        ("[analog]", "[{name: multimodal_generation, candidates: 100000}]", "candidates and steps: at most 16", None),
        ("[analog]", "[{name: multimodal_generation, preset: base}]", "only with preset tiny", None),
    ],
)
def test_a_wrong_scenario_shows_the_error_and_its_line(before, after, message, line, monkeypatch):
    monkeypatch.setenv("SEMCOM_DATA", "/home/visitor/data")
    assert before in SCENARIO
    app = demo_pages.open_page("run_a_scenario", scenario_text=SCENARIO.replace(before, after))
    if not message:
        assert not app.error, "201 points are allowed"
        return
    assert message in app.error[0].value
    assert "/home/visitor" not in app.error[0].value
    assert tempfile.gettempdir() not in app.error[0].value
    assert str(Path.cwd()) not in app.error[0].value
    assert "scenario_run" not in {button.key for button in app.button}
    if line:
        assert line in demo_pages.code(app)


def test_a_scenario_with_too_many_points_is_rejected(tmp_path):
    with pytest.raises(UsageError, match="402 points"):
        scenarios.read_scenario(SCENARIO.replace("[0, 10]", str(list(range(-100, 101)))) + "repetitions: 2\n", tmp_path)
    with pytest.raises(UsageError, match="2000000000 points"):  # counted without listing them
        scenarios.read_scenario(SCENARIO + "repetitions: 1000000000\n", tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        "",
        "repetitions: 3\n",
        "stop: {metric: psnr, half_width: 1, max_repetitions: 5}\n",
    ],
)
def test_the_point_count_equals_the_number_of_points(tmp_path, more):
    axes = "[0, 10], users: [1, 2, 3], uplink.antennas: [2, 4], digital.codec: [avif, webp]"
    text = SCENARIO.replace("[0, 10]", axes).replace("[analog]", "[analog, digital]")
    (tmp_path / "few.yaml").write_text(text.replace("channel: awgn", "channel: [awgn, uplink]") + more)
    scenario = load_scenario(tmp_path / "few.yaml")
    repetitions = scenario.stop.max_repetitions if scenario.stop else scenario.repetitions
    assert scenarios._max_points(scenario) == len(replace(scenario, repetitions=repetitions).points())


def test_a_stopped_run_offers_the_results_so_far(monkeypatch):
    text = SCENARIO.replace("[0, 10]", "[0, 5, 10]")
    app = demo_pages.open_page("run_a_scenario", scenario_text=text)
    run_points = scenarios.run_points

    def stopped(scenario, folder):
        for done, total, rows in run_points(scenario, folder):
            yield done, total, rows
            if done == 2:  # what a press of Stop does: it ends the script
                from streamlit.runtime.scriptrunner import StopException

                raise StopException

    monkeypatch.setattr(scenarios, "run_points", stopped)
    app.button(key="scenario_run").click().run()
    app.run()
    assert not app.exception
    _, rows, files, done = app.session_state["scenario_result"]
    assert done == "2 of 3 points"
    assert sorted(set(rows["snr_db"].to_pylist())) == [0, 5]
    assert files["figure.png"].startswith(b"\x89PNG")
    assert b"<h1>one system</h1>" in files["report.html"]


def test_the_presets_are_scenarios_that_the_page_accepts(tmp_path):
    presets = scenarios.presets(tmp_path)  # those that `read_scenario` accepts
    (cliff,) = [text for name, text in presets.items() if name.startswith("cliff: ")]
    scenarios.check_source(scenarios.read_scenario(cliff, tmp_path))


def test_the_table_of_few_images_names_no_interval(tmp_path):
    (tmp_path / "few.yaml").write_text(SCENARIO)
    rows = sweep.run_point(load_scenario(tmp_path / "few.yaml").points()[0]).rows
    assert "hardly more than the values themselves" in scenarios.interval_note(rows)
