"""`task: recognition`: rows, summary and figures of a run; metrics against their definitions; invalid scenarios."""

import csv
import math

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from channels.errors import UsageError
from semcom.cli.main import main
from semcom.recognition import metrics
from semcom.recognition.task import load_task

SCENARIO = """
task: recognition
modulations: [bpsk, qpsk, 16qam]
channel: awgn
sweep: {snr_db: [0, 12], uses: [32]}
recognizers: [all_known, phase_unknown, nothing_known]
frames: 8
"""


def written(folder, text=SCENARIO):
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_run_has_rows_a_summary_and_figures(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["run", str(written(tmp_path)), "--out", str(out), "--quiet"]) == 0
    rows = pyarrow.parquet.read_table(out / "rows.parquet").to_pandas()
    assert len(rows) == 3 * 2 * 3 * 8
    values = rows[[f"posterior_{name}" for name in ("bpsk", "qpsk", "16qam")]].to_numpy()
    np.testing.assert_allclose(values.sum(1), 1)
    assert (np.array(["bpsk", "qpsk", "16qam"])[values.argmax(1)] == rows["decision"]).all()
    with (out / "summary.csv").open() as file:
        summary = list(csv.DictReader(file))
    best = [row for row in summary if row["recognizer"] == "all_known" and row["snr_db"] == "12"]
    assert (
        float(best[0]["accuracy"])
        == (rows.query("recognizer == 'all_known' and snr_db == 12").eval("truth == decision")).mean()
    )
    assert float(best[0]["accuracy"]) > 0.9
    assert not [row for row in summary if row["log_loss"].startswith("-")]  # not even "-0.0000"
    for name in ("accuracy", "confusion", "reliability"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert main(["report", str(out)]) == 2
    assert "recognition scenario" in capsys.readouterr().err
    first = {path.name: path.read_bytes() for path in (out / "rows").iterdir()}
    capsys.readouterr()
    assert main(["run", str(written(tmp_path)), "--out", str(out), "--quiet", "--set", "title=Other"]) == 0
    assert {path.name: path.read_bytes() for path in (out / "rows").iterdir()} == first
    assert main(["run", str(written(tmp_path)), "--out", str(out), "--quiet", "--set", "seed=1"]) == 2
    assert "another scenario" in capsys.readouterr().err


def test_the_figures_of_a_run_have_all_formats_sizes_and_styles(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["run", str(written(tmp_path)), "--out", str(out), "--quiet"]) == 0
    for form, start in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
        assert main(["plot", str(out), "--format", form, "--size", "single", "--style", "slides"]) == 0
        for name in ("accuracy", "confusion", "reliability"):
            assert (out / f"{name}.{form}").read_bytes().startswith(start)
    assert b"Type3" not in (out / "accuracy.pdf").read_bytes()
    for name in ("accuracy", "confusion", "reliability"):
        assert Image.open(out / f"{name}.png").width == pytest.approx(3.5 * 300, abs=1)
    capsys.readouterr()
    assert main(["plot", str(out), "--metric", "psnr"]) == 2
    assert "--metric does not apply to a scenario of recognition" in capsys.readouterr().err
    next((out / "rows").iterdir()).unlink()
    assert main(["plot", str(out)]) == 2
    assert "run the scenario again to resume" in capsys.readouterr().err


def test_fading_lowers_the_accuracy_of_the_bound(tmp_path):
    """One Rayleigh gain a frame: some frames are in a fade, even at a high mean SNR."""
    accuracy = {}
    for channel in ("awgn", "rayleigh"):
        out = tmp_path / channel
        options = ["--set", f"channel={channel}", "--set", "recognizers=[all_known]", "--set", "frames=40"]
        assert main(["run", str(written(tmp_path)), "--out", str(out), "--quiet", *options]) == 0
        with (out / "summary.csv").open() as file:
            accuracy[channel] = [float(row["accuracy"]) for row in csv.DictReader(file)][1]
    assert accuracy["rayleigh"] < accuracy["awgn"]


def test_metrics():
    truth = np.array([0, 0, 1, 1])
    posterior = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.45, 0.55]])
    assert metrics.accuracy(truth, posterior) == 0.75
    assert metrics.log_loss(truth, posterior) == pytest.approx(-sum(map(math.log, (0.9, 0.2, 0.9, 0.55))) / 4)
    assert metrics.expected_calibration_error(truth, posterior) == pytest.approx((2 * 0.1 + 0.8 + 0.45) / 4)
    assert metrics.confusion(truth, posterior).tolist() == [[0.5, 0.5], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("16qam]", "17qam]", "17qam"),
        ("[bpsk, qpsk, 16qam]", "[qpsk]", "two or more"),
        ("channel: awgn", "channel: tdl", "channel"),
        ("uses: [32]", "uses: [0]", "uses"),
        ("uses: [32]", "length: [32]", "length"),
        ("snr_db: [0, 12]", "snr_db: [90]", "snr_db"),
        ("frames: 8", "frames: none", "frames"),
        ("frames: 8", "images: photos", "images"),
        ("nothing_known", "missing_weights", "missing_weights"),
    ],
)
def test_invalid_scenarios_are_refused_in_one_line(tmp_path, capsys, before, after, words):
    path = written(tmp_path, SCENARIO.replace(before, after))
    assert main(["run", str(path), "--out", str(tmp_path / "run"), "--quiet"]) == 2
    text = capsys.readouterr().err
    assert words in text
    assert len(text.strip().splitlines()) == 1


def test_settings_replace_values(tmp_path):
    task = load_task(written(tmp_path), ["frames=3", "sweep.snr_db=[5]"])
    assert (task.frames, task.snr_db) == (3, (5.0,))
    with pytest.raises(UsageError, match="frame"):
        load_task(written(tmp_path), ["frame=3"])
