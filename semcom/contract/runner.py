"""Test of the properties of a system or channel, as `semcom check` runs it.

A property is a function of its subject (a channel or a `Trial` of a system) that returns a problem text or None; it
raises `NotApplicableError` if it is not defined for the subject. `semcom check` prints its name and the first line of
its docstring. Systems are tested over AWGN; some properties are tested over Rayleigh fading too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from channels import rayleigh
from channels.arguments import within
from channels.errors import UsageError
from semcom.contract.channel_properties import CHANNEL_PROPERTIES
from semcom.contract.common import NotApplicableError
from semcom.contract.device_properties import OnDevice, channel_agrees_with_the_cpu, system_agrees_with_the_cpu
from semcom.contract.system_properties import ANY_CHANNEL_PROPERTIES, SYSTEM_PROPERTIES, Trial
from semcom.discover import user_modules
from semcom.edge import build_variant
from semcom.scenario.model import Variant


@dataclass(frozen=True)
class CheckResult:
    """Result of testing one property.

    Args:
        name: name of the property.
        statement: the property in one line, or the reason why it does not apply.
        problem: description of the violation, "" if the property holds.
        applies: whether the property is defined for the subject.
    """

    name: str
    statement: str
    problem: str
    applies: bool = True


def check(
    variant: Variant, only: str = "", size: int = 64, cbr: float = 1 / 8, device: str = "cpu"
) -> Iterator[CheckResult]:
    """Test the properties of a system or channel, one result at a time.

    Args:
        variant: system or channel with its arguments, from `semcom.scenario.load.variant`.
        only: name of the one property to test; "" tests all.
        size: side in pixels of the square images that a system transmits.
        cbr: channel bandwidth ratio of a system, its channel-use budget per real number of an image.
        device: kind of the device on which everything runs, from `semcom.devices.resolve`; on another one than the CPU
            its results are also compared with those of the CPU.

    Raises:
        UsageError: `build` has no argument `cbr` and returns no channel, or it refuses its arguments; the size is out
            of range.
    """
    within("size", size, 16, 1024)
    for name, prop, subject in _trials(variant, size, cbr, device):
        if not only or name == only:
            yield _result(name, prop.__doc__ or "", partial(prop, subject))


def _trials(
    variant: Variant, size: int, cbr: float, device: str
) -> Iterator[tuple[str, Callable[..., str | None], object]]:
    """Name and function of each property, and the subject that it is tested on."""
    build = partial(build_variant, variant)
    if variant.kind == "channel":
        channel = build()
        subject = channel if device == "cpu" else OnDevice(channel, device)
        more = () if device == "cpu" else (channel_agrees_with_the_cpu,)
        yield from ((prop.__name__, prop, subject) for prop in (*CHANNEL_PROPERTIES, *more))
        return
    _check_arguments(partial(build, cbr=cbr))
    over_awgn = Trial(build, size, cbr, device=device)
    more_of_systems = () if device == "cpu" else (system_agrees_with_the_cpu,)
    yield from ((prop.__name__, prop, over_awgn) for prop in (*SYSTEM_PROPERTIES, *more_of_systems))
    over_rayleigh = replace(over_awgn, channel=rayleigh.build())
    yield from ((f"{prop.__name__} (Rayleigh)", prop, over_rayleigh) for prop in ANY_CHANNEL_PROPERTIES)


def _check_arguments(build: Callable[[], object]) -> None:
    """Raise the UsageError of a `build` with wrong arguments; other errors are results of the properties."""
    try:
        build()
    except UsageError:
        raise
    except (Exception, SystemExit):
        pass


def _result(name: str, text: str, prop: Callable[[], str | None]) -> CheckResult:
    statement = text.partition("\n")[0].rstrip(".")
    try:
        return CheckResult(name, statement, prop() or "")
    except NotApplicableError as reason:
        return CheckResult(name, str(reason), "", applies=False)
    except (Exception, SystemExit) as error:  # a property that cannot be tested does not hold; the next one may
        return CheckResult(name, statement, user_modules.describe(error))
