"""The notebooks run from a clean kernel, say what their checks test, and hold no outputs."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
_MOST_SECONDS = 240  # of one cell; a cell takes a few


def _read(path):
    return nbformat.read(path, as_version=4)


def _code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def _headings(notebook):
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return re.findall(r"^(#+) (.+)$", "\n".join(text), re.MULTILINE)


each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_numbers_are_unique_and_rise():
    numbers = [int(path.name[:2]) for path in NOTEBOOKS]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


@each
def test_runs_in_small_sizes(path, tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # streamlit sets it for its whole process
    notebook = _read(path)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert parameters.source.startswith("quick = False")
    parameters.source = "quick = True"
    here = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=_MOST_SECONDS, kernel_name="python3", resources=here).execute()
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    assert not list(tmp_path.iterdir()), "a notebook leaves nothing behind"


@each
def test_is_stripped(path):
    notebook = _read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
    assert [cell.id for cell in notebook.cells] == [
        f"cell-{number:02d}" for number in range(1, len(notebook.cells) + 1)
    ]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@each
def test_is_built_as_the_others(path):
    notebook = _read(path)
    headings = _headings(notebook)
    assert [level for level, _ in headings] == ["#"] + ["##"] * (len(headings) - 1)
    assert headings[0][1].startswith(f"{int(path.name[:2])}. ")
    assert [title for _, title in headings[-2:]] == ["Check", "Exercises"]
    assert "At the end you will know" in notebook.cells[0].source
    assert "parameters" in notebook.cells[1].metadata.get("tags", [])
    assert notebook.cells[-1].cell_type == "markdown"
    assert 3 <= len(re.findall(r"^\d\. ", notebook.cells[-1].source, re.MULTILINE)) <= 4
    assert "assert " in _code(notebook)[-1]


@each
def test_belongs_to_no_machine(path):
    text = path.read_text(encoding="utf-8")
    code = "\n".join(_code(_read(path)))
    assert text.isascii()
    assert not re.search(r"/(home|root|work|tmp|Users)/", text)
    assert "SEMCOM_DATA" not in text
    assert "manual_seed" not in code
    assert not re.search(r"from (semcom|channels)[\w.]* import .*\b_\w", code), "public calls only"
    assert not re.search(r"(from|import) (semcom|channels)[\w.]*\._", code), "public calls only"
