"""Types of the options of the benchmarks: numbers within a range, read as `semcom` reads them."""

import argparse
import math

from channels import UsageError
from channels.arguments import within
from semcom.scenario import numbers


def whole(least, most=math.inf):
    """Type of an option that accepts whole numbers from `least` to `most`."""
    return _number(numbers.whole_number, least, most)


def real(least=-math.inf, most=math.inf):
    """Type of an option that accepts finite numbers from `least` to `most`."""
    return _number(lambda text: float(numbers.number(text)), least, most)


def _number(reader, least, most):
    def read(text):
        try:
            value = reader(text)
            within("the value", value, least, most)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return value

    return read
