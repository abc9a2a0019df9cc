"""Rows of channels with transmitter knowledge, and outage counts that the scenario does not list."""

from dataclasses import replace

import pyarrow
import pytest

from channels import UsageError, waveform
from semcom import report, sweep
from semcom.results import channel_knowledge, labels, means, panels, table, table_formats
from semcom.scenario.load import scenario_from

FIXED = {"name": "digital", "codec": "webp", "adaptation": "fixed", "modulation": "16qam", "code_rate": 0.5}


@pytest.fixture
def small(scenario_data):
    return scenario_data | {"sweep": {"snr_db": [0, 20]}, "repetitions": 1, "metrics": ["psnr"]}


def run(content, out):
    return sweep.run(scenario_from(content), out)


def test_the_default_has_the_rows_and_keys_of_runs_without_the_argument(small, tmp_path):
    explicit = small | {"channel": {"name": "rayleigh", "csit": "average", "csit_correlation": 0.5}}
    first, second = (run(content, tmp_path / str(i)) for i, content in enumerate((small, explicit)))
    parts = {path.name: path.read_bytes() for path in (first / "rows").iterdir()}
    assert parts == {path.name: path.read_bytes() for path in (second / "rows").iterdir()}
    for out in (first, second):
        rows = table.read(out)
        assert set(rows["csit"].to_pylist()) == {"average"}
        assert labels.csit(rows) == "the transmitter knows the average SNR"
        assert table.title(rows, "psnr") == "psnr (dB), mean and 95 % interval; the transmitter knows the average SNR"
    for point in scenario_from(small).points():
        before = tuple(argument for argument in point.channel.arguments if not argument[0].startswith("csit"))
        assert len(before) == len(point.channel.arguments) - 2
        assert replace(point, channel=replace(point.channel, arguments=before)).key == point.key


def test_figures_group_channels_by_knowledge_unless_their_labels_state_it():
    def shown(known_by_label):
        return labels.csit(pyarrow.table({"channel": list(known_by_label), "csit": list(known_by_label.values())}))

    assert (
        shown({"1x1": "average", "2x1, Alamouti": "average", "2x1, closed loop": "perfect"})
        == "CSI at the transmitter: average SNR (1x1; 2x1, Alamouti), perfect (2x1, closed loop)"
    )
    stated = {"Average SNR": "average", "Delayed CSIT, correlation 0.9": "delayed, correlation 0.9"}
    assert shown(stated | {"Perfect CSIT": "perfect"}) == ""
    assert shown(stated | {"Genius": "perfect"}) != ""


def test_rows_state_the_knowledge_of_the_transmitter(small, tmp_path):
    channels = [{"name": "rayleigh"}, {"name": "rayleigh", "label": "known", "csit": "perfect"}]
    rows = table.read(run(small | {"channel": channels}, tmp_path / "out"))
    assert labels.csit(rows) == "CSI at the transmitter: average SNR (Rayleigh fading), perfect (known)"
    assert list(table.metrics(rows)) == ["psnr"]
    assert {*table.conditions(rows)} == {"channel", "medium_cbr_budget", "users", "snr_db"}
    for row in rows.to_pylist():
        known = row["channel"] == "known"
        assert row["csit"] == ("perfect" if known else "average")
        assert (row["transmitter_snr_db"] not in (None, row["snr_db"])) == known


@pytest.mark.parametrize(
    ("channel", "csit"),
    [
        ({"name": "awgn"}, None),
        ({"name": "tdl"}, "average"),
        ({"name": "uplink"}, "average"),
        ({"name": "broadcast"}, None),
        ({"name": "broadcast", "fading": "rician"}, "average"),
        ({"name": "waveform"}, None),
        ({"name": "waveform", "fading": "rayleigh"}, "average"),
        ({"name": "my_channel.py"}, None),
    ],
)
def test_every_channel_with_fading_states_what_the_transmitter_knows(channel, csit):
    rows = pyarrow.table({"channel": ["mine"]})
    assert channel_knowledge.stated(rows, {"mine": channel})["csit"].to_pylist() == [csit]


def test_swept_fading_is_that_of_each_row():
    rows = pyarrow.table({"channel": ["broadcast"] * 2, "broadcast.fading": ["none", "rayleigh"]})
    found = channel_knowledge.stated(rows, {"broadcast": {"name": "broadcast"}})
    assert found["csit"].to_pylist() == [None, "average"]


def test_figures_and_the_report_state_it(small, tmp_path, monkeypatch):
    out, titles = run(small, tmp_path / "out"), []
    original = panels.Panels.__init__

    def noted(self, plan, metrics, title, look):
        titles.append(title)
        original(self, plan, metrics, title, look)

    monkeypatch.setattr(panels.Panels, "__init__", noted)
    assert report.page(out).count("the transmitter knows the average SNR") == 1
    assert all("the transmitter knows the average SNR" in title for title in titles)
    assert len(titles) == 1


def test_outage_is_counted_but_not_listed(small, tmp_path):
    content = small | {"systems": [*small["systems"], FIXED], "channel": "awgn"}
    rows = table.read(run(content, tmp_path / "out"))
    assert list(table.metrics(rows)) == ["psnr"]
    assert {line.conditions["snr_db"]: line.estimate.mean for line in means.outages(rows)} == {0.0: 1.0, 20.0: 0.0}
    assert set(rows["csit"].to_pylist()) == {None}
    assert labels.csit(rows) == ""
    assert "outage" not in table_formats.as_csv(rows)
    listed = table.read(run(content | {"metrics": ["psnr", "outage"]}, tmp_path / "listed"))
    assert list(table.metrics(listed)) == ["psnr", "outage"]
    assert [line.estimate for line in means.outages(listed)] == [line.estimate for line in means.outages(rows)]


def test_rows_without_outage_counts_have_no_outages(small, tmp_path):
    rows = table.read(run(small, tmp_path / "out"))
    assert means.outages(rows.drop_columns(["outage.numerator", "outage.denominator"])) == []


def test_a_channel_without_the_argument_names_those_that_have_it(small):
    with pytest.raises(UsageError, match=r"waveform has no argument 'csit'; channels with this argument: .*rayleigh"):
        scenario_from(small | {"channel": {"name": "waveform", "fading": "rayleigh", "csit": "perfect"}})
    assert "The transmitter knows the average SNR only, with fading too." in " ".join(waveform.build.__doc__.split())
