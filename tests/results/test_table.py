"""Means, ratios and intervals, against closed forms, scipy and repeated sampling."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from toy import TOY

from channels import UsageError
from channels.arq import SelectiveRepeat
from semcom import sweep
from semcom.results import intervals, means, table, table_formats
from semcom.results.intervals import Estimate, estimate, proportion
from semcom.scenario.load import scenario_from


def test_the_mean_is_the_mean_and_a_ratio_is_of_sums():
    numerators, denominators = np.array([1.0, 0, 3, 5]), np.array([10.0, 10, 20, 60])
    found = estimate(numerators, denominators, ["a", "a", "b", "b"])
    assert found.mean == pytest.approx(9 / 100)
    assert (found.clusters, found.rows) == (2, 4)
    half = stats.t.ppf(0.975, 1) * abs(8 / 80 - 1 / 20) / 2  # the ratios without cluster a and without b
    assert (found.low, found.high) == (0.0, pytest.approx(0.09 + half)), "a share is not below zero"


@pytest.mark.parametrize("count", [2, 3, 8, 400])
def test_an_interval_of_a_mean_is_students(count):
    values = np.random.default_rng(1).normal(30, 3, count)
    found = estimate(values, np.ones(count), range(count))
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_a_ratio_agrees_with_scipys_bootstrap_for_many_images():
    """For many images the jackknife of a ratio of sums is close to scipy's bootstrap of the same ratio."""
    random = np.random.default_rng(2)
    weights = random.uniform(1, 3, 200)
    values = weights * random.beta(2, 3, 200)
    found = estimate(values, weights, range(200))
    theirs = stats.bootstrap(
        (values, weights),
        lambda a, b, axis: a.sum(axis) / b.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=5000,
        rng=3,
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.06 * width)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 20])
@pytest.mark.parametrize(("distribution", "least"), [("normal", 0.93), ("exponential", 0.88)])
def test_means_of_few_images_are_covered(count, distribution, least):
    """95 % for normal means, whatever the count; at least 88 % for exponential ones, which are strongly skewed."""
    random, trials = np.random.default_rng(4), 4000
    truth = {"normal": 0, "exponential": 1}[distribution]
    found = [estimate(row, np.ones(count), range(count)) for row in getattr(random, distribution)(size=(trials, count))]
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert covered > least - 2 * math.sqrt(least * (1 - least) / trials)
    assert distribution != "normal" or abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / trials)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_the_least_coverage_of_exponential_means_is_above_88_percent(count):
    """At n = 4 it is 0.8805, which needs more samples than the intervals can be computed for one by one."""
    values = np.random.default_rng(1).exponential(1, (2_000_000, count))
    half = stats.t.ppf(0.975, count - 1) * values.std(1, ddof=1) / math.sqrt(count)
    found = estimate(values[0], np.ones(count), range(count))
    assert (found.low, found.high) == pytest.approx((values[0].mean() - half[0], values[0].mean() + half[0]))
    assert np.mean(np.abs(values.mean(1) - 1) <= half) >= 0.88


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 8, 20, 50])
def test_shares_of_equal_rows_are_covered(count):
    """All eight rows of an image succeed or fail together: exact coverage over every number of good images."""
    intervals_of = [
        proportion(np.repeat(np.arange(count) < good, 8), np.ones(8 * count), np.repeat(range(count), 8).tolist())
        for good in range(count + 1)
    ]
    for share in np.linspace(0.01, 0.99, 99):
        chances = stats.binom.pmf(range(count + 1), count, share)
        covered = sum(
            chance for chance, found in zip(chances, intervals_of, strict=True) if found.low <= share <= found.high
        )
        assert covered >= 0.88, share


def test_eight_received_images_have_the_interval_of_eight_trials():
    found = proportion(np.ones(64), np.ones(64), np.repeat(range(8), 8).tolist())
    assert (found.low, found.high) == (pytest.approx(0.6756, abs=1e-4), 1.0)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 12])
@pytest.mark.parametrize("rows", [1, 8])
def test_differences_of_shares_are_covered(count, rows):
    """Rows of an image are equal: exact coverage over the numbers of images that both, one or no system receives.

    Images that the worse system receives are received by the better one too, or independently of it.
    """
    tables = [
        (both, first, second)
        for both in range(count + 1)
        for first in range(count + 1 - both)
        for second in range(count + 1 - both - first)
    ]
    found = []
    for both, first, second in tables:
        image = np.arange(count)
        sides = image < both + first, (image < both) | ((image >= both + first) & (image < both + first + second))
        outcomes = [(np.repeat(side, rows), np.ones(count * rows)) for side in sides]
        found.append(intervals.difference_of_proportions(*outcomes, np.repeat(image, rows).tolist()))
        assert -1 <= found[-1].low < found[-1].high <= 1
    for p, q in ((0.95, 0.9), (0.99, 0.9), (0.5, 0.5), (1, 1), (1, 0.95), (0.7, 0.4)):
        for both in (p * q, q):
            chances = [both, p - both, q - both, 1 - p - q + both]
            law = stats.multinomial(count, np.clip(chances, 0, 1))
            covered = sum(
                law.pmf([*table, count - sum(table)])
                for table, one in zip(tables, found, strict=True)
                if one.low - 1e-9 <= p - q <= one.high + 1e-9
            )
            assert covered >= 0.93, (p, q, both)


@pytest.mark.parametrize("cells", [(20, 12, 5, 13), (5, 14, 12, 6), (41, 4, 5, 9)])
def test_a_difference_of_independent_rows_is_newcombes(cells):
    """Rows that both, the first, the second or no system receives; method 10 of Newcombe (1998) from these four."""
    both, first, second, none = cells
    a, b = (np.repeat(sides, cells) for sides in ((1, 1, 0, 0), (1, 0, 1, 0)))
    found = intervals.difference_of_proportions((a, np.ones(a.size)), (b, np.ones(b.size)), range(a.size))
    p, q = ((both + alone) / a.size for alone in (first, second))
    ((l1, u1), (l2, u2)) = (
        stats.binomtest(int(side.sum()), side.size).proportion_ci(method="wilson") for side in (a, b)
    )
    product = both * none - first * second
    product = max(product - a.size / 2, 0) if product > 0 else product
    phi = product / math.sqrt((both + first) * (second + none) * (both + second) * (first + none))
    low = p - q - math.sqrt((p - l1) ** 2 - 2 * phi * (p - l1) * (u2 - q) + (u2 - q) ** 2)
    high = p - q + math.sqrt((q - l2) ** 2 - 2 * phi * (q - l2) * (u1 - p) + (u1 - p) ** 2)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_a_difference_is_known_better_than_the_means():
    """Paired by image: the t interval of the differences; the images' own spread cancels."""
    random = np.random.default_rng(5)
    common, ones = random.normal(30, 5, 12), np.ones(12)
    first, second = common + random.normal(1, 0.3, 12), common + random.normal(0, 0.3, 12)
    found = intervals.difference((first, ones), (second, ones), range(12))
    theirs = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    alone = estimate(first, ones, range(12))
    assert found.high - found.low < (alone.high - alone.low) / 5


def test_rows_of_a_cluster_are_not_independent():
    """Sending each image a hundred times adds no information about other images."""
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
    assert (found.mean, str(found)) == (math.inf, "inf"), "no interval is claimed"
    assert estimate(np.array([1.0, -math.inf]), np.ones(2), range(2)).mean == -math.inf


@pytest.mark.parametrize(
    ("lost", "count", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17, 1998, table I, method 3: Wilson's score interval
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (5, 56, 0.0387, 0.1926),
    ],
)
def test_shares_have_the_published_intervals(lost, count, low, high):
    found = proportion(np.arange(count) < lost, np.ones(count), range(count))
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    theirs = stats.binomtest(lost, count).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    success = proportion(np.arange(count) >= lost, np.ones(count), range(count))
    assert (success.low, success.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)


@pytest.mark.parametrize("spread", [0, 0.3])
def test_shares_of_images_that_differ_are_covered(spread):
    """Rows of an image share its chance, 0.3 - spread or 0.3 + spread; the interval is of the mean over images."""
    random = np.random.default_rng(8)
    images, trials = np.repeat(np.arange(20), 10), 500
    found = []
    for _ in range(trials):
        chance = 0.3 + spread * random.choice([-1, 1], 20)
        found.append(proportion(random.random(200) < chance[images], np.ones(200), images.tolist()))
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
        "medium_cbr_budget": [0.1] * length,
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
    (line,) = means.summarize(rows, "ber")
    assert (line.estimate.mean, line.estimate.rows) == (1 / 8, 2)
    assert means.summarize(rows_of(**{"ber.numerator": [0], "ber.denominator": [0]}), "ber") == []


def test_zero_outages_do_not_prove_a_probability_of_zero():
    """0 of 10 images, or blocks of none of them: at most 27.8 %. Rows that are neither are resampled."""
    none = {"ber.numerator": [0] * 10, "ber.denominator": [1] * 10}
    (line,) = means.summarize(rows_of(**none), "ber")
    assert (line.estimate.low, line.estimate.high) == (0, pytest.approx(0.2775, abs=5e-5))
    (line,) = means.summarize(rows_of(**none | {"ber.denominator": [40] * 10}), "ber")
    assert (line.estimate.low, line.estimate.high) == (0, pytest.approx(0.2775, abs=5e-5))
    (line,) = means.summarize(rows_of(**none | {"ber.numerator": [1] * 10}), "ber")
    assert (line.estimate.low, line.estimate.high) == (pytest.approx(0.7225, abs=5e-5), 1)
    some = rows_of(**{"ber.numerator": [0, 1, 2, 0], "ber.denominator": [4] * 4})
    (line,) = means.summarize(some, "ber")
    assert line.estimate == estimate(np.array([0, 1, 2, 0]), np.full(4, 4), range(4))


def test_values_that_are_all_one_are_a_proportion_only_without_a_unit():
    """A success rate measured as float is as uncertain as its counts; 1 dB of two images leaves the mean unknown."""
    rows = rows_of(psnr=[1.0] * 8)
    (line,) = means.summarize(rows, "psnr")
    assert str(line.estimate) == "1.000"
    unit = rows.schema.field("psnr").with_metadata({b"unit": b""})
    success = rows.set_column(rows.column_names.index("psnr"), unit, rows["psnr"])
    (line,) = means.summarize(success, "psnr")
    assert (line.estimate.low, line.estimate.high) == (pytest.approx(0.6756, abs=1e-4), 1)


def test_images_that_do_not_vary_have_no_interval():
    """Their variance is unknown, not zero; rounding errors are no variance."""
    constant = np.full(6, 0.1) * 3
    assert str(estimate(constant, np.ones(6), range(6))) == "0.300"
    images = np.array([30.1, 22.7, 35.3])
    found = intervals.difference((images + 0.2, np.ones(3)), (images, np.ones(3)), range(3))
    assert str(found) == "0.200"


def test_arq_delay_is_selective_repeat_at_the_measured_bler():
    blocks = {"bler.numerator": [1, 0, 0, 4, 0], "bler.denominator": [4, 6, 0, 4, 4], "snr_db": [9.0, 9, 9, 0, 20]}
    rows = rows_of(airtime_s=[0.04, 0.06, 9.0, 0.04, 0.04], **blocks)
    some, all_lost, none_lost = means.summarize(rows, "arq_delay_s")
    assert (some.metric, some.unit, some.conditions["snr_db"]) == ("arq_delay_s", "s", 9)
    # ten blocks of 10 ms, one of them lost; the row without blocks, of 9 s, does not count
    assert some.estimate.mean == pytest.approx(SelectiveRepeat(0.01).expected_delay_s(5, 0.1))
    assert some.estimate.rows == 2
    assert all_lost.estimate.mean == math.inf
    assert none_lost.estimate.mean == pytest.approx(0.04 + 0.02)
    assert "arq_delay_s,s,a" in table_formats.as_csv(rows)
    assert "arq_delay_s" not in table.metrics(rows.drop_columns("airtime_s"))
    assert "arq_delay_s" not in table.metrics(rows.drop_columns(["bler.numerator", "bler.denominator"]))


def test_the_interval_of_arq_delay_covers_the_delay_at_the_true_bler():
    random, trials, airtime = np.random.default_rng(9), 150, Estimate(0.04, 0.04, 0.04, 30, 30)
    truth, covered = SelectiveRepeat(0.01).expected_delay_s(4, 0.2), 0
    for _ in range(trials):
        found = means._arq_delay(airtime, 4.0, estimate(random.binomial(4, 0.2, 30), np.full(30, 4), range(30)))
        covered += found.low <= truth <= found.high
    assert abs(covered / trials - 0.95) < 4 * math.sqrt(0.95 * 0.05 / trials)
    once = rows_of(airtime_s=[0.04], **{"bler.numerator": [1], "bler.denominator": [4]})
    assert math.isnan(means.summarize(once, "arq_delay_s")[0].estimate.low)


def test_one_image_resamples_its_repetitions():
    rows = rows_of(psnr=[20.0, 30, 25], image=["a"] * 3, repetition=[0, 1, 2])
    (line,) = means.summarize(rows, "psnr")
    assert line.estimate.clusters == 3


def test_an_unknown_metric_is_refused():
    with pytest.raises(UsageError, match="did you mean 'psnr'"):
        means.summarize(rows_of(psnr=[1.0]), "psn")


def test_text_and_csv_hold_the_same_numbers():
    rows = rows_of(psnr=[20.0, 30, 10, 10], snr_db=[0.0, 0, 5, 5], image=["a", "b", "a", "b"])
    assert table_formats.as_text(rows, "psnr").splitlines()[1].split() == ["0", "25.00", "[-38.53,", "88.53]*"]
    metric, *_, mean, low, high, clusters, count = table_formats.as_csv(rows).splitlines()[1].split(",")
    assert (metric, mean, clusters, count) == ("psnr", "25.0", "2", "2")
    assert (float(low), float(high)) == pytest.approx((-38.531, 88.531), abs=1e-3)


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
    lines = {(line.system, line.conditions["block"]): str(line.estimate) for line in means.summarize(rows, "psnr")}
    assert lines["a", 16] == lines["b", 16] != lines["a", 8]


def test_a_folder_without_rows_and_a_broken_part_are_named(tmp_path):
    with pytest.raises(UsageError, match="no results of semcom run in"):
        table.read(tmp_path)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "0.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(UsageError, match=r"0\.parquet cannot be read"):
        table.read(tmp_path)
