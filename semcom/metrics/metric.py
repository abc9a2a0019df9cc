"""The type `Metric`, and functions that find a metric by name and evaluate it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Shaped
from torch import Tensor

from channels.errors import UsageError
from semcom import discover
from semcom.devices import exact_products
from semcom.discover import user_files, user_metrics, user_modules
from semcom.link import Delivery

Rows = Shaped[Tensor, " rows"]
Counts = tuple[Shaped[Tensor, "rows classes"], Shaped[Tensor, "rows classes"]]


@dataclass(frozen=True)
class Metric:
    """A function of a delivery with one value per row, never an average over rows.

    Args:
        function: function of a `Delivery`. It returns values [rows]; for a ratio of sums (numerator [rows],
            denominator [rows]); for a mean over classes of such ratios (numerator [rows, classes], denominator [rows,
            classes]). A row to which the metric does not apply has numerator and denominator 0. No value may be NaN.
        unit: unit for axis labels, "" for a pure number.
        higher_is_better: direction of improvement; None where there is none.
        extra: extra of semcom that the function requires; "" for none.
        bounds: least and greatest possible value, to which intervals are cut; None for no bound. Ratios of counts of
            which no numerator exceeds its denominator are cut to [0, 1] in any case.
    """

    function: Callable[[Delivery], Rows | tuple[Rows, Rows] | Counts]
    unit: str
    higher_is_better: bool | None
    extra: str = ""
    bounds: tuple[float | None, float | None] = (None, None)


def metric(name: str) -> Metric:
    """The metric of a name, from `semcom.metrics`, from the folder of a system, or from a file of the user.

    Args:
        name: name of a metric, or FILE.py:NAME for a `Metric` or a function of a `Delivery` at the top level of a
            file; a function has no unit and no direction.

    Raises:
        UsageError: there is no such metric; the message gives the nearest name.

    >>> metric("psnr").unit
    'dB'
    """
    if parts := user_metrics.split(name):
        user_metrics.check(name)
        return _user_metric(*parts, user_files.state(parts[0]))
    known = discover.metrics()
    if name not in known:
        raise UsageError(f"no metric {name!r}; {discover.nearest(name, known)}")
    return importlib.import_module(known[name].module).METRICS[name]


@lru_cache(maxsize=64)
def _user_metric(path: Path, name: str, state: tuple[int, ...]) -> Metric:
    found = getattr(user_modules.load(path), name)
    if isinstance(found, Metric):
        return found
    if not callable(found) or isinstance(found, type):
        raise UsageError(f"{path}: {name} must be a function of a Delivery or a Metric, not {found!r}")
    return Metric(found, "", None)


def measure(name: str, delivery: Delivery) -> Rows | tuple[Rows, Rows] | Counts:
    """Evaluate the metric of a name: a value per row, or a numerator and a denominator per row.

    Raises:
        UsageError: there is no such metric, or a metric in a file of the user returns no value per row, or NaN.
        ValueError: a value of another metric is NaN.
    """
    with exact_products(delivery.reception.images.device):
        values = metric(name).function(delivery)
    parts = values if isinstance(values, tuple) else (values,)
    if user_metrics.split(name):
        _check_rows(name, parts, len(delivery.uses))
    if any(part.isnan().any() for part in parts):
        fault = UsageError if user_metrics.split(name) else ValueError
        raise fault(
            f"metric {name} is NaN in at least one row; where it does not apply, return numerator 0, denominator 0"
        )
    return values


def _check_rows(name: str, parts: tuple[object, ...], rows: int) -> None:
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in parts]
    valid = len(parts) in (1, 2) and len(set(shapes)) == 1 and isinstance(shapes[0], tuple)
    if not valid or len(shapes[0]) not in range(1, len(parts) + 1) or shapes[0][0] != rows:
        returned = " and ".join(map(str, shapes))
        raise UsageError(
            f"metric {name} must return a tensor with one value for each of {rows} rows, or two such tensors "
            f"(numerator and denominator), not {returned}"
        )


def not_applicable(delivery: Delivery) -> tuple[Rows, Rows]:
    """Numerator and denominator 0 in every row: the metric does not apply."""
    return torch.zeros_like(delivery.uses), torch.zeros_like(delivery.uses)
