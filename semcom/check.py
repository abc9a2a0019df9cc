"""The contract as code: laws that every system and channel keeps, each a small function.

A law takes what it is about and returns what it found wrong, or None. Its name and the first line of its docstring are
what `semcom check` prints. Systems are tried over AWGN, with small photographs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from channels import awgn
from channels._base import Channel, Received
from channels._rng import Rng, seed_for
from semcom.images import load
from semcom.link import Delivery, Link
from semcom.scenario import Variant
from semcom.system import Bound, Payload, Sample, System, uses_for

_TOLERANCE = 1e-5  # between batches, whose sums may be taken in another order
_Z = 4.0
_ROUNDING = 1e-3  # of the mean energy of analogue symbols
_MOST_VARIANCE = 0.4  # of |x|^2 over a constellation; 256QAM has 0.395


@dataclass(frozen=True)
class Verdict:
    """What came of a law.

    Args:
        name: of the law.
        says: the law, in a line.
        problem: how it was broken, "" if it was kept.
    """

    name: str
    says: str
    problem: str


def check(variant: Variant, only: str = "", size: int = 64, cbr: float = 1 / 8) -> Iterator[Verdict]:
    """Try the laws on a system or channel, one verdict at a time.

    Args:
        variant: from `scenario.variant`, with its arguments.
        only: name of the one law to try; all by default.
        size: side in pixels of the square pictures that a system sends.
        cbr: channel uses per real number that a system is granted.
    """
    build = partial(variant.entry.load(), **dict(variant.arguments))
    subject: Any
    laws: tuple[Callable[[Any], str | None], ...]
    if variant.kind == "channel":
        subject, laws = build(), CHANNEL_LAWS
    else:
        subject = Trial(build, size, cbr)
        laws = BOUND_LAWS if isinstance(subject.system, Bound) else SYSTEM_LAWS
    for law in laws:
        name = law.__name__.replace("_", " ")
        if only and name != only:
            continue
        says = (law.__doc__ or "").partition("\n")[0].rstrip(".")
        try:
            problem = law(subject) or ""
        except Exception as error:  # a law that cannot even be tried is broken; the next may still be kept
            problem = f"{type(error).__name__}: {error}"
        yield Verdict(name, says, problem)


# --- channels ------------------------------------------------------------------------------------------------------


def _air(
    channel: Channel, batch: int = 4, users: int = 2, uses: int = 96, padding: int = 0, snr_db: float | None = None
) -> tuple[Tensor, Received]:
    """QPSK symbols and what is received; medium b and user u have the same seed, symbols and SNR in every call."""
    names = [(medium, user) for medium in range(batch) for user in range(users)]
    rng = Rng([seed_for("check", *name) for name in names])
    angles = torch.floor(4 * Rng([seed_for("symbols", *name) for name in names]).uniform(uses))
    symbols = torch.polar(torch.ones_like(angles), torch.pi / 4 + torch.pi / 2 * angles)
    symbols = torch.nn.functional.pad(torch.view_as_real(symbols), (0, 0, 0, padding), value=9.0)
    sent = torch.view_as_complex(symbols).view(batch, users, uses + padding)
    if channel.medium.access == "common":  # one transmission, the first user's, to all
        sent = sent[:, :1].repeat(1, users, 1)
    levels = [[20.0 * medium / max(1, batch - 1) if snr_db is None else snr_db] * users for medium in range(batch)]
    return sent, channel.carry(sent, torch.full((batch, users), uses), torch.tensor(levels), rng)


def medium_adds_up(channel: Channel) -> str | None:
    """Users who spend what they are granted occupy no more of the medium than there is."""
    for medium_uses in (1, 7, 1000, 12345):
        for users in (1, 2, 5):
            granted = channel.medium.granted(medium_uses, users)
            occupied = int(channel.medium.occupied(torch.full((1, users), granted))[0])
            if not 0 <= occupied <= medium_uses:
                return f"{users} users of {granted} uses occupy {occupied} of {medium_uses}"
    return None


def channel_draws_ignore_the_batch(channel: Channel) -> str | None:
    """A medium hears the same alone and in a batch of weak and strong ones."""
    _, together = _air(channel, batch=4)
    _, alone = _air(channel, batch=1)
    return _differ(together.symbols[:1], alone.symbols) or _differ(together.noise_var[:1], alone.noise_var)


def padding_is_not_sent(channel: Channel) -> str | None:
    """What stands past a row's uses changes nothing, and comes back as zeros."""
    _, short = _air(channel)
    _, long = _air(channel, padding=40)
    length = short.symbols.shape[-1]
    if long.symbols[..., length:].any() or long.noise_var[..., length:].any():
        return "symbols or noise variances past the uses are not zero"
    return _differ(long.symbols[..., :length], short.symbols) or _differ(long.energy, short.energy)


def another_user_changes_nothing(channel: Channel) -> str | None:
    """On orthogonal shares, adding a user leaves the first alone."""
    if channel.medium.access != "orthogonal":
        return None
    _, one = _air(channel, users=1)
    _, three = _air(channel, users=3)
    return _differ(three.symbols[:, :1], one.symbols)


def same_seeds_same_air(channel: Channel) -> str | None:
    """The same seeds give the same symbols, bit for bit."""
    first, second = _air(channel)[1], _air(channel)[1]
    return None if torch.equal(first.symbols, second.symbols) else "two calls differ"


def channel_leaves_global_state_alone(channel: Channel) -> str | None:
    """The global generators of torch, numpy and random stay as they are."""
    return _touched(lambda: _air(channel))


def noise_is_what_it_says(channel: Channel) -> str | None:
    """The error's mean square is noise_var and the equaliser has no bias, |z| < 4 over independent rows."""
    sent, heard = _air(channel, batch=400, users=1, uses=128)
    error = (heard.symbols - sent)[:, 0]
    weight = 1 / heard.noise_var[:, 0]
    power = (weight * error.abs().square()).mean(1)
    share = (weight * (error * sent[:, 0].conj()).real).sum(1) / weight.sum(1).sqrt()
    return _off("mean |error|^2 / noise_var", power, 1.0) or _off("error in the direction of the symbol", share, 0.0)


def fading_has_unit_power(channel: Channel) -> str | None:
    """The mean of |gain|^2 is one, |z| < 4 over independent rows."""
    _, heard = _air(channel, batch=1000, users=1, uses=16)
    return _off("mean |gain|^2", heard.gains.abs().square().flatten(1).mean(1), 1.0)


def channel_is_differentiable(channel: Channel) -> str | None:
    """Gradients reach every sent symbol and no other."""
    sent, _ = _air(channel)
    batch, users, length = sent.shape
    symbols = sent.clone().requires_grad_()
    uses = torch.full((batch, users), length - 8)
    heard = channel.carry(symbols, uses, torch.full((batch, users), 10.0), Rng(range(batch * users)))
    heard.symbols.abs().square().sum().backward()
    gradient = symbols.grad
    if gradient is None or not gradient.isfinite().all():
        return "no gradient, or an infinite one"
    if channel.medium.access == "common":  # whichever user's copy was taken to be sent
        gradient = gradient.sum(1)
    if (gradient[..., : length - 8] == 0).any() or (gradient[..., length - 8 :] != 0).any():
        return "the gradient is zero at a sent symbol, or is not at one that was not sent"
    return None


CHANNEL_LAWS: tuple[Callable[[Channel], str | None], ...] = (
    medium_adds_up,
    channel_draws_ignore_the_batch,
    padding_is_not_sent,
    another_user_changes_nothing,
    same_seeds_same_air,
    channel_leaves_global_state_alone,
    noise_is_what_it_says,
    fading_has_unit_power,
    channel_is_differentiable,
)


# --- systems ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A system under test.

    Args:
        build: its `build`, but for cbr.
        size: side of its pictures in pixels.
        cbr: what it is granted.
    """

    build: Callable[..., System | Bound]
    size: int
    cbr: float

    @cached_property
    def system(self) -> System | Bound:
        """One instance; laws about what it remembers build others."""
        return self.build(cbr=self.cbr)

    @cached_property
    def pictures(self) -> Tensor:
        """Three photographs."""
        return torch.stack([picture.pixels for picture in load("photos", 3, self.size)])

    def send(self, images: Tensor, users: int = 1, snr_db: float = 12.0) -> Delivery:
        """Send pictures over AWGN; medium b and user u have the same seed in every call."""
        captions = tuple("a photograph" for _ in images)
        seeds = [seed_for("check", row // users, row % users) for row in range(len(images))]
        with torch.no_grad():
            sample = Sample(images, captions=captions)
            return Link(self.system, awgn.build()).deliver(sample, snr_db, seeds, users)


def system_draws_ignore_the_batch(trial: Trial) -> str | None:
    """A picture arrives the same alone and in a batch."""
    together, alone = trial.send(trial.pictures), trial.send(trial.pictures[:1])
    return _differ(together.uses[:1], alone.uses) or _differ(together.reception.images[:1], alone.reception.images)


def another_sender_changes_nothing(trial: Trial) -> str | None:
    """On orthogonal shares, adding a user leaves the first user's picture alone."""
    one, three = trial.send(trial.pictures[:1]), trial.send(trial.pictures, users=3)
    return _differ(three.reception.images[:1], one.reception.images)


def same_seeds_same_picture(trial: Trial) -> str | None:
    """The same seeds give the same picture, bit for bit."""
    first, second = trial.send(trial.pictures), trial.send(trial.pictures)
    return None if torch.equal(first.reception.images, second.reception.images) else "two calls differ"


def system_leaves_global_state_alone(trial: Trial) -> str | None:
    """Building and sending leave the global generators of torch, numpy and random as they are."""
    return _touched(lambda: Trial(trial.build, trial.size, trial.cbr).send(trial.pictures[:1]))


def it_spends_what_it_is_granted(trial: Trial) -> str | None:
    """No row is charged more uses than it was granted, at any SNR."""
    granted = uses_for(trial.cbr, (trial.size, trial.size))
    for snr_db in (-5.0, 5.0, 25.0):
        spent = int(trial.send(trial.pictures, snr_db=snr_db).uses.max())
        if spent > granted:
            return f"{spent} uses at {snr_db:g} dB, granted {granted}"
    return None


def it_sends_what_it_is_granted(trial: Trial) -> str | None:
    """No row sends more uses than it was granted, whether they are then charged or not, at any SNR."""
    granted = uses_for(trial.cbr, (trial.size, trial.size))
    for snr_db in (-5.0, 5.0, 25.0):
        sent = int(_sent(trial, trial.pictures, [snr_db] * len(trial.pictures)).uses.max())
        if sent > granted:
            return f"{sent} uses at {snr_db:g} dB, granted {granted}"
    return None


def any_shape_comes_back(trial: Trial) -> str | None:
    """Pictures of odd sides come back in their shape, with values in [0, 1]."""
    for height, width in ((37, 53), (53, 37)):
        images = trial.pictures.repeat(1, 1, 2, 2)[:1, :, :height, :width].contiguous()
        trial.send(images)  # Link refuses other shapes and values
    return None


def hopeless_air_is_survived(trial: Trial) -> str | None:
    """At -30 dB a picture still comes back, however bad."""
    trial.send(trial.pictures, snr_db=-30.0)
    return None


def power_is_as_the_rule_says(trial: Trial) -> str | None:
    """Symbols have unit mean energy, exactly if analogue and |z| < 4 if digital, and are zero past the uses."""
    for snr_db in (0.0, 20.0):
        trial.send(trial.pictures, snr_db=snr_db)  # Link checks the energy of each row
    turned = [torch.rot90(trial.pictures, quarters, (2, 3)) for quarters in range(4)]
    pictures = torch.cat([view for picture in turned for view in (picture, picture.flip(3))])
    payload = _sent(trial, pictures, [10.0 * (row % 3) for row in range(len(pictures))])
    past = torch.arange(payload.symbols.shape[1]) >= payload.uses[:, None]
    if payload.symbols[past].any():
        return "symbols past the uses are not zero"
    mean, deviation = mean_energy(payload)
    allowed = _Z * deviation + _ROUNDING
    return None if abs(mean - 1) <= allowed else f"mean energy per use is {mean:.4f}, not 1 +- {allowed:.4f}"


def mean_energy(payload: Payload) -> tuple[float, float]:
    """Mean energy per use over all rows, and the standard deviation of that mean.

    The energy of a constellation's points has a variance, from 0 (QPSK) to 0.4 (256QAM), and it is measured. The points
    need not be independent. Files begin and end alike in every row: so the points of a position are taken together, and
    with them positions that repeat each other, as rounds do. Or a row's points hang together, which shows between rows.
    The larger of both variances counts. Beside analogue symbols, digital ones are taken for 256QAM. Equal rows are one.
    """
    used = payload.uses > 0
    rows = torch.view_as_real(payload.symbols[used]).flatten(1).double()
    rows, place = torch.unique(rows, dim=0, return_inverse=True)
    if not len(rows):
        return 1.0, 0.0
    uses, digital = (
        torch.zeros(len(rows), dtype=torch.int64).scatter(0, place, counts[used])
        for counts in (payload.uses, payload.digital_uses)
    )
    total = int(uses.sum())
    energy = rows.square().unflatten(1, (-1, 2)).sum(2)
    mean = float(energy.sum()) / total
    excess = torch.where(torch.arange(energy.shape[1]) < uses[:, None], energy - mean, 0)
    variance = float(excess.sum(1).square().sum())
    if torch.equal(digital, uses):
        different, place = torch.unique(rows.unflatten(1, (-1, 2)), dim=1, return_inverse=True)
        of_positions = excess.new_zeros(different.shape[1]).index_add(0, place, excess.sum(0))
        variance = max(variance, float(of_positions.square().sum()))
    else:
        variance = max(variance, _MOST_VARIANCE * int(digital.sum()))
    return mean, variance**0.5 / total


def the_receiver_needs_only_the_air(trial: Trial) -> str | None:
    """A receiver built apart, which never met the transmitter, makes the same picture of what crossed the channel."""
    with torch.no_grad():
        payload = _system(trial).transmitter.encode(
            Sample(trial.pictures[:1], captions=("a photograph",)), torch.tensor([12.0]), Rng([1])
        )
        uses, snr_db = payload.uses[:, None], torch.tensor([[12.0]])
        received = awgn.build().carry(payload.symbols[:, None], uses, snr_db, Rng([2]))
        heard = (received if _system(trial).joint_users else received.fold()).heard()
        size = (trial.size, trial.size)
        pictures = [
            system.receiver.decode(heard, size, Rng([3])).images
            for system in (_system(trial), _system(Trial(trial.build, trial.size, trial.cbr)))
        ]
    return _differ(pictures[0], pictures[1])


def _sent(trial: Trial, images: Tensor, snr_db: list[float]) -> Payload:
    """What the transmitter makes of pictures, each for its own SNR."""
    sample = Sample(images, captions=("a photograph",) * len(images))
    with torch.no_grad():
        return _system(trial).transmitter.encode(sample, torch.tensor(snr_db), Rng(range(1, len(images) + 1)))


def _system(trial: Trial) -> System:
    assert isinstance(trial.system, System)
    return trial.system


BOUND_LAWS: tuple[Callable[[Trial], str | None], ...] = (
    system_draws_ignore_the_batch,
    another_sender_changes_nothing,
    same_seeds_same_picture,
    system_leaves_global_state_alone,
    it_spends_what_it_is_granted,
    any_shape_comes_back,
    hopeless_air_is_survived,
)
SYSTEM_LAWS: tuple[Callable[[Trial], str | None], ...] = (
    *BOUND_LAWS,
    it_sends_what_it_is_granted,
    power_is_as_the_rule_says,
    the_receiver_needs_only_the_air,
)


# --- what laws are made of -------------------------------------------------------------------------------------------


def _differ(first: Tensor, second: Tensor) -> str | None:
    """Relative to the larger entry, where that is above one."""
    scale = torch.maximum(first.abs(), second.abs()).clamp(min=1)
    largest = float(((first - second).abs() / scale).max())
    return None if largest <= _TOLERANCE else f"they differ by up to {largest:.3g}"


def _off(what: str, rows: Tensor, expected: float) -> str | None:
    """A z-test of the mean, with the deviation between independent rows."""
    deviation = float(rows.std()) / len(rows) ** 0.5
    mean = float(rows.mean())
    allowed = _Z * deviation + 1e-5
    return None if abs(mean - expected) <= allowed else f"{what} is {mean:.4f}, not {expected} +- {allowed:.4f}"


def _touched(action: Callable[[], object]) -> str | None:
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    action()
    after = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    names = ("torch", "numpy", "random")
    same = (torch.equal(before[0], after[0]), before[1] == after[1], before[2] == after[2])
    changed = [name for name, kept in zip(names, same, strict=True) if not kept]
    return f"the global state of {', '.join(changed)} changed" if changed else None
