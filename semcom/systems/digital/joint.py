"""Successive interference cancellation (SIC) of superposed users."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from channels import modem
from channels.base import Received
from channels.modem.interleaver import interleaver
from channels.rng import Rng
from channels.uplink import remove
from semcom.system import Receiver, Reception
from semcom.systems.digital.system import DigitalReceiver


class JointReceiver(Receiver):
    """Decode users in decreasing order of strength and subtract each decoded signal from the mixture.

    A user whose CRC fails stays in the mixture and is decoded again after further users are canceled. The signal of a
    user is re-encoded from its decoded payload. For orthogonal users this is the single-user receiver.

    Args:
        alone: single-user receiver of a fixed scheme and one round.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 6.1.
    """

    def __init__(self, alone: DigitalReceiver) -> None:
        self.alone = alone

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        agreement = self.alone.agreement
        if received.mixture is not None and (length := agreement.payload_bytes(size, 0)):
            received = canceled(received, agreement.frame.schemes[0], 8 * length)
        return self.alone.decode(received.fold(), size, rng)


def canceled(received: Received, mcs: modem.Mcs, info_bits: int) -> Received:
    """Received symbols of every user after cancellation of the decoded users.

    Args:
        received: received symbols [batch, users, uses] with mixture and gains; all users send in all channel uses.
        mcs: modulation and code rate of every user.
        info_bits: payload length of every user, bits.

    Returns:
        Symbols and noise variances at the time a user was decoded, or after all cancellations.
    """
    batch, users = received.symbols.shape[:2]
    symbols, noise_var = received.symbols.clone(), received.noise_var.clone()
    strength = received.gains.abs().square().mean((2, 3)).cpu()
    decoded = torch.zeros(batch, users, dtype=torch.bool)
    tried = torch.zeros(batch, users, dtype=torch.bool)  # since the last cancellation in this medium
    remaining = received
    while not (decoded | tried).all():
        waiting = strength.masked_fill(decoded | tried, -1)
        user = int(waiting.amax(0).argmax())
        chosen = ((waiting.argmax(1) == user) & (waiting[:, user] >= 0)).nonzero().flatten()
        media = chosen.to(symbols.device)
        symbols[media, user] = remaining.symbols[media, user]
        noise_var[media, user] = remaining.noise_var[media, user]
        signal, ok = _decoded_signal(symbols[media, user], noise_var[media, user], mcs, info_bits)
        tried[chosen, user] = True
        media, chosen = media[ok], chosen[ok.cpu()]
        decoded[chosen, user] = True
        tried[chosen] = False
        remaining = _with_media(remaining, media, remove(_media(remaining, media), user, signal[ok]))
    return replace(received, symbols=symbols, noise_var=noise_var)


def _decoded_signal(
    symbols: Complex[Tensor, "media uses"], noise_var: Float[Tensor, "media uses"], mcs: modem.Mcs, info_bits: int
) -> tuple[Complex[Tensor, "media uses"], Bool[Tensor, " media"]]:
    """Symbols re-encoded from the decoded payload, and whether its CRC passes."""
    uses = symbols.shape[1]
    order = interleaver(uses).to(symbols.device)
    found = modem.decode(symbols[:, order], noise_var[:, order], mcs, info_bits)
    signal = torch.empty_like(symbols)
    signal[:, order] = modem.encode(found.bits, mcs, uses)
    return signal, found.ok


def _media(received: Received, media: Int[Tensor, " media"]) -> Received:
    """Received symbols of the selected media."""
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
    """Received symbols with the selected media replaced."""
    assert received.mixture is not None
    assert changed.mixture is not None
    return replace(
        received,
        symbols=received.symbols.index_copy(0, media, changed.symbols),
        noise_var=received.noise_var.index_copy(0, media, changed.noise_var),
        gains=received.gains.index_copy(0, media, changed.gains),
        mixture=received.mixture.index_copy(0, media, changed.mixture),
    )
