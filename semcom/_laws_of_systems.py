"""The laws that every system keeps, tried with small photographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from channels import awgn
from channels._base import Channel
from channels._rng import Rng, seed_for
from semcom._laws import NotApplicableError, Z, differ, touched
from semcom.images import load
from semcom.link import Delivery, Link
from semcom.system import Bound, Payload, Sample, System, uses_for

_ROUNDING = 1e-3  # of the mean energy of analogue symbols
_MOST_VARIANCE = 0.4  # of |x|^2 over a constellation; 256QAM has 0.395


@dataclass(frozen=True)
class Trial:
    """A system under test.

    Args:
        build: its `build`, but for cbr.
        size: side of its pictures in pixels.
        cbr: what it is granted.
        air: the channel that it is tried over.
    """

    build: Callable[..., System | Bound]
    size: int
    cbr: float
    air: Channel = field(default_factory=awgn.build)

    @cached_property
    def system(self) -> System | Bound:
        """One instance; laws about what it remembers build others."""
        return self.build(cbr=self.cbr)

    @cached_property
    def pictures(self) -> Tensor:
        """Three photographs."""
        return torch.stack([picture.pixels for picture in load("photos", 3, self.size)])

    def send(self, images: Tensor, users: int = 1, snr_db: float = 12.0) -> Delivery:
        """Send pictures over the air; medium b and user u have the same seed in every call."""
        captions = tuple("a photograph" for _ in images)
        seeds = [seed_for("check", row // users, row % users) for row in range(len(images))]
        with torch.no_grad():
            sample = Sample(images, captions=captions)
            return Link(self.system, self.air).deliver(sample, snr_db, seeds, users)


def system_draws_ignore_the_batch(trial: Trial) -> str | None:
    """A picture arrives the same alone and in a batch."""
    users = 1 if trial.air.medium.access == "orthogonal" else 2  # those who share a medium are a batch of one
    pictures = trial.pictures.repeat_interleave(users, 0)
    together, alone = trial.send(pictures, users), trial.send(pictures[:users], users)
    uses, images = together.uses[:users], together.reception.images[:users]
    return differ(uses, alone.uses) or differ(images, alone.reception.images)


def another_sender_changes_nothing(trial: Trial) -> str | None:
    """On orthogonal shares, adding a user leaves the first user's picture alone."""
    one, three = trial.send(trial.pictures[:1]), trial.send(trial.pictures, users=3)
    return differ(three.reception.images[:1], one.reception.images)


def same_seeds_same_picture(trial: Trial) -> str | None:
    """The same seeds give the same picture, bit for bit."""
    first, second = trial.send(trial.pictures), trial.send(trial.pictures)
    return None if torch.equal(first.reception.images, second.reception.images) else "two calls differ"


def system_leaves_global_state_alone(trial: Trial) -> str | None:
    """Building and sending leave the global generators of torch, numpy and random as they are."""
    return touched(lambda: replace(trial).send(trial.pictures[:1]))


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
    allowed = Z * deviation + _ROUNDING
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
        received = trial.air.carry(payload.symbols[:, None], uses, snr_db, Rng([2]))
        heard = (received if _system(trial).joint_users else received.fold()).heard()
        size = (trial.size, trial.size)
        pictures = [
            system.receiver.decode(heard, size, Rng([3])).images for system in (_system(trial), _system(replace(trial)))
        ]
    return differ(pictures[0], pictures[1])


def _sent(trial: Trial, images: Tensor, snr_db: list[float]) -> Payload:
    """What the transmitter makes of pictures, each for its own SNR."""
    sample = Sample(images, captions=("a photograph",) * len(images))
    with torch.no_grad():
        return _system(trial).transmitter.encode(sample, torch.tensor(snr_db), Rng(range(1, len(images) + 1)))


def _system(trial: Trial) -> System:
    if not isinstance(trial.system, System):
        raise NotApplicableError("a bound sends nothing")
    return trial.system


SYSTEM_LAWS: tuple[Callable[[Trial], str | None], ...] = (
    system_draws_ignore_the_batch,
    another_sender_changes_nothing,
    same_seeds_same_picture,
    system_leaves_global_state_alone,
    it_spends_what_it_is_granted,
    any_shape_comes_back,
    hopeless_air_is_survived,
    it_sends_what_it_is_granted,
    power_is_as_the_rule_says,
    the_receiver_needs_only_the_air,
)
ANY_AIR_LAWS: tuple[Callable[[Trial], str | None], ...] = (
    system_draws_ignore_the_batch,
    same_seeds_same_picture,
    the_receiver_needs_only_the_air,
)  # cheap, and about what fading may change: they are tried over other channels too
