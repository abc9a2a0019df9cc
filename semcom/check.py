"""The contract as code: laws that every system and channel keeps, each a small function.

A law takes what it is about and returns what it found wrong, or None; where it says nothing about its subject it
raises `NotApplicableError`. Its name and the first line of its docstring are what `semcom check` prints. Systems are
tried over AWGN, and by some laws over a Rayleigh channel too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from channels import rayleigh
from channels._base import Channel
from channels._errors import UsageError
from semcom._laws import NotApplicableError
from semcom._laws_of_channels import CHANNEL_LAWS
from semcom._laws_of_systems import ANY_AIR_LAWS, SYSTEM_LAWS, Trial, any_shape_comes_back
from semcom.scenario import Variant

__all__ = ["ANY_AIR_LAWS", "CHANNEL_LAWS", "SYSTEM_LAWS", "Trial", "Verdict", "any_shape_comes_back", "check"]


@dataclass(frozen=True)
class Verdict:
    """What came of a law.

    Args:
        name: of the law.
        says: the law, in a line; why it does not apply, where it does not.
        problem: how it was broken, "" if it was kept.
        applies: whether the law says anything about the subject.
    """

    name: str
    says: str
    problem: str
    applies: bool = True


def check(variant: Variant, only: str = "", size: int = 64, cbr: float = 1 / 8) -> Iterator[Verdict]:
    """Try the laws on a system or channel, one verdict at a time.

    Args:
        variant: from `scenario.variant`, with its arguments.
        only: name of the one law to try; all by default.
        size: side in pixels of the square pictures that a system sends.
        cbr: channel uses per real number that a system is granted.

    Raises:
        UsageError: a `build` that takes no cbr and makes no channel; arguments that it refuses.
    """
    for name, law, subject in _trials(variant, size, cbr):
        if not only or name == only:
            yield _verdict(name, law.__doc__ or "", partial(law, subject))


def _trials(variant: Variant, size: int, cbr: float) -> Iterator[tuple[str, Callable[..., str | None], object]]:
    """The name of each law, the law, and what it is tried on."""
    build = partial(variant.entry.load(), **dict(variant.arguments))
    if variant.kind == "channel":
        channel = build()
        if not isinstance(channel, Channel):
            raise UsageError(
                f"build of {variant.name} returns {type(channel).__name__}, not a Channel; that of a system takes cbr"
            )
        yield from ((_name(law), law, channel) for law in CHANNEL_LAWS)
        return
    _refused(partial(build, cbr=cbr))
    over_noise = Trial(build, size, cbr)
    yield from ((_name(law), law, over_noise) for law in SYSTEM_LAWS)
    over_fading = replace(over_noise, air=rayleigh.build())
    yield from ((f"{_name(law)} over rayleigh", law, over_fading) for law in ANY_AIR_LAWS)


def _refused(build: Callable[[], object]) -> None:
    """Wrong arguments are no broken law: raise what `build` says of them, and leave all else to the laws."""
    try:
        build()
    except UsageError:
        raise
    except Exception:
        pass


def _name(law: Callable[..., object]) -> str:
    return law.__name__.replace("_", " ")


def _verdict(name: str, text: str, law: Callable[[], str | None]) -> Verdict:
    says = text.partition("\n")[0].rstrip(".")
    try:
        return Verdict(name, says, law() or "")
    except NotApplicableError as reason:
        return Verdict(name, str(reason), "", applies=False)
    except Exception as error:  # a law that cannot even be tried is broken; the next may still be kept
        return Verdict(name, says, f"{type(error).__name__}: {error}")
