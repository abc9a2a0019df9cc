"""Certificate of channels and modem: lines, each with a measured and an expected value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from torch import Tensor

from channels.base import Channel

if TYPE_CHECKING:
    from channels.modem.transport_block import Decoded, Mcs


Z_LIMIT = 4.0
"""Largest deviation that passes, in standard errors."""


@runtime_checkable
class Modem(Protocol):
    """Functions of a modem that the certificate measures; `channels.modem` has them."""

    def map_bits(self, bits: Tensor, bits_per_symbol: int) -> Tensor: ...

    def demap(self, symbols: Tensor, noise_var: Tensor | float, bits_per_symbol: int) -> Tensor: ...

    def encode(self, bits: Tensor, mcs: Mcs, uses: int) -> Tensor: ...

    def decode(
        self, symbols: Tensor, noise_var: Tensor | float, mcs: Mcs, info_bits: int, *, iterations: int
    ) -> Decoded: ...


@dataclass(frozen=True)
class Line:
    """One measurement.

    Args:
        name: name of the channel, and of the measured quantity.
        measured: measured value.
        expected: value of theory or of the reference.
        statistic: deviation from the expected value: in standard errors for kind "z", absolute for kind "tolerance".
        kind: kind of the statistic, "z" or "tolerance".
        limit: largest |statistic| that passes.
    """

    name: str
    measured: float
    expected: float
    statistic: float
    kind: Literal["z", "tolerance"] = "z"
    limit: float = Z_LIMIT

    @property
    def passed(self) -> bool:
        """Whether the statistic is within its limit; NaN fails."""
        return bool(abs(self.statistic) <= self.limit)


@dataclass(frozen=True)
class Certificate:
    """Result of a run.

    Args:
        lines: all measurements.
        seconds: duration of the run in seconds.
        left_out: descriptions of measurements whose packages are not installed.
    """

    lines: tuple[Line, ...]
    seconds: float
    left_out: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there are lines and every line passes."""
        return bool(self.lines) and all(line.passed for line in self.lines)

    def table(self) -> str:
        """Table of the lines as text, with the number of lines that pass."""
        rows = [
            f"{'pass' if line.passed else 'FAIL'}  {line.name:<58} {line.measured:>12.6g} {line.expected:>12.6g} "
            f"{'z' if line.kind == 'z' else '+-'} {line.statistic:>+9.3g} of {line.limit:g}"
            for line in self.lines
        ]
        failed = sum(not line.passed for line in self.lines)
        head = f"      {'quantity':<58} {'measured':>12} {'expected':>12}   statistic"
        summary = f"{len(rows) - failed} of {len(rows)} lines pass, {self.seconds:.0f} s"
        return "\n".join([head, *rows, summary, *(f"not measured: {text}" for text in self.left_out)])

    def to_json(self) -> str:
        """Lines as JSON."""
        lines = [asdict(line) | {"passed": line.passed} for line in self.lines]
        content = {"passed": self.passed, "seconds": self.seconds, "lines": lines, "left_out": self.left_out}
        return json.dumps(content, indent=1)


Check = Callable[[Mapping[str, Channel], Modem, float], Iterator[Line]]
"""Function from channels, modem and the scale of the sample counts to the lines of a group of measurements."""
