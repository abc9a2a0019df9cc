"""Energy and time of a transmission from stated constants of a processor and a radio."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from channels.errors import UsageError
from semcom.budget.cost import Cost, EndCost
from semcom.scenario.document import read_document

FOLDER = Path(__file__).parent / "hardware"
_MAY_BE_UNKNOWN = ("joule_per_byte", "seconds_per_mac")


@dataclass(frozen=True)
class Constant:
    """A stated value.

    Args:
        value: value in the unit of its name, or None if it is unknown.
        source: publication, measurement or "assumption".
    """

    value: float | None
    source: str


@dataclass(frozen=True)
class Hardware:
    """Constants of a processor and of a radio.

    Args:
        name: name of processor and radio, without the radiated power.
        joule_per_mac: energy of a multiplication with addition.
        joule_per_byte: energy of reading one byte of parameters; None leaves it out.
        seconds_per_mac: duration of a multiplication with addition; None where it is unknown.
        symbol_rate_hz: channel uses per second.
        radiated_w: radiated power.
        amplifier_efficiency: radiated power over the power that the amplifier consumes, above 0 and at most 1.
    """

    name: str
    joule_per_mac: Constant
    joule_per_byte: Constant
    seconds_per_mac: Constant
    symbol_rate_hz: Constant
    radiated_w: Constant
    amplifier_efficiency: Constant

    def compute_j(self, end: EndCost) -> float | None:
        """Energy of the computation of one end, J: MACs and one read of each parameter; None if none is counted.

        >>> hardware = load_hardware("arithmetic_45nm")
        >>> round(hardware.compute_j(EndCost(968_161_824, 1_302_536, 5_210_144, 0, 0.01, 0, {})), 6)
        0.003073
        """
        if not end.is_counted:
            return None
        return end.flops / 2 * _number(self.joule_per_mac) + end.parameter_bytes * _number(self.joule_per_byte)

    def compute_s(self, end: EndCost) -> float | None:
        """Duration of the counted computation of one end, s; None where it is unknown."""
        return end.flops / 2 * self.seconds_per_mac.value if end.is_counted and self.seconds_per_mac.value else None

    def radio_j(self, cost: Cost) -> float:
        """Energy that the amplifier consumes for the transmission, J."""
        return cost.energy * _number(self.radiated_w) / _number(self.amplifier_efficiency) / self._symbols_per_s

    def air_s(self, cost: Cost) -> float:
        """Duration of the transmission, s."""
        return cost.channel_uses / self._symbols_per_s

    @property
    def _symbols_per_s(self) -> float:
        return _number(self.symbol_rate_hz)

    @property
    def title(self) -> str:
        """Name with the radiated power.

        >>> load_hardware("arithmetic_45nm").title
        'arithmetic in 45 nm, and a radio, 100 mW radiated'
        """
        return f"{self.name}, {1e3 * _number(self.radiated_w):g} mW radiated"

    @property
    def constants(self) -> dict[str, Constant]:
        """All constants by name."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name != "name"}


def hardware_names() -> list[str]:
    """Names of the hardware files of the package.

    >>> hardware_names()
    ['arithmetic_45nm', 'arithmetic_45nm_int8']
    """
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_hardware(name: str) -> Hardware:
    """Read a hardware file: each constant has a value and a source.

    Args:
        name: name in `hardware_names()`, or path of a YAML file of the same form.

    Raises:
        UsageError: no such file, or a constant is missing, unknown, not a number or out of range, or without a source.
    """
    path = FOLDER / f"{name}.yaml" if name in hardware_names() else Path(name)
    if not path.is_file():
        known = ", ".join(hardware_names())
        raise UsageError(f"no hardware {name!r}: give {known}, or the path of a YAML file such as those in {FOLDER}")
    content = read_document(path).data
    names = [part.name for part in fields(Hardware)]
    if not isinstance(content, dict):
        raise UsageError(f"{path}: must have the keys {', '.join(names)}")
    for key in content.keys() - set(names):
        raise UsageError(f"{path}: unknown key {key}; the keys are {', '.join(names)}")
    for key in set(names) - content.keys():
        raise UsageError(f"{path}: {key} is missing; write {key}: {{value: ..., source: ...}}")
    constants = {key: _constant(f"{path}: {key}", key, content[key]) for key in names if key != "name"}
    return Hardware(str(content["name"]), **constants)


def _constant(title: str, key: str, given: Any) -> Constant:
    if not isinstance(given, dict) or given.keys() != {"value", "source"} or not given["source"]:
        raise UsageError(f"{title} must be {{value: ..., source: ...}}, with the source of the value")
    value = given["value"]
    if value is None and key in _MAY_BE_UNKNOWN:
        return Constant(None, str(given["source"]))
    limit = 1.0 if key == "amplifier_efficiency" else math.inf
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= limit or math.isinf(value):
        most = " and at most 1" if limit == 1.0 else ""
        raise UsageError(f"{title}: the value must be a number above 0{most}, not {value!r}")
    return Constant(float(value), str(given["source"]))


def _number(constant: Constant) -> float:
    return constant.value or 0.0
