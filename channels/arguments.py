"""One check for each kind of argument; the error names the argument and the values that are allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from channels.errors import UsageError


def positive(name: str, value: float) -> float:
    """Return `value` if it is a finite number above zero.

    Raises:
        UsageError: any other number.

    >>> positive("carrier_hz", 3.5e9)
    3500000000.0
    """
    within(name, value, 0, excluded="least")
    return value


def within(
    name: str,
    value: int | float | None,
    least: int | float,
    most: int | float = math.inf,
    null: str = "",
    excluded: Literal["", "least", "most", "both"] = "",
) -> None:
    """Check that `value` is a finite number from `least` to `most`.

    Args:
        name: name of the argument.
        value: its value.
        least: smallest number that is allowed; -infinity for any finite number.
        most: largest number that is allowed.
        null: meaning of None, for the error message; empty: None is not allowed.
        excluded: ends of the range that are not allowed themselves; empty: both are allowed.

    Raises:
        UsageError: a number outside the range, infinity or not a number.

    >>> within("antennas", 4, 1, 64)
    >>> within("learning_rate", 1, 0, 1, excluded="both")
    Traceback (most recent call last):
    channels.errors.UsageError: learning_rate must be above 0 and below 1, not 1
    """
    if value is None and null:
        return
    above, below = excluded in ("least", "both"), excluded in ("most", "both")
    if (
        value is None
        or not math.isfinite(value)
        or not least <= value <= most
        or (above and value == least)
        or (below and value == most)
    ):
        if most < math.inf:
            if above or below:
                allowed = f"{f'above {least:g}' if above else f'{least:g} or more'} and "
                allowed += f"below {most:g}" if below else f"up to {most:g}"
            else:
                allowed = f"{least:g} to {most:g}"
        elif least > -math.inf:
            allowed = f"a number above {least:g}" if above else f"{least:g} or more"
        else:
            allowed = "a finite number"
        raise UsageError(f"{name} must be {allowed}{f', or null for {null}' if null else ''}, not {value}")


def one_of(name: str, value: object, choices: Sequence[object]) -> None:
    """Check that `value` is among `choices`.

    Raises:
        UsageError: any other value.

    >>> one_of("csi", "ls", ("perfect", "ls", "lmmse"))
    """
    if value not in choices:
        raise UsageError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}")
