"""Runs with several image sources, and texts in the messages of a system."""

import json

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from semcom import UsageError, sweep
from semcom.cli.main import main
from semcom.results import compare, difference, means, panels, plot, strip, summary, table
from semcom.scenario.load import scenario_from
from semcom.sweep.receptions import with_images

TEXT = "Meet me at noon"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One image of noise, of the same name as one of the other source."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("square", "wide"):
        (folder / name).mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (128, 256, 3), np.uint8)
    Image.fromarray(noise).save(folder / "wide" / "x.png")
    Image.fromarray(noise[:, :128]).save(folder / "square" / "x.png")
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return {
        "title": "several sources",
        "systems": ["analog", {"name": "carrier_image", "label": "carrier", "message": TEXT}],
        "channel": "awgn",
        "medium_cbr": 0.1,
        "sweep": {"snr_db": [-20, 20]},
        "images": [
            {"label": "Square", "source": str(folder / "square"), "metrics": ["message_success_rate"]},
            {"label": "Wide", "source": str(folder / "wide"), "metrics": ["ssim"], "systems": ["analog"]},
        ],
        "metrics": ["psnr"],
    }


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return sweep.run(scenario_from(data), tmp_path_factory.mktemp("run") / "out")


def test_rows_name_their_source_and_have_its_metrics(run):
    rows = table.read(run).to_pylist()
    assert [(row["source"], row["system"], row["snr_db"]) for row in rows] == [
        ("Square", "analog", -20.0),
        ("Square", "carrier", -20.0),
        ("Square", "analog", 20.0),
        ("Square", "carrier", 20.0),
        ("Wide", "analog", -20.0),
        ("Wide", "analog", 20.0),
    ]
    for row in rows:
        assert (row["ssim"] is None) == (row["source"] == "Square")
        assert (row["message_success_rate.numerator"] is None) == (row["source"] == "Wide")
    lines = means.summarize(table.read(run), "ssim")
    assert {(line.system, line.conditions["source"]) for line in lines} == {("analog", "Wide")}
    assert {line.estimate.rows for line in means.summarize(table.read(run), "psnr")} == {1}


def test_a_text_is_received_where_the_message_is(run):
    received = {row["snr_db"]: row for row in table.read(run).to_pylist() if row["system"] == "carrier"}
    assert {snr_db: row["received_message"] for snr_db, row in received.items()} == {-20.0: "", 20.0: TEXT}
    for row in received.values():
        assert row["message_success_rate.numerator"] == bool(row["received_message"])
    assert {row["received_message"] for row in table.read(run).to_pylist() if row["system"] == "analog"} == {None}


def test_rows_are_the_same_with_two_workers(data, run, tmp_path):
    again = sweep.run(scenario_from(data), tmp_path / "two", workers=2)
    parts = {path.name: path.read_bytes() for path in (run / "rows").glob("*")}
    assert {path.name: path.read_bytes() for path in (again / "rows").glob("*")} == parts


def test_other_images_in_one_of_the_sources_are_refused(data, folder, tmp_path):
    out = sweep.run(scenario_from(data, ["sweep.snr_db=20"]), tmp_path / "out")
    record = json.loads((out / "images.json").read_text())
    assert {label: list(names) for label, names in record.items()} == {"Square": ["x.png"], "Wide": ["x.png"]}
    before = (folder / "wide" / "x.png").read_bytes()
    try:
        Image.new("RGB", (256, 128), "red").save(folder / "wide" / "x.png")
        with pytest.raises(UsageError, match=r"rows of other images: x\.png changed"):
            sweep.run(scenario_from(data), out)
    finally:
        (folder / "wide" / "x.png").write_bytes(before)
    assert len(list((sweep.run(scenario_from(data), out) / "rows").glob("*"))) == 6


def test_the_strip_has_a_block_for_each_source(run, folder, monkeypatch):
    found = []
    monkeypatch.setattr(panels, "save", lambda drawing, path, look: (found.append(drawing), path)[1])
    strip.figure(table.read(run), run)
    texts = [panel.get_title() for panel in found[0].axes if panel.get_title()]
    uses = [int(0.1 * 3 * 128 * width + 1e-6) for width in (128, 256)]
    assert texts == [
        *(f"Original\nSquare\n{uses[0]} channel uses", "Analog DCT", "carrier"),
        *(f"Original\nWide\n{uses[1]} channel uses", "Analog DCT"),
    ]
    originals = [np.asarray(Image.open(folder / name / "x.png")) for name in ("square", "wide")]
    for original, place in zip(originals, (0, 9), strict=True):
        (shown,) = found[0].axes[place].get_images()
        assert np.array_equal(np.asarray(shown.get_array()), original)
    framed = [text.get_text().replace("\n", " ") for panel in found[0].axes for text in panel.texts]
    assert framed == ["message not received", f"\N{LEFT DOUBLE QUOTATION MARK}{TEXT}\N{RIGHT DOUBLE QUOTATION MARK}"]
    assert "box: received text, drawn over the image" in " ".join(found[0].get_suptitle().split())


def test_figures_have_a_row_of_panels_for_each_metric_and_source(run, monkeypatch):
    found = []
    monkeypatch.setattr(panels, "save", lambda drawing, path, look: (found.append(drawing), path)[1])
    plot.figure(table.read(run), run)
    assert [panel.get_ylabel() for panel in found[0].axes] == [
        "PSNR (dB), Square",
        "PSNR (dB), Wide",
        "Message success rate, Square",
        "SSIM, Wide",
    ]
    assert [len(panel.get_lines()) // 2 for panel in found[0].axes] == [2, 1, 1, 1]
    difference.figure(table.read(run), run, "analog")
    assert [panel.get_ylabel() for panel in found[1].axes] == ["Difference: PSNR (dB), Square"]
    assert {one.conditions["source"] for one in compare.compare(table.read(run), "psnr", "analog")} == {"Square"}


def test_an_image_of_another_source_is_transmitted_again(run):
    rows = table.read(run)
    place = rows.column_names.index("image_file")
    saved = {row["point"]: row["image_file"] for row in rows.to_pylist()}
    again = with_images(rows.set_column(place, "image_file", [[""] * len(rows)]), run, strip.Choice())
    for row in again.to_pylist():
        assert (run / "images" / row["image_file"]).read_bytes() == (run / "images" / saved[row["point"]]).read_bytes()
    assert len(strip.check(again, run, strip.Choice())) == 2


def test_tables_are_at_most_100_columns_wide_and_the_report_is_the_last_line(data, write_scenario, tmp_path, capsys):
    out, path = tmp_path / "out", write_scenario(data)
    assert main(["run", str(path), "--out", str(out), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:] == [
        *(str(out / name) for name in ("summary.csv", "figure.png", "strip.png")),
        f"open {out / 'report.html'}",
    ]
    assert max(map(len, lines[:-4])) <= 100
    assert summary.text(table.read(out)) in "\n".join(lines)
    assert "Square" in (out / "report.html").read_text()
    (out / "report.html").write_text("mine")
    assert "report.html exists and was not written by semcom" in refused(capsys, "run", path, "--out", out)
    assert main(["run", str(path), "--out", str(out), "--quiet", "--no-report"]) == 0
    assert (out / "report.html").read_text() == "mine"
    assert "report" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ({"name": "analog", "message": TEXT}, "analog with these arguments transmits no message"),
        ({"name": "capacity", "message": TEXT}, "capacity with these arguments transmits no message"),
        ({"name": "carrier_image", "message": TEXT * 9}, "has 135 bytes, x.png holds"),
    ],
)
def test_a_message_that_cannot_be_transmitted_is_refused(data, system, words, tmp_path):
    images = data["images"][0] | {"metrics": ["psnr"]}
    with pytest.raises(UsageError, match=words):
        sweep.run(scenario_from(data | {"systems": [system], "images": images}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
