"""One user of a superposed channel, as its transmitter knows the channel: the other users interfere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.base import Channel, Medium, Received
from channels.rng import Rng, seed_for

_SYMBOLS = 1 << 22  # gains and filters of the rows that are simulated together, at most, to limit the memory


class SuperposedUser(Channel):
    """The channel of one of U superposed users; the others have the same average SNR and send CN(0, 1) symbols.

    Each row is that of one user, drawn from the seed of the row: with power offsets the users differ, and a mean over
    rows is one over users.

    Args:
        channel: superposed channel.
        users: number U of superposed users.
    """

    medium = Medium()

    def __init__(self, channel: Channel, users: int) -> None:
        self.channel, self.users, self.csit = channel, users, channel.csit

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        own, results = symbols.flatten(0, 1), []
        for part, streams, index in self._parts(symbols.shape[-1], rng):
            sent = streams.derive("symbols").complex_normal(own.shape[-1]).to(own.device).unflatten(0, (-1, self.users))
            sent[index] = own[part]
            received = self.channel.carry(sent, self._of_all(uses, part), self._of_all(snr_db, part), streams)
            fields = (received.symbols, received.noise_var, received.uses, received.energy, received.gains)
            results.append([field[index] for field in fields])
        return Received(*(torch.cat(field).unflatten(0, uses.shape) for field in zip(*results, strict=True)))

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        known_db = [
            self.channel.transmitter_snr_db(self._of_all(uses, part), self._of_all(snr_db, part), streams)[index]
            for part, streams, index in self._parts(int(uses.max()), rng)
        ]
        return torch.cat(known_db).view(uses.shape)

    def _parts(self, length: int, rng: Rng) -> Iterator[tuple[slice, Rng, tuple[Tensor, Tensor]]]:
        """Slices of the rows, the random streams of all users of these rows, and the index of the user of each row."""
        step = max(1, _SYMBOLS // (max(length, 1) * self.users**2))
        for first in range(0, len(rng), step):
            seeds = rng.seeds[first : first + step]
            streams = Rng([seed_for(seed, user) for seed in seeds for user in range(self.users)])
            user = torch.tensor([seed % self.users for seed in seeds])
            yield slice(first, first + step), streams, (torch.arange(len(seeds)), user)

    def _of_all(self, values: Tensor, part: slice) -> Tensor:
        """The value of each row of a part for all users."""
        return values.flatten()[part, None].expand(-1, self.users)


@lru_cache(maxsize=64)
def superposed_user(channel: Channel, users: int) -> SuperposedUser:
    """The channel of one of several superposed users; the same object for the same arguments.

    >>> from channels import uplink
    >>> superposed_user(uplink.build(antennas=4), users=2).users
    2
    """
    return SuperposedUser(channel, users)
