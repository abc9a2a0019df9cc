"""Pages of results are what `make results` renders from the committed summaries."""

import csv
import io
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from mdit_py_plugins.anchors.index import slugify

from semcom import discover
from semcom.metrics.metric import Metric

ROOT = Path(__file__).parents[2]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    results = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "results.py")))
    import differences
    import result_tables
EXPERIMENTS = list(results.experiments().values())


def test_pages_are_rendered_from_the_summaries():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs" / "results").glob("*.md"))]
    before = {page: page.read_text(encoding="utf-8") for page in pages}
    subprocess.run([sys.executable, "benchmarks/results.py", "render"], cwd=ROOT, check=True, capture_output=True)
    changed = [page for page in pages if page.read_text(encoding="utf-8") != before[page]]
    for page in changed:
        page.write_text(before[page], encoding="utf-8")
    assert not changed, "run `make results` and commit what it writes"


def test_what_failed_links_to_its_measurement():
    text = (ROOT / "docs" / "results" / "failed.md").read_text(encoding="utf-8")
    entries = re.findall(r"^\*\*.*?(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(entries) > 20
    assert not [entry for entry in entries if not re.search(r"\]\(\w+\.md#|No table", entry)]
    pages = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "results").glob("*.md")}
    headings = {
        name: {slugify(line.lstrip("# ")) for line in re.findall("^#+ .*", page, re.MULTILINE)}
        for name, page in pages.items()
    }
    assert not [link for link in re.findall(r"\]\((\w+\.md)#([^)]+)\)", text) if link[1] not in headings[link[0]]]


def test_every_committed_summary_is_shown_with_its_origin():
    """An experiment that takes hours may wait to be measured; what is committed is shown, and says how it was made."""
    names = {entry["name"]: entry for entry in EXPERIMENTS}
    committed = {path.stem for path in (ROOT / "results").glob("*.csv")} - {
        "interval_coverage"
    }  # docs/results/intervals.md
    committed = {name.removesuffix("_paired") for name in committed}  # on the page of the run
    assert committed <= names.keys()
    assert not [name for name in committed if "measured" not in names[name] and not origin(name).is_file()]
    assert not [
        name for name in committed if "measured" in names[name] and origin(name).is_file()
    ]  # the origin says it


def test_intervals_are_within_the_bounds_of_their_metric():
    known = {**discover.metrics(), **dict.fromkeys(("outage", "bler"), Metric(len, "", False, bounds=(0.0, 1.0)))}
    checked = 0
    for path in set((ROOT / "results").glob("*.csv")) - set((ROOT / "results").glob("*_paired.csv")):  # differences
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("low") and row.get("metric") in known:
                    least, greatest = known[row["metric"]].bounds
                    checked += 1
                    assert not (least is not None and float(row["low"]) < least), (path.name, row)  # NaN: no interval
                    assert not (greatest is not None and float(row["high"]) > greatest), (path.name, row)
    assert checked > 1000


def test_a_table_has_no_column_for_a_condition_that_changes_no_number():
    """The energy of a user depends on the number of users, not on the SNR; the PSNR depends on both."""
    metric = {"metric": "energy", "unit": "", "system": "Analog DCT", "low": "nan", "high": "nan", "clusters": "8"}
    grid = [{"users": users, "snr_db": snr_db} for users in ("1", "2") for snr_db in ("0.0", "10.0")]
    energy = [metric | at | {"mean": str(8 / int(at["users"])), "rows": "8"} for at in grid]
    assert result_tables.markdown("Energy", energy).splitlines() == [
        "**Energy**, mean and 95 % interval, the same at every value of SNR, Es/N0 (dB), n = 8 images",
        "",
        "| Number of users | Analog DCT |",
        "| --- | --- |",
        "| 1 | 8.000 |",
        "| 2 | 4.000 |",
    ]
    energy[0] |= {"low": "7.99999", "high": "8.00001"}
    assert result_tables.cell(energy[0]) == "8.000"
    psnr = [line | {"mean": line["mean"] + line["snr_db"][0]} for line in energy]
    assert result_tables.markdown("PSNR", psnr).count("| 10 |") == 2


def test_stored_differences_are_paired_by_image():
    """A constant gain of 3 dB over images of very different PSNR: the interval of the difference has no width."""
    rows = [
        {"system": system, "channel": "AWGN", "medium_cbr_budget": 0.1, "users": 1, "user": 0, "snr_db": snr_db}
        | {"repetition": 0, "image": f"{image}", "bound": False, "psnr": 10.0 * image + snr_db + gain}
        for system, gain in (("A", 3.0), ("B", 0.0))
        for snr_db in (0.0, 10.0)
        for image in range(5)
    ]
    plain = pa.Table.from_pylist(rows)
    unit = {"unit": "dB", "higher_is_better": "True"}
    run = plain.cast(pa.schema(f.with_metadata(unit) if f.name == "psnr" else f for f in plain.schema))
    lines = list(csv.DictReader(io.StringIO(differences.as_csv(run, ["psnr", "outage"], "B"))))
    assert [(line["system"], line["snr_db"], float(line["mean"])) for line in lines] == [
        ("A", "0.0", 3.0),
        ("A", "10.0", 3.0),
    ]
    assert not [line for line in lines if float(line["high"]) - float(line["low"]) > 1e-9]


def origin(name):
    return ROOT / "results" / f"{name}.json"


def test_the_stated_images_are_those_that_were_measured():
    """A run has the images of its scenario; a table of a benchmark states its data."""
    for entry in EXPERIMENTS:
        table = ROOT / "results" / f"{entry['name']}.csv"
        assert "data" in entry or "measured" not in entry, entry["name"]
        if "data" in entry or not table.is_file():
            continue
        with table.open(encoding="utf-8", newline="") as file:
            measured = {int(line["clusters"]) for line in csv.DictReader(file)}
        stated = results.data(json.loads(origin(entry["name"]).read_text(encoding="utf-8"))["command"])
        found = re.findall(r"(\S+) images of `(\w+)", stated)
        counts = {{"kodak": 24, "photos": 10}[source] if count == "all" else int(count) for count, source in found}
        assert measured == counts, (entry["name"], stated)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["collect", "kodak", "nowhere"], "no experiment 'kodak'; did you mean 'kodak_awgn'?"),
        (
            ["run", "recognition_scenario"],
            "results/recognition_scenario.csv is not stored from a run: run `semcom run scenarios/recognition.yaml "
            "--out runs/recognition_scenario`, edit the table by the summary.csv of the run, then `make results`",
        ),
    ],
)
def test_errors_are_one_line_with_the_fix(arguments, message, capsys):
    assert results.main(arguments) == 2
    assert capsys.readouterr().err.splitlines() == [f"results: {message}"]


WRITES_TWO_TABLES = """
import sys

*names, _, folder, force = sys.argv[1:]
assert force == "--force"
for name in names:
    open(f"{folder}/{name}", "w").write("A,B\\n1,2\\n")
"""


def test_the_command_of_a_table_writes_it_and_the_origin_is_stored(tmp_path, monkeypatch, capsys):
    """Two tables that one command writes, one of which another entry does not name."""
    inner = results.run.__globals__
    (tmp_path / "results" / "experiments").mkdir(parents=True)
    (tmp_path / "measure.py").write_text(WRITES_TWO_TABLES)
    command = "SEMCOM_DATA=... python measure.py first.csv second.csv --out results"
    entry = "- {{name: {}, title: T, data: none, command: '{}', measured: by hand}}\n"
    names = {"first": command, "second": command, "third": "python measure.py --out results/another.csv"}
    text = "title: P\ntext: About.\nexperiments:\n" + "".join(entry.format(*item) for item in names.items())
    (tmp_path / "results" / "experiments" / "page.yaml").write_text(text)
    (tmp_path / "docs" / "results").mkdir(parents=True)
    for name, value in {
        "ROOT": tmp_path,
        "SUMMARIES": tmp_path / "results",
        "PAGES": tmp_path / "docs" / "results",
    }.items():
        monkeypatch.setitem(inner, name, value)
    monkeypatch.setitem(inner, "README", tmp_path / "README.md")
    assert results.main(["run", "first"]) == 0
    page = (tmp_path / "docs" / "results" / "page.md").read_text()
    assert page.count("| 1 | 2 |") == 2
    assert (
        page.count(f"measured {json.loads((tmp_path / 'results' / 'second.json').read_text())['date']} with version")
        == 2
    )
    assert "by hand" not in page
    capsys.readouterr()
    assert results.main(["run", "third"]) == 2
    assert "edit the table by what it prints" in capsys.readouterr().err
    (tmp_path / "measure.py").write_text("raise SystemExit(3)")
    assert results.main(["run", "first"]) == 2
    assert "failed; its message is above" in capsys.readouterr().err


def test_simulated_intervals_cover_what_is_claimed():
    with (ROOT / "results" / "interval_coverage.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    claims = {line.pop("data"): (line.pop("claim"), line) for line in lines}
    assert {name: claim for name, (claim, _) in claims.items() if claim != "none"} == {
        "normal": "0.93",
        "exponential": "0.88",
        "equal rows": "0.88",
        "difference of rows": "0.93",
        "difference of equal rows": "0.88",
        "difference of independent rows": "0.93",
        "difference of nested rows": "0.93",
        "exponential, equal rows": "0.88",
        "difference, normal": "0.93",
        "difference, exponential": "0.88",
    }
    for name, (claim, shares) in claims.items():
        assert claim == "none" or min(map(float, shares.values())) >= float(claim), name
