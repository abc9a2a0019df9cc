"""Time and frequency of a detected preamble, by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex
from numpy.typing import NDArray
from torch import Tensor

from channels.waveform.detection import Candidate
from channels.waveform.pulse import Pulse, gather

_PAD = 4  # zero padding of the periodogram
_STEP = 1 / 4  # symbols between the first times at which the correlation is evaluated; halved in each round
_ROUNDS = 3


@dataclass(frozen=True)
class Timing:
    """Time and frequency of a frame.

    Args:
        start: time of the first symbol in samples.
        frequency: frequency offset in cycles per symbol.
    """

    start: float
    frequency: float


def acquire(
    samples: Complex[Tensor, " samples"], candidate: Candidate, known: NDArray[np.complex128], pulse: Pulse
) -> Timing:
    """Refine a candidate: maximize |sum_k conj(p_k) y(t + k T) e^(-j 2 pi f k)| over time t and frequency f.

    y is the output of the matched filter. The estimate is the one of maximum likelihood for a single path; over several
    paths the time is that of the strongest one.

    Args:
        samples: recording, complex64 [samples].
        candidate: detected position.
        known: preamble p, complex128 [symbols].
        pulse: pulse of the symbols.

    Source: Kay, Fundamentals of Statistical Signal Processing: Estimation Theory, examples 15.13 and 3.13.
    """
    rate = pulse.samples_per_symbol
    start, frequency = candidate.position * rate / 2, candidate.frequency
    first = max(0, int(start - pulse.reach - 2 * rate))
    region = samples.detach()[first : int(start + len(known) * rate + pulse.reach + 2 * rate) + 1]
    shifts = np.arange(-3.0, 4.0) * _STEP
    for _ in range(_ROUNDS):
        turned = region * phasor(-frequency / rate, len(region), first - start)
        times = start - first + rate * (shifts[:, None] + np.arange(len(known)))
        outputs = gather(turned, torch.from_numpy(times.ravel()), pulse.table).numpy().reshape(times.shape)
        outputs = outputs * known.conj()
        # the frequency at the best time, then the time at that frequency
        change = _peak_frequency(outputs[np.abs(outputs.sum(1)).argmax()])
        frequency += change
        power = np.abs((outputs * np.exp(-2j * np.pi * change * np.arange(len(known)))).sum(1)) ** 2
        start += rate * _peak(power, shifts)
        shifts = np.array([-0.5, 0.0, 0.5]) * float(shifts[1] - shifts[0])
    return Timing(float(start), float(frequency))


def phasor(cycles: float, count: int, first: float = 0.0) -> Complex[Tensor, " count"]:
    """e^(j 2 pi cycles (n + first)) for n = 0 .. count - 1, complex64.

    >>> phasor(0.25, 2).imag.tolist()
    [0.0, 1.0]
    """
    angle = (2 * np.pi * torch.frac(cycles * (torch.arange(count, dtype=torch.float64) + first))).float()
    return torch.complex(angle.cos(), angle.sin())


def _peak_frequency(values: NDArray[np.complex128]) -> float:
    """Frequency in cycles per entry at the largest magnitude of the spectrum within +-1/2 of an entry's segment."""
    size = _PAD * len(values)
    power = np.abs(np.fft.fft(values, size)) ** 2
    index = int(power.argmax())
    index = index - size if index >= size / 2 else index
    frequency = index / size
    entries = np.arange(len(values)) - (len(values) - 1) / 2
    for _ in range(2):  # Newton's method on the log-likelihood
        turned = values * np.exp(-2j * np.pi * frequency * entries)
        total, slope, curve = turned.sum(), (entries * turned).sum(), (entries**2 * turned).sum()
        gradient = 2 * (total.conj() * slope).imag
        curvature = 2 * (np.abs(slope) ** 2 - (total.conj() * curve).real)
        if curvature >= 0:
            break
        frequency -= float(np.clip(gradient / (2 * np.pi * curvature), -0.5 / size, 0.5 / size))
    return frequency


def _peak(values: NDArray[np.float64], places: NDArray[np.float64]) -> float:
    """Place of the maximum of a parabola through the largest value and its neighbors."""
    index = int(values[1:-1].argmax()) + 1
    before, here, after = values[index - 1 : index + 2]
    curvature = before - 2 * here + after
    shift = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
    return float(places[index] + np.clip(shift, -1, 1) * (places[1] - places[0]))
