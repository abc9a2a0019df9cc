"""The key `edge` of a system in a scenario: how the networks of its ends are reduced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from channels.errors import UsageError
from semcom.discover import nearest
from semcom.scenario.document import shown

PREFIX = "edge."  # of the names of these arguments among those of a system, as in "edge.weight_bits"
_ENDS = ("transmitter", "receiver", "both")


@dataclass(frozen=True)
class Edge:
    """Reduction of the networks of one end or both, applied in the order layers, rank, weight_bits.

    Args:
        end: "transmitter", "receiver" or "both".
        weight_bits: bits of each weight of matrices and convolutions, 2 to 8, with one scale per output channel; None
            leaves float32.
        layers: share of the blocks of each sequence of equal blocks that remain, the first ones, above 0 and up to 1;
            at least one block remains.
        rank: rank of the factors of matrices and convolutions as a share of the full rank, above 0 and up to 1; a layer
            that would have more parameters as two factors is unchanged.

    Raises:
        UsageError: a value is out of range.
    """

    end: str = "transmitter"
    weight_bits: int | None = None
    layers: float = 1.0
    rank: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            _check(name, value)


def _check(name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match name:
        case "end":
            valid, expected = value in _ENDS, f"one of {', '.join(_ENDS)}"
        case "weight_bits":
            valid = value is None or (is_number and isinstance(value, int) and 2 <= value <= 8)
            expected = "a whole number from 2 to 8"
        case _:
            valid, expected = is_number and 0 < value <= 1, "a number above 0 and up to 1"
    if not valid:
        raise UsageError(f"{name} must be {expected}, not {shown(value)}")


def is_edge(name: object) -> bool:
    """Whether a name is that of an argument of `Edge` among those of a system."""
    return isinstance(name, str) and name.startswith(PREFIX)


def read_edge(name: str, value: Any, place: str) -> Any:
    """The checked value of an argument "edge.NAME".

    Args:
        name: name with the prefix.
        value: value as the scenario gives it.
        place: file and line, or option, for error messages.

    Raises:
        UsageError: there is no such argument, or its value is out of range.
    """
    key = name.removeprefix(PREFIX)
    known = list(asdict(Edge()))
    if key not in known:
        raise UsageError(f"{place}: edge has no key {key!r}; {nearest(key, known)}")
    try:
        _check(key, value)
    except UsageError as error:
        raise UsageError(f"{place}: edge.{error}") from None
    return float(value) if key in ("layers", "rank") else value


def split_edge(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Edge | None]:
    """The arguments of a `build`, and the reduction that the other ones describe; None without any.

    >>> split_edge({"weights": "none", "edge.weight_bits": 6})
    ({'weights': 'none'}, Edge(end='transmitter', weight_bits=6, layers=1.0, rank=1.0))
    """
    own = {name: value for name, value in arguments.items() if not name.startswith(PREFIX)}
    of_edge = {name.removeprefix(PREFIX): value for name, value in arguments.items() if name.startswith(PREFIX)}
    return own, Edge(**of_edge) if of_edge else None
