"""Paired comparisons against scipy, crossing points against simulation, and tables for papers."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from channels import UsageError
from semcom.results import compare, intervals, means, table_formats

SNRS = (0.0, 5.0, 10.0)


def rows_of(systems, higher_is_better=True, unit="dB"):
    """Rows of float [images, SNRs] values by system, an image a row of the array."""
    rows = [
        (system, "awgn", 0.1, 1, snr_db, 0, str(image), 0, False, float(value))
        for system, values in systems.items()
        for image, row in enumerate(values)
        for snr_db, value in zip(SNRS, row, strict=True)
    ]
    names = [
        "system",
        "channel",
        "medium_cbr_budget",
        "users",
        "snr_db",
        "repetition",
        "image",
        "user",
        "bound",
        "psnr",
    ]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    about = {"unit": unit, "higher_is_better": str(higher_is_better)}
    fields = [
        pa.field(name, column.type, metadata=about if name == "psnr" else None)
        for name, column in zip(names, columns, strict=True)
    ]
    return pa.table(columns, schema=pa.schema(fields))


def curves(random, images=6):
    """Two systems whose difference rises from -1 to +1 dB; images differ by far more than the systems."""
    common = random.normal(30, 5, (images, 1)) + np.zeros(3)
    return {"a": common + np.array([-1, 0, 1]) + random.normal(0, 0.2, (images, 3)), "b": common}


def test_differences_are_paired_by_image():
    systems = curves(np.random.default_rng(1))
    found = compare.compare(rows_of(systems), "psnr", "b")
    assert [(each.system, each.conditions["snr_db"]) for each in found] == [("a", 0.0), ("a", 5.0), ("a", 10.0)]
    for each, first, second in zip(found, systems["a"].T, systems["b"].T, strict=True):
        theirs = stats.ttest_rel(first, second).confidence_interval(0.95)
        assert (each.difference.low, each.difference.high) == pytest.approx((theirs.low, theirs.high))
        assert (each.wins, each.losses) == (sum(first > second), sum(first < second))
    low, *_, high = found
    assert low.losses == high.wins == 6


def test_a_lower_value_wins_where_lower_is_better():
    found = compare.compare(rows_of(curves(np.random.default_rng(1)), higher_is_better=False), "psnr", "b")
    assert (found[0].wins, found[-1].losses) == (6, 6)


def test_a_metric_without_a_direction_has_no_wins():
    systems = curves(np.random.default_rng(1))
    text = compare.as_text(rows_of(systems, higher_is_better=None), "psnr", "b")
    assert {"higher", "lower"} <= set(text.split())
    assert "a: higher above" in text
    assert "wins" not in text
    text = compare.as_text(rows_of(systems), "psnr", "b")
    assert {"wins", "losses"} <= set(text.split())
    assert "a: better above" in text
    assert "95 % intervals over n = 6 images" in text


def test_the_interval_of_a_crossing_covers_it():
    """The true difference is zero at 5 dB; 95 % of the intervals hold it."""
    random, trials = np.random.default_rng(2), 300
    found = [compare.crossings(rows_of(curves(random)), "psnr", "b") for _ in range(trials)]
    assert all(len(each) == 1 and each[0].better_above for each in found)
    covered = np.mean([each.low <= 5 <= each.high for (each,) in found])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / trials)


def test_an_interval_that_leaves_the_measured_snrs_is_open():
    random = np.random.default_rng(3)
    common = random.normal(30, 5, (4, 1)) + np.zeros(3)
    noisy = common + np.array([-0.1, 0, 0.1]) + random.normal(0, 3, (4, 3))
    (found, *_) = compare.crossings(rows_of({"a": noisy, "b": common}), "psnr", "b") or [None]
    assert found is None or np.isinf(found.low) or np.isinf(found.high)


@pytest.mark.parametrize(
    ("means", "at"),
    [
        ((-1.0, 0.0, 1.0), [5.0]),
        ((0.0, 0.0, 1.0), []),  # equal, then better: the curves touch
        ((-1.0, 0.0, -1.0), []),
        ((-1.0, 0.5, -1.0), [10 / 3, 20 / 3]),
    ],
)
def test_a_difference_of_zero_at_a_measured_snr_is_a_crossing_where_its_sign_changes(means, at):
    second = np.zeros((6, 3))
    first = second + np.array(means) + np.array(means) * np.array([[-0.5], [0.5], [-0.3], [0.3], [-0.1], [0.1]])
    found = compare.crossings(rows_of({"a": first, "b": second}), "psnr", "b")
    assert [each.snr_db for each in found] == pytest.approx(at)
    assert all(each.low <= each.snr_db <= each.high for each in found)


def test_a_crossing_is_the_middle_of_equal_snrs(monkeypatch):
    steps = np.array([[-1.0, 0.0, 0.0, 1.0]]) * np.linspace(0.5, 1.5, 6)[:, None]
    monkeypatch.setattr(f"{__name__}.SNRS", (0.0, 4.0, 6.0, 10.0))
    (found,) = compare.crossings(rows_of({"a": steps, "b": 0 * steps}), "psnr", "b")
    assert (found.snr_db, found.low, found.high) == (5, 4, 6)


def test_the_interval_of_a_crossing_is_where_the_band_of_the_figure_holds_zero():
    random = np.random.default_rng(8)
    (found,) = compare.crossings(rows_of(systems := curves(random)), "psnr", "b")
    each = [one.difference for one in compare.compare(rows_of(systems), "psnr", "b")]
    lows, highs = [one.low for one in each], [one.high for one in each]
    assert np.interp(found.low, SNRS, highs) == pytest.approx(0, abs=1e-9)
    assert np.interp(found.high, SNRS, lows) == pytest.approx(0, abs=1e-9)


def test_outcomes_have_the_interval_of_proportions():
    """One system loses two of twelve images at 0 and 5 dB, and none at 10 dB, where Student's t has zero width."""
    first = np.ones((12, 3))
    second = first.copy()
    second[:2, :2] = 0
    found = compare.compare(rows_of({"a": first, "b": second}, unit=""), "psnr", "b")
    for one, side in zip(found, second.T, strict=True):
        theirs = intervals.difference_of_proportions((first[:, 0], np.ones(12)), (side, np.ones(12)), range(12))
        assert one.difference == theirs
        assert one.difference.low < one.difference.mean < one.difference.high
    (decibel, *_) = compare.compare(rows_of({"a": first, "b": second}), "psnr", "b")
    assert decibel.difference.low > found[0].difference.low


def test_rows_that_one_system_lacks_are_left_out():
    systems = curves(np.random.default_rng(4))
    found = compare.compare(rows_of({"a": systems["a"][:4], "b": systems["b"]}), "psnr", "b")
    assert {each.difference.clusters for each in found} == {4}


def test_a_system_is_found_by_its_title_too():
    values = curves(np.random.default_rng(8))
    rows = rows_of({"analog": values["a"], "deepjscc": values["b"]})
    by_label, by_title = (compare.compare(rows, "psnr", name) for name in ("deepjscc", "DeepJSCC"))
    assert by_label == by_title
    assert len(by_title) == len(SNRS)


def test_wrong_names_are_refused():
    rows = rows_of(curves(np.random.default_rng(5)))
    with pytest.raises(UsageError, match="no system 'bb'"):
        compare.compare(rows, "psnr", "bb")
    with pytest.raises(UsageError, match="did you mean 'psnr'"):
        compare.crossings(rows, "psn", "b")


def test_formats_hold_the_numbers_of_the_table():
    rows = rows_of(curves(np.random.default_rng(6)))
    (line, *_) = means.summarize(rows, "psnr")
    for form in ("text", "latex", "markdown"):
        assert str(line.estimate) in table_formats.render(rows, ["psnr"], form)
    assert table_formats.render(rows, ["psnr"], "csv") == table_formats.as_csv(rows)


def test_labels_are_text_in_latex(tmp_path):
    label = r"50 % & $\frac$ #1_{x} ~^\end a|b<c>"
    text = table_formats.render(rows_of({label: curves(np.random.default_rng(7))["a"]}), ["psnr"], "latex")
    assert (
        r"50 \% \& \$\textbackslash{}frac\$ \#1\_\{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}end "
        r"a\textbar{}b\textless{}c\textgreater{}" in text
    )


def test_labels_are_text_in_markdown():
    """As a Markdown parser reads them: no emphasis, code, element, link or further column."""
    from markdown_it import MarkdownIt

    label = r"a|b *x* `y` <b>z</b> [l](u) _i_ ~~d~~ \*"
    text = table_formats.render(rows_of({label: curves(np.random.default_rng(7))["a"]}), ["psnr"], "markdown")
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(text)
    cells = [tokens[i + 1].children for i, token in enumerate(tokens) if token.type == "th_open"]
    assert {token.type for cell in cells for token in cell} <= {"text", "text_special"}
    assert "".join(token.content for token in cells[-1]) == label


def test_the_command_prints_differences_and_crossings(tmp_path):
    from semcom.cli.main import main

    assert main(["compare", str(tmp_path), "--against", "x"]) == 2
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
