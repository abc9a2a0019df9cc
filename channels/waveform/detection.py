"""Detection of frames: correlation with the preamble over time and frequency, at a constant false-alarm rate.

The matched filter output y at two samples per symbol is correlated with each of the M repetitions in the preamble of N
symbols, z_m(n) = sum_k conj(p_(16 m + k)) y(n + 16 m + k), and

    rho(n) = max over f of |sum_m z_m(n) e^(-j 2 pi f m)|^2 / (N sum_k |y(n + k)|^2)

with 2 M frequencies f. Samples a symbol apart are independent, so that for noise alone each term has the distribution
Beta(1, N - 1), P(rho > t) = (1 - t)^(N - 1), whatever the noise power. With the preamble in noise it has the noncentral
beta distribution of `miss_probability`.

Source: Kay, Fundamentals of Statistical Signal Processing: Detection Theory, section 9.4 (generalized likelihood ratio
with unknown noise variance).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels.waveform import sequences

_CHUNK = 1 << 15  # positions that are examined at a time


@dataclass(frozen=True)
class Candidate:
    """A place where the preamble may begin.

    Args:
        position: position in half symbols.
        frequency: frequency offset in cycles per symbol.
        statistic: rho, 0 to 1.
    """

    position: int
    frequency: float
    statistic: float


@dataclass(frozen=True)
class Detector:
    """Detector of a preamble.

    Args:
        preamble: number of preamble symbols.
        false_alarms: probability of a false alarm per half symbol of a recording.

    >>> round(Detector(256, 1e-9).threshold, 3)
    0.09
    """

    preamble: int
    false_alarms: float

    @property
    def repetitions(self) -> int:
        """Number M of repetitions in the preamble."""
        return self.preamble // sequences.SEGMENT

    @property
    def threshold(self) -> float:
        """Value of rho above which a frame is detected: a union bound over the frequencies."""
        return 1 - (self.false_alarms / (2 * self.repetitions)) ** (1 / (self.preamble - 1))

    @cached_property
    def frequencies(self) -> Float[Tensor, " frequencies"]:
        """Frequency hypotheses in cycles per symbol, -1/32 to 1/32."""
        return torch.fft.fftfreq(2 * self.repetitions, dtype=torch.float64) / sequences.SEGMENT

    def statistic(self, halves: Complex[Tensor, " halves"], above: float = 0.0) -> Float[Tensor, " positions"]:
        """rho of each position, float32 [positions]; 0 where it cannot exceed `above`, which is faster.

        By the Cauchy-Schwarz inequality rho <= M sum_m |z_m|^2 / (N sum |y|^2).

        Args:
            halves: output of the matched filter at two samples per symbol, complex64 [halves]; positions = halves -
                2 N + 2.
            above: smallest value of interest.
        """
        segments, energy = self._segments(halves)
        bound = _sliding(torch.view_as_real(segments).square().sum(-1), 2 * sequences.SEGMENT, self.repetitions)
        bound = self.repetitions * bound[: len(energy)] / (self.preamble * energy)
        index = (bound > above).nonzero().flatten()
        rho = torch.zeros(len(energy))
        rho[index] = self._spectra(segments, index).amax(-1) / (self.preamble * energy[index])
        return rho

    def correlations(self, halves: Complex[Tensor, " halves"]) -> Float[Tensor, "positions frequencies"]:
        """The terms of rho at all positions and frequencies, float32."""
        segments, energy = self._segments(halves)
        return self._spectra(segments, torch.arange(len(energy))) / (self.preamble * energy)[:, None]

    def _segments(self, halves: Tensor) -> tuple[Complex[Tensor, " starts"], Float[Tensor, " positions"]]:
        """z_0 at each place where a repetition may begin, and the energy of the preamble's samples at each position."""
        from channels.waveform import kernels

        parts = torch.stack([halves.real, halves.imag])
        out = torch.empty(2, len(halves) - 2 * sequences.SEGMENT + 2)
        kernels.correlate(parts.numpy(), sequences.zadoff_chu(), out.numpy())
        energy = _sliding(parts.square().sum(0), 2, self.preamble).clamp(min=1e-30)
        return torch.complex(out[0], out[1]), energy

    def _spectra(self, segments: Tensor, index: Tensor) -> Float[Tensor, "positions frequencies"]:
        """|sum_m z_m e^(-j 2 pi f m)|^2 at the positions `index`."""
        places = index[:, None] + 2 * sequences.SEGMENT * torch.arange(self.repetitions)
        return torch.view_as_real(segments[places] @ self._waves).square().sum(-1)

    @cached_property
    def _waves(self) -> Complex[Tensor, "repetitions frequencies"]:
        phase = -2j * math.pi * sequences.SEGMENT * torch.arange(self.repetitions)[:, None] * self.frequencies
        return (torch.from_numpy(sequences.cover(self.repetitions).conj())[:, None] * torch.exp(phase)).to(
            torch.complex64
        )

    def candidates(self, halves: Complex[Tensor, " halves"]) -> list[Candidate]:
        """Places above the threshold, each the largest within a preamble's length, in the order of their positions."""
        overlap = 2 * self.preamble - 2
        starts = range(0, max(len(halves) - overlap, 0), _CHUNK)
        parts = [halves[start : start + _CHUNK + overlap] for start in starts]
        rho = torch.cat([torch.empty(0), *(self.statistic(part, self.threshold) for part in parts)])
        above = (rho > self.threshold).nonzero().flatten()
        found: list[int] = []
        for position in above[rho[above].argsort(descending=True)].tolist():
            if all(abs(position - other) >= 2 * self.preamble for other in found):
                found.append(position)
        return [self._candidate(halves, position) for position in sorted(found)]

    def _candidate(self, halves: Tensor, position: int) -> Candidate:
        value, index = self.correlations(halves[position : position + 2 * self.preamble - 1])[0].max(0)
        return Candidate(position, float(self.frequencies[index]), float(value))


def _sliding(values: Float[Tensor, " values"], step: int, count: int) -> Float[Tensor, " positions"]:
    """sum_k values[n + step k] over k = 0 .. count - 1 at each n."""
    positions = len(values) - step * (count - 1)
    padded = torch.nn.functional.pad(values, (0, -len(values) % step)).view(-1, step).double().cumsum(0)
    padded = torch.nn.functional.pad(padded, (0, 0, 1, 0))
    return (padded[count:] - padded[:-count]).flatten()[:positions].float()


def false_alarm_probability(threshold: float, preamble: int) -> float:
    """Probability that noise alone exceeds a threshold at one position and frequency, (1 - t)^(N - 1).

    >>> round(false_alarm_probability(0.05, 256), 8)
    2.09e-06
    """
    return (1 - threshold) ** (preamble - 1)


def miss_probability(threshold: float, preamble: int, snr: float) -> float:
    """Probability that a preamble in noise stays below a threshold at its position and frequency.

    (N - 1) rho / (1 - rho) has a noncentral F distribution with 2 and 2 (N - 1) degrees of freedom and noncentrality
    2 N SNR.

    Args:
        threshold: threshold of rho.
        preamble: number N of symbols.
        snr: Es/N0, linear.

    >>> round(miss_probability(0.09, 256, 0.1), 2)
    0.45
    """
    from scipy.stats import ncf

    ratio = (preamble - 1) * threshold / (1 - threshold)
    return float(ncf.cdf(ratio, 2, 2 * (preamble - 1), 2 * preamble * snr))
