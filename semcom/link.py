"""The transmission chain: sample, transmitter, channel, receiver, and the count of channel uses."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Complex, Float, Int, Shaped
from torch import Tensor

from channels.base import Channel, Received, sent_mask
from channels.errors import ContractError, UsageError
from channels.rng import Rng
from channels.superposed_user import superposed_user
from semcom.devices import exact_products, moved
from semcom.limits import MAX_SNR_DB
from semcom.system import Bound, Payload, Reception, Sample, System, Transmitter, uses_for

# Analog rows are normalized exactly; the standard deviation of |x|^2 over a constellation is at most 0.63 (256QAM).
_ANALOG_TOLERANCE = 1e-3
_DIGITAL_DEVIATION = 0.63


@dataclass(frozen=True)
class Delivery:
    """Result of one transmission of each row, the input of all metrics; rows = batch * users.

    Args:
        sample: transmitted images and data, one row per user.
        reception: output of the receiver.
        truth: values from the transmitter for the metrics, see `Payload`.
        uses: int64 [rows], counted channel uses, headers included.
        medium_uses: int64 [rows], uses of the medium by all users together, overhead included.
        energy: float32 [rows], energy of the counted uses, pilots included, in units of one symbol's mean energy; None
            for a bound, which transmits nothing. Repetitions that were not needed count neither uses nor energy.
        snr_db: float32 [rows], configured SNR, dB.
        snr_realized_db: float32 [rows], symbol energy over error energy, dB, each weighted by 1 / noise variance;
            None for a bound.
        papr_db: float32 [rows], peak-to-average power ratio before the amplifier, dB, over all uses that were sent;
            None for channels without a clipping amplifier.
        transmitter_snr_db: float32 [rows], SNR that the transmitter knows or assumes, dB, see `Channel.csit` and
            `Link.deliver`; None for a bound.
        parts: channel uses of each part of a transmission, as in `Payload`.
        signals: sent and received symbols, if `Link.deliver` was asked to record them.
        seconds: run time of the transmitter, the channel and the receiver for all rows together, in seconds, under the
            keys "encode", "carry" and "decode"; empty for a bound. Cached results take no time.
    """

    sample: Sample
    reception: Reception
    truth: Mapping[str, Any]
    uses: Int[Tensor, " rows"]
    medium_uses: Int[Tensor, " rows"]
    energy: Float[Tensor, " rows"] | None
    snr_db: Float[Tensor, " rows"]
    snr_realized_db: Float[Tensor, " rows"] | None
    papr_db: Float[Tensor, " rows"] | None = None
    transmitter_snr_db: Float[Tensor, " rows"] | None = None
    parts: Mapping[str, Shaped[Tensor, " rows"]] = field(default_factory=dict)
    signals: Signals | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Signals:
    """What crossed the channel; rows = batch * users.

    Args:
        sent: complex64 [rows, uses], transmitted symbols; zero after the last channel use of a row.
        received: received symbols, noise variances and gains of each row.
        seeds: seed of each row.
    """

    sent: Complex[Tensor, "rows uses"]
    received: Received
    seeds: tuple[int, ...]

    @property
    def channel_rng(self) -> Rng:
        """Random streams of the channel, at their start: they give its fading realization again."""
        return Rng(self.seeds).derive("carry")


class Link:
    """A system and a channel; `deliver` transmits each row of a sample and returns the result.

    Everything runs on the device of the images: the networks of the system are moved there, and so are all results.

    Args:
        system: a `System`, or a `Bound`, an upper bound that transmits nothing.
        channel: channel between transmitter and receiver.

    >>> from channels import awgn
    >>> from semcom.systems import analog
    >>> link = Link(analog.build(cbr=1 / 6), awgn.build())
    >>> delivery = link.deliver(Sample(torch.rand(2, 3, 32, 32)), snr_db=10.0, seeds=[1, 2])
    >>> delivery.reception.images.shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(self, system: System | Bound, channel: Channel) -> None:
        self.system = system
        self.channel = channel
        self.transmitter = None if isinstance(system, Bound) else system.transmitter.for_channel(channel)

    def deliver(
        self,
        sample: Sample,
        snr_db: float | int | Float[Tensor, " rows"],
        seeds: Sequence[int],
        users: int = 1,
        designed_snr_db: float | int | Float[Tensor, " rows"] | None = None,
        record_signals: bool = False,
    ) -> Delivery:
        """Transmit every row once.

        Args:
            sample: batch * users images; the users that share a channel have consecutive rows.
            snr_db: Es/N0 per channel use in dB, one value for all rows or one per row.
            seeds: seed of each row, from `seed_for`.
            users: number of users that share a channel.
            designed_snr_db: average SNR that the transmitter assumes, dB: rate, power allocation and conditioning of
                its networks are those for this SNR, while the channel has `snr_db`. None: the SNR of the channel. A
                bound, which transmits nothing, ignores it.
            record_signals: whether the result has the sent and received symbols.

        Raises:
            UsageError: the number of rows is not a multiple of `users`, an SNR is out of range, or a system without
                `cbr` is used over a channel whose `csit` (SNR known to the transmitter) is not average.
            ContractError: the transmitter violates the power constraint, the receiver returns no valid images or counts
                other channel uses than were sent, or one of them or the channel returns a value of another type.
        """
        rows = len(sample.images)
        if rows != len(seeds) or users < 1 or rows % users:
            raise UsageError(
                f"{rows} images with {len(seeds)} seeds for {users} users: give one seed per image, and a number of "
                "images that is a multiple of the number of users"
            )
        device = sample.images.device
        snr = _per_row(snr_db, rows, device)
        designed = snr if designed_snr_db is None else _per_row(designed_snr_db, rows, device)
        with exact_products(device):
            return self._deliver(moved(sample, device), snr, designed, Rng(seeds), users, record_signals)

    def _deliver(
        self, sample: Sample, snr: Tensor, designed: Tensor, rng: Rng, users: int, record_signals: bool
    ) -> Delivery:
        device = sample.images.device
        if isinstance(self.system, Bound):
            return self._best_reception(self.system, sample, snr, rng, users)

        self.system.to(device)
        known_snr = self._transmitter_snr_db(self.system, sample.size, designed, rng.derive("carry"), users)
        times = [time.perf_counter()]
        payload = moved(self._encode(sample, known_snr, rng.derive("encode"), users), device)
        times.append(time.perf_counter())
        _check_power(payload, self.system.name)
        channel = self.channel
        if payload.bits_per_symbol is not None:
            channel = channel.with_constellation(payload.bits_per_symbol.unflatten(0, (-1, users)))
        received = channel.carry(
            payload.symbols.unflatten(0, (-1, users)),
            payload.uses.view(-1, users),
            snr.view(-1, users),
            rng.derive("carry"),
        )
        _check_type(received, Received, "the channel")
        times.append(time.perf_counter())
        folded = received.fold()
        _check_received(folded, payload)
        receiver_input = (received if self.system.joint_users else folded).for_receiver()
        reception = self.system.receiver.decode(receiver_input, sample.size, rng.derive("decode"))
        _check_type(reception, Reception, f"the receiver of {self.system.name}")
        reception = moved(reception, device)
        times.append(time.perf_counter())
        _check_images(reception, sample, self.system.name)
        _check_counted_uses(reception, payload, self.system)
        return Delivery(
            sample=sample,
            reception=reception,
            truth=payload.truth,
            uses=reception.counted_uses,
            medium_uses=self._medium_uses(reception.counted_uses, users),
            energy=folded.energy * _counted_share(payload, reception.counted_uses),
            snr_db=snr,
            snr_realized_db=_realized_snr_db(payload.symbols, folded),
            papr_db=folded.papr_db,
            transmitter_snr_db=known_snr,
            parts=payload.parts,
            signals=Signals(payload.symbols, folded, rng.seeds) if record_signals else None,
            seconds={
                stage: end - start
                for stage, start, end in zip(("encode", "carry", "decode"), times, times[1:], strict=False)
            },
        )

    def _transmitter_snr_db(
        self, system: System, size: tuple[int, int], snr: Tensor, rng: Rng, users: int
    ) -> Float[Tensor, " rows"]:
        """SNR that the transmitter knows of each row with this average SNR, over the channel uses of its budget."""
        if self.channel.csit.is_average:
            return snr
        if system.cbr is None:
            raise UsageError(f"{system.name} does not state its channel-use budget: pass cbr=cbr to System(...)")
        uses = torch.full((len(snr) // users, users), uses_for(system.cbr, size), device=snr.device)
        return self.channel.transmitter_snr_db(uses, snr.view(-1, users), rng).flatten()

    def _encode(self, sample: Sample, snr: Tensor, rng: Rng, users: int) -> Payload:
        """Encode each row; a common transmission is encoded once, for the worst SNR of its users, and repeated."""
        assert self.transmitter is not None
        if self.channel.medium.access == "superposed" and users > 1:
            transmitter = self.transmitter.for_channel(superposed_user(self.channel, users))
            return _encoded(transmitter, sample, snr, rng, self.system.name)
        if self.channel.medium.access != "common" or users == 1:
            return _encoded(self.transmitter, sample, snr, rng, self.system.name)
        worst = snr.view(-1, users).amin(1)
        first = _every_nth_row(sample, users)
        payload = _encoded(self.transmitter, first, worst, rng[::users], self.system.name)
        return replace(
            payload,
            symbols=payload.symbols.repeat_interleave(users, 0),
            uses=payload.uses.repeat_interleave(users),
            digital_uses=payload.digital_uses.repeat_interleave(users),
            truth={name: _for_every_user(value, users) for name, value in payload.truth.items()},
            parts={name: uses.repeat_interleave(users) for name, uses in payload.parts.items()},
            bits_per_symbol=None,  # the users of a common transmission have one antenna each: nothing is separated
        )

    def _medium_uses(self, uses: Tensor, users: int) -> Tensor:
        return self.channel.medium.occupied(uses.view(-1, users)).repeat_interleave(users)

    def _best_reception(self, bound: Bound, sample: Sample, snr: Tensor, rng: Rng, users: int) -> Delivery:
        best = bound.best_reception(sample, snr.view(-1, users), self.channel, rng)
        uses, reception = moved(best, sample.images.device)
        _check_images(reception, sample, bound.name)
        return Delivery(
            sample=sample,
            reception=reception,
            truth={},
            uses=uses,
            medium_uses=self._medium_uses(uses, users),
            energy=None,
            snr_db=snr,
            snr_realized_db=None,
        )


def _per_row(snr_db: float | int | Tensor, rows: int, device: torch.device) -> Float[Tensor, " rows"]:
    """One SNR for each row."""
    snr = torch.as_tensor(snr_db, dtype=torch.float32, device=device).expand(rows)
    if not bool((snr.abs() <= MAX_SNR_DB).all()):
        raise UsageError(f"SNR out of range: give -{MAX_SNR_DB} to {MAX_SNR_DB} dB")
    return snr


def _every_nth_row(sample: Sample, step: int) -> Sample:
    """Rows 0, step, 2 step, ... of a sample."""
    return Sample(
        images=sample.images[::step],
        message=None if sample.message is None else sample.message[::step],
        captions=None if sample.captions is None else sample.captions[::step],
        labels=None if sample.labels is None else sample.labels[::step],
        categories=None if sample.categories is None else sample.categories[::step],
        names=sample.names[::step],
    )


def _for_every_user(value: object, users: int) -> object:
    """Repeat a value of `Payload.truth` for each user of a common transmission."""
    if isinstance(value, Tensor):
        return value.repeat_interleave(users, 0)
    return type(value)(item for item in value for _ in range(users)) if isinstance(value, list | tuple) else value


def _encoded(transmitter: Transmitter, sample: Sample, snr: Tensor, rng: Rng, name: str) -> Payload:
    """What a transmitter sends, which must be a `Payload`."""
    payload = transmitter.encode(sample, snr, rng)
    _check_type(payload, Payload, f"the transmitter of {name}")
    return payload


def _check_type(returned: object, kind: type, who: str) -> None:
    """Refuse another result than the one of the contract, such as that of a function without `return`."""
    if not isinstance(returned, kind):
        raise ContractError(f"{who} must return a {kind.__name__}, not {type(returned).__name__}")


def _check_received(received: Received, payload: Payload) -> None:
    """Refuse received symbols of another shape than the sent ones, or that are not finite."""
    for name in ("symbols", "noise_var"):
        shape, expected = tuple(getattr(received, name).shape), tuple(payload.symbols.shape)
        if shape != expected:
            raise ContractError(f"the channel returns {name} of shape {shape} for symbols of shape {expected}")
    if not torch.isfinite(torch.view_as_real(received.symbols.detach())).all():
        raise ContractError("the channel returns symbols that are not finite; `semcom check` tests a channel alone")


def _check_counted_uses(reception: Reception, payload: Payload, system: System) -> None:
    """Refuse a receiver that counts fewer uses than were sent, unless the system may leave out repetitions."""
    counted, sent = reception.counted_uses, payload.uses
    wrong = (counted > sent) | (counted < 0) if system.repeats else counted != sent
    if wrong.any():
        row = int(wrong.nonzero()[0, 0])
        raise ContractError(
            f"{system.name}: row {row} sent {int(sent[row])} channel uses and counts {int(counted[row])}"
        )


def _check_power(payload: Payload, name: str) -> None:
    """Refuse symbols whose mean energy is not 1: exactly for analog rows, within 6 deviations for digital ones."""
    energy = payload.symbols.detach().abs().square().sum(-1)
    uses = payload.uses.clamp(min=1)
    allowed = _ANALOG_TOLERANCE + 6 * _DIGITAL_DEVIATION * payload.digital_uses.sqrt() / uses
    wrong = ~((energy / uses - 1).abs() <= allowed) & (payload.uses > 0)
    if wrong.any():
        row = int(wrong.nonzero()[0, 0])
        raise ContractError(
            f"{name}: row {row} has a mean energy of {float(energy[row] / uses[row]):.4f} per use; the power "
            f"constraint requires 1 +- {float(allowed[row]):.4f}: normalize analog symbols and do not rescale "
            "constellation points"
        )


def _check_images(reception: Reception, sample: Sample, name: str) -> None:
    images = reception.images.detach()
    if images.shape != sample.images.shape or not bool(((images >= 0) & (images <= 1)).all()):
        raise ContractError(
            f"{name}: a receiver must return images {tuple(sample.images.shape)} in [0, 1], not {tuple(images.shape)} "
            f"from {float(images.min()):.3g} to {float(images.max()):.3g}"
        )


def _counted_share(payload: Payload, counted: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """Share of each row's symbol energy in its counted uses, which are the first ones, as repetitions come last.

    The link scales the energy from the channel, with pilots, clipping and power offsets, by this share.
    """
    squared = payload.symbols.detach().abs().square()
    total, part = (squared.where(sent_mask(uses, squared.shape[-1]), 0).sum(-1) for uses in (payload.uses, counted))
    return torch.where(total > 0, part / total.where(total > 0, 1), 1)


def _realized_snr_db(sent: Complex[Tensor, "rows uses"], received: Received) -> Float[Tensor, " rows"]:
    """10 log10((sum |x|^2 / N) / (sum |error|^2 / N)), dB: the SNR of this row's realization of fading and noise."""
    used = received.noise_var > 0
    weight = torch.where(used, 1 / received.noise_var.where(used, 1), 0)
    error = (received.symbols - sent).detach().abs().square()
    return 10 * torch.log10((weight * sent.detach().abs().square()).sum(-1) / (weight * error).sum(-1))
