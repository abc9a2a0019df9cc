"""Pulses tabulated at fine phases: synthesis of a waveform from symbols, and its value at arbitrary times.

`gather` evaluates samples filtered by a pulse at any times, `scatter` places pulses at any times; each is the adjoint
of the other, so that both are differentiable. Together they are modulator, matched filter, interpolator and resampler.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from numpy.typing import NDArray
from torch import Tensor

from channels.arguments import one_of, within

_PHASES = (
    256  # per sample: the nearest phase is at most 1/512 sample off, an error 60 dB below a signal of 4 samples/symbol
)


@dataclass(frozen=True)
class Table:
    """A pulse h at `_PHASES` phases per sample.

    Args:
        real: real part, float32 [phases, taps]: row p, column j is h(p / phases + center - j).
        imag: imaginary part, of the same shape, or float32 [0, 0] for a real pulse.
        center: number of taps before the sample at or before a time.
    """

    real: NDArray[np.float32]
    imag: NDArray[np.float32]
    center: int


def tabulate(pulse: Any, before: float, after: float) -> Table:
    """Tabulate a pulse.

    Args:
        pulse: function from times in samples, float64 array, to the pulse, real or complex.
        before: largest time -t at which h(t) is not zero, in samples.
        after: largest time t at which h(t) is not zero, in samples.
    """
    center, rest = int(np.ceil(after)), int(np.ceil(before)) + 1
    times = np.arange(_PHASES)[:, None] / _PHASES + center - np.arange(center + rest + 1)
    values = np.where((times >= -before) & (times <= after), pulse(times), 0)
    imag = values.imag if np.iscomplexobj(values) else np.zeros((0, 0))
    return Table(np.ascontiguousarray(values.real, np.float32), np.ascontiguousarray(imag, np.float32), center)


def rrc(times: NDArray[np.float64], roll_off: float) -> NDArray[np.float64]:
    """Root-raised-cosine pulse of unit energy at times in symbol durations.

    g(t) = (sin(pi t (1 - b)) + 4 b t cos(pi t (1 + b))) / (pi t (1 - (4 b t)^2)), b the roll-off factor.

    Args:
        times: times in symbol durations, any shape.
        roll_off: roll-off factor b, above 0 and up to 1.

    Source: Proakis and Salehi, Digital Communications, 5th ed., section 9.2-3.

    >>> float(rrc(np.array(0.0), 0.25).round(4))
    1.0683
    """
    t = np.asarray(times, float)
    pole = np.abs(np.abs(4 * roll_off * t) - 1) < 1e-6
    zero = np.abs(t) < 1e-9
    safe = np.where(pole | zero, 0.5 / roll_off, t)
    value = (np.sin(np.pi * safe * (1 - roll_off)) + 4 * roll_off * safe * np.cos(np.pi * safe * (1 + roll_off))) / (
        np.pi * safe * (1 - (4 * roll_off * safe) ** 2)
    )
    angle = np.pi / (4 * roll_off)
    at_pole = roll_off / np.sqrt(2) * ((1 + 2 / np.pi) * np.sin(angle) + (1 - 2 / np.pi) * np.cos(angle))
    return np.where(zero, 1 - roll_off + 4 * roll_off / np.pi, np.where(pole, at_pole, value))


@dataclass(frozen=True)
class Pulse:
    """Truncated root-raised-cosine pulse at a number of samples per symbol, of unit energy in its samples.

    Args:
        samples_per_symbol: number of samples per symbol, an even integer.
        roll_off: roll-off factor.
        span: length of the pulse in symbols.

    Raises:
        UsageError: a number is out of range.

    >>> Pulse(4, 0.25, 16).autocorrelation(np.array([0.0, 1.0])).round(2).tolist()
    [1.0, 0.0]
    """

    samples_per_symbol: int
    roll_off: float
    span: int

    def __post_init__(self) -> None:
        one_of("samples_per_symbol", self.samples_per_symbol, (2, 4, 6, 8))
        within("roll_off", self.roll_off, 0.1, 1)
        one_of("pulse_span", self.span, range(8, 65, 2))

    def __call__(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The pulse at times in samples."""
        inside = np.abs(times) <= self.reach
        return np.where(inside, rrc(times / self.samples_per_symbol, self.roll_off), 0) / self._norm

    @property
    def interference(self) -> float:
        """Power of the interference of all other symbols behind the matched filter, relative to the symbol's."""
        return _interference(self)

    @property
    def reach(self) -> float:
        """Half of the length in samples."""
        return self.span * self.samples_per_symbol / 2

    @property
    def _norm(self) -> float:
        return _energy(self.samples_per_symbol, self.roll_off, self.span) ** 0.5

    @property
    def table(self) -> Table:
        """The tabulated pulse, which is also the matched filter."""
        return _pulse_table(self)

    def autocorrelation(self, lags: NDArray[np.float64]) -> NDArray[np.float64]:
        """q(lag) = sum_n g(n) g(n - lag) at lags in symbols: close to a raised-cosine pulse."""
        grid = np.arange(-self.reach, self.reach + 1)
        shifted = self(grid - np.asarray(lags)[..., None] * self.samples_per_symbol)
        return shifted @ self(grid)


def combined(pulse: Pulse, offsets: NDArray[np.float64], weights: NDArray[np.complex128]) -> Table:
    """The pulse h(t) = sum_i weights[i] g(t + offsets[i]) as a table; offsets are in samples."""
    fine = _fine_table(pulse)
    shifts = [round(offset * _PHASES) for offset in offsets]
    # on the fine grid the pulse is a sum of shifted copies, stored from the latest time to the earliest
    center = -(-(len(fine) // 2 - min(shifts)) // _PHASES)
    taps = center - (-(len(fine) // 2 + max(shifts))) // _PHASES + 1
    grid = np.zeros((taps + 1) * _PHASES, np.complex64)  # entry i is h(center - i / phases)
    for shift, weight in zip(shifts, weights, strict=True):
        start = center * _PHASES + shift - len(fine) // 2
        grid[start : start + len(fine)] += np.complex64(weight) * fine
    # row p, column j is h(p / phases + center - j): entry j * phases - p
    rows = grid.reshape(taps + 1, _PHASES)
    values = np.empty((_PHASES, taps), np.complex64)
    values[0] = rows[:taps, 0]
    values[1:, 0] = 0
    values[1:, 1:] = rows[: taps - 1, :0:-1].T
    return Table(np.ascontiguousarray(values.real, np.float32), np.ascontiguousarray(values.imag, np.float32), center)


def gather(samples: Complex[Tensor, " samples"], times: Float[Tensor, " outputs"], table: Table) -> Tensor:
    """Values sum_n samples[n] h(time - n) at each time, complex64 [outputs]; differentiable in the samples.

    Args:
        samples: complex64 [samples], zero outside.
        times: float64 [outputs], in samples.
        table: pulse h.
    """
    return _Gather.apply(samples, times, table)


def scatter(values: Complex[Tensor, " inputs"], times: Float[Tensor, " inputs"], table: Table, length: int) -> Tensor:
    """Samples sum_k values[k] conj(h(times[k] - n)), complex64 [length]; differentiable in the values.

    Args:
        values: complex64 [inputs].
        times: float64 [inputs], in samples.
        table: pulse h.
        length: number of samples.
    """
    return _Scatter.apply(values, times, table, length)


def _gathered(samples: Tensor, times: Tensor, table: Table) -> Tensor:
    reach = table.real.shape[1]
    first = max(0, int(times.min()) - reach) if len(times) else 0
    within_reach = samples.detach()[first : int(times.max()) + reach + 1 if len(times) else 0]
    return torch.from_numpy(evaluate(split(within_reach), (times - first).numpy(), table)).to(samples.device)


def split(samples: Complex[Tensor, " samples"]) -> NDArray[np.float32]:
    """Real and imaginary parts for `evaluate`, float32 [2, samples]."""
    return torch.stack([samples.detach().real, samples.detach().imag]).cpu().numpy()


def evaluate(parts: NDArray[np.float32], times: NDArray[np.float64], table: Table) -> NDArray[np.complex64]:
    """As `gather`, of samples that were split once for many calls."""
    from channels.waveform import kernels

    out = np.empty(len(times), np.complex64)
    kernels.gather(parts, times, table.real, table.imag, table.center, out)
    return out


def _scattered(values: Tensor, times: Tensor, table: Table, length: int) -> Tensor:
    from channels.waveform import kernels

    out = torch.zeros(2, length)
    kernels.scatter(
        values.detach().cpu().resolve_conj().numpy(), times.numpy(), table.real, table.imag, table.center, out.numpy()
    )
    return torch.complex(out[0], out[1]).to(values.device)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, samples: Tensor, times: Tensor, table: Table) -> Tensor:
        ctx.rest = times, table, len(samples)
        return _gathered(samples, times, table)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        times, table, length = ctx.rest
        return _scattered(grads[0], times, table, length), None, None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, times: Tensor, table: Table, length: int) -> Tensor:
        ctx.rest = times, table
        return _scattered(values, times, table, length)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        times, table = ctx.rest
        return _gathered(grads[0], times, table), None, None, None


@lru_cache(maxsize=16)
def _energy(samples_per_symbol: int, roll_off: float, span: int) -> float:
    reach = span * samples_per_symbol // 2
    return float((rrc(np.arange(-reach, reach + 1) / samples_per_symbol, roll_off) ** 2).sum())


@lru_cache(maxsize=16)
def _pulse_table(pulse: Pulse) -> Table:
    return tabulate(pulse, pulse.reach, pulse.reach)


@lru_cache(maxsize=16)
def _fine_table(pulse: Pulse) -> NDArray[np.float32]:
    half = int(pulse.reach * _PHASES)
    return pulse(np.arange(-half, half + 1) / _PHASES).astype(np.float32)


@lru_cache(maxsize=16)
def _interference(pulse: Pulse) -> float:
    lags = np.arange(1, pulse.span + 1, dtype=float)
    return float(2 * (pulse.autocorrelation(lags) ** 2).sum())
