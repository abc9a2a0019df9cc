"""Further metrics for a finished run: nothing is lost, and the former columns are compared."""

import pytest
from pyarrow import parquet

from channels import UsageError
from semcom import sweep
from semcom.results import means, table
from semcom.scenario.load import scenario_from
from semcom.sweep import runner


@pytest.fixture
def data(scenario_data):
    return {**scenario_data, "sweep": {"snr_db": [0, 10]}, "repetitions": 1, "metrics": ["psnr"]}


def parts(out):
    return sorted(path.stem for path in (out / "rows").glob("*.parquet"))


def test_a_finished_run_is_extended_by_further_metrics(data, tmp_path):
    out = sweep.run(scenario_from(data), tmp_path / "out")
    before = table.read(out)
    more = scenario_from({**data, "metrics": ["outage", "psnr"]})
    sweep.run(more, out)
    after = table.read(out)
    assert set(table.metrics(after)) == {"psnr", "outage"}
    assert after["psnr"] == before["psnr"]
    assert parts(out) == sorted(point.key for point in more.points())
    fresh = sweep.run(more, tmp_path / "fresh")
    assert all(
        (out / "rows" / f"{key}.parquet").read_bytes() == (fresh / "rows" / f"{key}.parquet").read_bytes()
        for key in parts(fresh)
    )
    with pytest.raises(UsageError, match="another scenario"):
        sweep.run(scenario_from(data), out)


@pytest.mark.parametrize("moment", ["before the first new part", "after a new part, before its former one is deleted"])
def test_an_interrupted_extension_resumes(data, tmp_path, monkeypatch, moment):
    out = sweep.run(scenario_from(data), tmp_path / "out")
    more = scenario_from({**data, "metrics": ["psnr", "outage"]})

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner.Extension, "check" if moment.startswith("before") else "remove", stop)
        with pytest.raises(KeyboardInterrupt):
            sweep.run(more, out)
    unfinished = table.read(out)
    assert all(line.estimate.mean > 0 for line in means.summarize(unfinished, "psnr"))
    assert len(means.outages(unfinished)) == 2
    sweep.run(more, out)
    assert parts(out) == sorted(point.key for point in more.points())
    assert len(list((out / "images").glob("*.png"))) == 1 + len(parts(out))


def test_former_rows_that_differ_are_kept(data, tmp_path):
    out = sweep.run(scenario_from(data), tmp_path / "out")
    path = next((out / "rows").glob("*.parquet"))
    rows = parquet.read_table(path)
    changed = rows.set_column(rows.column_names.index("psnr"), rows.schema.field("psnr"), [[0.0] * len(rows)])
    parquet.write_table(changed, path)
    with pytest.raises(UsageError, match="psnr is not the same as before"):
        sweep.run(scenario_from({**data, "metrics": ["psnr", "outage"]}), out)
    assert path.is_file()
