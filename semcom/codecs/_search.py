"""Search for the stream of highest PSNR that is not longer than a budget, with few runs of the encoder.

The fast previews of a codec show how length and error depend on quality and scale. Its encoder is then run where the
expected improvement is highest: E = P(length <= budget) * E[max(best error - error, 0)], with normal distributions of
log length and error predicted from the previews and the runs so far (Jones et al., Efficient global optimization of
expensive black-box functions, Journal of Global Optimization, 1998). A codec without previews is run in their stead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from semcom.codecs._streams import SCALES, scaled
from semcom.codecs._trials import Trial, Trials
from semcom.codecs._writers import codec_named

_RUNS = 8  # most runs, once a stream fits
_LEAST_PROBABILITY = 0.02  # of fitting; less likely settings are not tried

_GRID = 10  # number of evenly spaced qualities of previews: on a grid, so that neighboring budgets share them
_FIRST_BITS = 0.15  # bits per pixel; the search starts at the largest scale that has more
_NEAR_DB = 0.5  # predicted error above the lowest one at which a scale is left out

# Standard deviations of predicted log length and error in dB: without a run, and at a distance of d steps from a run,
# SD * d^EXPONENT. Measured with AVIF at speeds 6 and 10, photographs at 256 x 256.
_FIRST_SD = (0.08, 0.4)
_SD = (0.02, 0.07)
_EXPONENT = 0.4
_STEP = 0.06  # of log length, about one quantizer of AVIF
_SCALE_STEPS, _GROUP_STEPS = 3, 1  # distance of a run at a neighboring scale, or of another group of variants


@dataclass(frozen=True)
class _Point:
    """Logarithm of a length, and error in dB."""

    length: float
    error: float


@dataclass
class _Curve:
    """Lengths and errors by quality, an index of the codec's qualities, at one scale for one group of variants."""

    scale: int
    group: int
    qualities: int  # number of them
    previews: dict[int, _Point] = field(default_factory=dict)
    runs: dict[int, _Point] = field(default_factory=dict)
    fitting: int = -1  # highest quality that is known to fit
    exceeding: int = 1 << 30  # lowest quality that is known to exceed the budget
    error: float = math.inf  # of the preview that corresponds to the budget

    @cached_property
    def expected(self) -> list[_Point]:
        """Previews interpolated at all qualities; computed once there are previews on both sides of the budget."""
        known = np.array(sorted(self.previews))
        length, error = np.array([[self.previews[k].length, self.previews[k].error] for k in known.tolist()]).T
        quality = np.arange(self.qualities)
        place = np.clip(np.searchsorted(known, quality), 1, len(known) - 1)
        share = (quality - known[place - 1]) / (known[place] - known[place - 1])
        lengths, errors = (line[place - 1] + share * (line[place] - line[place - 1]) for line in (length, error))
        return [_Point(*pair) for pair in zip(lengths.tolist(), errors.tolist(), strict=True)]


@dataclass(frozen=True)
class _Candidate:
    """Setting that may be run next."""

    curve: _Curve
    quality: int
    probability: float  # that it fits
    error: float
    error_sd: float

    def improvement(self, best: float) -> float:
        """Expected improvement on an error, dB."""
        z = (best - self.error) / self.error_sd
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return self.probability * ((best - self.error) * _normal(z) + self.error_sd * density)


class Search:
    """Search for one image and one budget; a pure function of both and of the settings of `trials`.

    Args:
        trials: encodings of the image.
        budget_bytes: maximum length of the stream, bytes.
        downscale: whether the image may be sent at a reduced size.
    """

    def __init__(self, trials: Trials, budget_bytes: int, downscale: bool) -> None:
        self.trials = trials
        self.budget_bytes = budget_bytes
        self.codec = codec_named(trials.codec)
        last = len(self.codec.qualities) - 1
        self.grid = self.codec.grid or sorted({round(k * last / (_GRID - 1)) for k in range(_GRID)})
        self.limit = math.log(budget_bytes)
        sizes = [scaled(trials.image.size, scale) for scale in range(len(SCALES) if downscale else 1)]
        self.scales = [
            k for k, size in enumerate(sizes) if max(size) <= self.codec.longest_side and size not in sizes[:k]
        ]
        self.groups = len(self.codec.variants) // self.codec.equal
        self.curves: dict[tuple[int, int], _Curve] = {}
        self.best: Trial | None = None

    def run(self) -> Trial | None:
        """The best stream that was found; None if none fits."""
        if not self.scales:
            return None
        self._preview_scales()
        runs = 0
        while runs < _RUNS or self.best is None:
            candidates = list(self._candidates())
            if candidates:
                worst = min(candidate.error for candidate in candidates) + 1
                best = worst if self.best is None else _point(self.best).error
                candidate = max(candidates, key=lambda candidate: candidate.improvement(best))
                if self.best is not None and candidate.improvement(best) < self.codec.worth_db:
                    break
                self._run(candidate.curve, candidate.quality)
                runs += 1
            elif self.best is not None or not self._preview_smaller():
                break
        return self.best

    def _preview_scales(self) -> None:
        """Previews at the scales of low predicted error, found by hill climbing for each group of variants."""
        width, height = self.trials.image.size
        dense = [k for k in self.scales if 8 * self.budget_bytes > _FIRST_BITS * width * height * SCALES[k] ** 2]
        scale = min(dense, default=self.scales[-1])
        for group in range(self.groups):
            scale = self._climbed(scale, group)
        lowest = min(curve.error for curve in self.curves.values())
        self.curves = {key: curve for key, curve in self.curves.items() if curve.error <= lowest + _NEAR_DB}

    def _climbed(self, scale: int, group: int) -> int:
        """Scale of lowest predicted error, from the neighbors of a scale; the smallest one if nothing fits."""
        while True:
            place = self.scales.index(scale)
            near = self.scales[max(place - 1, 0) : place + 2]
            errors = {k: self._curve(k, group).error for k in near}
            if not math.isfinite(min(errors.values())):
                lowest = near[-1]
            else:
                lowest = min(near, key=lambda k: (errors[k], k != scale))
            if lowest == scale:
                return scale
            scale = lowest

    def _preview_smaller(self) -> bool:
        """Previews at the next smaller scale; False if there is none."""
        smaller = [k for k in self.scales if k > max((scale for scale, _ in self.curves), default=-1)]
        for group in range(self.groups if smaller else 0):
            self._curve(smaller[0], group)
        return bool(smaller)

    def _curve(self, scale: int, group: int) -> _Curve:
        """Curve with previews on both sides of the budget."""
        if (scale, group) in self.curves:
            return self.curves[scale, group]
        curve = self.curves[scale, group] = _Curve(scale, group, len(self.codec.qualities))
        target = self.limit + self.codec.excess
        place = self._first_place(scale, target)
        while place > 0 and self._preview(curve, place).length > target:
            place -= 1
        while place + 2 < len(self.grid) and self._preview(curve, place + 1).length <= target:
            place += 1
        low, high = self._preview(curve, place), self._preview(curve, place + 1)
        share = (target - low.length) / max(high.length - low.length, 1e-9)
        if share > -0.5:  # otherwise even the lowest quality is much too long
            curve.error = low.error + min(share, 1) * (high.error - low.error)
        return curve

    def _first_place(self, scale: int, target: float) -> int:
        """First place in the grid: the one of equal bits per pixel in the latest curve."""
        if len(self.curves) < 2:
            return len(self.grid) // 3
        other = list(self.curves.values())[-2]
        known = sorted(other.previews)
        low, high = other.previews[known[0]], other.previews[known[-1]]
        slope = max(high.length - low.length, 0.1) / (known[-1] - known[0])
        density = 2 * math.log(SCALES[other.scale] / SCALES[scale])
        quality = known[0] + (target + density - low.length) / slope
        return min(max(sum(k <= quality for k in self.grid) - 1, 0), len(self.grid) - 2)

    def _preview(self, curve: _Curve, place: int) -> _Point:
        quality = self.grid[place]
        if quality not in curve.previews:
            if self.codec.preview:
                setting = curve.scale, curve.group, self.codec.qualities[quality]
                curve.previews[quality] = _point(self.trials.preview(*setting))
            else:
                curve.previews[quality] = self._run(curve, quality)
        return curve.previews[quality]

    def _run(self, curve: _Curve, quality: int) -> _Point:
        trial = self.trials.final(curve.scale, curve.group, self.codec.qualities[quality])
        point = curve.runs[quality] = _point(trial)
        if trial.length > self.budget_bytes:
            curve.exceeding = min(curve.exceeding, quality)
        else:
            curve.fitting = max(curve.fitting, quality)
            if self.best is None or trial.error < self.best.error:
                self.best = trial
        return point

    def _candidates(self) -> Iterator[_Candidate]:
        """Settings that may fit, and are not known to be worse than another one that fits."""
        for curve in self.curves.values():
            for quality in range(min(curve.exceeding, len(self.codec.qualities)) - 1, curve.fitting, -1):
                candidate = self._predicted(curve, quality)
                if candidate.probability >= _LEAST_PROBABILITY:
                    yield candidate
                if candidate.probability > 1 - _LEAST_PROBABILITY:
                    break

    def _predicted(self, curve: _Curve, quality: int) -> _Candidate:
        """Preview, corrected by the difference between run and preview of the nearest run."""
        preview = curve.expected[quality]
        length, error, (length_sd, error_sd) = preview.length, preview.error, _FIRST_SD
        runs = [
            (self._distance(curve, quality, other, run), other, run)
            for other in self.curves.values()
            for run in other.runs
        ]
        if runs:
            steps, other, run = min(runs, key=lambda found: found[0])
            reference = other.expected[run]
            length += other.runs[run].length - reference.length
            error += other.runs[run].error - reference.error
            length_sd, error_sd = (sd * max(steps, 0.5) ** _EXPONENT for sd in _SD)
        return _Candidate(curve, quality, _normal((self.limit - length) / length_sd), error, error_sd)

    def _distance(self, curve: _Curve, quality: int, other: _Curve, run: int) -> float:
        steps = abs(curve.expected[quality].length - curve.expected[run].length) / _STEP
        return steps + _SCALE_STEPS * abs(curve.scale - other.scale) + _GROUP_STEPS * (curve.group != other.group)


def _point(trial: Trial) -> _Point:
    return _Point(math.log(trial.length), 10 * math.log10(max(trial.error, 0.5)))


def _normal(z: float) -> float:
    """Distribution function of the standard normal distribution."""
    return (1 + math.erf(z / math.sqrt(2))) / 2
