"""Impairments between the symbols of a transmitter and the samples of a receiver, for simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex
from numpy.typing import NDArray
from torch import Tensor

from channels.arguments import one_of, within
from channels.errors import UsageError
from channels.rng import Rng
from channels.waveform.pulse import Table, gather, tabulate

MARGIN = 64
"""Number of symbol durations of noise before a frame, at least, and after it."""
_REACH = 8.0  # half length of the interpolator in samples
_CONVERTER_RANGE = 4.0  # largest level of a converter in standard deviations of its input: 12 dB of headroom


@dataclass(frozen=True)
class Impairments:
    """Impairments of transmitter, channel and receiver; all of them are off by default.

    Carrier phase, arrival time and, if there is fading, the path gains are random in every transmission.

    Args:
        frequency_offset: carrier frequency offset in cycles per sample, -0.1 to 0.1.
        clock_offset_ppm: offset of the transmitter's sampling clock in parts per million, -1000 to 1000.
        linewidth: linewidth of the oscillator (Wiener phase noise) in cycles per sample, 0 to 1e-3.
        delays: delay of each path in symbol durations, 0 to 16.
        powers_db: mean power of each path in dB; the sum is normalized to 1.
        fading: "none" (random phases) or "rayleigh" (random complex gains, constant during a transmission).
        iq_gain_db: amplitude imbalance of the receiver's quadrature branches in dB, -3 to 3.
        iq_phase_deg: phase imbalance of the receiver's quadrature branches in degrees, -20 to 20.
        dc_offset: constant offset at the receiver over the amplitude of the signal, 0 to 1.
        backoff_db: saturation power of the amplifier over the mean power in dB, -5 to 30; None for a linear one.
        smoothness: exponent p of the amplifier, 0.5 to 10.
        dac_bits: resolution of the transmitter's converter in bits per real dimension, 1 to 24; None for an ideal one.
        adc_bits: resolution of the receiver's converter in bits per real dimension, 1 to 24; None for an ideal one.

    Raises:
        UsageError: an argument is out of range.
    """

    frequency_offset: float = 0.0
    clock_offset_ppm: float = 0.0
    linewidth: float = 0.0
    delays: tuple[float, ...] = (0.0,)
    powers_db: tuple[float, ...] = (0.0,)
    fading: str = "none"
    iq_gain_db: float = 0.0
    iq_phase_deg: float = 0.0
    dc_offset: float = 0.0
    backoff_db: float | None = None
    smoothness: float = 2.0
    dac_bits: int | None = None
    adc_bits: int | None = None

    def __post_init__(self) -> None:
        within("frequency_offset", self.frequency_offset, -0.1, 0.1)
        within("clock_offset_ppm", self.clock_offset_ppm, -1000, 1000)
        within("linewidth", self.linewidth, 0, 1e-3)
        one_of("fading", self.fading, ("none", "rayleigh"))
        if not self.delays or len(self.delays) != len(self.powers_db):
            raise UsageError(
                f"path_delays has {len(self.delays)} numbers and path_powers_db {len(self.powers_db)}: give one of "
                "each per path"
            )
        for delay, power in zip(self.delays, self.powers_db, strict=True):
            within("path_delays", delay, 0, 16)
            within("path_powers_db", power, -100, 100)
        within("iq_gain_db", self.iq_gain_db, -3, 3)
        within("iq_phase_deg", self.iq_phase_deg, -20, 20)
        within("dc_offset", self.dc_offset, 0, 1)
        within("backoff_db", self.backoff_db, -5, 30, null="a linear amplifier")
        within("amplifier_smoothness", self.smoothness, 0.5, 10)
        within("dac_bits", self.dac_bits, 1, 24, null="an ideal converter")
        within("adc_bits", self.adc_bits, 1, 24, null="an ideal converter")

    def transmit(self, waveform: Complex[Tensor, " samples"], rate: int) -> Complex[Tensor, " samples"]:
        """Convert and amplify the waveform of a frame.

        Rapp amplifier: v / (1 + |v / v_sat|^(2 p))^(1 / (2 p)), v_sat^2 = backoff / rate.

        Args:
            waveform: complex64 [samples], mean power 1 / rate.
            rate: samples per symbol.

        Source: Rapp, Effects of HPA-nonlinearity on a 4-DPSK/OFDM signal, 1991.
        """
        if self.dac_bits is not None:
            waveform = quantize(waveform, math.sqrt(0.5 / rate), self.dac_bits)
        if self.backoff_db is None:
            return waveform
        power = 2 * self.smoothness
        level = torch.view_as_real(waveform).square().sum(-1) * (rate / 10 ** (self.backoff_db / 10))
        return waveform * (1 + level ** (power / 2)) ** (-1 / power)

    def receive(
        self, waveform: Complex[Tensor, " samples"], rate: int, n0: float, rng: Rng
    ) -> Complex[Tensor, " recording"]:
        """The recording of a receiver: paths, clock, carrier, noise, quadrature errors, converter.

        Args:
            waveform: complex64 [samples] as sent, mean power 1 / rate.
            rate: samples per symbol.
            n0: variance of the complex noise of a sample, N0 for symbols of unit energy.
            rng: one random stream.
        """
        clock = 1 + self.clock_offset_ppm * 1e-6
        delay = MARGIN * rate * (1 + float(rng.derive("arrival").uniform(1)))
        tail = (MARGIN + max(self.delays)) * rate + _REACH
        length = int(len(waveform) / clock + delay + tail)
        times = (torch.arange(length, dtype=torch.float64) - delay) * clock
        signal = gather(waveform, times, _interpolator(rate, self.delays, tuple(self.gains(rng).tolist())))
        angle = 2 * math.pi * (self.frequency_offset * torch.arange(length, dtype=torch.float64))
        angle = angle + 2 * math.pi * float(rng.derive("carrier phase").uniform(1))
        if self.linewidth:
            steps = math.sqrt(2 * math.pi * self.linewidth) * rng.derive("phase noise").normal(length)[0]
            angle = angle + steps.double().cumsum(0)
        angle = torch.remainder(angle, 2 * math.pi).float()
        signal = signal * torch.complex(angle.cos(), angle.sin()).to(signal.device)
        signal = signal + rng.derive("noise").complex_normal(length, variance=torch.tensor([n0]))[0].to(signal.device)
        gain, angle_ = 10 ** (self.iq_gain_db / 20), math.radians(self.iq_phase_deg)
        if gain != 1 or angle_:
            turn = complex(math.cos(angle_), math.sin(angle_))
            signal = (1 + gain * turn.conjugate()) / 2 * signal + (1 - gain * turn) / 2 * signal.conj()
        if self.dc_offset:
            signal = signal + self.dc_offset / math.sqrt(rate) * complex(math.sqrt(0.5), math.sqrt(0.5))
        if self.adc_bits is not None:
            level = float(signal.detach().abs().square().mean().sqrt()) * math.sqrt(0.5)
            signal = quantize(signal, level, self.adc_bits)
        return signal

    def gains(self, rng: Rng) -> NDArray[np.complex128]:
        """Complex gain of each path of a transmission; without fading the first one has the phase of the carrier.

        Args:
            rng: one random stream, that of `receive`.
        """
        power = 10 ** (np.array(self.powers_db) / 10)
        amplitude = np.sqrt(power / power.sum())
        if self.fading == "rayleigh":
            return amplitude * rng.derive("fading").complex_normal(len(power))[0].numpy()
        turn = rng.derive("path phases").uniform(len(power))[0].numpy()
        return amplitude * np.exp(2j * np.pi * (turn - turn[0]))


def quantize(samples: Complex[Tensor, " samples"], deviation: float, bits: int) -> Complex[Tensor, " samples"]:
    """Round each real dimension to 2^bits levels over +-4 standard deviations; the gradient is the identity."""
    step = 2 * _CONVERTER_RANGE / 2**bits * max(deviation, 1e-30)
    top = 2 ** (bits - 1)
    parts = torch.view_as_real(samples)
    rounded = ((parts.detach() / step).floor().clamp(-top, top - 1) + 0.5) * step
    return torch.view_as_complex(parts + (rounded - parts.detach()))


@lru_cache(maxsize=64)
def _interpolator(rate: int, delays: tuple[float, ...], gains: tuple[complex, ...]) -> Table:
    shifts = [delay * rate for delay in delays]

    def response(times: NDArray[np.float64]) -> NDArray[np.complex128]:
        total = np.zeros(times.shape, complex)
        for gain, shift in zip(gains, shifts, strict=True):
            total += gain * _windowed_sinc(times - shift)
        return total

    return tabulate(response, _REACH, _REACH + max(shifts))


def _windowed_sinc(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ideal interpolator with a Kaiser window."""
    inside = np.abs(times) < _REACH
    window = np.i0(8 * np.sqrt(np.where(inside, 1 - (times / _REACH) ** 2, 0))) / np.i0(8)
    return np.where(inside, np.sinc(times) * window, 0)
