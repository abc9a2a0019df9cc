"""Columns of cost: counted once, equal in every run, and empty where nothing is counted."""

import pytest
import torch

from channels import awgn
from semcom import Sample, images, sweep
from semcom.budget import measure_cost
from semcom.results import means, table
from semcom.scenario import scenario_from
from semcom.scenario.model import COSTS, ROW_COLUMNS
from semcom.sweep import transmission
from semcom.sweep.ledger import MEASURED
from semcom.systems import deepjscc

SCENARIO = {
    "systems": ["deepjscc", {"name": "digital", "codec": "webp"}, "capacity"],
    "channel": "awgn",
    "medium_cbr": 0.0625,
    "sweep": {"snr_db": [5, 10]},
    "images": {"source": "photos", "count": 2, "size": 64},
    "metrics": ["psnr"],
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return table.read(sweep.run(scenario_from(SCENARIO), tmp_path_factory.mktemp("ledger") / "run"))


def of(rows, system):
    return [row for row in rows.to_pylist() if row["system"] == system]


def test_rows_state_the_cost_of_networks(rows):
    photo = images.load("photos", 1, 64)[0]
    cost = measure_cost(deepjscc.build(cbr=1 / 16), awgn.build(), Sample(photo.pixels[None]), 10.0)
    for row in of(rows, "deepjscc"):
        assert row["tx_gflop"] == cost.transmitter.flops / 1e9
        assert row["rx_gflop"] == cost.receiver.flops / 1e9
        assert (row["tx_parameters"], row["tx_bytes"]) == (
            cost.transmitter.parameters,
            cost.transmitter.parameter_bytes,
        )
        assert row["channel_uses"] == 768
        assert row["tx_symbol_energy"] == pytest.approx(768, rel=1e-3)
        assert min(row[name] for name in MEASURED) > 0
        assert row["cost_note"] == ""


def test_what_is_not_counted_is_empty_and_named(rows):
    for row in of(rows, "digital"):
        assert row["tx_gflop"] is row["tx_parameters"] is row["rx_bytes"] is None
        assert row["tx_encodings"] > 3
        assert row["tx_cpu_s"] > row["rx_cpu_s"] > 0
        assert "tx no torch network, image file, coding of bits" in row["cost_note"]
    assert {row[name] for row in of(rows, "capacity") for name in COSTS} == {None}  # a bound transmits nothing


def test_costs_are_no_metrics_unless_they_are_named(rows):
    assert table.metrics(rows) == {"psnr": "dB"}
    assert set(COSTS) == set(table.costs(rows)) <= set(ROW_COLUMNS)
    assert not set(table.conditions(rows)) & set(COSTS)
    assert [line.estimate.mean for line in means.summarize(rows, "tx_gflop")] == pytest.approx([0.24208848] * 2)


def test_a_configuration_is_measured_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        transmission, "ledger", lambda *arguments: calls.append(arguments) or transmission_ledger(*arguments)
    )
    transmission.forget()
    for point in scenario_from(SCENARIO).points():
        transmission.run_point(point)
    assert len(calls) == 3  # systems, of one shape


transmission_ledger = transmission.ledger


def test_rows_of_earlier_versions_have_no_cost(rows):
    former = rows.drop_columns([*COSTS, "cost_note"])
    assert table.costs(former) == {}
    both = table.joined([former, rows])
    assert len(means.summarize(both, "tx_gflop")) == 2
    assert torch.tensor([row["tx_gflop"] is None for row in both.to_pylist()[: len(rows)]]).all()
