"""Likelihoods of modulations, from which a receiver recognizes the modulation of a transmission.

A frame is the symbols that an antenna receives, y_n = h a_n + w_n, with points a_n of an unknown modulation and noise
w_n of variance N0. Bayes' rule over the likelihoods is the recognizer with the least error, so that it bounds every
other one. It needs no training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from channels.arguments import one_of
from channels.errors import UsageError
from channels.modem.bits import integers_to_bits
from channels.modem.qam import map_bits
from channels.rng import Rng

_ANGLES = 96  # of the coarse search over the whole circle; a modulation that repeats after a quarter has a quarter
_HALVINGS = 12  # of the step between these angles: the likelihood is as narrow as 1 / sqrt(uses x SNR)
_BLOCK = 1 << 16  # symbols that are processed together: they fit the cache
_SNR_RANGE_DB = (-20.0, 44.0)  # of the search for an unknown noise variance

PhaseKnowledge = Literal["known", "unknown"]


@dataclass(frozen=True)
class Modulation:
    """Points of mean energy 1, each equally likely.

    Args:
        name: name.
        in_phase: levels of the real part; empty if the two parts are not independent.
        quadrature: levels of the imaginary part, independent of the real part.
        points: all points, where the two parts are not independent.
        turn: angle in radians by which the received symbol is turned back before it is compared with the levels.
        alternating: further angle of every second symbol.
        symmetry: number of rotations of the circle that map the points onto themselves; 0 is all.
    """

    name: str
    in_phase: tuple[float, ...] = ()
    quadrature: tuple[float, ...] = ()
    points: tuple[complex, ...] = ()
    turn: float = 0.0
    alternating: float = 0.0
    symmetry: int = 4

    def draw(self, uses: int, rng: Rng) -> Tensor:
        """Random symbols, complex64 [rows, uses], one row for each stream of `rng`.

        >>> MODULATIONS["qpsk"].draw(2, Rng([1])).abs()
        tensor([[1., 1.]])
        """
        stream = rng.derive(f"symbols of {self.name}")
        if not (self.in_phase or self.points):
            return torch.view_as_complex(stream.normal(uses, 2).contiguous()) * math.sqrt(0.5)
        uniform = stream.uniform(uses, 2)

        def level(levels: tuple[float, ...], part: int) -> Tensor:
            return torch.tensor(levels)[(uniform[..., part] * len(levels)).long()]

        if self.points:
            return torch.tensor(self.points, dtype=torch.complex64)[(uniform[..., 0] * len(self.points)).long()]
        symbols = torch.complex(level(self.in_phase, 0), level(self.quadrature, 1))
        return symbols * _phases(self.turn, self.alternating, uses)


def _qam(name: str, bits_per_symbol: int) -> Modulation:
    """Square QAM of the modem."""
    half = bits_per_symbol // 2
    labels = torch.arange(2**half)
    bits = integers_to_bits(labels, half)
    symbols = map_bits(torch.stack([bits, bits], -1).flatten(1), bits_per_symbol)[:, 0]
    levels = tuple(sorted(symbols.real.double().tolist()))
    return Modulation(name, levels, levels)


def _modulations() -> dict[str, Modulation]:
    both = (-math.sqrt(0.5), math.sqrt(0.5))
    eighth = [2 * math.pi * number / 8 for number in range(8)]
    found = [
        Modulation("bpsk", (-1.0, 1.0), (0.0,), turn=math.pi / 4, symmetry=2),  # on the diagonal, as in the modem
        Modulation("ook", (0.0, math.sqrt(2.0)), (0.0,), symmetry=1),
        Modulation("qpsk", both, both),
        Modulation("pi/4-qpsk", both, both, alternating=math.pi / 4),
        Modulation("8psk", points=tuple(complex(math.cos(x), math.sin(x)) for x in eighth), symmetry=8),
        *(_qam(f"{2**bits}qam", bits) for bits in (4, 6, 8)),
        Modulation("gaussian", symmetry=0),
    ]
    return {modulation.name: modulation for modulation in found}


MODULATIONS = _modulations()
"""Modulations by name; "gaussian" is a transmission whose symbols are complex Gaussian, as those of analog systems."""


def log_likelihoods(
    symbols: Tensor,
    modulations: Sequence[str] = tuple(MODULATIONS),
    *,
    noise_variance: Tensor | float | None = None,
    gain: Tensor | complex | float | None = None,
    phase: PhaseKnowledge = "known",
) -> Tensor:
    """Natural logarithm of the probability density of each frame under each modulation.

    With everything known, ln p_i(y) = sum_n ln(1/M_i sum_a exp(-|y_n - h a|^2 / N0) / (pi N0)). An unknown phase is
    averaged over the circle, an unknown magnitude of the gain is estimated from the power (|h|^2 = mean |y|^2 - N0),
    and an unknown noise variance is that of the largest likelihood (hybrid likelihood ratio test).

    Args:
        symbols: received symbols before equalization, complex64 [rows, uses].
        modulations: names of `MODULATIONS`.
        noise_variance: N0 of both dimensions together, linear, broadcastable to [rows, 1]; None is unknown.
        gain: complex gain h, broadcastable to [rows, uses]; None is unknown in magnitude and phase.
        phase: whether the phase of `gain` is known; "unknown" adds the same unknown angle to all uses of a row.

    Returns:
        Log-likelihoods, float64 [rows, modulations].

    Raises:
        UsageError: a modulation is not known, none is given, or the symbols are not complex [rows, uses].

    Source: J. L. Xu, W. Su, M. Zhou, Likelihood-ratio approaches to automatic modulation classification, IEEE
    Transactions on Systems, Man, and Cybernetics C, 2011.

    >>> sent = MODULATIONS["16qam"].draw(256, Rng([1]))
    >>> found = log_likelihoods(sent, ["qpsk", "16qam", "64qam"], noise_variance=0.1, gain=1.0)
    >>> posterior(found).argmax(1)
    tensor([1])
    """
    one_of("phase", phase, ("known", "unknown"))
    if not modulations:
        raise UsageError("name one modulation or more")
    for name in modulations:
        one_of("modulation", name, tuple(MODULATIONS))
    if symbols.ndim != 2 or not symbols.is_complex() or not symbols.numel():
        raise UsageError(f"received symbols must be complex [rows, uses] with one use or more, not {symbols.shape}")
    turned = phase == "unknown" or gain is None
    rows, uses = symbols.shape
    step = max(1, _BLOCK // uses)
    found = []
    for start in range(0, rows, step):
        part = slice(start, start + step)
        frame = _Frames(symbols[part], _rows(noise_variance, part, rows), _rows(gain, part, rows), turned)
        found.append(torch.stack([frame.log_likelihood(MODULATIONS[name]) for name in modulations], 1))
    return torch.cat(found)


def posterior(log_likelihood: Tensor, prior: Tensor | None = None) -> Tensor:
    """Probability of each modulation by Bayes' rule, float64 [rows, modulations]; the largest is the decision.

    Args:
        log_likelihood: result of `log_likelihoods`, [rows, modulations].
        prior: probability of each modulation before reception, [modulations]; None is equal probabilities.

    >>> posterior(torch.tensor([[0.0, 0.0, -1e3]]))
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    weighted = log_likelihood if prior is None else log_likelihood + prior.log()
    return torch.softmax(weighted, -1)


def chernoff(first: str, second: str, snr_db: float) -> float:
    """Chernoff information of two modulations over AWGN with known gain, in nats per channel use.

    C = -min over s in [0, 1] of ln integral p_1(y)^s p_2(y)^(1-s) dy. With equal priors the error probability of the
    best decision between the two after N uses is at most exp(-N C) / 2.

    Args:
        first: name in `MODULATIONS`.
        second: name in `MODULATIONS`.
        snr_db: Es/N0 in dB, at most 40.

    Raises:
        UsageError: a name is not known, or the SNR is too large for the integration grid.

    Source: T. M. Cover, J. A. Thomas, Elements of Information Theory, section 11.9.

    >>> round(chernoff("qpsk", "16qam", 3.5), 4)
    0.0099
    """
    for name in (first, second):
        one_of("modulation", name, tuple(MODULATIONS))
    if not snr_db <= 40:
        raise UsageError(f"snr_db must be at most 40 dB, not {snr_db}")
    noise = 10 ** (-snr_db / 10)
    spacing = min(0.25 * math.sqrt(noise), 0.1)
    reach = 2.0 + 5.0 * math.sqrt(noise)
    if "gaussian" in (first, second):
        reach = max(reach, 4.5 * math.sqrt(1 + noise))
    line = torch.arange(-reach, reach, spacing)
    grid = torch.complex(*torch.meshgrid(line, line, indexing="ij")).flatten()
    exponents = torch.linspace(0.0, 1.0, 101, dtype=torch.float64)[1:-1]
    grid = grid[:, None].expand(-1, 2)  # a use with an even number and one with an odd number
    first_log, second_log = (
        _log_density(grid, torch.full_like(grid.real, noise), MODULATIONS[name]).double() - math.log(math.pi * noise)
        for name in (first, second)
    )
    integrals = [(s * first_log + (1 - s) * second_log).exp().sum(0) * spacing**2 for s in exponents.tolist()]
    return max(0.0, float(-torch.stack(integrals).log().mean(1).min()))


@dataclass(frozen=True)
class _Frames:
    """Rows of received symbols with what the receiver knows of them."""

    symbols: Tensor
    noise_variance: Tensor | None
    gain: Tensor | None
    turned: bool

    def log_likelihood(self, modulation: Modulation) -> Tensor:
        noise = self.noise_variance
        turned = self.turned and modulation.symmetry > 0
        period = 2 * math.pi / max(modulation.symmetry, 1)
        angles = max(6, _ANGLES // max(modulation.symmetry, 1))
        if noise is None:
            noise = self._most_likely_noise(modulation, period if turned else 0.0, angles)
        if not turned:
            return self._at(modulation, noise, None)
        return _log_average(lambda angle: self._at(modulation, noise, angle), period, angles, self.symbols)

    def _most_likely_noise(self, modulation: Modulation, period: float, angles: int) -> Tensor:
        """N0 [rows, 1] of the largest likelihood over SNR and angle: a grid, then steps that halve."""
        power = self.symbols.abs().square().mean(1, keepdim=True).clamp(min=1e-12)
        rows, device = len(power), power.device
        low, high = _SNR_RANGE_DB
        steps = torch.tensor([(high - low) / 8, period / angles], device=device)

        def value(point: Tensor) -> Tensor:
            angle = point[:, 1] if period else None
            return self._at(modulation, power / (1 + 10 ** (point[:, :1] / 10)), angle)

        grid = torch.cartesian_prod(torch.arange(9.0), torch.arange(float(angles if period else 1))).to(device)
        start = torch.tensor([low, 0.0], device=device)
        best, best_value = start.expand(rows, 2), value(start.expand(rows, 2))
        moves = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], device=device)
        moves = moves if period else moves[:2]
        for tried in [*(start + grid * steps)[1:, None], *(_HALVINGS * [None])]:
            if tried is None:
                steps = steps / 2
                candidates = [best + move * steps for move in moves]
            else:
                candidates = [tried.expand(rows, 2)]
            for point in candidates:
                found = value(point)
                better = found > best_value
                best = torch.where(better[:, None], point, best)
                best_value = torch.where(better, found, best_value)
        return power / (1 + 10 ** (best[:, :1] / 10))

    def _at(self, modulation: Modulation, noise_variance: Tensor, angle: Tensor | None) -> Tensor:
        """Log-likelihood at a noise variance [rows, 1] and an angle [rows]; None is no angle."""
        gain = self.gain
        if gain is None:
            power = self.symbols.abs().square().mean(1, keepdim=True)
            gain = (power - noise_variance).clamp(min=1e-6 * power + 1e-12).sqrt() + 0j
        equalized = self.symbols / gain
        if angle is not None:
            equalized = equalized * torch.polar(torch.ones_like(angle), -angle)[:, None]
        noise = (noise_variance / gain.abs().square()).float().expand(equalized.shape)
        density = -(math.pi * noise_variance.double()).log().expand(self.symbols.shape).sum(1)
        return density + _log_density(equalized, noise, modulation).double().sum(1)


def _log_density(symbols: Tensor, noise: Tensor, modulation: Modulation) -> Tensor:
    """ln(mean over the points of exp(-|y - a|^2 / v)) of each use, float32 [rows, uses]."""
    if not (modulation.in_phase or modulation.points):  # Gaussian symbols: the variance of y is 1 + v
        return -symbols.abs().square() / (1 + noise) + (noise / (1 + noise)).log()
    if modulation.points:
        points = torch.tensor(modulation.points, dtype=symbols.dtype, device=symbols.device)
        distances = torch.stack([(symbols - point).abs().square() for point in points])
        return torch.logsumexp(-distances / noise, 0) - math.log(len(points))
    if modulation.turn or modulation.alternating:
        turns = _phases(modulation.turn, modulation.alternating, symbols.shape[1]).to(symbols.device)
        symbols = symbols * turns.conj()
    return _along(symbols.real, modulation.in_phase, noise) + _along(symbols.imag, modulation.quadrature, noise)


def _along(values: Tensor, levels: tuple[float, ...], noise: Tensor) -> Tensor:
    """The same for one dimension with equally spaced levels."""
    if len(levels) == 1:
        return -((values - levels[0]) ** 2) / noise
    spacing = (levels[-1] - levels[0]) / (len(levels) - 1)
    nearest = ((values - levels[0]) / spacing).round().clamp(0, len(levels) - 1) * spacing + levels[0]
    least = (values - nearest) ** 2
    inverse = 1 / noise
    total = torch.zeros_like(values)
    for level in levels:  # relative to the nearest level, so that no sum is 0
        total += torch.exp((least - (values - level) ** 2) * inverse)
    return total.log() - math.log(len(levels)) - least * inverse


def _log_average(function: Callable[[Tensor], Tensor], period: float, angles: int, symbols: Tensor) -> Tensor:
    """ln of the average of exp(function(angle)) over one period, float64 [rows].

    Trapezoidal rule over equally spaced angles and, around the largest value, angles at steps that halve: within 0.2 of
    the integral however narrow the peak is.
    """
    rows = len(symbols)
    step = period / angles
    nodes = [torch.full((rows,), step * number, device=symbols.device) for number in range(angles)]
    values = [function(angle) for angle in nodes]
    best_value, index = torch.stack(values).max(0)
    best = index * step
    for _ in range(_HALVINGS):
        step /= 2
        for angle in (best - step, best + step):
            nodes.append(angle)
            values.append(function(angle))
        for angle, value in zip(nodes[-2:], values[-2:], strict=True):
            best = torch.where(value > best_value, angle, best)
            best_value = torch.maximum(best_value, value)
    angle, order = (torch.stack(nodes, 1).double() % period).sort(1)
    value = torch.stack(values, 1).gather(1, order)
    gap = torch.diff(angle, dim=1, append=angle[:, :1] + period)
    weight = (gap + gap.roll(1, 1)) / 2
    return torch.logsumexp(value + (weight / period).clamp(min=1e-300).log(), 1)


def _phases(turn: float, alternating: float, uses: int) -> Tensor:
    """Turn of each use, complex64 [uses]."""
    angles = turn + alternating * (torch.arange(uses) % 2)
    return torch.polar(torch.ones(uses), angles.float())


def _rows(value: Tensor | complex | float | None, part: slice, rows: int) -> Tensor | None:
    """The rows `part` of a value, with a trailing axis; None stays."""
    if value is None:
        return None
    tensor = torch.as_tensor(value)
    tensor = tensor[:, None] if tensor.ndim == 1 else tensor
    return tensor[part] if tensor.ndim == 2 and len(tensor) == rows else tensor.reshape(1, -1)
