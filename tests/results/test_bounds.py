"""Intervals of metrics with bounds are within them, and cover as often."""

import numpy as np
import pyarrow as pa
import pytest

from semcom import discover
from semcom.metrics.metric import metric
from semcom.results import compare, intervals, means
from semcom.results import table as tables


def rows_of(systems, name):
    """Rows of values by system, one image a value, at one SNR."""
    rows = [
        (system, "awgn", 0.1, 1, 10.0, 0, str(image), 0, False, float(value))
        for system, values in systems.items()
        for image, value in enumerate(values)
    ]
    names = ["system", "channel", "medium_cbr_budget", "users", "snr_db", "repetition", "image", "user", "bound", name]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    about = {"unit": "", "higher_is_better": "True"}
    fields = [pa.field(n, c.type, metadata=about if n == name else None) for n, c in zip(names, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields))


def test_the_interval_of_ms_ssim_ends_at_1_and_that_of_channel_uses_at_0():
    rows = rows_of({"a": [0.999, 0.99, 0.7, 0.995], "b": [0.1, 0.2, 0.9, 0.1]}, "ms_ssim")
    first, second = (line.estimate for line in means.summarize(rows, "ms_ssim"))
    assert first.high == 1.0
    assert first.low < first.mean < 1
    assert second.low == 0.0
    found = means.summarize(rows_of({"a": [1.0, 0.0, 0.0, 9.0]}, "medium_cbr"), "medium_cbr")[0].estimate
    assert found.low == 0.0
    assert found.high > 9


def test_the_interval_of_a_difference_is_within_the_distance_of_the_bounds():
    rows = rows_of({"a": [1.0, 0.99, 0.0], "b": [0.0, 0.01, 0.5]}, "ms_ssim")
    (found,) = compare.compare(rows, "ms_ssim", "b")
    assert (found.difference.low, found.difference.high) == (-1.0, 1.0)


def test_a_metric_without_bounds_is_not_cut():
    found = means.summarize(rows_of({"a": [1.0, 2.0, 30.0]}, "psnr"), "psnr")[0].estimate
    assert found.low < 0


def test_the_cut_interval_covers_as_often_as_the_whole_one():
    random, true = np.random.default_rng(0), 0.9 * 0.5 + 0.1 * 0.05
    covered = np.zeros(2, dtype=int)
    for _ in range(500):
        values = np.where(random.random(5) < 0.9, random.uniform(0, 1, 5), random.uniform(0, 0.1, 5))
        for place, bounds in enumerate([(-np.inf, np.inf), (0.0, 1.0)]):
            found = intervals.estimate(values, np.ones(5), range(5), bounds)
            covered[place] += found.low <= true <= found.high
            assert bounds[0] <= found.low <= found.mean <= found.high <= bounds[1]
    assert covered[0] == covered[1]
    assert covered[1] > 0.9 * 500


@pytest.mark.parametrize("name", ["ssim", "ms_ssim", "lpips", "medium_cbr", "psnr", "clip_image_similarity"])
def test_the_bounds_of_the_registry_are_those_of_the_metric(name):
    assert discover.metrics()[name].bounds == metric(name).bounds


def test_the_bounds_of_a_users_metric_are_in_its_column():
    field = pa.field("mine", pa.float64(), metadata={"unit": "", "bounds": "[0.0, 1.0]"})
    rows = pa.table([pa.array([0.1, 0.9])], schema=pa.schema([field]))
    assert tables.bounds(rows, "mine") == (0.0, 1.0)
