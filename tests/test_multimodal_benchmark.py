"""The benchmark behind the figures of multimodal generation: its refusals, and what its numbers must obey."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "multimodal.py"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("low_snr --images photos --count 1 --metrics beauty", "--metrics takes psnr"),
        ("low_snr --images photos --count 1 --against luck", "--against takes no selection"),
        ("low_snr --images photos --count 1 --set digital.codec=webp", "--set takes multimodal_generation, deepjscc"),
        ("strip --set multimodal_generation.candidates=2", "candidates has no say here"),
        ("strip --out strip.txt", "must be a file that ends in"),
        ("selection --candidates 0", "must be a whole number above 0, not 0"),
        ("selection --snr nan", "must be a number of dB, not nan"),
        ("selection --weights 2", "must be a number from 0 to 1, not 2"),
        ("retrieval --images photos --classes photos --count 1", "photos has no captions"),
    ],
)
def test_wrong_input_is_refused_in_a_line(monkeypatch, capsys, command, says):
    monkeypatch.setattr(sys, "argv", [BENCHMARK.name, *command.split()])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(BENCHMARK), run_name="__main__")
    assert left.value.code == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_a_gap_closes_between_the_snrs_measured():
    crossing = runpy.run_path(str(BENCHMARK))["crossing"]
    assert crossing([(0.0, 0.3), (10.0, -0.1)]) == "7.5 dB"
    assert crossing([(0.0, 0.3), (10.0, 0.1)]) == "no SNR measured"
    assert crossing([(0.0, -0.3), (10.0, -0.1)]) == "every SNR measured"
    assert crossing([(0.0, -0.3), (5.0, 0.1), (10.0, 0.2)]) == "the lowest SNR"


def test_differences_are_taken_picture_by_picture():
    benchmark = runpy.run_path(str(BENCHMARK))
    found = {("m", "ours", 0.0): ([1, 0, 1], [1, 1, 1]), ("m", "theirs", 0.0): ([0, 0, 1], [1, 1, 1])}
    assert benchmark["mean"](*benchmark["less"](found, "m", "ours", "theirs", 0.0)).mean == pytest.approx(1 / 3)


def test_nobody_chooses_better_than_a_genie(monkeypatch, capsys):
    chosen = "selection --images photos --count 2 --candidates 1 3 --snr 0 --classifier none"
    monkeypatch.setattr(sys, "argv", [BENCHMARK.name, *chosen.split(), "--set", "multimodal_generation.steps=1"])
    runpy.run_path(str(BENCHMARK), run_name="__main__")
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
    """Of the estimates in all rows that begin so."""
    rows = [line for line in printed.splitlines() if line.startswith(head)]
    return np.array([[float(found) for found in re.findall(r"(-?\d+\.\d+) \[", row)[:5]] for row in rows])
