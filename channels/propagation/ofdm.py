"""OFDM over multipath channels: frames with pilots, channel estimation and equalization of each subcarrier."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.arguments import one_of, positive, within
from channels.base import Channel, Medium, Received, clear_unsent, noise_variance, sent_energy
from channels.csit import Csit, equal_capacity_snr_db
from channels.errors import UsageError
from channels.propagation.estimation import Estimator
from channels.propagation.paths import Paths, doppler
from channels.rng import Rng

SYMBOLS = 14
"""Number of OFDM symbols of a frame: one slot of 5G NR."""

# OFDM symbols of the pilots by number of symbols with pilots: TS 38.211, table 7.4.1.1.2-3 (mapping type A, 14 symbols,
# first pilot in symbol 2).
_PILOT_POSITIONS = {1: (2,), 2: (2, 11), 3: (2, 7, 11), 4: (2, 5, 8, 11)}

# Largest Doppler shift over subcarrier spacing for a constant channel within a symbol: inter-carrier interference
# (2 pi 0.02)^2 / 24 is then 32 dB below the signal (Li and Cimini, 2001).
_DOPPLER_LIMIT = 0.02
_MAX_SUBCARRIERS = 3300  # 275 resource blocks of 12 subcarriers: the largest 5G carrier


@dataclass(frozen=True)
class Grid:
    """Resource grid of a frame: 14 OFDM symbols of `subcarriers` subcarriers, with pilots of unit energy.

    Args:
        subcarriers: number of subcarriers, pilots included.
        guard_subcarriers: number of empty subcarriers, counted as medium uses.
        spacing_hz: subcarrier spacing in Hz.
        pilot_symbols: number of OFDM symbols with pilots, 1 to 14: up to 4 are placed as in 5G NR, more evenly.
        pilot_comb: distance of the pilots of a symbol in subcarriers; the subcarriers between them hold data.
        cyclic_prefix: length of the cyclic prefix over the useful length of a symbol, 0 to 1.

    Raises:
        UsageError: an argument is out of range, or the pilots leave no room for data.

    >>> Grid(24, 0, 30e3, 2, 2, 9 / 128).medium.overhead
    (('pilots', 24), ('cyclic prefix', 24))
    """

    subcarriers: int
    guard_subcarriers: int
    spacing_hz: float
    pilot_symbols: int
    pilot_comb: int
    cyclic_prefix: float

    def __post_init__(self) -> None:
        within("subcarriers", self.subcarriers, 1, _MAX_SUBCARRIERS)
        within("guard_subcarriers", self.guard_subcarriers, 0)
        within("pilot_symbols", self.pilot_symbols, 1, SYMBOLS)
        within("pilot_comb", self.pilot_comb, 1, _MAX_SUBCARRIERS)
        within("cyclic_prefix", self.cyclic_prefix, 0, 1)
        positive("subcarrier_spacing_hz", self.spacing_hz)
        if not len(self.data):
            raise UsageError(
                f"pilot_symbols {self.pilot_symbols} and pilot_comb {self.pilot_comb} leave no room for data: "
                "lower pilot_symbols or raise pilot_comb"
            )

    @property
    def pilots(self) -> Int[Tensor, "pilots 2"]:
        """OFDM symbol and subcarrier of each pilot, int64 [pilots, 2]."""
        evenly = (torch.arange(self.pilot_symbols) * SYMBOLS // self.pilot_symbols).tolist()
        symbols = _PILOT_POSITIONS.get(self.pilot_symbols, evenly)
        return torch.cartesian_prod(torch.tensor(symbols), torch.arange(0, self.subcarriers, self.pilot_comb))

    @property
    def data(self) -> Int[Tensor, "data 2"]:
        """OFDM symbol and subcarrier of each data symbol in transmission order, int64 [data, 2]."""
        free = torch.ones(SYMBOLS, self.subcarriers, dtype=torch.bool)
        free[self.pilots[:, 0], self.pilots[:, 1]] = False
        return free.nonzero()

    @property
    def symbol_s(self) -> float:
        """Duration of an OFDM symbol with its cyclic prefix in seconds."""
        return (1 + self.cyclic_prefix) / self.spacing_hz

    @property
    def medium(self) -> Medium:
        """Data uses of a frame, and its medium uses with pilots, cyclic prefix and guard subcarriers."""
        useful = (self.subcarriers + self.guard_subcarriers) * SYMBOLS
        frame_uses = math.ceil(useful * (1 + self.cyclic_prefix) - 1e-9)
        parts = ("pilots", len(self.pilots)), ("guards", self.guard_subcarriers * SYMBOLS)
        overhead = (*parts, ("cyclic prefix", frame_uses - useful))
        return Medium("orthogonal", len(self.data), frame_uses, tuple(part for part in overhead if part[1]))


class Ofdm(Channel):
    """OFDM in the frequency domain, Y = H X + N on each subcarrier, with maximum-ratio combining of the antennas.

    X^ = sum over antennas of G* Y / sum |G|^2, where G is the receiver's estimate of H. With csi "perfect" G = H and
    the noise variance is N0 / |G|^2. Otherwise G is estimated from the pilots, and its error counts as noise:
    (N0 + var(H - G)) / |G|^2 for symbols of unit energy. The frames of a row follow each other in time over one
    realization of the channel.

    The model assumes that H is constant within an OFDM symbol and that all delays are within the cyclic prefix.

    Args:
        grid: resource grid of a frame.
        paths: multipath channel.
        csi: channel knowledge of the receiver: "perfect", "ls" or "lmmse".
        antennas: number of receive antennas with independent fading, 1 to 64.
        csit: channel knowledge of the transmitter.

    Raises:
        UsageError: the Doppler shift is above 2 % of the subcarrier spacing, or a delay is beyond the cyclic prefix.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 3.4.4.
    """

    def __init__(self, grid: Grid, paths: Paths, csi: str, antennas: int, csit: Csit) -> None:
        one_of("csi", csi, ("perfect", "ls", "lmmse"))
        within("antennas", antennas, 1, 64)
        prefix_s, delay_s = grid.cyclic_prefix / grid.spacing_hz, float(paths.delays_s.max())
        if delay_s > prefix_s:
            raise UsageError(
                f"the longest delay, {delay_s * 1e6:.2f} us, is beyond the cyclic prefix of {prefix_s * 1e6:.2f} us: "
                "raise cyclic_prefix, or lower delay_spread_s or subcarrier_spacing_hz"
            )
        if paths.doppler_hz > _DOPPLER_LIMIT * grid.spacing_hz:
            raise UsageError(
                f"the Doppler shift of {paths.doppler_hz:.0f} Hz is above 2 % of the subcarrier spacing: "
                "lower speed_m_s or carrier_hz, or raise subcarrier_spacing_hz"
            )
        self.grid, self.paths, self.csi, self.antennas = grid, paths, csi, antennas
        self.medium, self.csit = grid.medium, csit
        self._data, self._pilots = grid.data, grid.pilots
        self._steer = torch.exp(
            -2j * torch.pi * grid.spacing_hz * paths.delays_s[:, None] * torch.arange(grid.subcarriers)
        ).to(torch.complex64)
        self._estimate = (
            None
            if csi == "perfect"
            else Estimator(csi, self._pilots, self._data, paths, grid.symbol_s, grid.spacing_hz)
        )

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        batch, users, length = symbols.shape
        frames = -(-length // self.medium.frame_data)
        n0 = noise_variance(snr_db).flatten()
        response = self.responses(frames, rng)
        gains = response[..., self._data[:, 0], self._data[:, 1]]
        if self._estimate is None:
            known, error_var = gains, n0.new_zeros(len(rng), 1)
        else:
            noise = rng.derive("pilot noise").complex_normal(
                frames, self.antennas, len(self._pilots), variance=n0.cpu()
            )
            pilots = response[..., self._pilots[:, 0], self._pilots[:, 1]] + noise.transpose(1, 2)
            known, error_var = self._estimate(pilots, n0.cpu())
            error_var = error_var.repeat(1, frames)[:, :length]
        gains, known = (part.flatten(2)[..., :length].to(symbols.device) for part in (gains, known))
        noise = rng.derive("noise").complex_normal(length, self.antennas, variance=n0.cpu()).mT.to(symbols.device)
        at_antennas = gains * symbols.flatten(0, 1)[:, None] + noise
        power = torch.view_as_real(known).square().sum((1, 3))
        equalized = (known.conj() * at_antennas).sum(1) / power
        noise_var = (n0[:, None] + error_var.to(n0.device)) / power
        pilot_energy = -(-uses // self.medium.frame_data) * len(self._pilots)
        return clear_unsent(
            Received(
                symbols=equalized.view(batch, users, length),
                noise_var=noise_var.expand(-1, length).reshape(batch, users, length),
                uses=uses,
                energy=sent_energy(symbols, uses) + pilot_energy,
                gains=known.unflatten(0, (batch, users)),
            )
        )

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        if self.csit.is_average:
            return snr_db
        frames = -(-max(int(uses.max()), 1) // self.medium.frame_data)
        response = self.responses(frames, rng, self.csit.rho)[..., self._data[:, 0], self._data[:, 1]]
        power = response.abs().square().sum(1).flatten(1)
        return equal_capacity_snr_db(power.unflatten(0, uses.shape), uses, snr_db)

    def responses(
        self, frames: int, rng: Rng, rho: float = 1.0
    ) -> Complex[Tensor, "rows antennas frames symbols subcarriers"]:
        """Channel response H of every resource element; the rows are computed one by one, independent of the batch.

        With `rho` below 1 the responses are outdated, as in `channels.csit.Csit`.
        """
        starts = torch.arange(frames, dtype=torch.float64) * (SYMBOLS * self.grid.symbol_s)
        offsets = torch.arange(SYMBOLS, dtype=torch.float64) * self.grid.symbol_s
        rows = []
        realizations = self.paths.draw(self.antennas, rng.derive("fading"))
        if rho < 1:
            independent = self.paths.draw(self.antennas, rng.derive("csit"))
            scattered = realizations[0].amplitude.shape[-1] - (self.paths.line_of_sight > 0)
            realizations = [
                waves.outdated(other, rho, scattered) for waves, other in zip(realizations, independent, strict=True)
            ]
        for waves in realizations:
            taps = waves.taps(starts, offsets).permute(0, 2, 3, 1)
            rows.append(taps @ self._steer)
        return torch.stack(rows)


def build_ofdm(
    grid: Grid,
    paths: Callable[[float], Paths],
    speed_m_s: float,
    carrier_hz: float,
    csi: str,
    antennas: int,
    csit: Csit,
) -> Ofdm:
    """Build an OFDM channel to a moving receiver.

    Args:
        grid: resource grid of a frame.
        paths: function from the maximum Doppler shift in Hz to the multipath channel.
        speed_m_s: speed of the receiver in m/s.
        carrier_hz: carrier frequency in Hz.
        csi: channel knowledge of the receiver, as in `Ofdm`.
        antennas: number of receive antennas, as in `Ofdm`.
        csit: channel knowledge of the transmitter.
    """
    within("speed_m_s", speed_m_s, 0)
    return Ofdm(grid, paths(doppler(speed_m_s, positive("carrier_hz", carrier_hz))), csi, antennas, csit)
