"""Points are repeated until the stopping rule is satisfied, and not longer."""

import math
from collections import Counter

import pytest

from channels import UsageError
from semcom import sweep
from semcom.cli.main import main
from semcom.results import means, table
from semcom.scenario.load import scenario_from

Z = 1.959964


def scenario_of(data, stop, **changes):
    data |= {"images": {"source": "photos", "count": 1, "size": 16}, "sweep": {"snr_db": [0, 20]}, "repetitions": 5}
    return scenario_from(data | {"stop": stop} | changes)


def repetitions(out) -> dict[float, int]:
    return Counter(row["snr_db"] for row in table.read(out).to_pylist())


def wilson(lost: int, count: int) -> float:
    """The longer side of Wilson's interval."""
    p = lost / count
    center = (p + Z**2 / (2 * count)) / (1 + Z**2 / count)
    spread = Z * math.sqrt(p * (1 - p) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return max(center + spread - p, p - center + spread)


def test_the_number_of_repetitions_agrees_with_theory(scenario_data, tmp_path):
    """Outage of the toy where 1 / |h|^2 > SNR / 2, with probability 1 - exp(-2 / SNR): 0.865 at 0 dB, 0.020 at 20 dB.

    The interval of a share p of n comes to +-0.1 at n = 35 for p = 0 or 1, and at n = 93 at most, for p = 1/2.
    """
    scenario = scenario_of(scenario_data, {"metric": "outage", "half_width": 0.1, "max_repetitions": 400})
    out = sweep.run(scenario, tmp_path / "out")
    rows = sorted(table.read(out).to_pylist(), key=lambda row: row["repetition"])
    needed = {}
    for snr_db in (0, 20):
        lost = [row["outage.numerator"] for row in rows if row["snr_db"] == snr_db]
        needed[snr_db] = next(n for n in range(5, 400, 5) if wilson(sum(lost[:n]), n) <= 0.1)
        chance = 1 - math.exp(-2 * 10 ** (-snr_db / 10))
        assert sum(lost) / len(lost) == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / len(lost)))
    assert repetitions(out) == needed
    least = {
        snr_db: next(n for n in range(5, 400, 5) if wilson(round(n * p), n) <= 0.1)
        for snr_db, p in {0: 1.0, 20: 0.0}.items()
    }
    most = {0: 90, 20: 55}  # shares of 0.65 and 0.11, four deviations off
    assert all(least[snr_db] <= needed[snr_db] <= most[snr_db] for snr_db in needed), needed
    for line in means.summarize(table.read(out), "outage"):
        assert max(line.estimate.high - line.estimate.mean, line.estimate.mean - line.estimate.low) <= 0.1


def test_repetitions_end_at_the_maximum_even_if_it_is_not_a_multiple(scenario_data, tmp_path):
    stop = {"metric": "psnr", "half_width": 1e-6, "max_repetitions": 8}
    assert repetitions(sweep.run(scenario_of(scenario_data, stop), tmp_path)) == {0: 8, 20: 8}


def test_the_output_says_how_many_means_satisfy_the_rule(scenario_data, write_scenario, tmp_path, capsys):
    stop = {"metric": "outage", "half_width": 0.15, "max_repetitions": 5}  # 15 rows know 0 and 1 to 0.2
    path = write_scenario(scenario_data | {"repetitions": 5, "stop": stop})
    assert main(["run", str(path), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert (
        "0 of 4 means of outage have a 95 % interval within +-0.15; the others reached 5 repetitions"
        in capsys.readouterr().out
    )
    wider = ["--set", "stop.half_width=0.5", "--set", "stop.max_repetitions=20"]
    assert main(["run", str(path), *wider, "--out", str(tmp_path / "wide"), "--quiet"]) == 0
    assert "4 of 4 means of outage have a 95 % interval within +-0.5\n" in capsys.readouterr().out


def test_a_metric_that_does_not_apply_needs_no_repetitions(scenario_data, tmp_path):
    stop = {"metric": "message_ber", "half_width": 0.1, "max_repetitions": 100}
    scenario = scenario_of(scenario_data, stop, metrics=["psnr", "message_ber"])
    assert repetitions(sweep.run(scenario, tmp_path)) == {0: 5, 20: 5}


def test_one_repetition_of_one_image_never_satisfies_the_rule(scenario_data, tmp_path):
    stop = {"metric": "psnr", "half_width": 1000, "max_repetitions": 9}
    assert repetitions(sweep.run(scenario_of(scenario_data, stop, repetitions=1), tmp_path)) == {0: 2, 20: 2}


def test_a_narrower_rule_resumes_and_a_wider_one_refuses_the_folder(scenario_data, tmp_path):
    stop = {"metric": "outage", "half_width": 0.3, "max_repetitions": 400}
    wide = scenario_of(scenario_data, stop)
    narrow = scenario_of(scenario_data, stop | {"half_width": 0.2})
    out = sweep.run(wide, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (out / "rows").iterdir()}
    sweep.run(narrow, out)
    after = {path.name: path.read_bytes() for path in (out / "rows").iterdir()}
    fresh = sweep.run(narrow, tmp_path / "fresh")
    assert before.items() < after.items()
    assert after == {path.name: path.read_bytes() for path in (fresh / "rows").iterdir()}
    with pytest.raises(UsageError, match="of another scenario"):
        sweep.run(wide, out)
