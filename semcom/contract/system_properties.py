"""Properties that every system must have, tested with small photographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from channels import awgn
from channels.base import Channel
from channels.rng import Rng, seed_for
from semcom.budget.cost import Cost, measure_cost
from semcom.contract.common import MAX_Z, NotApplicableError, changed_generators, difference
from semcom.devices import moved
from semcom.images.sources import load
from semcom.link import Delivery, Link
from semcom.system import Bound, Payload, Sample, System, uses_for

_ROUNDING = 1e-3  # rounding error of the mean energy of analog symbols
_PER_IMAGE = 0.05  # share of the operations that an image has whatever its size
_MAX_VARIANCE = 0.4  # largest variance of |x|^2 over a constellation; 256QAM has 0.395


@dataclass(frozen=True)
class Trial:
    """A system under test.

    Args:
        build: function that builds the system from `cbr`.
        size: side of the square images in pixels.
        cbr: channel bandwidth ratio, the channel-use budget per real number of an image.
        channel: channel of the link.
        device: kind of the device on which everything runs; results are moved to the CPU.
    """

    build: Callable[..., System | Bound]
    size: int
    cbr: float
    channel: Channel = field(default_factory=awgn.build)
    device: str = "cpu"

    @cached_property
    def system(self) -> System | Bound:
        """One instance; properties about state build further instances."""
        return self.build(cbr=self.cbr)

    @cached_property
    def images(self) -> Tensor:
        """Three photographs, float32 [3, 3, size, size]."""
        return torch.stack([image.pixels for image in load("photos", 3, self.size)])

    @cached_property
    def cost(self) -> Cost:
        """Cost of the first image."""
        return self.cost_of(self.images[:1])

    def cost_of(self, images: Tensor) -> Cost:
        """Cost of images, without processor time; the system transmits them once before."""
        sample = moved(Sample(images, captions=("a photograph",) * len(images)), self.device)
        return measure_cost(self.system, self.channel, sample, 12.0, repetitions=0)

    def send(self, images: Tensor, users: int = 1, snr_db: float = 12.0) -> Delivery:
        """Transmit images; medium b and user u have the same seed in every call."""
        captions = tuple("a photograph" for _ in images)
        seeds = [seed_for("check", row // users, row % users) for row in range(len(images))]
        with torch.no_grad():
            sample = moved(Sample(images, captions=captions), self.device)
            return moved(Link(self.system, self.channel).deliver(sample, snr_db, seeds, users), "cpu")


def draws_do_not_depend_on_the_batch(trial: Trial) -> str | None:
    """The received image is the same alone and in a batch."""
    users = 1 if trial.channel.medium.access == "orthogonal" else 2  # users of a shared medium are transmitted together
    sent = trial.images.repeat_interleave(users, 0)
    together, alone = trial.send(sent, users), trial.send(sent[:users], users)
    uses, images = together.uses[:users], together.reception.images[:users]
    return difference(uses, alone.uses) or difference(images, alone.reception.images)


def users_do_not_affect_each_other(trial: Trial) -> str | None:
    """With orthogonal access, adding users does not change the received image of the first user."""
    one, three = trial.send(trial.images[:1]), trial.send(trial.images, users=3)
    return difference(three.reception.images[:1], one.reception.images)


def equal_seeds_give_equal_images(trial: Trial) -> str | None:
    """Equal seeds give equal images, bit for bit."""
    first, second = trial.send(trial.images), trial.send(trial.images)
    return None if torch.equal(first.reception.images, second.reception.images) else "two calls differ"


def global_random_state_is_unchanged(trial: Trial) -> str | None:
    """Building and transmitting do not use the global random generators of torch, numpy and random."""
    return changed_generators(lambda: replace(trial).send(trial.images[:1]))


def counted_uses_stay_within_the_budget(trial: Trial) -> str | None:
    """The counted channel uses of a row stay within its budget at any SNR."""
    budget = uses_for(trial.cbr, (trial.size, trial.size))
    for snr_db in (-5.0, 5.0, 25.0):
        counted = int(trial.send(trial.images, snr_db=snr_db).uses.max())
        if counted > budget:
            return f"{counted} counted uses at {snr_db:g} dB, budget {budget}"
    return None


def transmitted_uses_stay_within_the_budget(trial: Trial) -> str | None:
    """The transmitted channel uses of a row, counted or not, stay within its budget at any SNR."""
    budget = uses_for(trial.cbr, (trial.size, trial.size))
    for snr_db in (-5.0, 5.0, 25.0):
        sent = int(_payload(trial, trial.images, [snr_db] * len(trial.images)).uses.max())
        if sent > budget:
            return f"{sent} transmitted uses at {snr_db:g} dB, budget {budget}"
    return None


def every_image_shape_is_supported(trial: Trial) -> str | None:
    """Images with odd sides are received in their own shape, with values in [0, 1]."""
    system = trial.system
    if isinstance(system, System) and (size := system.transmitter.only_size) is not None:
        raise NotApplicableError(f"the model is for images of {size[1]} x {size[0]} pixels only")
    for height, width in ((37, 53), (53, 37)):
        images = trial.images.repeat(1, 1, 2, 2)[:1, :, :height, :width].contiguous()
        trial.send(images)  # Link refuses other shapes and values
    return None


def very_low_snr_is_handled(trial: Trial) -> str | None:
    """At an SNR of -30 dB the receiver still returns an image."""
    trial.send(trial.images, snr_db=-30.0)
    return None


def symbols_have_unit_mean_energy(trial: Trial) -> str | None:
    """Symbols have mean energy 1 (digital: within 4 standard errors) and are zero past the uses."""
    for snr_db in (0.0, 20.0):
        trial.send(trial.images, snr_db=snr_db)  # Link checks the energy of each row
    rotated = [torch.rot90(trial.images, quarters, (2, 3)) for quarters in range(4)]
    images = torch.cat([view for image in rotated for view in (image, image.flip(3))])
    payload = _payload(trial, images, [10.0 * (row % 3) for row in range(len(images))])
    past = torch.arange(payload.symbols.shape[1]) >= payload.uses[:, None]
    if payload.symbols[past].any():
        return "symbols past the uses are not zero"
    mean, deviation = mean_energy(payload)
    allowed = MAX_Z * deviation + _ROUNDING
    return None if abs(mean - 1) <= allowed else f"mean energy per use is {mean:.4f}, not 1 +- {allowed:.4f}"


def mean_energy(payload: Payload) -> tuple[float, float]:
    """Mean energy per use over all rows, and the standard deviation of that mean.

    The variance of |x|^2 is measured; it is 0 for QPSK and 0.4 for 256QAM. The points are not independent in general:

    * Files begin and end alike in every row, and redundancy versions repeat positions. The first estimate therefore
      sums equal positions over the rows before it squares.
    * Points of one row may be correlated. The second estimate sums each row before it squares.

    The larger estimate is used. In a row that also has analog symbols, the digital ones have the variance of 256QAM.
    Equal rows are used once.
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
        per_position = excess.new_zeros(different.shape[1]).index_add(0, place, excess.sum(0))
        variance = max(variance, float(per_position.square().sum()))
    else:
        variance = max(variance, _MAX_VARIANCE * int(digital.sum()))
    return mean, variance**0.5 / total


def receiver_needs_only_received_symbols(trial: Trial) -> str | None:
    """A receiver that is built separately decodes the same image from the received symbols."""
    with torch.no_grad():
        payload = moved(_payload(trial, trial.images[:1], [12.0]), trial.device)
        uses, snr_db = payload.uses[:, None], torch.tensor([[12.0]], device=payload.uses.device)
        received = trial.channel.carry(payload.symbols[:, None], uses, snr_db, Rng([2]))
        received = (received if _system(trial).joint_users else received.fold()).for_receiver()
        size, device = (trial.size, trial.size), received.symbols.device
        images = [
            system.to(device).receiver.decode(received, size, Rng([3])).images.cpu()
            for system in (_system(trial), _system(replace(trial)))
        ]
    return difference(images[0], images[1])


def cost_is_proportional_to_the_images(trial: Trial) -> str | None:
    """Networks have operations, and two images have twice those of one."""
    system = _system(trial)
    trial.send(trial.images[:1])  # what is computed once is no part of the cost
    one, two = trial.cost, trial.cost_of(trial.images[:2])
    for name, first, both in (
        ("transmitter", one.transmitter, two.transmitter),
        ("receiver", one.receiver, two.receiver),
    ):
        if first.parameters and not first.flops:
            return f"the {name} of {system.name} has parameters and no counted operation"
        if abs(both.flops - 2 * first.flops) > _ROUNDING * first.flops:
            return f"the {name} has {first.flops} operations for one image and {both.flops} for two"
    return None


def cost_grows_with_the_area(trial: Trial) -> str | None:
    """Four times the area has four times the operations, unless the networks have a fixed size."""
    if _system(trial).transmitter.only_size is not None:
        return None
    trial.send(trial.images[:1])
    one, four = trial.cost, trial.cost_of(trial.images[:1].repeat(1, 1, 2, 2))
    for name, first, last in (
        ("transmitter", one.transmitter, four.transmitter),
        ("receiver", one.receiver, four.receiver),
    ):
        if first.parameters and last.flops != first.flops and last.flops < (4 - _PER_IMAGE) * first.flops:
            return f"the {name} has {first.flops} operations for one image and {last.flops} for four times its area"
    return None


def _payload(trial: Trial, images: Tensor, snr_db: list[float]) -> Payload:
    """Payload of images, each encoded for its own SNR."""
    sample = moved(Sample(images, captions=("a photograph",) * len(images)), trial.device)
    device = sample.images.device
    with torch.no_grad():
        transmitter, rng = _system(trial).to(device).transmitter, Rng(range(1, len(images) + 1))
        return moved(transmitter.encode(sample, torch.tensor(snr_db, device=device), rng), "cpu")


def _system(trial: Trial) -> System:
    if not isinstance(trial.system, System):
        raise NotApplicableError("a bound transmits nothing")
    return trial.system


SYSTEM_PROPERTIES: tuple[Callable[[Trial], str | None], ...] = (
    draws_do_not_depend_on_the_batch,
    users_do_not_affect_each_other,
    equal_seeds_give_equal_images,
    global_random_state_is_unchanged,
    counted_uses_stay_within_the_budget,
    every_image_shape_is_supported,
    very_low_snr_is_handled,
    transmitted_uses_stay_within_the_budget,
    symbols_have_unit_mean_energy,
    receiver_needs_only_received_symbols,
    cost_is_proportional_to_the_images,
    cost_grows_with_the_area,
)
ANY_CHANNEL_PROPERTIES: tuple[Callable[[Trial], str | None], ...] = (
    draws_do_not_depend_on_the_batch,
    equal_seeds_give_equal_images,
    receiver_needs_only_received_symbols,
)  # tested over a fading channel too
