"""Uplink: superposed users in the same channel uses, separated by the antennas of one receiver."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.arguments import one_of, within
from channels.base import (
    Channel,
    Medium,
    Received,
    clear_unsent,
    hold_blocks,
    noise_variance,
    sent_energy,
    sent_mask,
)
from channels.csit import Csit, equal_capacity_snr_db
from channels.errors import UsageError
from channels.propagation.flat import FlatFading, rician_k_factor
from channels.propagation.linear_detection import linear_filters
from channels.rng import Rng

TITLE = "Uplink"
MAX_USERS = 16


class Uplink(Channel):
    """Superposed users at A receive antennas, y = sum_u g_u x_u + n, separated by the unbiased linear MMSE filter.

    With G = [g_1 .. g_U] and R = G G^H + N0 I: a_u = g_u^H R^-1 g_u and x^_u = g_u^H R^-1 y / a_u. The error (noise
    and interference of the other users) has variance (1 - a_u) / a_u. Noise is added once, from the stream "receiver"
    of the first user. The gains of users and antennas are independent, and those of a user do not depend on the
    other users.

    Every user sends in all uses with unit energy per use, times its power offset; with orthogonal access each of U
    users sends in a U-th of the uses. For equal energy per user, compare superposed access at an SNR that is
    10 log10(U) dB lower.

    N0 is a property of the receiver and follows from the SNR of the first user; the SNR of another user sets its
    received power. A difference in SNR is a difference in path loss and does not count as energy; a power offset is
    transmit power and counts in the returned energy.

    Args:
        antennas: number of receive antennas, 1 to 64.
        power_offsets_db: transmit power of each user in dB on top of its SNR, repeated over the users; empty for
            none. The energy of each use is then 10^(offset / 10).
        fading: fading of each user, and channel knowledge of the transmitters.
        receiver: type of receiver: "linear" refuses more users than antennas; "joint" accepts them, for a system that
            decodes all users together, and counts their interference as noise.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, sections 8.3 and 10.1;
    Hassibi, A fast square-root implementation for BLAST, 2000 (how the filters are computed).
    """

    medium = Medium(access="superposed")

    def __init__(
        self,
        antennas: int,
        power_offsets_db: Sequence[float],
        fading: FlatFading,
        receiver: Literal["linear", "joint"],
    ) -> None:
        within("antennas", antennas, 1, 64)
        one_of("receiver", receiver, ("linear", "joint"))
        for offset_db in power_offsets_db:
            within("power_offsets_db", offset_db, -math.inf)
        self.antennas, self.fading, self.receiver, self.csit = antennas, fading, receiver, fading.csit
        self.power_offsets_db = tuple(power_offsets_db)

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        users, length = symbols.shape[1:]
        self._check(users)
        n0 = noise_variance(snr_db[:, 0])
        gains = self._gains(length, snr_db, rng).to(symbols.device)
        noise = rng[::users].derive("receiver").complex_normal(length, self.antennas, variance=n0).mT.to(symbols.device)
        sent = symbols * sent_mask(uses, length)
        coherence = self.fading.coherence_uses or max(length, 1)
        gains_by_use = hold_blocks(gains, coherence, length)
        mixture = (gains_by_use * sent[:, :, None]).sum(1) + noise
        occupied = sent_mask(uses.amax(1, keepdim=True), length)
        return separate(
            Received(
                symbols=symbols,
                noise_var=torch.empty_like(symbols.real),
                uses=uses,
                energy=sent_energy(symbols, uses) * 10 ** (self._offsets_db(users).to(symbols.device) / 10),
                gains=gains_by_use,
                mixture=mixture * occupied,
                mixture_noise_var=n0,
            ),
            gains if bool((uses == uses[:, :1]).all()) else None,
            coherence,
        )

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        if self.csit.is_average:
            return snr_db
        self._check(uses.shape[1])
        length, n0 = max(int(uses.max()), 1), noise_variance(snr_db).cpu()
        gains = self._gains(length, snr_db, rng, self.csit.rho)
        _, variance = linear_filters(gains.permute(0, 3, 2, 1), n0[:, :1])
        power = n0[..., None] / variance.permute(0, 2, 1)
        return equal_capacity_snr_db(hold_blocks(power, self.fading.coherence_uses or length, length), uses, snr_db)

    def _check(self, users: int) -> None:
        if users > MAX_USERS:
            raise UsageError(f"uplink allows at most {MAX_USERS} superposed users, not {users} superposed users")
        if self.receiver == "linear" and users > self.antennas:
            raise UsageError(
                f"{users} superposed users cannot be separated with antennas: {self.antennas}; set antennas: "
                f"{users}, or receiver: joint for a system that decodes all users together"
            )

    def _gains(
        self, length: int, snr_db: Float[Tensor, "batch users"], rng: Rng, rho: float = 1.0
    ) -> Complex[Tensor, "batch users antennas blocks"]:
        """Gains with the received power of each user; those of an antenna do not depend on the number of antennas."""
        streams = [rng.derive(f"antenna {index}") for index in range(self.antennas)]
        gains = torch.stack([self.fading.draw_gains(length, stream, rho) for stream in streams], 1)
        power_db = (snr_db - snr_db[:, :1]).cpu() + self._offsets_db(snr_db.shape[1])
        return gains.unflatten(0, snr_db.shape) * (10 ** (power_db / 20))[..., None, None]

    def _offsets_db(self, users: int) -> Float[Tensor, " users"]:
        offsets = self.power_offsets_db or (0.0,)
        return torch.tensor(offsets * -(-users // len(offsets)))[:users]


def separate(
    received: Received, gains: Complex[Tensor, "batch users antennas blocks"] | None = None, coherence: int = 1
) -> Received:
    """Separate the users of a mixture by the unbiased linear MMSE filter; past its uses a user does not interfere.

    Args:
        received: received mixture with gains and uses; its symbols and noise variances are replaced.
        gains: gain of each block of `coherence` uses, if all users send in all uses; None for one filter per use from
            `received.gains`.
        coherence: number of uses in a block.

    Raises:
        UsageError: there is no mixture.
    """
    if received.mixture is None or received.mixture_noise_var is None:
        raise UsageError("no mixture to separate: use the channel uplink")
    length = received.mixture.shape[-1]
    if gains is None:
        gains, coherence = received.gains * sent_mask(received.uses, length)[:, :, None], 1
    filters, variance = linear_filters(gains.permute(0, 3, 2, 1), received.mixture_noise_var[:, None])
    weights, noise_var = filters.permute(0, 3, 2, 1), variance.permute(0, 2, 1)
    equalized = (hold_blocks(weights, coherence, length).conj() * received.mixture[:, None]).sum(2)
    return clear_unsent(replace(received, symbols=equalized, noise_var=hold_blocks(noise_var, coherence, length)))


def remove(received: Received, user: int, symbols: Complex[Tensor, "batch uses"]) -> Received:
    """Subtract a decoded user from the mixture and separate the others: one step of successive cancellation.

    Args:
        received: received mixture with gains, [batch, users, ...].
        user: index of the decoded user.
        symbols: symbols that this user sent, complex64 [batch, uses].

    Returns:
        All users; gain, symbols and noise variance of the removed user are zero.

    Raises:
        UsageError: there is no mixture.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 6.1.
    """
    if received.mixture is None:
        raise UsageError("no mixture to remove a user from: use the channel uplink")
    length = received.mixture.shape[-1]
    sent = symbols * sent_mask(received.uses[:, user], length)
    mixture = received.mixture - received.gains[:, user] * sent[:, None]
    present = torch.ones(received.gains.shape[1], device=sent.device)
    present[user] = 0
    rest = separate(replace(received, mixture=mixture, gains=received.gains * present[:, None, None]))
    return replace(rest, symbols=rest.symbols * present[:, None], noise_var=rest.noise_var * present[:, None])


def build(
    antennas: int = 2,
    power_offsets_db: tuple[float, ...] = (),
    k_factor_db: float | None = None,
    coherence_uses: int | None = None,
    receiver: Literal["linear", "joint"] = "linear",
    csit: Literal["average", "perfect", "delayed"] = "average",
    csit_correlation: float = 0.9,
) -> Channel:
    """Superposed users in the same channel uses at one receiver, y = sum_u h_u x_u + n (non-orthogonal access).

    Args:
        antennas: number of receive antennas, 1 to 64 (default 2).
        power_offsets_db: transmit power of each user in dB on top of its SNR; a shorter list is repeated. It is counted
            in the energy (default empty: no offset).
        k_factor_db: Rician K-factor of every user in dB, -100 to 100 (default null: Rayleigh fading).
        coherence_uses: coherence time in channel uses: 1 is fast fading, a new gain for every use (default null:
            one gain for the whole transmission of an image).
        receiver: type of receiver: "linear" (default; MMSE filter, at most as many users as antennas) or "joint" (more
            users than antennas, for systems that decode all users together).
        csit: channel knowledge of the transmitters: "average" (default; average SNR), "perfect" (SNR of an AWGN channel
            with the capacity of the coming channel uses of each image after the MMSE filter, if all users send) or
            "delayed" (the same from outdated gains).
        csit_correlation: correlation of the outdated with the actual gains, 0 to 1, for csit: delayed: scattered gains
            rho h + sqrt(1 - rho^2) w with independent w (default 0.9); ignored otherwise.
    """
    k_factor = 0.0 if k_factor_db is None else rician_k_factor(k_factor_db)
    fading = FlatFading(k_factor, coherence_uses, csit=Csit(csit, csit_correlation))
    return Uplink(antennas, power_offsets_db, fading, receiver)
