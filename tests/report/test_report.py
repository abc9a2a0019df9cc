"""The HTML page of a run: complete, self-contained, and without markup from user texts."""

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
from PIL import Image
from toy import TOY

from semcom import UsageError, discover, report, sweep
from semcom.report.citations import bibtex
from semcom.results import compare, means, table
from semcom.results.cells import marked
from semcom.scenario.load import scenario_from
from semcom.sweep import record

TITLE = "<script>alert('title')</script> & \"quotes\""
LABEL = "<img src=x onerror=alert(1)> toy"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Tags, attributes, texts and table cells of a page; asserts that all tags are closed."""

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
    """A run whose title and label contain markup: three systems, two numbers of users, three SNRs."""
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
    """A writable copy of the run, with its file times."""
    return shutil.copytree(finished, tmp_path / "run", copy_function=shutil.copy2)


@pytest.fixture(scope="module")
def page(finished):
    return Page(report.page(finished))


def test_every_row_of_the_table_is_there(finished, page):
    rows = table.read(finished)
    found = {tuple(cells) for cells in page.rows[1:]}
    estimates = {}
    for metric in table.metrics(rows):
        for line in means.summarize(rows, metric):
            key = line.system, str(line.conditions["users"]), f"{line.conditions['snr_db']:g}"
            estimates.setdefault(key, {})[metric] = marked(line.estimate)
    assert found == {(*key, by.get("psnr", ""), by.get("outage", "")) for key, by in estimates.items()}
    assert len(found) == len(page.rows) - 1 == 18
    assert page.rows[0] == ["System", "Number of users", "SNR, Es/N0 (dB)", "PSNR (dB)", "Outage probability"]


def test_all_sections_are_there(finished, page):
    assert "Complete: 18 points. 81 transmissions, 3 images, 1 repetition." in page.text
    assert (finished / "scenario.yaml").read_text() in page.text
    assert "semcom run scenario.yaml --out out" in page.text
    assert f"numpy {np.__version__}" in page.text
    [weights] = {name for name in table.read(finished)["weights"].to_pylist() if name}
    assert f"learned: {weights}" in page.text
    assert "@inproceedings{jakubczak2011softcast" in page.text
    assert "No citation is known for" in page.text  # the toy has none


def test_images_are_embedded_and_nothing_is_loaded(page):
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


def test_texts_of_users_are_not_markup(page):
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


def test_a_section_of_paired_differences(run):
    found = Page(report.page(run, "learned"))
    assert "Differences to learned" in found.texts
    rows = table.read(run)
    expected = [
        (marked(each.difference), str(each.difference.clusters), f"{each.wins} : {each.losses}")
        for each in compare.compare(rows, "psnr", "learned")
    ]
    cells = [tuple(cells[-3:]) for cells in found.rows if cells[0] == "PSNR (dB)"]
    assert cells == expected
    with pytest.raises(UsageError, match="did you mean 'learned'"):
        report.page(run, "learnd")


def test_an_unfinished_run(run):
    for path in sorted((run / "rows").iterdir())[:11]:
        path.unlink()
    page = Page(report.page(run))
    assert "Unfinished: 7 of 18 points." in page.text
    assert 1 < len(page.rows) <= 8


def test_a_run_with_a_stop_rule(scenario_data, tmp_path):
    """The number of points depends on the rows."""
    stop = {"metric": "psnr", "half_width": 1e-6, "max_repetitions": 4}
    data = scenario_data | {"stop": stop, "sweep": {"snr_db": [0]}, "repetitions": 2}
    out = sweep.run(scenario_from(data), tmp_path / "run")
    assert "Complete: 4 points." in report.page(out)
    rows = table.read(out).to_pylist()
    (out / "rows" / f"{next(row['point'] for row in rows if row['repetition'] == 1)}.parquet").unlink()
    assert "of at least 2 points." in report.page(out)


def test_a_scenario_that_cannot_be_loaded_any_more(run):
    written = yaml.safe_load((run / "scenario.yaml").read_text())
    written["systems"][0]["name"] = "gone.py"
    (run / "scenario.yaml").write_text(yaml.safe_dump(written))
    assert "18 points; the total is unknown" in report.page(run)


def test_without_images(run):
    shutil.rmtree(run / "images")
    assert "This run saved no images." in report.page(run)


def test_commands_and_software_are_recorded(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/semcom", "run", "my scenario.yaml", "--out", "runs/mine"])
    (run / record.NAME).unlink()
    for _ in range(2):  # the same command again adds no entry
        (run / record.NAME).write_bytes(record.record(run))
    [session] = record.sessions(run)
    assert session["command"] == "semcom run 'my scenario.yaml' --out runs/mine"
    assert f"{session['command']}\nSoftware\n" in Page(report.page(run)).text.replace("\n\n", "\n")
    monkeypatch.setattr(sys, "argv", ["/somewhere/semcom/__main__.py", "run", "<other>.yaml"])
    (run / record.NAME).write_bytes(record.record(run))
    text = Page(report.page(run)).text
    assert "Command 2 of 2" in text
    assert "python -m semcom run '<other>.yaml'" in text
    assert "not recorded" not in text


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"command": 1, "versions": {}, "commit": ""}]'])
def test_an_invalid_record_is_ignored(content, tmp_path):
    (tmp_path / record.NAME).write_text(content)
    assert record.sessions(tmp_path) == []
    assert len(json.loads(record.record(tmp_path))) == 1


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
    with pytest.raises(UsageError, match="no results of semcom run in"):
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
def test_every_system_has_a_citation(name):
    text = bibtex(name, discover.entries("system")[name].path, {"paper": "A. Author, 2001"})
    assert text.startswith("@")
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('def build(cbr): return System("x", "Rock & Roll, 2001, 100 %", 1, 2, "")', "Rock \\& Roll, 2001, 100 \\%"),
        ('# caf\xe9\nP = "Long "  "ago"\ndef build(cbr): return System(name="x", paper=P)', "Long ago"),
        ('P = "Long " "ago"\ndef build(cbr): return System(name="x", paper=P)', "Long ago"),
        ('def build(cbr, paper=""): return made(paper=paper)', "by argument"),
    ],
)
def test_free_text_becomes_a_note(source, expected, tmp_path):
    (tmp_path / "mine.py").write_text(source, encoding="latin-1")  # Python imports such comments
    text = bibtex("./mine.py", tmp_path / "mine.py", {"paper": "by argument"})
    year = ",\n  year = {2001}" if "2001" in expected else ""
    assert text == f"@misc{{mine,\n  note = {{{expected}}}{year}\n}}"


def test_a_bibtex_constant_is_used_unchanged(tmp_path):
    entry = "@article{mine2001,\n  title = {Mine}\n}"
    (tmp_path / "mine.py").write_text(f'BIBTEX = """\n{entry}\n"""\nS = System("x", "not this", 1, 2, "")\n')
    assert bibtex("mine", tmp_path / "mine.py", {}) == entry


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_in_a_browser_without_a_network(run, tmp_path):
    """The images are shown at the width of a phone, without name resolution."""
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
    colored = np.ptp(pixels, axis=2) > 60  # text and rules are gray; curves and photographs are not
    assert colored.sum() > 5000
    assert (pixels.min(axis=2) == 255).mean() > 0.3  # on white
