"""The waveform as a channel: symbols become samples, which pass the impairments; the receiver finds the symbols."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.base import Channel, Received, noise_variance
from channels.rng import Rng
from channels.waveform.frame import Layout
from channels.waveform.header import Header
from channels.waveform.impairments import Impairments
from channels.waveform.modulator import configuration, modulate
from channels.waveform.receiver import ReceivedFrame, Receiver

MISSED_NOISE_VAR = 1000.0
"""Noise variance of the symbols of a missed frame: an SNR of -30 dB, so that digital transmissions fail."""


class WaveformChannel(Channel):
    """Samples between two radios: frames of a waveform, impairments, and a receiver that knows only what it received.

    The payload of each row is divided into frames, which follow one another in one recording. Symbols of a frame that
    the receiver does not find are noise of variance 1000. `gains` has the estimated amplitude and carrier phase of each
    symbol, `papr_db` is that of the waveform before the amplifier, and `energy` that of all samples, preamble, header
    and pilots included.

    Args:
        layout: layout of the frames.
        impairments: impairments of the radios and paths between them.
    """

    def __init__(self, layout: Layout, impairments: Impairments) -> None:
        self.layout, self.impairments, self.medium = layout, impairments, layout.medium
        self.receiver = Receiver(layout, configuration(layout))

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        batch, users, length = symbols.shape
        counts, n0 = uses.flatten().tolist(), noise_variance(snr_db).flatten().tolist()
        rows = [
            self._row(row[:count], length, variance, rng[i : i + 1])
            for i, (row, count, variance) in enumerate(zip(symbols.flatten(0, 1).cpu(), counts, n0, strict=True))
        ]  # on the CPU: the receiver's loops are compiled for it
        received, noise_var, gains, energy, papr_db = (
            torch.stack(parts).unflatten(0, (batch, users)).to(symbols.device) for parts in zip(*rows, strict=True)
        )
        return Received(received, noise_var, uses, energy, gains[:, :, None], papr_db=papr_db)

    def _row(self, symbols: Complex[Tensor, " uses"], length: int, n0: float, rng: Rng) -> tuple[Tensor, ...]:
        """Symbols, noise variances and gains of one row, with zeros up to `length`; its energy and PAPR in dB."""
        count, rate = len(symbols), self.layout.pulse.samples_per_symbol
        missing = rng.derive("missed").complex_normal(count, variance=torch.tensor([MISSED_NOISE_VAR]))[0]
        received, gains = missing.to(symbols.device), torch.zeros_like(symbols)
        noise_var = torch.full((count,), MISSED_NOISE_VAR, device=symbols.device)
        energy, papr_db = torch.zeros((), device=symbols.device), torch.zeros((), device=symbols.device)
        if count:
            waveform = modulate(symbols, self.layout, Header(self.receiver.configuration, count))
            power = torch.view_as_real(waveform.detach()).square().sum(-1)
            papr_db = 10 * torch.log10(power.amax() / power.mean())
            sent = self.impairments.transmit(waveform, rate)
            energy = torch.view_as_real(sent.detach()).square().sum()
            recording = self.impairments.receive(sent, rate, n0, rng)
            frames, _ = self.receiver.receive(recording)
            received, noise_var, gains = self._assembled(frames, received, noise_var, gains)
        parts = received, noise_var, gains
        return *(torch.nn.functional.pad(part, (0, length - count)) for part in parts), energy, papr_db

    def _assembled(
        self, frames: list[ReceivedFrame], symbols: Tensor, noise_var: Tensor, gains: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Payload of the frames at their places in the row; of two frames of one place the stronger one."""
        sizes = self.layout.parts(len(symbols))
        starts = [sum(sizes[:part]) for part in range(len(sizes))]
        for frame in sorted(frames, key=lambda frame: frame.statistic):
            if frame.header.uses == len(symbols):
                start = starts[frame.header.part]
                place = torch.arange(start, start + len(frame.symbols), device=symbols.device)
                symbols = symbols.index_put((place,), frame.symbols)
                noise_var = noise_var.index_put((place,), frame.noise_var.to(symbols.device))
                gain = torch.polar(torch.full_like(frame.phase, frame.gain), frame.phase)
                gains = gains.index_put((place,), gain.to(symbols.device))
        return symbols, noise_var, gains
