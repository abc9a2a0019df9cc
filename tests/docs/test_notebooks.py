"""The notebooks run from a clean kernel, have one common structure, and contain no outputs."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
_CELL_TIMEOUT_S = 240  # a cell takes a few seconds on an idle machine


def _read(path):
    return nbformat.read(path, as_version=4)


def _code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def _headings(notebook):
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return re.findall(r"^(#+) (.+)$", "\n".join(text), re.MULTILINE)


each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_numbers_are_unique_and_increasing():
    numbers = [int(path.name[:2]) for path in NOTEBOOKS]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


@each_notebook
def test_runs_with_quick_parameters(path, tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # streamlit sets it for the whole process
    notebook = _read(path)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert parameters.source.startswith("quick = False")
    parameters.source = "quick = True"
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=_CELL_TIMEOUT_S, kernel_name="python3", resources=resources).execute()
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    assert not list(tmp_path.iterdir()), "a notebook leaves no files behind"


@each_notebook
def test_contains_no_outputs(path):
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


@each_notebook
def test_has_the_common_structure(path):
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


@each_notebook
def test_has_no_machine_paths_and_uses_public_names(path):
    text = path.read_text(encoding="utf-8")
    code = "\n".join(_code(_read(path)))
    assert text.isascii()
    assert not re.search(r"/(home|root|work|tmp|Users)/", text)
    assert "SEMCOM_DATA" not in text
    assert "manual_seed" not in code
    assert not re.search(r"from (semcom|channels)[\w.]* import .*\b_\w", code), "public names only"
    assert not re.search(r"(from|import) (semcom|channels)[\w.]*\._", code), "public names only"
