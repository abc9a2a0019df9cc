"""Energies of a run, and the systems that no other one beats."""

import re

import pyarrow as pa
import pytest

from semcom import sweep
from semcom.budget import load_hardware
from semcom.budget.frontier import Operation, operations
from semcom.cli.main import main
from semcom.results import table
from semcom.results.panels import curve_looks
from semcom.scenario.load import scenario_from
from semcom.scenario.model import COSTS


def rows_of(*systems):
    """Rows of one image: label, PSNR, channel uses, GFLOP or None."""
    found = [
        {
            "system": label,
            "channel": "awgn",
            "medium_cbr_budget": 0.1,
            "users": 1,
            "snr_db": 10.0,
            "repetition": 0,
            "image": "a",
            "user": 0,
            "bound": False,
            "psnr": psnr,
            **dict.fromkeys(COSTS),
            "channel_uses": float(uses),
            "tx_symbol_energy": float(uses),
            "tx_gflop": gflop,
            "tx_parameters": None if gflop is None else 1000.0,
            "tx_bytes": None if gflop is None else 4000.0,
        }
        for label, psnr, uses, gflop in systems
    ]
    plain = pa.Table.from_pylist(found)
    fields = [
        field.with_metadata({"unit": "dB", "higher_is_better": "True"})
        if field.name == "psnr"
        else field.with_type(pa.float64())
        if field.name in COSTS
        else field
        for field in plain.schema
    ]
    return plain.cast(pa.schema(fields))


HARDWARE = load_hardware("arithmetic_45nm")


def test_energies_and_frontier():
    rows = rows_of(
        ("good", 30.0, 1000, 2.0),
        ("cheap", 28.0, 1000, 1.0),
        ("worse than cheap", 27.0, 1000, 1.0),
        ("few uses", 26.0, 500, 3.0),
        ("file", 35.0, 1000, None),
    )
    found = {one.system: one for one in operations(rows, "psnr", HARDWARE)}
    assert [name for name, one in found.items() if one.on_frontier] == ["good", "cheap", "few uses"]
    assert found["good"].compute_j == pytest.approx(1e9 * 4.6e-12 + 4000 * 1.625e-10)
    assert found["good"].radio_j == pytest.approx(1000 / 1e6 * 0.1 / 0.3)
    assert found["file"].compute_j is found["file"].energy_j is None  # not counted is not free
    assert isinstance(found["file"], Operation)


def test_systems_with_other_images_are_not_compared():
    rows = pa.concat_tables(
        rows_of((label, psnr, 1000, 1.0)).append_column("source", pa.array([source]))
        for label, psnr, source in (("first", 30.0, "photos"), ("second", 20.0, "streets"))
    )
    assert all(one.on_frontier for one in operations(rows, "psnr", HARDWARE))


def test_rows_without_costs_are_refused(tmp_path, capsys):
    from pyarrow import parquet

    (tmp_path / "rows").mkdir()
    rows = rows_of(("good", 30.0, 1000, 2.0))
    parquet.write_table(rows.drop_columns(["tx_gflop"]), tmp_path / "rows" / "a.parquet")
    assert main(["budget", str(tmp_path), "--hardware", "arithmetic_45nm"]) == 2
    assert "run the scenario again" in capsys.readouterr().err
    assert main(["budget", str(tmp_path)]) == 2
    assert "--hardware" in capsys.readouterr().err


def test_the_commands_print_both_energies_and_draw_the_figure(tmp_path, capsys, scenario_data):
    systems = {"systems": ["deepjscc", "digital"], "channel": ["awgn", "rayleigh"], "sweep": {"snr_db": [10]}}
    one = {"images": {"source": "photos", "count": 1, "size": 64}, "repetitions": 1}
    sweep.run(scenario_from({**scenario_data, **systems, **one}), tmp_path)
    assert main(["budget", str(tmp_path), "--hardware", "arithmetic_45nm_int8"]) == 0
    text = capsys.readouterr().out
    assert "not counted" in text
    assert "Horowitz" in text
    assert re.search(r"^DeepJSCC +Rayleigh fading +10 ", text, re.MULTILINE)
    options = ["--hardware", "arithmetic_45nm_int8", "--format", "svg", "--size", "double"]
    assert main(["plot", str(tmp_path), *options]) == 0
    svg = (tmp_path / "energy-arithmetic_45nm_int8.svg").read_text(encoding="utf-8")
    omitted = "not shown, operations not counted: Image file + LDPC"
    for words in ("DeepJSCC", "Rayleigh fading", "AWGN", "mJ per image", "Radiated power (W)", ">0.01<", omitted):
        assert words in svg
    color = curve_looks(table.read(tmp_path), tmp_path, "snr_db")["DeepJSCC"]["color"]
    assert color.lower() in svg
    (tmp_path / "energy-arithmetic_45nm_int8.svg").write_text("mine", encoding="utf-8")
    assert main(["plot", str(tmp_path), *options]) == 2
    assert "--force" in capsys.readouterr().err
