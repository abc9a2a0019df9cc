"""The benchmark of multimodal generation: refused input, and properties of its numbers."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "multimodal.py"


@pytest.fixture(autouse=True)
def _folder_of_the_script(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARK.parent)


def run(monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", [BENCHMARK.name, *arguments.split()])
    runpy.run_path(str(BENCHMARK), run_name="__main__")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("low_snr --images photos --count 1 --metrics beauty", "--metrics accepts psnr"),
        ("low_snr --images photos --count 1 --against luck", "--against accepts no selection"),
        ("low_snr --images photos --count 1 --set digital.codec=webp", "--set accepts multimodal_generation, deepjscc"),
        ("strip --set multimodal_generation.candidates=2", "candidates has no effect"),
        ("strip --out strip.txt", "must be a file that ends in"),
        ("selection --candidates 0", "--candidates: the value must be 1 or more, not 0"),
        ("selection --snr nan", "--snr: 'nan' is not a number"),
        ("selection --weights 2", "--weights: the value must be 0 to 1, not 2.0"),
        ("retrieval --images photos --classes photos --count 1", "photos has no captions"),
    ],
)
def test_wrong_input_is_refused_in_a_line(monkeypatch, capsys, command, message):
    with pytest.raises(SystemExit) as exit:
        run(monkeypatch, command)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_crossings_are_interpolated_between_snrs():
    from multimodal_measures import crossing

    assert crossing([(0.0, 0.3), (10.0, -0.1)]) == "7.5 dB"
    assert crossing([(0.0, 0.3), (10.0, 0.1)]) == "no SNR measured"
    assert crossing([(0.0, -0.3), (10.0, -0.1)]) == "every SNR measured"
    assert crossing([(0.0, -0.3), (5.0, 0.1), (10.0, 0.2)]) == "the lowest SNR"


def test_differences_are_paired_by_image():
    from multimodal_measures import difference, mean

    found = {("m", "a", 0.0): ([1, 0, 1], [1, 1, 1]), ("m", "b", 0.0): ([0, 0, 1], [1, 1, 1])}
    assert mean(*difference(found, "m", "a", "b", 0.0)).mean == pytest.approx(1 / 3)


def test_no_selection_is_better_than_the_oracle(monkeypatch, capsys):
    few = "--images photos --count 2 --candidates 1 3 --snr 0 --classifier none"
    run(monkeypatch, f"selection {few} --set multimodal_generation.steps=1")
    printed = capsys.readouterr().out
    gains = means(printed, "3 candidates")
    assert len(gains) == 2
    assert (gains[:, :4] <= gains[:, 4:]).all()
    assert (gains[:, 4] >= 0).all()
    for weight, column in (("0  ", 2), ("0.7  ", 0), ("1  ", 1)):
        more = means(printed, weight)
        assert np.array_equal(more[:, 0], gains[:, column])
        np.testing.assert_allclose(more[:, 1], gains[:, column] - gains[:, 0], atol=1.01e-4)


def means(printed, head):
    """Return the means of the estimates in all rows that begin with `head`."""
    rows = [line for line in printed.splitlines() if line.startswith(head)]
    return np.array([[float(found) for found in re.findall(r"(-?\d+\.\d+) \[", row)[:5]] for row in rows])
