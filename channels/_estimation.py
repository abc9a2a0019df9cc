"""What a receiver makes of pilots: the gains of the data and how far it trusts them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels._paths import Paths


class Estimator:
    """Linear estimates of a frame's data gains from its pilots, G = E[H | estimate], and the variance that is left.

    The receiver knows N0 and the channel's second moments (delay profile and Doppler spectrum).

    "ls" divides each pilot by its symbol, interpolates linearly over the grid (edges held), and scales the result by
    c = E[H e*] / E|e|^2, so that division by it leaves no bias; the variance left is 1 - |E[H e*]|^2 / E|e|^2.
    "lmmse" is the Wiener filter R_dp (R_pp + N0 I)^-1 over the frame.

    Args:
        method: "ls" or "lmmse".
        pilots: int64 [pilots, 2], OFDM symbol and subcarrier of each pilot.
        data: int64 [data, 2], of each data symbol.
        paths: the channel's second moments.
        symbol_s: from one OFDM symbol to the next, seconds.
        spacing_hz: from one subcarrier to the next.

    Source: van de Beek and others, On channel estimation in OFDM systems, 1995; Kay, Fundamentals of Statistical Signal
    Processing: Estimation Theory, section 12.5.
    """

    def __init__(
        self, method: str, pilots: Tensor, data: Tensor, paths: Paths, symbol_s: float, spacing_hz: float
    ) -> None:
        among = _correlation(pilots, pilots, paths, symbol_s, spacing_hz)
        across = _correlation(data, pilots, paths, symbol_s, spacing_hz)
        self._linear = method == "ls"
        if self._linear:
            weights = _interpolation(pilots, data)
            self._weights = weights.to(torch.complex64)
            self._noise = weights.square().sum(1)
            self._power = ((weights.to(across.dtype) @ among) * weights).sum(1).real
            self._cross = (across * weights).sum(1)
        else:
            self._values, self._basis = torch.linalg.eigh(among)
            self._values = self._values.clamp(min=0)
            self._project = across @ self._basis

    def __call__(
        self, pilots: Complex[Tensor, "rows antennas frames pilots"], n0: Float[Tensor, " rows"]
    ) -> tuple[Complex[Tensor, "rows antennas frames data"], Float[Tensor, "rows data"]]:
        """Estimate gains from least-squares pilots H + n, n ~ CN(0, N0), and the variance of H - estimate."""
        n0 = n0.double()[:, None]
        if self._linear:
            power = self._power + n0 * self._noise
            scale = (self._cross / power).to(torch.complex64)
            return (pilots @ self._weights.mT) * scale[:, None, None], (1 - self._cross.abs() ** 2 / power).float()
        trust = 1 / (self._values + n0)
        filtered = (pilots @ self._basis.conj().to(torch.complex64)) * trust[:, None, None].float()
        left = 1 - trust @ self._project.abs().square().mT
        return filtered @ self._project.mT.to(torch.complex64), left.clamp(min=0).float()


def _correlation(
    first: Tensor, second: Tensor, paths: Paths, symbol_s: float, spacing_hz: float
) -> Complex[Tensor, "first second"]:
    """E[H(first) H*(second)] = sum over paths of r_p(time lag) e^(-j 2 pi delay_p frequency lag), complex128."""
    lag = first[:, None] - second[None]
    times, frequencies = lag[..., 0], lag[..., 1]
    all_times = torch.arange(int(times.min()), int(times.max()) + 1)
    all_frequencies = torch.arange(int(frequencies.min()), int(frequencies.max()) + 1)
    turn = torch.exp(-2j * torch.pi * spacing_hz * paths.delays_s[:, None] * all_frequencies)
    lags = paths.autocorrelation(all_times * symbol_s).mT @ turn
    return lags[times - all_times[0], frequencies - all_frequencies[0]]


def _interpolation(pilots: Tensor, data: Tensor) -> Float[Tensor, "data pilots"]:
    """Weights of bilinear interpolation from a rectangle of pilots, held beyond its edges."""
    by_symbol, by_subcarrier = (_hat(pilots[:, axis].unique(), data[:, axis]) for axis in (0, 1))
    return (by_symbol[:, :, None] * by_subcarrier[:, None]).flatten(1)


def _hat(knots: Tensor, points: Tensor) -> Float[Tensor, "points knots"]:
    unit = np.eye(len(knots))
    columns = [np.interp(points.numpy(), knots.numpy(), row) for row in unit]
    return torch.from_numpy(np.stack(columns, 1))
