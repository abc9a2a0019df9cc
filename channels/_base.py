"""What every channel is: symbols in, equalised symbols and the noise that is left out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._errors import UsageError
from channels._rng import Rng


@dataclass(frozen=True)
class Medium:
    """How users share channel uses, and what the air costs beyond the data.

    Data travel in frames of up to `frame_data` uses; a frame occupies `frame_uses` uses of the medium (data, pilots,
    cyclic prefix, guards) however full it is. Plain channels have no frames: 1 and 1.

    Args:
        access: "orthogonal" gives each user an equal share of its own; "superposed" lets all users send in the same
            uses; "common" sends one transmission to all users.
        frame_data: data uses in a frame.
        frame_uses: medium uses of a frame.

    >>> Medium(frame_data=100, frame_uses=140).granted(medium_uses=1000, users=2)
    300
    """

    access: Literal["orthogonal", "superposed", "common"] = "orthogonal"
    frame_data: int = 1
    frame_uses: int = 1

    def granted(self, medium_uses: int, users: int) -> int:
        """The data uses that each of `users` users may spend when the medium grants `medium_uses` in all."""
        share = medium_uses // users if self.access == "orthogonal" else medium_uses
        return share // self.frame_uses * self.frame_data

    def occupied(self, uses: Int[Tensor, "batch users"]) -> Int[Tensor, " batch"]:
        """The medium uses that data uses occupy: orthogonal users add up, others share."""
        frames = -(-uses // self.frame_data) * self.frame_uses
        return frames.sum(1) if self.access == "orthogonal" else frames.amax(1)


@dataclass(frozen=True)
class Received:
    """What a channel hands to receivers; [batch, users, ...] on the air, [rows, ...] once folded.

    Args:
        symbols: complex64 [..., uses], equalised without bias: sent symbol + error. Zero past a row's uses.
        noise_var: float32 [..., uses], E|error|^2 per symbol, estimation error included. Zero past a row's uses.
        uses: int64 [...], channel uses of each row.
        energy: float32 [...], energy sent in units of one symbol's mean energy, pilots included.
        gains: complex64 [..., antennas, uses], the fading as the receiver knows it.
        mixture: complex64 [batch, antennas, uses], superposed users as the antennas heard them, or None.
    """

    symbols: Complex[Tensor, "*rows uses"]
    noise_var: Float[Tensor, "*rows uses"]
    uses: Int[Tensor, "*rows"]
    energy: Float[Tensor, "*rows"]
    gains: Complex[Tensor, "*rows antennas uses"]
    mixture: Complex[Tensor, "batch antennas uses"] | None = None

    def fold(self) -> Received:
        """[batch, users, ...] -> [rows, ...]; what only joint decoders may see (the mixture) stays behind."""
        return Received(
            self.symbols.flatten(0, 1),
            self.noise_var.flatten(0, 1),
            self.uses.flatten(),
            self.energy.flatten(),
            self.gains.flatten(0, 1),
        )

    def shrunk(self) -> Complex[Tensor, "*rows uses"]:
        """The symbols scaled to least mean-squared error, x (1 + noise_var)^-1, for unit-energy symbols."""
        return self.symbols / (1 + self.noise_var)


class Channel(ABC):
    """What happens between the antennas of senders and receivers.

    Attributes:
        medium: how users share it; known to whoever grants channel uses.
    """

    medium: Medium

    @abstractmethod
    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        """Carry unit-energy symbols to their receivers; differentiable in the symbols.

        Args:
            symbols: complex64 [batch, users, uses]; what stands past a row's uses is not sent.
            uses: int64 [batch, users], how many of the symbols each row sends.
            snr_db: float32 [batch, users], Es/N0 per complex use and receive antenna in dB, averaged over fading.
            rng: batch * users streams in row order, not yet drawn from.
        """


def noise_variance(snr_db: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    """N0 = 10^(-snr_db / 10), the variance of complex noise per use for symbols of unit energy.

    >>> noise_variance(torch.tensor([0.0, 10.0])).tolist()
    [1.0, 0.10000000149011612]
    """
    return 10 ** (-snr_db / 10)


def sent_mask(uses: Int[Tensor, "*rows"], length: int) -> Tensor:
    """True where a row still sends: [..., length]."""
    return torch.arange(length, device=uses.device) < uses[..., None]


def zero_forced(
    symbols: Complex[Tensor, "batch users uses"],
    uses: Int[Tensor, "batch users"],
    snr_db: Float[Tensor, "batch users"],
    gains: Complex[Tensor, "batch users uses"],
    rng: Rng,
) -> Received:
    """Send symbols over known flat gains, y = g x + n, and equalise: y / g = x + n / g.

    The draws of `rng.derive("noise")` are the noise; N0 comes from `snr_db` alone.
    """
    batch, users, length = symbols.shape
    sent = sent_mask(uses, length)
    n0 = noise_variance(snr_db)[..., None]
    noise = rng.derive("noise").complex_normal(length).to(symbols.device).view(batch, users, length)
    received = symbols + n0.sqrt() * noise / gains
    return Received(
        symbols=torch.where(sent, received, 0),
        noise_var=torch.where(sent, n0 / gains.abs().square(), 0),
        uses=uses,
        energy=torch.where(sent, symbols, 0).abs().square().sum(-1),
        gains=gains[:, :, None],
    )


def positive(name: str, value: float) -> float:
    """Return `value`, or refuse an argument that is not a finite number above zero."""
    if not 0 < value < float("inf"):
        raise UsageError(f"{name} must be a number above 0, not {value}")
    return value
