"""The whole chain on one page: sample, transmitter, channel, receiver, and what the air was paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._base import Channel, Received, sent_mask
from channels._errors import UsageError
from channels._rng import Rng
from semcom._limits import MOST_SNR_DB
from semcom.system import Bound, Payload, Reception, Sample, System

# Analogue rows are normalised exactly; |point|^2 of random constellation points deviates by at most 0.63 (256QAM).
_ANALOG_TOLERANCE = 1e-3
_DIGITAL_DEVIATION = 0.63


@dataclass(frozen=True)
class Delivery:
    """One transmission of each row, seen by the metrics; rows = batch * users.

    Args:
        sample: what was sent, one row a user.
        reception: what the receiver made of it.
        truth: what the transmitter kept for the metrics.
        uses: int64 [rows], channel uses charged, headers included.
        medium_uses: int64 [rows], uses of the medium by all users together, overhead included.
        energy: float32 [rows], energy of the charged uses, pilots included, in units of one symbol's mean energy; None
            of a bound, which sends nothing. Of repeats that were not needed neither uses nor energy are charged.
        snr_db: float32 [rows], the configured SNR.
        snr_realised_db: float32 [rows], sent energy over error energy, each weighted by 1 / noise variance;
            None of a bound.
        papr_db: float32 [rows], peak over mean power of what the row sent before the amplifier, dB, uses that are not
            charged included; None where no amplifier clips.
    """

    sample: Sample
    reception: Reception
    truth: Mapping[str, Any]
    uses: Int[Tensor, " rows"]
    medium_uses: Int[Tensor, " rows"]
    energy: Float[Tensor, " rows"] | None
    snr_db: Float[Tensor, " rows"]
    snr_realised_db: Float[Tensor, " rows"] | None
    papr_db: Float[Tensor, " rows"] | None = None


class Link:
    """A system over a channel: `deliver` sends each row of a sample and returns what arrives.

    Args:
        system: a `System`, or a `Bound`, which uses no air.
        channel: what stands between its antennas.

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

    def deliver(
        self, sample: Sample, snr_db: float | int | Float[Tensor, " rows"], seeds: Sequence[int], users: int = 1
    ) -> Delivery:
        """Send every row once.

        Args:
            sample: rows = batch * users pictures, users of one medium next to each other.
            snr_db: Es/N0 per use in dB, one for all or one a row.
            seeds: one integer a row, from `seed_for`.
            users: how many rows share a medium.

        Raises:
            UsageError: rows that do not divide among the users, an SNR that is not finite.
            ValueError: a transmitter that breaks the power rule, a receiver that returns something else than pictures.
        """
        rows = len(sample.images)
        if rows != len(seeds) or users < 1 or rows % users:
            raise UsageError(
                f"{rows} pictures need one seed each (got {len(seeds)}) and must divide among {users} users"
            )
        snr = torch.as_tensor(snr_db, dtype=torch.float32).expand(rows)
        if not bool((snr.abs() <= MOST_SNR_DB).all()):
            raise UsageError(f"the SNR must lie within -{MOST_SNR_DB} and {MOST_SNR_DB} dB")
        rng = Rng(seeds)
        if isinstance(self.system, Bound):
            return self._reach(self.system, sample, snr, rng, users)

        payload = self._encode(self.system, sample, snr, rng.derive("encode"), users)
        _check_power(payload)
        received = self.channel.carry(
            payload.symbols.unflatten(0, (-1, users)),
            payload.uses.view(-1, users),
            snr.view(-1, users),
            rng.derive("carry"),
        )
        folded = received.fold()
        heard = received if self.system.joint_users else folded
        reception = self.system.receiver.decode(heard.heard(), sample.size, rng.derive("decode"))
        _check_pictures(reception, sample)
        _check_charge(reception, payload, self.system)
        return Delivery(
            sample=sample,
            reception=reception,
            truth=payload.truth,
            uses=reception.uses_charged,
            medium_uses=self._medium_uses(reception.uses_charged, users),
            energy=folded.energy * _charged_share(payload, reception.uses_charged),
            snr_db=snr,
            snr_realised_db=_realised_snr_db(payload.symbols, folded),
            papr_db=folded.papr_db,
        )

    def _encode(self, system: System, sample: Sample, snr: Tensor, rng: Rng, users: int) -> Payload:
        """Encode each row; a common transmission once, for the user with the worst SNR, and the same for all."""
        if self.channel.medium.access != "common" or users == 1:
            return system.transmitter.encode(sample, snr, rng)
        worst = snr.view(-1, users).amin(1)
        payload = system.transmitter.encode(_every(sample, users), worst, rng[::users])
        return replace(
            payload,
            symbols=payload.symbols.repeat_interleave(users, 0),
            uses=payload.uses.repeat_interleave(users),
            digital_uses=payload.digital_uses.repeat_interleave(users),
            truth={name: _for_every_user(value, users) for name, value in payload.truth.items()},
        )

    def _medium_uses(self, uses: Tensor, users: int) -> Tensor:
        return self.channel.medium.occupied(uses.view(-1, users)).repeat_interleave(users)

    def _reach(self, bound: Bound, sample: Sample, snr: Tensor, rng: Rng, users: int) -> Delivery:
        uses, reception = bound.reach(sample, snr.view(-1, users), self.channel, rng)
        _check_pictures(reception, sample)
        return Delivery(
            sample=sample,
            reception=reception,
            truth={},
            uses=uses,
            medium_uses=self._medium_uses(uses, users),
            energy=None,
            snr_db=snr,
            snr_realised_db=None,
        )


def _every(sample: Sample, step: int) -> Sample:
    """Every `step`-th row of a sample."""
    return Sample(
        images=sample.images[::step],
        message=None if sample.message is None else sample.message[::step],
        captions=None if sample.captions is None else sample.captions[::step],
        labels=None if sample.labels is None else sample.labels[::step],
        categories=None if sample.categories is None else sample.categories[::step],
        names=sample.names[::step],
    )


def _for_every_user(value: object, users: int) -> object:
    """What is known of each row of a common transmission, for each of its users."""
    if isinstance(value, Tensor):
        return value.repeat_interleave(users, 0)
    return type(value)(item for item in value for _ in range(users)) if isinstance(value, list | tuple) else value


def _check_charge(reception: Reception, payload: Payload, system: System) -> None:
    """Refuse a receiver that pays for less than was sent, unless repeats that were not needed are its point."""
    charged, sent = reception.uses_charged, payload.uses
    wrong = (charged > sent) | (charged < 0) if system.repeats else charged != sent
    if wrong.any():
        row = int(wrong.nonzero()[0, 0])
        raise ValueError(f"row {row} sent {int(sent[row])} uses and is charged {int(charged[row])}")


def _check_power(payload: Payload) -> None:
    """Refuse symbols whose mean energy is not one: exactly for analogue rows, in expectation for digital ones."""
    energy = payload.symbols.detach().abs().square().sum(-1)
    uses = payload.uses.clamp(min=1)
    allowed = _ANALOG_TOLERANCE + 6 * _DIGITAL_DEVIATION * payload.digital_uses.sqrt() / uses
    wrong = ~((energy / uses - 1).abs() <= allowed) & (payload.uses > 0)
    if wrong.any():
        row = int(wrong.nonzero()[0, 0])
        raise ValueError(
            f"row {row} sends {float(energy[row] / uses[row]):.4f} of energy per use; the power rule asks for "
            f"1 +- {float(allowed[row]):.4f}: normalise analogue symbols, leave constellation points as they are"
        )


def _check_pictures(reception: Reception, sample: Sample) -> None:
    images = reception.images.detach()
    if images.shape != sample.images.shape or not bool(((images >= 0) & (images <= 1)).all()):
        raise ValueError(
            f"a receiver must return pictures {tuple(sample.images.shape)} in [0, 1], not {tuple(images.shape)} "
            f"from {float(images.min()):.3g} to {float(images.max()):.3g}"
        )


def _charged_share(payload: Payload, charged: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """The part of each row's symbol energy that its charged uses hold: its first ones, as a repeat follows the first.

    What a channel adds to or takes from the energy of the symbols (pilots, clipping, power offsets) is shared alike.
    """
    squared = payload.symbols.detach().abs().square()
    total, kept = (squared.where(sent_mask(uses, squared.shape[-1]), 0).sum(-1) for uses in (payload.uses, charged))
    return torch.where(total > 0, kept / total.where(total > 0, 1), 1)


def _realised_snr_db(sent: Complex[Tensor, "rows uses"], received: Received) -> Float[Tensor, " rows"]:
    """10 log10(sum |x|^2 / N / sum |error|^2 / N): what this row's draws of fading and noise came to."""
    on_air = received.noise_var > 0
    weight = torch.where(on_air, 1 / received.noise_var.where(on_air, 1), 0)
    error = (received.symbols - sent).detach().abs().square()
    return 10 * torch.log10((weight * sent.detach().abs().square()).sum(-1) / (weight * error).sum(-1))
