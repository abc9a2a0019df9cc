"""Co-channel interference: another transmitter in the same channel uses, y = h x + g z + n."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.arguments import within
from channels.base import Channel, Medium, Received, clear_unsent, hold_blocks, noise_variance, sent_energy
from channels.csit import Csit, equal_capacity_snr_db
from channels.propagation.flat import FlatFading
from channels.rng import Rng

TITLE = "Co-channel interference"
_LARGEST_DB = 100.0


class Interference(Channel):
    """Rayleigh block fading with interferers in the same channel uses, y = h x + sum_i g_i z_i + n.

    The symbols z of each of I interferers are Gaussian with unit energy; its gain g ~ CN(0, 1 / (SIR I)) is independent
    of h and constant for the same channel uses as h. The receiver knows h and, as measured from the
    received signal, the power N0 + sum |g_i|^2 of noise and interference in each block; it treats both as noise.

    The SINR of a block is |h|^2 / (N0 + sum |g_i|^2). For one interferer of mean power J,
    P(SINR < x) = 1 - e^(-x N0) / (1 + x J).

    Args:
        sir_db: signal-to-interference ratio in dB: mean power of the signal over that of all interferers together.
        interferers: number of interferers of equal mean power.
        fading: fading of the wanted signal, and channel knowledge of the transmitter; the fading of the interferers has
            the same coherence time.

    Source: Yao and Sheikh, Investigations into cochannel interference in microcellular mobile radio systems, 1992;
    Tse and Viswanath, Fundamentals of Wireless Communication, section 4.3 (interference as noise).
    """

    medium = Medium()

    def __init__(self, sir_db: float, interferers: int, fading: FlatFading) -> None:
        within("sir_db", sir_db, -_LARGEST_DB, _LARGEST_DB)
        within("interferers", interferers, 1, 64)
        self.power, self.interferers, self.fading = 10 ** (-sir_db / 10), interferers, fading
        self.csit = fading.csit

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        batch, users, length = symbols.shape
        n0 = noise_variance(snr_db)[..., None]
        coherence = self.fading.coherence_uses or max(length, 1)
        gains, interfering = self._gains(length, rng)
        level = _level(n0.cpu().flatten(0, 1), interfering)
        disturbance = rng.derive("noise").complex_normal(length, variance=n0.flatten())
        for gain, other in zip(interfering, self._streams(rng), strict=True):
            sent = other.derive("symbols").complex_normal(length)
            disturbance = disturbance + hold_blocks(gain, coherence, length) * sent
        gains = gains.to(symbols.device).unflatten(0, (batch, users))
        inverse_power = torch.view_as_real(gains).square().sum(-1).reciprocal()
        equalizer = hold_blocks(gains.conj() * inverse_power, coherence, length)
        level = level.unflatten(0, (batch, users)).to(symbols.device)
        return clear_unsent(
            Received(
                symbols=symbols + disturbance.view(symbols.shape).to(symbols.device) * equalizer,
                noise_var=hold_blocks(level * inverse_power, coherence, length),
                uses=uses,
                energy=sent_energy(symbols, uses),
                gains=hold_blocks(gains, coherence, length)[:, :, None],
            )
        )

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        if self.csit.is_average:
            return snr_db
        length, n0 = max(int(uses.max()), 1), noise_variance(snr_db).cpu().flatten()[:, None]
        gains, interfering = self._gains(length, rng, self.csit.rho)
        power = (gains.abs().square() * n0 / _level(n0, interfering)).unflatten(0, uses.shape)
        return equal_capacity_snr_db(hold_blocks(power, self.fading.coherence_uses or length, length), uses, snr_db)

    def _streams(self, rng: Rng) -> list[Rng]:
        return [rng.derive(f"interferer {index}") for index in range(self.interferers)]

    def _gains(
        self, length: int, rng: Rng, rho: float = 1.0
    ) -> tuple[Complex[Tensor, "rows blocks"], list[Complex[Tensor, "rows blocks"]]]:
        """Gains of the wanted signal and of each interferer; outdated ones with `rho` below 1."""
        amplitude = (self.power / self.interferers) ** 0.5
        interfering = [self.fading.draw_gains(length, other, rho) * amplitude for other in self._streams(rng)]
        return self.fading.draw_gains(length, rng, rho), interfering


def _level(
    n0: Float[Tensor, "rows 1"], interfering: list[Complex[Tensor, "rows blocks"]]
) -> Float[Tensor, "rows blocks"]:
    """Power of noise and interference in each block."""
    level = n0.expand(-1, interfering[0].shape[-1])
    for gain in interfering:
        level = level + torch.view_as_real(gain).square().sum(-1)
    return level


def build(
    sir_db: float = 10.0,
    interferers: int = 1,
    coherence_uses: int | None = None,
    csit: Literal["average", "perfect", "delayed"] = "average",
    csit_correlation: float = 0.9,
) -> Channel:
    """Rayleigh block fading with co-channel interference, y = h x + g z + n with h and g independent.

    Args:
        sir_db: signal-to-interference ratio in dB, mean power of the signal over that of all interferers (default 10).
        interferers: number of interferers of equal mean power, 1 to 64 (default 1).
        coherence_uses: coherence time in channel uses of the signal and of the interferers: 1 is fast fading, a new
            gain for every use (default null: one gain for the whole transmission of an image).
        csit: channel knowledge of the transmitter: "average" (default; average SNR without interference), "perfect"
            (SNR of an AWGN channel with the capacity of the coming channel uses of each image, with the power of the
            interference in each) or "delayed" (the same from outdated gains of signal and interferers).
        csit_correlation: correlation of the outdated with the actual gains, 0 to 1, for csit: delayed: scattered gains
            rho h + sqrt(1 - rho^2) w with independent w (default 0.9); ignored otherwise.
    """
    return Interference(sir_db, interferers, FlatFading(0.0, coherence_uses, csit=Csit(csit, csit_correlation)))
