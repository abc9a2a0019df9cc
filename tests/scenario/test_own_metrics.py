"""Metrics in files of the user: FILE.py:NAME."""

import pytest
import torch

from channels import UsageError
from semcom.metrics.metric import metric
from semcom.results import table
from semcom.scenario import model
from semcom.scenario.load import scenario_from
from semcom.sweep.transmission import run_point

CODE = """\
from semcom.metrics import Metric

SCALE = 1

def mae(delivery):
    \"\"\"Mean absolute error.\"\"\"
    return SCALE * (delivery.reception.images - delivery.sample.images).abs().flatten(1).mean(1)

largest = Metric(lambda delivery: (delivery.sample.images > 2).flatten(1).sum(1), "pixels", False)
psnr = mae
block = mae
seconds = mae
wrong = lambda delivery: 3.0
mean = lambda delivery: mae(delivery).mean()
undefined = lambda delivery: mae(delivery) * float("nan")
number = 3
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def scenario(data, *metrics):
    return scenario_from({**data, "metrics": list(metrics), "sweep": {"snr_db": 0}, "repetitions": 1})


def test_columns_have_the_name_unit_and_direction_of_the_metric(scenario_data, mine):
    point = scenario(scenario_data, "psnr", f"{mine}:mae", f"{mine}:largest").points()[0]
    rows = run_point(point).rows
    assert table.metrics(rows) == {"psnr": "dB", "mae": "", "largest": "pixels"}
    assert table.higher_is_better(rows, "mae") is None
    assert table.higher_is_better(rows, "largest") is False
    assert 0 < rows["mae"][0].as_py() < 1


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["psnr"], "already a metric or column 'psnr'"),
        (["seconds"], "already a metric or column 'seconds'"),
        (["maee"], "does not define 'maee'; did you mean 'mae'?"),
    ],
)
def test_a_name_that_is_taken_or_missing_is_refused(scenario_data, mine, names, words):
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        scenario(scenario_data, *(f"{mine}:{name}" for name in names))


def test_a_name_of_a_swept_argument_is_refused(scenario_data, mine):
    data = {**scenario_data, "sweep": {"snr_db": 0, "toy.block": [4, 8]}, "metrics": [f"{mine}:block"]}
    with pytest.raises(UsageError, match="already a metric or column 'block'"):
        scenario_from(data)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wrong", "not float"),
        ("mean", r"not \(\)"),
        ("number", "must be a function of a Delivery or a Metric, not 3"),
        ("undefined", "is NaN in at least one row"),
    ],
)
def test_a_metric_that_has_no_value_for_each_row_is_refused(scenario_data, mine, name, words):
    with pytest.raises(UsageError, match=words):
        run_point(scenario(scenario_data, f"{mine}:{name}").points()[0])


def test_the_key_depends_on_the_code_of_the_metric_only(scenario_data, mine):
    def key():
        return scenario(scenario_data, f"{mine}:mae").points()[0].key

    before = key()
    mine.write_text(CODE + "\ndef another(delivery):\n    return delivery.uses\n")
    assert key() == before
    mine.write_text(CODE.replace("SCALE = 1", "SCALE = 2"))
    assert key() != before
    assert metric(f"{mine}:mae").unit == ""


def test_every_column_of_the_rows_is_reserved(scenario_data):
    part = run_point(scenario(scenario_data, "psnr").points()[0])
    measured = {"psnr", "outage.numerator", "outage.denominator"}
    assert {*part.rows.column_names, *part.seconds.column_names} - measured <= set(model.ROW_COLUMNS)
    assert torch.is_grad_enabled()
