"""The demo's page that runs a scenario: what it refuses and where, and that it gives what the command gives."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import visiting  # makes the demo's package importable
from semcom_demo import calls

from channels import UsageError
from semcom import sweep, table
from semcom.scenario import load_scenario

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

SCENARIO = """\
title: two
systems: [analog]
channel: awgn
medium_cbr: 0.0625
sweep: {snr_db: [0, 10]}
images: {source: photos, count: 2, size: 32}
metrics: [psnr]
"""


def test_a_scenario_runs_and_is_that_of_the_command(tmp_path):
    app = visiting.opened("run_a_scenario", scenario_text=SCENARIO)
    app.button(key="scenario_run").click().run()
    assert not app.exception
    written, rows, figure = app.session_state["scenario_result"]
    assert figure.startswith(b"\x89PNG")
    (tmp_path / "two.yaml").write_text(written)
    other = table.read(sweep.run(load_scenario(tmp_path / "two.yaml"), tmp_path / "run"))
    assert rows["psnr"].to_pylist() == other["psnr"].to_pylist()
    assert table.as_text(rows, "psnr") in visiting.code(app)


@pytest.mark.parametrize(
    ("before", "after", "message", "line"),
    [
        ("metrics: [psnr]", "metrics: [psnrr]", "scenario.yaml:7: no metric 'psnrr'; did you mean 'psnr'?", ">   7"),
        ("channel: awgn", "channel: [awgn", "broken YAML", ">   "),
        ("[analog]", "[{name: ./mine.py}]", "mine.py", None),
        ("source: photos", "source: 'folder:/'", "built in", None),
        ("[0, 10]", str(list(range(-100, 101)) * 1), "", None),
        ("count: 2, size: 32", "count: 2, size: 4096", "size may be 512 here", None),
        ("count: 2, ", "", "say a count of pictures", None),
        ("[analog]", "[{name: multimodal_generation, candidates: 100000}]", "candidates and steps may be 16", None),
        ("[analog]", "[{name: multimodal_generation, preset: base}]", "of the preset tiny", None),
    ],
)
def test_a_wrong_scenario_is_refused_at_its_line(before, after, message, line):
    assert before in SCENARIO
    app = visiting.opened("run_a_scenario", scenario_text=SCENARIO.replace(before, after))
    if not message:
        assert not app.error, "201 points are allowed"
        return
    assert message in app.error[0].value
    assert tempfile.gettempdir() not in app.error[0].value.replace(str(Path.cwd()), ".")
    assert not app.button
    if line:
        assert line in visiting.code(app)


def test_a_scenario_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(UsageError, match="402 points"):
        calls.read_scenario(SCENARIO.replace("[0, 10]", str(list(range(-100, 101)))) + "repetitions: 2\n", tmp_path)
    with pytest.raises(UsageError, match="2000000000 points"):  # counted, not made
        calls.read_scenario(SCENARIO + "repetitions: 1000000000\n", tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        "",
        "repetitions: 3\n",
        "stop: {metric: psnr, half_width: 1, max_repetitions: 5}\n",
    ],
)
def test_points_are_counted_as_they_are_made(tmp_path, more):
    swept = "[0, 10], users: [1, 2, 3], uplink.antennas: [2, 4], digital.codec: [avif, webp]"
    text = SCENARIO.replace("[0, 10]", swept).replace("[analog]", "[analog, digital]")
    (tmp_path / "few.yaml").write_text(text.replace("channel: awgn", "channel: [awgn, uplink]") + more)
    scenario = load_scenario(tmp_path / "few.yaml")
    repetitions = scenario.stop.max_repetitions if scenario.stop else scenario.repetitions
    assert calls._most_points(scenario) == len(replace(scenario, repetitions=repetitions).points())
