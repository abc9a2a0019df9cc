"""The page of a run: all of it is there, nothing else is needed, and nobody's text becomes markup."""

import io
import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from conftest import TOY
from PIL import Image

from semcom import UsageError, _report_record, discover, report, sweep, table
from semcom._report_citations import bibtex
from semcom.scenario import scenario_from

TITLE = "<script>alert('title')</script> & \"quotes\""
LABEL = "<img src=x onerror=alert(1)> toy"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Tags, attributes, the text of each element, and the cells of the table; refuses tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts, self.rows = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return "\n".join(self.texts)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with names that want to be markup: a toy and a bound, two users, three SNRs."""
    scenario = scenario_from(
        {
            "title": TITLE,
            "systems": [{"name": TOY, "label": LABEL}, "analog", {"name": "deepjscc", "label": "learned"}],
            "channel": "rayleigh",
            "medium_cbr": 0.125,
            "sweep": {"snr_db": [0, 10, 20], "users": [1, 2]},
            "images": {"source": "photos", "count": 3, "size": 32},
            "metrics": ["psnr", "outage"],
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["/somewhere/bin/semcom", "run", "scenario.yaml", "--out", "out"])
        return sweep.run(scenario, tmp_path_factory.mktemp("run") / "out")


@pytest.fixture
def run(finished, tmp_path):
    """A copy to write to, with its times."""
    return shutil.copytree(finished, tmp_path / "run", copy_function=shutil.copy2)


@pytest.fixture(scope="module")
def page(finished):
    return Page(report.page(finished))


def test_every_row_of_the_table_is_there(finished, page):
    rows = table.read(finished)
    found = {tuple(cells) for cells in page.rows[1:]}
    estimates = {}
    for metric in table.metrics(rows):
        for line in table.summarise(rows, metric):
            key = line.system, str(line.conditions["users"]), f"{line.conditions['snr_db']:g}"
            estimates.setdefault(key, {})[metric] = str(line.estimate)
    assert found == {(*key, by.get("psnr", ""), by.get("outage", "")) for key, by in estimates.items()}
    assert len(found) == len(page.rows) - 1 == 18
    assert page.rows[0] == ["system", "users", "snr_db", "psnr (dB)", "outage"]


def test_all_sections_are_there(finished, page):
    assert "Complete: 18 points. 81 transmissions, 3 pictures, 1 repetition." in page.text
    assert (finished / "scenario.yaml").read_text() in page.text
    assert "semcom run scenario.yaml --out out" in page.text
    assert f"numpy {np.__version__}" in page.text
    [weights] = {name for name in table.read(finished)["weights"].to_pylist() if name}
    assert f"learned: {weights}" in page.text
    assert "@inproceedings{jakubczak2011softcast" in page.text
    assert "No citation is known for" in page.text  # the toy has none


def test_pictures_are_inside_and_nothing_is_outside(page):
    sources = [value for name, value in page.attributes if name in ("src", "href", "srcset", "data", "action")]
    assert len(sources) == 2
    for source in sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(b64decode(data, validate=True))) as image:
            assert min(image.size) > 200
    assert not {"script", "link", "iframe", "object", "embed", "base", "a"} & set(page.tags)
    assert not [value for name, value in page.attributes if "http:" in value or "https:" in value]
    assert "url(" not in page.text
    assert "@import" not in page.text
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_what_users_wrote_stays_text(page):
    assert TITLE in page.texts  # once read as HTML it is the same text again
    assert any(LABEL in cell for cells in page.rows for cell in cells)
    assert page.tags.count("img") == 2


def test_the_same_run_gives_the_same_bytes(run, tmp_path, monkeypatch):
    first = report.write(run, tmp_path / "first.html").read_bytes()
    assert report.write(run) == run / "report.html"
    monkeypatch.chdir(tmp_path)
    assert report.write("run", "second.html").read_bytes() == first == (run / "report.html").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_the_date_is_that_of_the_rows(run):
    for path in (run / "rows").iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert "Rows written 2001-09-09 01:46 UTC." in report.page(run)


def test_an_unfinished_run(run):
    for path in sorted((run / "rows").iterdir())[:11]:
        path.unlink()
    page = Page(report.page(run))
    assert "Unfinished: 7 of 18 points." in page.text
    assert 1 < len(page.rows) <= 8


def test_a_run_with_a_stop_rule(scenario_data, tmp_path):
    """Which points there are is known only from the rows."""
    stop = {"metric": "psnr", "half_width": 1e-6, "max_repetitions": 4}
    data = scenario_data | {"stop": stop, "sweep": {"snr_db": [0]}, "repetitions": 2}
    out = sweep.run(scenario_from(data), tmp_path / "run")
    assert "Complete: 4 points." in report.page(out)
    rows = table.read(out).to_pylist()
    (out / "rows" / f"{next(row['point'] for row in rows if row['repetition'] == 1)}.parquet").unlink()
    assert "of at least 2 points." in report.page(out)


def test_a_scenario_that_can_no_longer_be_read(run):
    written = yaml.safe_load((run / "scenario.yaml").read_text())
    written["systems"][0]["name"] = "gone.py"
    (run / "scenario.yaml").write_text(yaml.safe_dump(written))
    assert "18 points; how many there were to be cannot be told here" in report.page(run)


def test_without_pictures(run):
    shutil.rmtree(run / "pictures")
    assert "This run kept no pictures." in report.page(run)


def test_what_made_the_run(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/semcom", "run", "my scenario.yaml", "--out", "runs/mine"])
    (run / _report_record.NAME).unlink()
    for _ in range(2):  # the same again, when a run goes on, is nothing new
        (run / _report_record.NAME).write_bytes(_report_record.record(run))
    [session] = _report_record.sessions(run)
    assert session["command"] == "semcom run 'my scenario.yaml' --out runs/mine"
    assert f"{session['command']}\nSoftware\n" in Page(report.page(run)).text.replace("\n\n", "\n")
    monkeypatch.setattr(sys, "argv", ["/somewhere/semcom/__main__.py", "run", "<other>.yaml"])
    (run / _report_record.NAME).write_bytes(_report_record.record(run))
    text = Page(report.page(run)).text
    assert "Command 2 of 2" in text
    assert "python -m semcom run '<other>.yaml'" in text
    assert "did not record" not in text


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"command": 1, "versions": {}, "commit": ""}]'])
def test_a_record_that_is_none(content, tmp_path):
    (tmp_path / _report_record.NAME).write_text(content)
    assert _report_record.sessions(tmp_path) == []
    assert len(json.loads(_report_record.record(tmp_path))) == 1


def test_wrong_input_is_one_line(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"is not the folder of a run: it has no scenario\.yaml"):
        report.write(tmp_path / "empty")
    with pytest.raises(UsageError, match="is not the folder of a run"):
        report.write(tmp_path / "nowhere")
    for out, says in [(tmp_path, "is a folder"), (tmp_path / "no" / "page.html", "there is no folder")]:
        with pytest.raises(UsageError, match=f"cannot write the report: .*{says}"):
            report.write(run, out)
    with pytest.raises(UsageError, match=r"cannot write /proc/report\.html: .*; choose another --out"):
        report.write(run, "/proc/report.html")
    (run / "scenario.yaml").write_text("- [")
    with pytest.raises(UsageError, match="is not a scenario"):
        report.write(run)
    (run / "scenario.yaml").write_text("title: mine")
    shutil.rmtree(run / "rows")
    with pytest.raises(UsageError, match="no rows in"):
        report.write(run)


def test_torch_is_not_needed(finished, tmp_path):
    code = (
        f"import sys; from semcom import report; report.write({str(finished)!r}, {str(tmp_path / 'page.html')!r}); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- citations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(discover.entries("system")))
def test_every_system_says_what_to_cite(name):
    text = bibtex(name, discover.entries("system")[name].path, {"paper": "A. Author, 2001"})
    assert text.startswith("@")
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('def build(cbr): return System("x", "Rock & Roll, 2001, 100 %", 1, 2, "")', "Rock \\& Roll, 2001, 100 \\%"),
        ('P = "Long " "ago"\ndef build(cbr): return System(name="x", paper=P)', "Long ago"),
        ('def build(cbr, paper=""): return made(paper=paper)', "by argument"),
    ],
)
def test_free_text_becomes_a_note(source, expected, tmp_path):
    (tmp_path / "mine.py").write_text(source)
    text = bibtex("./mine.py", tmp_path / "mine.py", {"paper": "by argument"})
    year = ",\n  year = {2001}" if "2001" in expected else ""
    assert text == f"@misc{{mine,\n  note = {{{expected}}}{year}\n}}"


def test_a_constant_is_taken_as_it_is(tmp_path):
    entry = "@article{mine2001,\n  title = {Mine}\n}"
    (tmp_path / "mine.py").write_text(f'BIBTEX = """\n{entry}\n"""\nS = System("x", "not this", 1, 2, "")\n')
    assert bibtex("mine", tmp_path / "mine.py", {}) == entry


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_in_a_browser_without_a_network(run, tmp_path):
    """The pictures of the page are drawn on a phone's width, though no name resolves."""
    path, shot = report.write(run, tmp_path / "page.html"), tmp_path / "shot.png"
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=500,2000",
        f"--screenshot={shot}",
        path.as_uri(),
    ]
    subprocess.run(command, capture_output=True, timeout=240, check=True)
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (2000, 500, 3)
    coloured = np.ptp(pixels, axis=2) > 60  # text and rules are grey; curves and photographs are not
    assert coloured.sum() > 5000
    assert (pixels.min(axis=2) == 255).mean() > 0.3  # on white
