"""Properties that every channel must have."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from channels.base import Channel, Received
from channels.rng import Rng, seed_for
from semcom.contract.common import NotApplicableError, changed_generators, difference, mean_deviation


def transmit(
    channel: Channel, batch: int = 4, users: int = 2, uses: int = 96, padding: int = 0, snr_db: float | None = None
) -> tuple[Tensor, Received]:
    """QPSK symbols and their reception; medium b and user u have the same seed, symbols and SNR in every call."""
    names = [(medium, user) for medium in range(batch) for user in range(users)]
    rng = Rng([seed_for("check", *name) for name in names])
    angles = torch.floor(4 * Rng([seed_for("symbols", *name) for name in names]).uniform(uses))
    symbols = torch.polar(torch.ones_like(angles), torch.pi / 4 + torch.pi / 2 * angles)
    symbols = torch.nn.functional.pad(torch.view_as_real(symbols), (0, 0, 0, padding), value=9.0)
    sent = torch.view_as_complex(symbols).view(batch, users, uses + padding)
    if channel.medium.access == "common":  # the symbols of the first user are sent to all users
        sent = sent[:, :1].repeat(1, users, 1)
    levels = [[20.0 * medium / max(1, batch - 1) if snr_db is None else snr_db] * users for medium in range(batch)]
    return sent, channel.carry(sent, torch.full((batch, users), uses), torch.tensor(levels), rng)


def medium_uses_stay_within_the_budget(channel: Channel) -> str | None:
    """Users that spend their budget occupy no more channel uses than the medium has."""
    for medium_uses in (1, 7, 1000, 12345):
        for users in (1, 2, 5):
            budget = channel.medium.budget(medium_uses, users)
            occupied = int(channel.medium.occupied(torch.full((1, users), budget))[0])
            if not 0 <= occupied <= medium_uses:
                return f"{users} users with {budget} uses each occupy {occupied} of {medium_uses} uses"
    return None


def draws_do_not_depend_on_the_batch(channel: Channel) -> str | None:
    """Received symbols are the same alone and in a batch of several SNRs."""
    _, together = transmit(channel, batch=4)
    _, alone = transmit(channel, batch=1)
    return difference(together.symbols[:1], alone.symbols) or difference(together.noise_var[:1], alone.noise_var)


def padding_is_not_transmitted(channel: Channel) -> str | None:
    """Symbols past a row's uses have no effect, and their received values are zero."""
    _, short = transmit(channel)
    _, long = transmit(channel, padding=40)
    length = short.symbols.shape[-1]
    if long.symbols[..., length:].any() or long.noise_var[..., length:].any():
        return "received symbols or noise variances past the uses are not zero"
    return difference(long.symbols[..., :length], short.symbols) or difference(long.energy, short.energy)


def users_do_not_affect_each_other(channel: Channel) -> str | None:
    """With orthogonal access, adding users does not change the received symbols of the first user."""
    if channel.medium.access != "orthogonal":
        raise NotApplicableError(f"users share channel uses ({channel.medium.access} access)")
    _, one = transmit(channel, users=1)
    _, three = transmit(channel, users=3)
    return difference(three.symbols[:, :1], one.symbols)


def equal_seeds_give_equal_symbols(channel: Channel) -> str | None:
    """Equal seeds give equal received symbols, bit for bit."""
    first, second = transmit(channel)[1], transmit(channel)[1]
    return None if torch.equal(first.symbols, second.symbols) else "two calls differ"


def global_random_state_is_unchanged(channel: Channel) -> str | None:
    """The global random generators of torch, numpy and random are not used."""
    return changed_generators(lambda: transmit(channel))


def noise_variance_is_correct(channel: Channel) -> str | None:
    """The mean squared error is noise_var and the equalizer has no bias, within 4 standard errors."""
    sent, received = transmit(channel, batch=400, users=1, uses=128)
    error = (received.symbols - sent)[:, 0]
    weight = 1 / received.noise_var[:, 0]
    power = (weight * error.abs().square()).mean(1)
    share = (weight * (error * sent[:, 0].conj()).real).sum(1) / weight.sum(1).sqrt()
    return mean_deviation("mean |error|^2 / noise_var", power, 1.0) or mean_deviation(
        "error in the direction of the symbol", share, 0.0
    )


def fading_has_unit_mean_power(channel: Channel) -> str | None:
    """The mean of |gain|^2 is 1, within 4 standard errors."""
    _, received = transmit(channel, batch=1000, users=1, uses=16)
    return mean_deviation("mean |gain|^2", received.gains.abs().square().flatten(1).mean(1), 1.0)


def channel_is_differentiable(channel: Channel) -> str | None:
    """The gradient is nonzero at every transmitted symbol and zero at all others."""
    sent, _ = transmit(channel)
    batch, users, length = sent.shape
    symbols = sent.clone().requires_grad_()
    uses = torch.full((batch, users), length - 8)
    received = channel.carry(symbols, uses, torch.full((batch, users), 10.0), Rng(range(batch * users)))
    received.symbols.abs().square().sum().backward()
    gradient = symbols.grad
    if gradient is None or not gradient.isfinite().all():
        return "there is no gradient, or it is not finite"
    if channel.medium.access == "common":  # the channel may use any user's copy of the symbols
        gradient = gradient.sum(1)
    if (gradient[..., : length - 8] == 0).any() or (gradient[..., length - 8 :] != 0).any():
        return "the gradient is zero at a transmitted symbol or nonzero at another one"
    return None


CHANNEL_PROPERTIES: tuple[Callable[[Channel], str | None], ...] = (
    medium_uses_stay_within_the_budget,
    draws_do_not_depend_on_the_batch,
    padding_is_not_transmitted,
    users_do_not_affect_each_other,
    equal_seeds_give_equal_symbols,
    global_random_state_is_unchanged,
    noise_variance_is_correct,
    fading_has_unit_mean_power,
    channel_is_differentiable,
)
