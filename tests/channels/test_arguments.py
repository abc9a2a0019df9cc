"""Argument checks: the bounds of ranges, and what the messages allow."""

import math

import pytest

from channels.arguments import one_of, positive, within
from channels.errors import UsageError

INF = math.inf


@pytest.mark.parametrize(
    ("value", "least", "most", "excluded", "allowed"),
    [
        (0, 1, 64, "", "1 to 64"),
        (65, 1, 64, "", "1 to 64"),
        (0, 0, 1, "least", "above 0 and up to 1"),
        (1, 0, 1, "most", "0 or more and below 1"),
        (0, 0, 1, "both", "above 0 and below 1"),
        (-1, 0, INF, "", "0 or more"),
        (0, 0, INF, "least", "a number above 0"),
        (INF, 0, INF, "", "0 or more"),
        (math.nan, -INF, INF, "", "a finite number"),
        (None, 0, 1, "", "0 to 1"),
    ],
)
def test_values_outside_are_refused_with_the_range(value, least, most, excluded, allowed):
    with pytest.raises(UsageError, match=f"^x must be {allowed}, not {value}$"):
        within("x", value, least, most, excluded=excluded)


def test_values_inside_are_accepted():
    within("x", 1, 1, 64)
    within("x", 64, 1, 64)
    within("x", 1e-9, 0, 1, excluded="both")
    within("x", None, 0, null="the default")
    assert positive("x", 3.0) == 3
    one_of("x", "ls", ("perfect", "ls"))


def test_messages_name_null_and_choices():
    with pytest.raises(UsageError, match="x must be 0 or more, or null for the default, not -1"):
        within("x", -1, 0, null="the default")
    with pytest.raises(UsageError, match=r"x must be a number above 0, not 0\.0"):
        positive("x", 0.0)
    with pytest.raises(UsageError, match="x must be one of perfect, ls, not 'mmse'"):
        one_of("x", "mmse", ("perfect", "ls"))
