"""What every channel is: symbols in, equalised symbols and the noise that is left out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
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
        mixture_noise_var: float32 [batch], N0 at each antenna of the mixture, or None.
        papr_db: float32 [...], peak over mean power of each row's waveform before the amplifier, where a channel has
            one, or None.
    """

    symbols: Complex[Tensor, "*rows uses"]
    noise_var: Float[Tensor, "*rows uses"]
    uses: Int[Tensor, "*rows"]
    energy: Float[Tensor, "*rows"]
    gains: Complex[Tensor, "*rows antennas uses"]
    mixture: Complex[Tensor, "batch antennas uses"] | None = None
    mixture_noise_var: Float[Tensor, " batch"] | None = None
    papr_db: Float[Tensor, "*rows"] | None = None

    def heard(self) -> Received:
        """What a receiver is given: what only the sender knows, its energy and its peaks, stays behind."""
        return replace(self, energy=torch.zeros_like(self.energy), papr_db=None)

    def fold(self) -> Received:
        """[batch, users, ...] -> [rows, ...]; what only joint decoders may see (the mixture) stays behind."""
        return Received(
            self.symbols.flatten(0, 1),
            self.noise_var.flatten(0, 1),
            self.uses.flatten(),
            self.energy.flatten(),
            self.gains.flatten(0, 1),
            papr_db=None if self.papr_db is None else self.papr_db.flatten(),
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
    gains: Complex[Tensor, "batch users fades"],
    coherence: int,
    rng: Rng,
) -> Received:
    """Send symbols over known flat gains, y = g x + n, and equalise: y / g = x + n / g.

    The draws of `rng.derive("noise")` are n e^(-j arg g); N0 comes from `snr_db` alone. Each of the `fades` gains
    holds for `coherence` uses.
    """
    length = symbols.shape[-1]
    n0 = noise_variance(snr_db)
    inverse_power = gains.real.square().addcmul_(gains.imag, gains.imag).reciprocal_()
    noise = rng.derive("noise").complex_normal(length, variance=n0.flatten())
    # n / g and n / |g| have one law, and in-place arithmetic saves memory, which costs more than the arithmetic
    error = noise.to(symbols.device).view(symbols.shape)
    torch.view_as_real(error).mul_(held(inverse_power.sqrt(), coherence, length)[..., None])
    return sent_only(
        Received(
            symbols=error.add_(symbols),
            noise_var=held(inverse_power.mul_(n0[..., None]), coherence, length),
            uses=uses,
            energy=sent_energy(symbols, uses),
            gains=held(gains, coherence, length)[:, :, None],
        )
    )


def held(fades: Tensor, coherence: int, length: int) -> Tensor:
    """Hold each of the last dimension's fades for `coherence` uses, `length` uses in all; a view where it can be."""
    if fades.shape[-1] == 1:
        return fades.expand(*fades.shape[:-1], length)
    return fades if coherence == 1 else fades.repeat_interleave(coherence, dim=-1)[..., :length]


def sent_only(received: Received) -> Received:
    """Clear what stands past each row's uses in symbols and noise variance."""
    length = received.symbols.shape[-1]
    if bool((received.uses >= length).all()):
        return received
    sent = sent_mask(received.uses, length)
    return replace(
        received,
        symbols=torch.where(sent, received.symbols, 0),
        noise_var=torch.where(sent, received.noise_var, 0),
    )


def sent_energy(
    symbols: Complex[Tensor, "batch users uses"], uses: Int[Tensor, "batch users"]
) -> Float[Tensor, "batch users"]:
    """The energy of the symbols that each row sends."""
    length = symbols.shape[-1]
    sent = symbols.detach()
    if not bool((uses >= length).all()):
        sent = torch.where(sent_mask(uses, length), sent, 0)
    return torch.linalg.vector_norm(torch.view_as_real(sent), dim=(-2, -1)).square()


def positive(name: str, value: float) -> float:
    """Return `value`, or refuse an argument that is not a finite number above zero."""
    if not 0 < value < float("inf"):
        raise UsageError(f"{name} must be a number above 0, not {value}")
    return value
