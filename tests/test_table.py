"""Means, ratios and intervals, against closed forms, scipy and repeated sampling."""

import math

import numpy as np
import pyarrow as pa
import pytest
from conftest import TOY
from scipy import stats

from channels import UsageError
from channels.arq import SelectiveRepeat
from semcom import intervals, sweep, table
from semcom.intervals import Estimate, estimate, proportion
from semcom.scenario import scenario_from


def test_the_mean_is_the_mean_and_a_ratio_is_of_sums():
    numerators, denominators = np.array([1.0, 0, 3, 5]), np.array([10.0, 10, 20, 60])
    found = estimate(numerators, denominators, ["a", "a", "b", "b"])
    assert found.mean == pytest.approx(9 / 100)
    assert (found.clusters, found.rows) == (2, 4)
    assert found.low == pytest.approx(1 / 20)  # all draws cluster a
    assert found.high == pytest.approx(8 / 80)  # all draws cluster b


def test_many_clusters_give_the_closed_form():
    """For a mean of many, the interval is mean +- t s / sqrt(n); 2000 resamples know its ends to about 5 %."""
    values = np.random.default_rng(1).normal(30, 3, 400)
    found = estimate(values, np.ones(400), range(400))
    low, high = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert found.low == pytest.approx(low, abs=0.08 * (high - low))
    assert found.high == pytest.approx(high, abs=0.08 * (high - low))


def test_it_agrees_with_scipys_bootstrap():
    values = np.random.default_rng(2).exponential(1, 60)
    found = estimate(values, np.ones(60), range(60))
    level = 1 - 2 * intervals._tail(60)
    theirs = stats.bootstrap(
        (values,), np.mean, confidence_level=level, method="percentile", n_resamples=20000, rng=3
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.08 * width)


def test_it_covers_what_it_promises_though_pictures_are_few():
    """The plain percentile interval of eight values holds the true mean in 90 % of samples; this one in 95 %."""
    random = np.random.default_rng(4)
    samples = [estimate(random.normal(0, 1, 8), np.ones(8), range(8)) for _ in range(500)]
    covered = np.mean([found.low <= 0 <= found.high for found in samples])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 500)


def test_rows_of_a_cluster_are_not_independent():
    """Sending each picture a hundred times tells no more about other pictures."""
    values = np.random.default_rng(5).normal(30, 3, 10)
    once = estimate(values, np.ones(10), range(10))
    often = estimate(np.repeat(values, 100), np.ones(1000), np.repeat(range(10), 100).tolist())
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_the_same_rows_give_the_same_interval_in_any_order():
    values = np.random.default_rng(6).normal(size=20)
    shuffled = np.random.default_rng(7).permutation(20)
    assert estimate(values, np.ones(20), range(20)).low == pytest.approx(
        estimate(values[shuffled], np.ones(20), shuffled.tolist()).low
    )


def test_one_cluster_has_no_interval():
    found = estimate(np.array([3.0, 4]), np.ones(2), ["a", "a"])
    assert found.mean == 3.5
    assert math.isnan(found.low)
    assert str(found) == "3.500"


def test_infinite_rows_make_the_mean_infinite_and_leave_no_nan():
    found = estimate(np.array([30.0, 31, 29, math.inf]), np.ones(4), range(4))
    assert (found.mean, found.high) == (math.inf, math.inf)
    assert 29 <= found.low < 31
    assert estimate(np.array([1.0, -math.inf]), np.ones(2), range(2)).mean == -math.inf


@pytest.mark.parametrize(
    ("lost", "count", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17, 1998, table I, method 3: Wilson's score interval
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_shares_have_the_published_intervals(lost, count, low, high):
    found = proportion(np.arange(count) < lost, np.ones(count), range(count))
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    theirs = stats.binomtest(lost, count).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    kept = proportion(np.arange(count) >= lost, np.ones(count), range(count))
    assert (kept.low, kept.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)


@pytest.mark.parametrize("spread", [0, 0.3])
def test_shares_of_pictures_that_differ_are_covered(spread):
    """Rows of a picture share its chance, 0.3 - spread or 0.3 + spread; the interval is of the mean over pictures."""
    random = np.random.default_rng(8)
    pictures, trials = np.repeat(np.arange(20), 10), 500
    found = []
    for _ in range(trials):
        chance = 0.3 + spread * random.choice([-1, 1], 20)
        found.append(proportion(random.random(200) < chance[pictures], np.ones(200), pictures.tolist()))
    covered = np.mean([share.low <= 0.3 <= share.high for share in found])
    assert 0.95 - 4 * math.sqrt(0.95 * 0.05 / trials) < covered
    width, alone = np.mean([share.high - share.low for share in found]), 2 * 1.96 * math.sqrt(0.3 * 0.7 / 200)
    assert width < 1.25 * alone if spread == 0 else width > 1.5 * alone


COUNTS = ("numerator", "denominator")


def rows_of(**columns):
    length = len(next(iter(columns.values())))
    metric = {b"unit": b"dB"}
    defaults = {
        "system": ["a"] * length,
        "channel": ["awgn"] * length,
        "medium_cbr_granted": [0.1] * length,
        "users": [1] * length,
        "snr_db": [0.0] * length,
        "repetition": [0] * length,
        "image": [str(i) for i in range(length)],
        "bound": [False] * length,
    }
    measured = ("psnr", "airtime_s", *(f"{name}.{part}" for name in ("ber", "bler") for part in COUNTS))
    data = defaults | columns
    return pa.table(
        data,
        schema=pa.schema(
            pa.field(name, pa.infer_type(values), metadata=metric if name in measured else None)
            for name, values in data.items()
        ),
    )


def test_rows_with_nothing_to_count_do_not_count():
    rows = rows_of(**{"ber.numerator": [1, 0, 0], "ber.denominator": [4, 4, 0]})
    (line,) = table.summarise(rows, "ber")
    assert (line.estimate.mean, line.estimate.rows) == (1 / 8, 2)
    assert table.summarise(rows_of(**{"ber.numerator": [0], "ber.denominator": [0]}), "ber") == []


def test_nothing_lost_does_not_mean_that_nothing_can_be():
    """0 of 10 pictures, or blocks of none of them: at most 27.8 %. Rows that are neither are resampled."""
    none = {"ber.numerator": [0] * 10, "ber.denominator": [1] * 10}
    (line,) = table.summarise(rows_of(**none), "ber")
    assert (line.estimate.low, line.estimate.high) == (0, pytest.approx(0.2775, abs=5e-5))
    (line,) = table.summarise(rows_of(**none | {"ber.denominator": [40] * 10}), "ber")
    assert (line.estimate.low, line.estimate.high) == (0, pytest.approx(0.2775, abs=5e-5))
    (line,) = table.summarise(rows_of(**none | {"ber.numerator": [1] * 10}), "ber")
    assert (line.estimate.low, line.estimate.high) == (pytest.approx(0.7225, abs=5e-5), 1)
    some = rows_of(**{"ber.numerator": [0, 1, 2, 0], "ber.denominator": [4] * 4})
    (line,) = table.summarise(some, "ber")
    assert line.estimate == estimate(np.array([0, 1, 2, 0]), np.full(4, 4), range(4))
    (line,) = table.summarise(rows_of(psnr=[1.0, 1.0]), "psnr")
    assert (line.estimate.low, line.estimate.high) == (1, 1), "a measured value is no count"


def test_arq_delay_is_selective_repeat_at_the_measured_bler():
    blocks = {"bler.numerator": [1, 0, 0, 4, 0], "bler.denominator": [4, 6, 0, 4, 4], "snr_db": [9.0, 9, 9, 0, 20]}
    rows = rows_of(airtime_s=[0.04, 0.06, 9.0, 0.04, 0.04], **blocks)
    some, all_lost, none_lost = table.summarise(rows, "arq_delay_s")
    assert (some.metric, some.unit, some.conditions["snr_db"]) == ("arq_delay_s", "s", 9)
    # ten blocks of 10 ms, one of them lost; the row without blocks, of 9 s, does not count
    assert some.estimate.mean == pytest.approx(SelectiveRepeat(0.01).expected_delay_s(5, 0.1))
    assert some.estimate.rows == 2
    assert all_lost.estimate.mean == math.inf
    assert none_lost.estimate.mean == pytest.approx(0.04 + 0.02)
    assert "arq_delay_s,s,a" in table.as_csv(rows)
    assert "arq_delay_s" not in table.metrics(rows.drop_columns("airtime_s"))
    assert "arq_delay_s" not in table.metrics(rows.drop_columns(["bler.numerator", "bler.denominator"]))


def test_the_interval_of_arq_delay_covers_the_delay_at_the_true_bler():
    random, trials, airtime = np.random.default_rng(9), 150, Estimate(0.04, 0.04, 0.04, 30, 30)
    truth, covered = SelectiveRepeat(0.01).expected_delay_s(4, 0.2), 0
    for _ in range(trials):
        found = table._arq_delay(airtime, 4.0, estimate(random.binomial(4, 0.2, 30), np.full(30, 4), range(30)))
        covered += found.low <= truth <= found.high
    assert abs(covered / trials - 0.95) < 4 * math.sqrt(0.95 * 0.05 / trials)
    once = rows_of(airtime_s=[0.04], **{"bler.numerator": [1], "bler.denominator": [4]})
    assert math.isnan(table.summarise(once, "arq_delay_s")[0].estimate.low)


def test_one_picture_resamples_its_repetitions():
    rows = rows_of(psnr=[20.0, 30, 25], image=["a"] * 3, repetition=[0, 1, 2])
    (line,) = table.summarise(rows, "psnr")
    assert line.estimate.clusters == 3


def test_an_unknown_metric_is_refused():
    with pytest.raises(UsageError, match="did you mean 'psnr'"):
        table.summarise(rows_of(psnr=[1.0]), "psn")


def test_text_and_csv_hold_the_same_numbers():
    rows = rows_of(psnr=[20.0, 30, 10, 10], snr_db=[0.0, 0, 5, 5], image=["a", "b", "a", "b"])
    assert table.as_text(rows, "psnr").splitlines()[1].split() == ["0", "25.00", "[20.00,", "30.00]"]
    assert table.as_csv(rows).splitlines()[1] == "psnr,dB,a,awgn,0.1,1,0.0,25.0,20.0,30.0,2,2"


def test_a_column_may_be_text_in_one_part_and_a_number_in_another(scenario_data, tmp_path):
    scenario_data["sweep"]["toy.note"] = ["auto", None]
    rows = table.read(sweep.run(scenario_from(scenario_data), tmp_path / "out"))
    assert set(rows["toy.note"].to_pylist()) == {"auto", None}
    parts = [pa.table({"x": ["auto"]}), pa.table({"x": [0.5]})]
    assert pa.concat_tables(table._same_types(parts)).column("x").to_pylist() == ["auto", "0.5"]


def test_arguments_that_systems_share_are_one_axis(scenario_data, tmp_path):
    scenario_data["systems"] = [{"name": TOY, "label": label} for label in ("a", "b")]
    scenario_data["sweep"] |= {"a.block": [8, 16], "b.block": [16]}
    rows = table.read(sweep.run(scenario_from(scenario_data), tmp_path / "out"))
    assert table.conditions(rows)["block"] == [8, 16]
    assert not {"a.block", "b.block"} & set(rows.column_names)
    lines = {(line.system, line.conditions["block"]): str(line.estimate) for line in table.summarise(rows, "psnr")}
    assert lines["a", 16] == lines["b", 16] != lines["a", 8]


def test_a_folder_without_rows_and_a_broken_part_are_named(tmp_path):
    with pytest.raises(UsageError, match="no rows in"):
        table.read(tmp_path)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "0.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(UsageError, match=r"0\.parquet cannot be read"):
        table.read(tmp_path)
