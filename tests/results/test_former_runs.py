"""Runs of version 0.1, with former names of columns and folders, are read, tabulated and plotted."""

import numpy as np
import pyarrow as pa
import pytest
import yaml
from PIL import Image
from pyarrow import parquet

from semcom import report
from semcom.results import labels, plot, strip, table, table_formats
from semcom.results.former_names import renamed_arguments

FORMER_SYSTEMS = [
    {"name": "carrier_image", "label": "carrier_image"},
    {"name": "multimodal_generation", "label": "random"},
    {"name": "bits_beside", "label": "bits_beside"},
]
UNITS = {"psnr": "dB", "payload_ok.numerator": "", "payload_ok.denominator": "", "snr_realised_db": "dB"}


@pytest.fixture
def former_run(tmp_path):
    """Three systems, two SNRs, two images, one swept argument each, as version 0.1 wrote them."""
    for name in ("rows", "seconds", "pictures"):
        (tmp_path / name).mkdir()
    scenario = {
        "title": "A run of version 0.1",
        "systems": FORMER_SYSTEMS,
        "channel": [{"name": "awgn", "label": "awgn"}],
    }
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(scenario))
    swept = {"carrier_image": ("carrier_image.keep", 0.25), "random": ("random.keep", "best"), "bits_beside": None}
    for system, setting in swept.items():
        for snr_db in (0.0, 10.0):
            key = f"{system}-{snr_db:g}"
            rows = {
                "image": ["a", "b"],
                "user": [0, 0],
                "snr_db": [snr_db] * 2,
                "system": [system] * 2,
                "channel": ["awgn"] * 2,
                "medium_cbr_granted": [0.0625] * 2,
                "users": [1] * 2,
                "repetition": [0] * 2,
                **({setting[0]: [setting[1]] * 2} if setting else {}),
                "bound": [False] * 2,
                "weights": [""] * 2,
                "point": [key] * 2,
                "psnr": [20.0 + snr_db, 22.0 + snr_db],
                "payload_ok.numerator": [1, 0],
                "payload_ok.denominator": [1, 1],
                "snr_realised_db": [snr_db] * 2,
                "picture": [f"{key}.png", ""],
            }
            schema = pa.schema(
                pa.field(name, pa.infer_type(values), metadata={"unit": UNITS[name]} if name in UNITS else None)
                for name, values in rows.items()
            )
            parquet.write_table(pa.table(rows, schema=schema), tmp_path / "rows" / f"{key}.parquet")
            parquet.write_table(pa.table({"seconds": [0.1, 0.1]}), tmp_path / "seconds" / f"{key}.parquet")
            Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "pictures" / f"{key}.png")
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "pictures" / "sent.png")
    return tmp_path


def test_columns_have_the_present_names(former_run):
    rows = table.read(former_run)
    assert list(table.metrics(rows)) == ["psnr", "message_success_rate", "snr_realized_db"]
    assert table.conditions(rows)["medium_cbr_budget"] == [0.0625]
    assert table.conditions(rows)["carrier_image.visible_ratio"] == [0.25]
    assert table.conditions(rows)["random.selection"] == ["best"]
    assert sorted(filter(None, rows["image_file"].to_pylist()))[0] == "bits_beside-0.png"
    assert rows["seconds"].to_pylist() == [0.1] * 12


def test_tables_and_figures_have_the_present_names(former_run):
    rows = table.read(former_run)
    assert "carrier_image,awgn,0.0625,1,10.0,0.25,," in table_formats.as_csv(rows)
    assert "message_success_rate" in table_formats.as_csv(rows)
    assert plot.figure(rows, former_run).stat().st_size > 1000
    assert strip.figure(rows, former_run).stat().st_size > 1000
    assert labels.axis_label("carrier_image.visible_ratio") == "Visible ratio"


def test_the_report_shows_the_images(former_run):
    assert "saved no images" not in report.page(former_run)


def test_names_of_systems_and_arguments_are_replaced():
    columns = ["keep", "harmonic_inpainting.keep", "bits_beside.picture", "scene.colour", "scene.packets"]
    assert renamed_arguments(columns, {}) == [
        "keep",
        "harmonic_inpainting.visible_ratio",
        "multiplexed_message.image_system",
        "scene.send_class_colors",
        "scene.packets",
    ]
