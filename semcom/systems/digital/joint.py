"""Users who share their channel uses, decoded together: successive interference cancellation."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from channels import modem
from channels._base import Received
from channels._rng import Rng
from channels.uplink import remove
from semcom.system import Receiver, Reception, uses_for
from semcom.systems._interleaver import interleaver
from semcom.systems.digital.system import DigitalReceiver


class JointReceiver(Receiver):
    """Decodes the strongest user with the others as noise, takes what it sent out of the mixture, goes on to the next.

    A user whose CRC fails stays in the mixture and is tried again when others are gone. What a user sent is made from
    its decoded payload alone. Where users do not share their uses, this is the ordinary receiver.

    Args:
        alone: what decodes one user; of a fixed scheme and one round.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 6.1.
    """

    def __init__(self, alone: DigitalReceiver) -> None:
        self.alone = alone

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        granted = uses_for(self.alone.cbr, size)
        if received.mixture is not None and (size_bytes := self.alone.frame.payload_bytes(granted, 0)):
            received = cancelled(received, self.alone.frame.schemes[0], 8 * size_bytes)
        return self.alone.decode(received.fold(), size, rng)


def cancelled(received: Received, mcs: modem.Mcs, info_bits: int) -> Received:
    """Every user as it was heard when it could be decoded, or else in the end.

    Args:
        received: unfolded, with mixture and gains; all users send throughout.
        mcs: of every user.
        info_bits: payload of every user, bits.

    Returns:
        The same users, with symbols and noise variances after cancellation.
    """
    batch, users = received.symbols.shape[:2]
    symbols, noise_var = received.symbols.clone(), received.noise_var.clone()
    strength = received.gains.abs().square().mean((2, 3))
    decoded = torch.zeros(batch, users, dtype=torch.bool)
    tried = torch.zeros(batch, users, dtype=torch.bool)  # since a user of the medium was last taken out
    left = received
    while not (decoded | tried).all():
        waiting = strength.cpu().masked_fill(decoded | tried, -1)
        user = int(waiting.amax(0).argmax())
        media = ((waiting.argmax(1) == user) & (waiting[:, user] >= 0)).nonzero().flatten()
        symbols[media, user], noise_var[media, user] = left.symbols[media, user], left.noise_var[media, user]
        sent, ok = _sent(symbols[media, user], noise_var[media, user], mcs, info_bits)
        tried[media, user] = True
        media = media[ok]
        decoded[media, user] = True
        tried[media] = False
        left = _with_media(left, media, remove(_media(left, media), user, sent[ok]))
    return replace(received, symbols=symbols, noise_var=noise_var)


def _sent(
    symbols: Complex[Tensor, "media uses"], noise_var: Float[Tensor, "media uses"], mcs: modem.Mcs, info_bits: int
) -> tuple[Complex[Tensor, "media uses"], Bool[Tensor, " media"]]:
    """What a user must have sent, and whether its CRC says so."""
    uses = symbols.shape[1]
    order = interleaver(uses)
    found = modem.decode(symbols[:, order], noise_var[:, order], mcs, info_bits)
    sent = torch.empty_like(symbols)
    sent[:, order] = modem.encode(found.bits, mcs, uses)
    return sent, found.ok


def _media(received: Received, media: Int[Tensor, " media"]) -> Received:
    """Some of the media."""
    assert received.mixture is not None
    assert received.mixture_noise_var is not None
    return Received(
        received.symbols[media],
        received.noise_var[media],
        received.uses[media],
        received.energy[media],
        received.gains[media],
        received.mixture[media],
        received.mixture_noise_var[media],
    )


def _with_media(received: Received, media: Int[Tensor, " media"], changed: Received) -> Received:
    """The same with some of the media changed."""
    assert received.mixture is not None
    assert changed.mixture is not None
    return replace(
        received,
        symbols=received.symbols.index_copy(0, media, changed.symbols),
        noise_var=received.noise_var.index_copy(0, media, changed.noise_var),
        gains=received.gains.index_copy(0, media, changed.gains),
        mixture=received.mixture.index_copy(0, media, changed.mixture),
    )
