"""The laws that every channel keeps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from channels._base import Channel, Received
from channels._rng import Rng, seed_for
from semcom._laws import NotApplicableError, differ, off, touched


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
    return differ(together.symbols[:1], alone.symbols) or differ(together.noise_var[:1], alone.noise_var)


def padding_is_not_sent(channel: Channel) -> str | None:
    """What stands past a row's uses changes nothing, and comes back as zeros."""
    _, short = _air(channel)
    _, long = _air(channel, padding=40)
    length = short.symbols.shape[-1]
    if long.symbols[..., length:].any() or long.noise_var[..., length:].any():
        return "symbols or noise variances past the uses are not zero"
    return differ(long.symbols[..., :length], short.symbols) or differ(long.energy, short.energy)


def another_user_changes_nothing(channel: Channel) -> str | None:
    """On orthogonal shares, adding a user leaves the first alone."""
    if channel.medium.access != "orthogonal":
        raise NotApplicableError(f"its users have no shares of their own; they are {channel.medium.access}")
    _, one = _air(channel, users=1)
    _, three = _air(channel, users=3)
    return differ(three.symbols[:, :1], one.symbols)


def same_seeds_same_air(channel: Channel) -> str | None:
    """The same seeds give the same symbols, bit for bit."""
    first, second = _air(channel)[1], _air(channel)[1]
    return None if torch.equal(first.symbols, second.symbols) else "two calls differ"


def channel_leaves_global_state_alone(channel: Channel) -> str | None:
    """The global generators of torch, numpy and random stay as they are."""
    return touched(lambda: _air(channel))


def noise_is_what_it_says(channel: Channel) -> str | None:
    """The error's mean square is noise_var and the equaliser has no bias, |z| < 4 over independent rows."""
    sent, heard = _air(channel, batch=400, users=1, uses=128)
    error = (heard.symbols - sent)[:, 0]
    weight = 1 / heard.noise_var[:, 0]
    power = (weight * error.abs().square()).mean(1)
    share = (weight * (error * sent[:, 0].conj()).real).sum(1) / weight.sum(1).sqrt()
    return off("mean |error|^2 / noise_var", power, 1.0) or off("error in the direction of the symbol", share, 0.0)


def fading_has_unit_power(channel: Channel) -> str | None:
    """The mean of |gain|^2 is one, |z| < 4 over independent rows."""
    _, heard = _air(channel, batch=1000, users=1, uses=16)
    return off("mean |gain|^2", heard.gains.abs().square().flatten(1).mean(1), 1.0)


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
