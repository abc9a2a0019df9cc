"""Symbols of a single-carrier recording whose modulation is not known: rate, timing and frequency without pilots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex
from numpy.typing import NDArray
from torch import Tensor

from channels.errors import UsageError
from channels.waveform.pulse import Pulse, gather

_PADDING = 4  # zeros of a spectrum, so that a parabola through three values finds its peak
_MAX_PPM = 200.0  # of the clocks of two radios
_FALSE_ALARM = 1e-3  # probability that noise is taken for a spectral line
_SPAN = 16  # length of the matched filter in symbols


@dataclass(frozen=True)
class RecoveredSymbols:
    """Output of the matched filter at the symbol times.

    Args:
        symbols: symbols without frequency offset and with unknown gain and phase, complex64 [symbols].
        times: their times in samples, float64 [symbols].
        frequency: carrier frequency offset in cycles per sample.
        period: symbol duration in samples.
        power: power of the modulated line that gave the frequency: 2, 4 or 8; 0 if there was none, so that the
            frequency is that of the center of the spectrum.
    """

    symbols: Complex[Tensor, " symbols"]
    times: NDArray[np.float64]
    frequency: float
    period: float
    power: int


def recover(
    samples: Complex[Tensor, " samples"], samples_per_symbol: int | None = None, roll_off: float = 0.25
) -> RecoveredSymbols:
    """Symbols of a burst with a root-raised-cosine pulse.

    The carrier offset is first that of the center of the spectrum, then a line of the symbols raised to the power 2, 4
    or 8. Symbol rate and timing are frequency and phase of the line of |y|^2 at the symbol rate.

    Args:
        samples: complex64 [samples] of one burst.
        samples_per_symbol: nominal symbol duration in samples: 2, 4, 6 or 8; None finds it (4, 6 or 8).
        roll_off: roll-off factor of the pulse, 0.1 to 1.

    Raises:
        UsageError: there is no signal, too few samples, or no symbol rate.

    Source: M. Oerder, H. Meyr, Digital filter and square timing recovery, IEEE Transactions on Communications, 1988.
    """
    if not len(samples) or not samples.abs().max():
        raise UsageError("the samples are silence; record a transmission")
    samples = samples.to(torch.complex64) / samples.abs().square().mean().sqrt()
    rate = samples_per_symbol or _nominal(samples)
    factor = 2 if rate == 2 else 1  # two samples per symbol do not show the line at the symbol rate
    if factor == 2:
        samples = _upsampled(samples)
    pulse = Pulse(rate * factor, roll_off, _SPAN)
    if len(samples) < 2 * pulse.reach:
        raise UsageError(f"{len(samples) // factor} samples are shorter than one pulse; record a longer transmission")
    coarse = float(torch.angle((samples[1:] * samples[:-1].conj()).sum())) / (2 * np.pi)
    number = torch.arange(len(samples), dtype=torch.float64)
    samples = samples * torch.polar(torch.ones_like(number), -2 * np.pi * coarse * number).to(torch.complex64)
    filtered = gather(samples, number, pulse.table)
    cycles, phase = _line(filtered.abs().square().double().numpy(), 1 / pulse.samples_per_symbol)
    first = -phase / (2 * np.pi * cycles)
    times = np.arange(first % (1 / cycles), len(samples) - 1, 1 / cycles)
    symbols = gather(samples, torch.from_numpy(times), pulse.table)
    fine, power = _offset(symbols.numpy())
    turn = np.exp(-2j * np.pi * fine * np.arange(len(symbols)))
    symbols = symbols * torch.from_numpy(turn.astype(np.complex64))
    frequency = (coarse + fine * cycles) * factor
    return RecoveredSymbols(symbols, times / factor, frequency, 1 / cycles / factor, power)


def _nominal(samples: Tensor) -> int:
    """The symbol duration in samples with the strongest line of |x|^2."""
    spectrum = np.abs(np.fft.fft(_without_mean(samples.abs().square().double().numpy())))
    noise = np.median(spectrum) / np.sqrt(np.log(2))  # Rayleigh distribution: median and root mean square
    found = {}
    for rate in (4, 6, 8):
        center, reach = round(len(samples) / rate), max(2, round(len(samples) / rate * _MAX_PPM * 1e-6))
        found[rate] = spectrum[center - reach : center + reach + 1].max(initial=0.0) / max(noise, 1e-30)
    best = max(found, key=lambda rate: found[rate])
    if found[best] < np.sqrt(np.log(15 / _FALSE_ALARM)):
        raise UsageError("no symbol rate of 4, 6 or 8 samples per symbol was found; give --samples-per-symbol")
    return best


def _line(values: NDArray[np.float64], cycles: float) -> tuple[float, float]:
    """Frequency near `cycles` of the strongest line of real values, in cycles per sample, and its phase at sample 0."""
    values, count = _without_mean(values), len(values)
    number = np.arange(count)
    reach = max(cycles * _MAX_PPM * 1e-6, 0.25 / count)
    grid = np.linspace(-reach, reach, 33)
    base = values * np.exp(-2j * np.pi * cycles * number)
    block = max(1, count // 4096)
    blocks = base[: count // block * block].reshape(-1, block).sum(1)  # the grid is narrow: sums over short blocks
    centers = np.arange(len(blocks)) * block + (block - 1) / 2
    strength = np.abs(np.exp(-2j * np.pi * grid[:, None] * centers) @ blocks)
    best = cycles + _vertex(grid, strength)
    return best, float(np.angle((values * np.exp(-2j * np.pi * best * number)).sum()))


def _offset(symbols: NDArray[np.complex64]) -> tuple[float, int]:
    """Frequency offset in cycles per symbol, within a sixteenth, and the power whose line shows it; 0 if none does."""
    count = len(symbols)
    unit = symbols / np.maximum(np.abs(symbols), 1e-12)
    size = _PADDING * 2 ** int(np.ceil(np.log2(count)))
    for power in (2, 4, 8):
        spectrum = np.abs(np.fft.fft(unit**power * np.abs(symbols), size).astype(complex)) ** 2
        frequencies = np.fft.fftfreq(size)
        level = np.log(_PADDING * count / _FALSE_ALARM) * (np.abs(symbols) ** 2).sum()
        best = int(spectrum.argmax())
        if spectrum[best] > level:
            around = [(best + step) % size for step in (-1, 0, 1)]
            step = 1 / size
            return (frequencies[best] + _vertex(np.array([-step, 0, step]), spectrum[around])) / power, power
    return 0.0, 0


def _vertex(places: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Place of the maximum of a parabola through the largest value and its neighbors."""
    best = int(values.argmax())
    if not 0 < best < len(values) - 1:
        return float(places[best])
    left, middle, right = values[best - 1 : best + 2]
    curvature = left - 2 * middle + right
    shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(places[best] + shift * (places[1] - places[0]))


def _without_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values - values.mean()


def _upsampled(samples: Tensor) -> Tensor:
    """Twice as many samples per second, by zeros in the spectrum."""
    spectrum = torch.fft.fftshift(torch.fft.fft(samples))
    before = len(samples) // 2
    padded = torch.nn.functional.pad(spectrum, (before, len(samples) - before))
    return torch.fft.ifft(torch.fft.ifftshift(padded)) * 2
