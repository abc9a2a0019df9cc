"""Numbers as text: the one reader of scenario files, of --set and of all other options.

Numbers are those of the YAML 1.2 core schema, https://yaml.org/spec/1.2.2/#103-core-schema, and fractions a/b of whole
numbers. `010` is 10, `0x10` is 16, `0o10` is 8, `1e-3` is a number, and `1:16`, `1_000` and `yes` are text.
"""

from __future__ import annotations

import re

from channels.errors import UsageError

WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
REAL = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[-+]?[0-9]+/0*[1-9][0-9]*"
)
_MOST_DIGITS = 300  # a longer whole number exceeds the range of float64
_BASES = {"0o": 8, "0x": 16}


def number(text: str) -> int | float:
    """Read a number.

    Raises:
        UsageError: the text is not a number, or has more than 300 digits.

    >>> number("010"), number("-1e1"), number("5."), number("1/16")
    (10, -10.0, 5.0, 0.0625)
    """
    if len(text) > _MOST_DIGITS:
        raise UsageError(f"{text[:20]}... is too long for a number; write at most {_MOST_DIGITS} digits")
    if WHOLE.fullmatch(text):
        base = _BASES.get(text[:2], 10)
        return int(text if base == 10 else text[2:], base)
    if not REAL.fullmatch(text):
        raise UsageError(f"{text!r} is not a number; write for example 10, -0.5, 1e-3 or 1/16")
    numerator, slash, denominator = text.partition("/")
    if slash:
        return int(numerator) / int(denominator)
    return float(text.replace(".", "") if text[-1].isalpha() else text)  # .inf and .nan


def whole_number(text: str) -> int:
    """Read a whole number.

    Raises:
        UsageError: the text is not a whole number, or has more than 300 digits.

    >>> whole_number("+4")
    4
    """
    if not WHOLE.fullmatch(text):
        raise UsageError(f"{text!r} is not a whole number; write for example 4")
    return int(number(text))
