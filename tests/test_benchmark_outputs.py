"""Benchmarks write through `benchmarks/outputs.py`, which keeps files of the user."""

import argparse
import ast
import sys
from pathlib import Path

import matplotlib.figure
import pytest

from channels import UsageError

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import outputs  # noqa: E402

sys.path.remove(str(BENCHMARKS))

WRITES = {"write_text", "write_bytes", "savefig", "dump", "tofile", "to_csv", "copyfile", "writelines"}
TEMPORARY = {
    "threads.py": {"save"},
    "workers.py": {"write_text"},
    "radio.py": {"tofile"},
}  # files in a temporary folder


def own_writes(source):
    """Names of the calls of a program that write a file themselves, in the order of the source."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        called_on = getattr(getattr(call.func, "value", None), "id", "")
        texts = {
            leaf.value for leaf in ast.walk(call) if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
        }
        opened = name == "open" and any(set(text) <= set("wxabt+") and set(text) & set("wxa+") for text in texts)
        if opened or (name in WRITES and called_on != "outputs"):
            found.append(name)
    return found


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("path.open('w', newline='')", ["open"]),
        ("open(path, mode='xb')", ["open"]),
        ("options.out.write_text('a')", ["write_text"]),
        ("figure.savefig(path)", ["savefig"]),
        ("json.dump(numbers, file)", ["dump"]),
        ("path.open(encoding='utf-8')", []),
        ("open(path, 'rb')", []),
        ("outputs.write_text(path, 'w')", []),
    ],
)
def test_writes_are_found(line, written):
    assert own_writes(line) == written


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.name)
def test_no_benchmark_writes_by_itself(path):
    if path.name == "outputs.py":
        return
    found = set(own_writes(path.read_text(encoding="utf-8")))
    assert found <= TEMPORARY.get(path.name, set()), "write with benchmarks/outputs.py"
    if "--out" in path.read_text(encoding="utf-8") and path.name not in ("workers.py", "threads.py", "results.py"):
        assert "outputs.check_" in path.read_text(encoding="utf-8"), "check --out before the measurement"


def options(out, *more):
    parser = argparse.ArgumentParser()
    outputs.add_option(parser, "file")
    return parser, parser.parse_args(["--out", str(out), *more])


HEAD = ("SNR (dB)", "PSNR, AVIF (dB)")


def test_a_table_of_the_benchmark_is_replaced_and_one_of_the_user_is_not(tmp_path, capsys):
    out = tmp_path / "new" / "table.csv"
    outputs.check_file(*options(out), HEAD)
    outputs.write_csv(out, [HEAD, ("10", "30, about")])
    assert out.read_text() == 'SNR (dB),"PSNR, AVIF (dB)"\n10,"30, about"\n'
    outputs.check_file(*options(out), HEAD)
    out.write_text("mine\n")
    with pytest.raises(SystemExit) as ended:
        outputs.check_file(*options(out), HEAD)
    assert ended.value.code == 2
    assert "was not written by semcom" in capsys.readouterr().err.splitlines()[-1]
    assert out.read_text() == "mine\n"
    outputs.check_file(*options(out, "--force"), HEAD)


def test_each_table_of_a_folder_is_checked(tmp_path):
    outputs.write_tables(tmp_path, {"a": [HEAD]})
    (tmp_path / "b.csv").write_text("mine")
    outputs.check_tables(*options(tmp_path), {"a": HEAD})
    with pytest.raises(SystemExit):
        outputs.check_tables(*options(tmp_path), {"a": HEAD, "b": HEAD})


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figures_and_numbers_are_recognized_by_their_mark(tmp_path, suffix):
    figure, numbers = tmp_path / f"figure.{suffix}", tmp_path / "numbers.json"
    outputs.write_figure(figure, matplotlib.figure.Figure(), dpi=50)
    outputs.check_figure(*options(figure))
    outputs.write_json(numbers, {"psnr": 30.0})
    outputs.check_file(*options(numbers))
    for path in (figure, numbers):
        path.write_bytes(b"mine")
        with pytest.raises(SystemExit):
            outputs.check_file(*options(path))


def test_outputs_that_cannot_be_written_are_refused(tmp_path, capsys):
    (tmp_path / "file").touch()
    for out, text in ((tmp_path, "is a folder"), (tmp_path / "file" / "a.csv", "choose another folder")):
        with pytest.raises(SystemExit):
            outputs.check_file(*options(out), HEAD)
        assert text in capsys.readouterr().err
    with pytest.raises(SystemExit):
        outputs.check_figure(*options(tmp_path / "figure.jpg"))
    outputs.check_file(*options(tmp_path / "a.csv"))
    outputs.write_csv(None, [HEAD])


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.name)
def test_numbers_of_options_have_a_range(path):
    """`whole` and `real` of argument_types.py refuse what a measurement cannot use, such as no samples."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        given = {keyword.arg: keyword.value for keyword in getattr(call, "keywords", ())}
        if getattr(given.get("type"), "id", "") in ("int", "float"):
            assert "choices" in given, f"{path.name}:{call.lineno}"


def test_wrong_input_of_a_measurement_is_one_line(monkeypatch, capsys):
    def main():
        raise UsageError("no image source 'nowhere'; there are photos")

    monkeypatch.setattr(sys, "argv", ["benchmarks/fitting.py"])
    with pytest.raises(SystemExit) as ended:
        outputs.run(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "fitting.py: error: no image source 'nowhere'; there are photos\n"
