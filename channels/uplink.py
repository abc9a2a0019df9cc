"""Uplink: users superposed on the same uses, told apart by the receiver's antennas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._base import Channel, Medium, Received, held, noise_variance, sent_energy, sent_mask, sent_only
from channels._errors import UsageError
from channels._flat import FlatFading
from channels._rng import Rng

MOST_USERS = 16


class Uplink(Channel):
    """y = sum_u g_u x_u + n at each of A antennas, and a linear MMSE estimate of every user, scaled to be unbiased.

    With G = [g_1 .. g_U] and R = G G^H + N0 I: a_u = g_u^H R^-1 g_u, x^_u = g_u^H R^-1 y / a_u, and the error, noise
    and other users together, has variance (1 - a_u) / a_u. Noise is added once, with the stream "receiver" of the
    medium's first user; fades of users and antennas are independent, and a user's do not depend on who else sends.

    Every user sends all the time, with unit energy a use but for its power offset; with orthogonal shares each sends a
    U-th of the time. At equal energy per user and medium a superposed user therefore sends U symbols of a U-th of the
    energy: compare at an SNR that is 10 log10(U) dB lower.

    N0 belongs to the receiver: it is that of the first user's SNR, and the others' SNR sets how strong they arrive. A
    difference of SNR is one of path loss and costs a user nothing; a power offset is power that it sends, and that the
    returned energy counts.

    Args:
        antennas: at the receiver.
        power_offsets_db: of each user's transmit power, on top of its SNR, repeated over the users; empty is none. Each
            use then costs 10^(offset / 10) of energy.
        fading: of each user.
        receiver: "linear" refuses more users than antennas; "joint" leaves them to a system that decodes users
            together, and counts their interference as noise.

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
        if not 1 <= antennas <= 64:
            raise UsageError(f"antennas must be 1 to 64, not {antennas}")
        if receiver not in ("linear", "joint"):
            raise UsageError(f"receiver must be linear or joint, not {receiver!r}")
        if not all(math.isfinite(offset) for offset in power_offsets_db):
            raise UsageError("power_offsets_db must be finite numbers of dB")
        self.antennas, self.fading, self.receiver = antennas, fading, receiver
        self.power_offsets_db = tuple(power_offsets_db)

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        batch, users, length = symbols.shape
        self._check(users)
        n0 = noise_variance(snr_db[:, 0])
        gains = self._gains(length, rng).to(symbols.device).unflatten(0, (batch, users))
        offsets_db = self._offsets_db(users).to(snr_db.device)
        gains = gains * (10 ** ((snr_db - snr_db[:, :1] + offsets_db) / 20))[..., None, None]
        noise = rng[::users].derive("receiver").complex_normal(length, self.antennas, variance=n0).mT.to(symbols.device)
        sent = symbols * sent_mask(uses, length)
        coherence = self.fading.coherence_uses or max(length, 1)
        held_gains = held(gains, coherence, length)
        mixture = (held_gains * sent[:, :, None]).sum(1) + noise
        heard = sent_mask(uses.amax(1, keepdim=True), length)
        return separated(
            Received(
                symbols=symbols,
                noise_var=torch.empty_like(symbols.real),
                uses=uses,
                energy=sent_energy(symbols, uses) * 10 ** (offsets_db / 10),
                gains=held_gains,
                mixture=mixture * heard,
                mixture_noise_var=n0,
            ),
            gains if bool((uses == uses[:, :1]).all()) else None,
            coherence,
        )

    def _check(self, users: int) -> None:
        if users > MOST_USERS:
            raise UsageError(f"{users} superposed users are more than the {MOST_USERS} that uplink takes: use fewer")
        if self.receiver == "linear" and users > self.antennas:
            raise UsageError(
                f"{users} superposed users cannot be told apart by {self.antennas} antennas: raise antennas to {users} "
                "or set receiver: joint for a system that decodes users together"
            )

    def _gains(self, length: int, rng: Rng) -> Complex[Tensor, "rows antennas fades"]:
        """Unit-power fades: those of an antenna do not depend on how many there are."""
        antennas = [self.fading.draw_fades(length, rng.derive(f"antenna {index}")) for index in range(self.antennas)]
        return torch.stack(antennas, 1)

    def _offsets_db(self, users: int) -> Float[Tensor, " users"]:
        offsets = self.power_offsets_db or (0.0,)
        return torch.tensor(offsets * -(-users // len(offsets)))[:users]


def separated(
    received: Received, fades: Complex[Tensor, "batch users antennas fades"] | None = None, coherence: int = 1
) -> Received:
    """Equalise the users of a mixture by the unbiased linear MMSE filter; a user past its uses disturbs nobody.

    Args:
        received: mixture, gains and uses; its symbols and noise variances are replaced.
        fades: the gains, one for every `coherence` uses, when all users send throughout; saves work.
        coherence: uses of each of the fades.
    """
    if received.mixture is None or received.mixture_noise_var is None:
        raise UsageError("no users to separate: only superposed users share a mixture")
    length = received.mixture.shape[-1]
    if fades is None:
        fades, coherence = received.gains * sent_mask(received.uses, length)[:, :, None], 1
    weights, noise_var = _filters(fades, received.mixture_noise_var)
    equalised = (held(weights, coherence, length).conj() * received.mixture[:, None]).sum(2)
    return sent_only(replace(received, symbols=equalised, noise_var=held(noise_var, coherence, length)))


def _filters(
    fades: Complex[Tensor, "batch users antennas fades"], n0: Float[Tensor, " batch"]
) -> tuple[Complex[Tensor, "batch users antennas fades"], Float[Tensor, "batch users fades"]]:
    """R^-1 g_u / a_u and (1 - a_u) / a_u, with 1 - a_u = N0 [(N0 I + G^H G)^-1]_uu, which no subtraction spoils.

    Both come from the triangle T of [G; sqrt(N0) I] = Q T, whose condition is the root of that of T^H T =
    N0 I + G^H G. A user without gain, sent by nobody, is zero and not heard.
    """
    gains = fades.permute(0, 3, 2, 1).to(torch.complex128)
    antennas, users = gains.shape[2:]
    identity = torch.eye(users, dtype=gains.dtype, device=gains.device)
    level = n0.double()[:, None, None, None]
    stacked = torch.cat([gains, (level.sqrt() * identity).expand(*gains.shape[:2], -1, -1)], 2)
    orthogonal, triangle = torch.linalg.qr(stacked)
    inverse = torch.linalg.solve_triangular(triangle, identity.expand_as(triangle), upper=True)
    filters = orthogonal[:, :, :antennas] @ inverse.mH
    missed = level[..., 0] * torch.view_as_real(inverse).square().sum((-2, -1))
    kept = (gains.conj() * filters).real.sum(2)
    kept = kept.where(kept > 0, 1)
    weights = (filters / kept[:, :, None]).permute(0, 3, 2, 1)
    return weights.to(fades.dtype), (missed / kept).permute(0, 2, 1).float()


def remove(received: Received, user: int, symbols: Complex[Tensor, "batch uses"]) -> Received:
    """Take a decoded user out of the mixture, and equalise those who are left: a step of successive cancellation.

    Args:
        received: unfolded, with mixture and gains.
        user: whose symbols are known now.
        symbols: as the user sent them, complex64.

    Returns:
        The same users; the removed one's gain, symbols and noise variance are zero.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 6.1.
    """
    if received.mixture is None:
        raise UsageError("no mixture to remove a user from: only superposed users share a mixture")
    length = received.mixture.shape[-1]
    sent = symbols * sent_mask(received.uses[:, user], length)
    mixture = received.mixture - received.gains[:, user] * sent[:, None]
    present = torch.ones(received.gains.shape[1], device=sent.device)
    present[user] = 0
    rest = separated(replace(received, mixture=mixture, gains=received.gains * present[:, None, None]))
    return replace(rest, symbols=rest.symbols * present[:, None], noise_var=rest.noise_var * present[:, None])


def build(
    antennas: int = 2,
    power_offsets_db: tuple[float, ...] = (),
    k_factor_db: float | None = None,
    coherence_uses: int | None = None,
    receiver: Literal["linear", "joint"] = "linear",
) -> Channel:
    """Users superposed on the same uses before one receiver.

    Args:
        antennas: at the receiver.
        power_offsets_db: dB of transmit power on top of each user's SNR, which its energy counts, repeated over the
            users; empty is none.
        k_factor_db: line of sight over scattered power of every user; null is Rayleigh fading.
        coherence_uses: uses that share one fade; null is one fade a transmission.
        receiver: "linear" (no more users than antennas) or "joint" (for systems that decode users together).
    """
    k_factor = 0.0 if k_factor_db is None else 10 ** (k_factor_db / 10)
    return Uplink(antennas, power_offsets_db, FlatFading(k_factor, coherence_uses), receiver)
