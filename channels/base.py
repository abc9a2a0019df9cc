"""The contract of every channel: complex symbols in; equalized symbols and their noise variance out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.csit import Csit
from channels.rng import Rng


@dataclass(frozen=True)
class Medium:
    """How users share channel uses, and the overhead beside the data.

    Data are sent in frames of up to `frame_data` symbols; a frame occupies `frame_uses` uses of the medium (data,
    pilots, cyclic prefix, guard subcarriers) even when it is not full. Channels without frames have 1 and 1. Frames may
    be sent in bursts of up to `burst_frames` frames, each with further uses (preamble, header, guard interval).

    Args:
        access: "orthogonal": each user has an equal share of the uses; "superposed": all users send in the same uses;
            "common": one transmission is sent to all users.
        frame_data: number of data symbols in a frame.
        frame_uses: number of medium uses that a frame occupies.
        overhead: name and medium uses per frame of each part beside the data, such as pilots; the other medium uses
            carry the data: one symbol each, or several where antennas send several streams.
        burst_frames: largest number of frames of a burst; ignored without `burst_overhead`.
        burst_overhead: name and medium uses of each part that a burst has beside its frames.

    >>> Medium(frame_data=100, frame_uses=140).budget(medium_uses=1000, users=2)
    300
    >>> bursts = Medium(frame_data=100, frame_uses=140, burst_frames=10, burst_overhead=(("preamble", 200),))
    >>> bursts.budget(medium_uses=1000, users=1)
    500
    """

    access: Literal["orthogonal", "superposed", "common"] = "orthogonal"
    frame_data: int = 1
    frame_uses: int = 1
    overhead: tuple[tuple[str, int], ...] = ()
    burst_frames: int = 1
    burst_overhead: tuple[tuple[str, int], ...] = ()

    @property
    def burst_uses(self) -> int:
        """Medium uses of a burst beside its frames."""
        return sum(uses for _, uses in self.burst_overhead)

    def budget(self, medium_uses: int, users: int) -> int:
        """Data uses of each of `users` users when all users together may occupy `medium_uses` uses of the medium."""
        share = medium_uses // users if self.access == "orthogonal" else medium_uses
        bursts, rest = divmod(share, self.burst_frames * self.frame_uses + self.burst_uses)
        frames = bursts * self.burst_frames + max(0, rest - self.burst_uses) // self.frame_uses
        return frames * self.frame_data

    def occupied(self, uses: Int[Tensor, "batch users"]) -> Int[Tensor, " batch"]:
        """Medium uses that data uses occupy: the sum over orthogonal users, the maximum over other users."""
        frames = -(-uses // self.frame_data)
        occupied = frames * self.frame_uses + -(-frames // self.burst_frames) * self.burst_uses
        return occupied.sum(1) if self.access == "orthogonal" else occupied.amax(1)


@dataclass(frozen=True)
class Received:
    """Output of a channel; leading dimensions are [batch, users] as returned by `carry`, [rows] after `fold`.

    Args:
        symbols: received symbols, complex64 [..., uses], equalized without bias: sent symbol + error. Zero past the
            uses of a row.
        noise_var: variance of the complex error, E|error|^2, float32 [..., uses], channel estimation error included.
            Zero past the uses of a row.
        uses: number of channel uses of each row, int64 [...].
        energy: transmitted energy of each row, float32 [...], pilots included; one symbol of unit energy counts 1.
        gains: channel gains as the receiver knows them, complex64 [..., antennas, uses].
        mixture: sum of the superposed users and the noise at each antenna, complex64 [batch, antennas, uses], or None.
        mixture_noise_var: noise variance N0 at each antenna of the mixture, float32 [batch], or None.
        papr_db: peak-to-average power ratio of each row's waveform before the amplifier, dB, float32 [...]; None if
            the channel models no amplifier.
    """

    symbols: Complex[Tensor, "*rows uses"]
    noise_var: Float[Tensor, "*rows uses"]
    uses: Int[Tensor, "*rows"]
    energy: Float[Tensor, "*rows"]
    gains: Complex[Tensor, "*rows antennas uses"]
    mixture: Complex[Tensor, "batch antennas uses"] | None = None
    mixture_noise_var: Float[Tensor, " batch"] | None = None
    papr_db: Float[Tensor, "*rows"] | None = None

    def for_receiver(self) -> Received:
        """The fields that a receiver may read: without the sent energy and the PAPR, which only the sender knows."""
        return replace(self, energy=torch.zeros_like(self.energy), papr_db=None)

    def fold(self) -> Received:
        """Fold [batch, users, ...] into [rows, ...]; the mixture, for joint decoders only, is dropped."""
        return Received(
            self.symbols.flatten(0, 1),
            self.noise_var.flatten(0, 1),
            self.uses.flatten(),
            self.energy.flatten(),
            self.gains.flatten(0, 1),
            papr_db=None if self.papr_db is None else self.papr_db.flatten(),
        )

    def ordered(
        self, rows: Int[Tensor, " selected"], order: Int[Tensor, " length"]
    ) -> tuple[Complex[Tensor, "selected length"], Float[Tensor, "selected length"]]:
        """Symbols and noise variances of some rows at some positions, as after an interleaver.

        Args:
            rows: indices of rows, int64 [selected].
            order: position of each symbol, int64 [length].
        """
        rows, order = rows.to(self.symbols.device)[:, None], order.to(self.symbols.device)
        return self.symbols[rows, order], self.noise_var[rows, order]

    def mmse_estimate(self) -> Complex[Tensor, "*rows uses"]:
        """Estimate of unit-energy symbols with minimum mean-squared error: symbols / (1 + noise_var)."""
        return self.symbols / (1 + self.noise_var)


class Channel(ABC):
    """A channel between the antennas of senders and receivers.

    Every channel has these properties:

    * Zeros past `uses`: symbols past the uses of a row are not sent; the returned symbols and noise variances are zero
      there, without noise and without equalization.
    * Unbiased equalization: a returned symbol is the sent symbol plus an error that is uncorrelated with it, so
      E[received | sent] = sent. `Received.mmse_estimate` scales it to the minimum mean-squared error.
    * Noise variance: `noise_var` is E|error|^2 of each symbol, of both real dimensions together: noise, interference
      of other users, channel estimation error and impairments included.
    * Power: symbols are sent as they are, never normalized. Es/N0 refers to unit-energy symbols, N0 = 10^(-snr_db/10)
      whatever the power of the symbols or of the batch, and fading has E|gain|^2 = 1. `energy` reports what was sent.
    * Differentiability: returned symbols have gradients with respect to the sent symbols, and the input tensors are
      not changed.
    * Devices and types: results are on the device of `symbols`; random numbers are generated on the CPU and moved.
      Symbols and gains are complex64, variances and energies float32, counts int64.
    * Randomness: all random numbers come from streams named by `rng`, one per row, and the global random state is left
      alone. A row's result depends on its own seed and not on the other rows, except that superposed users interfere.
      The fading and noise of the first uses do not depend on the length of the row.
    * Decisions: a receiver that decides on symbols before the channel decoder knows their constellation from
      `with_constellation` alone, and never reads it from the sent symbols.

    Attributes:
        medium: how users share the channel, and the overhead of its frames.
        csit: channel state information at the transmitter (CSIT).
    """

    medium: Medium
    csit: Csit = Csit()

    @abstractmethod
    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        """Transmit symbols to their receivers.

        Args:
            symbols: symbols to send, complex64 [batch, users, uses], unit mean energy.
            uses: number of symbols that each row sends, int64 [batch, users]; the columns after them are not sent.
            snr_db: Es/N0 in dB per complex channel use and receive antenna, averaged over fading, float32 [batch,
                users].
            rng: random streams, one for each of the batch * users rows in row order, at their start.
        """

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        """SNR that the transmitter knows before it transmits: the average SNR, unless a channel has other `csit`.

        Args:
            uses: number of coming channel uses of each row, int64 [batch, users].
            snr_db: average Es/N0 in dB, as in `carry`.
            rng: random streams of the following call of `carry`, at their start; the fading is the same in both.
        """
        return snr_db

    def with_constellation(self, bits_per_symbol: Int[Tensor, "batch users uses"]) -> Channel:
        """Channel whose receiver knows the constellation of each channel use; the same one if it takes no decisions.

        The receiver knows it as the demapper does, from shared configuration or a decoded header. If a header is
        decoded incorrectly, decoding fails with any constellation.

        Args:
            bits_per_symbol: bits of the symbol that each row sends in each use, as in `channels.modem.map_bits`; 0 for
                an analog symbol, on which no receiver decides. int64 [batch, users, uses].
        """
        return self


def noise_variance(snr_db: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    """Variance of complex noise per channel use for symbols of unit energy, N0 = 10^(-snr_db / 10).

    >>> noise_variance(torch.tensor([0.0, 10.0])).tolist()
    [1.0, 0.10000000149011612]
    """
    return 10 ** (-snr_db / 10)


def sent_mask(uses: Int[Tensor, "*rows"], length: int) -> Tensor:
    """Mask of the uses that each row sends, bool [..., length].

    >>> sent_mask(torch.tensor([2, 0]), 3).tolist()
    [[True, True, False], [False, False, False]]
    """
    return torch.arange(length, device=uses.device) < uses[..., None]


def carry_flat(
    symbols: Complex[Tensor, "batch users uses"],
    uses: Int[Tensor, "batch users"],
    snr_db: Float[Tensor, "batch users"],
    gains: Complex[Tensor, "batch users blocks"],
    coherence: int,
    rng: Rng,
) -> Received:
    """Transmit symbols over flat gains that the receiver knows, y = g x + n, and equalize: y / g = x + n / g.

    The noise comes from `rng.derive("noise")`; its phase is relative to that of the gain, n e^(-j arg g).

    Args:
        symbols: complex64 [batch, users, uses].
        uses: int64 [batch, users], number of uses that each row sends.
        snr_db: float32 [batch, users], Es/N0 in dB.
        gains: gain of each block of `coherence` uses, complex64 [batch, users, blocks].
        coherence: number of uses in a block.
        rng: random numbers, one stream per row of [batch * users].
    """
    length = symbols.shape[-1]
    n0 = noise_variance(snr_db)
    inverse_power = gains.real.square().addcmul_(gains.imag, gains.imag).reciprocal_()
    noise = rng.derive("noise").complex_normal(length, variance=n0.flatten())
    # n / g and n / |g| have the same distribution; in-place arithmetic, because memory limits the speed
    error = noise.to(symbols.device).view(symbols.shape)
    torch.view_as_real(error).mul_(hold_blocks(inverse_power.sqrt(), coherence, length)[..., None])
    return clear_unsent(
        Received(
            symbols=error.add_(symbols),
            noise_var=hold_blocks(inverse_power.mul_(n0[..., None]), coherence, length),
            uses=uses,
            energy=sent_energy(symbols, uses),
            gains=hold_blocks(gains, coherence, length)[:, :, None],
        )
    )


def hold_blocks(values: Tensor, coherence: int, length: int) -> Tensor:
    """Repeat each value of the last dimension for `coherence` uses, `length` uses in all; a view where possible."""
    if values.shape[-1] == 1:
        return values.expand(*values.shape[:-1], length)
    return values if coherence == 1 else values.repeat_interleave(coherence, dim=-1)[..., :length]


def clear_unsent(received: Received) -> Received:
    """Set symbols and noise variances past the uses of each row to zero."""
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
    """Energy of the symbols that each row sends, without gradient."""
    length = symbols.shape[-1]
    sent = symbols.detach()
    if not bool((uses >= length).all()):
        sent = torch.where(sent_mask(uses, length), sent, 0)
    return torch.linalg.vector_norm(torch.view_as_real(sent), dim=(-2, -1)).square()
