"""OFDM over multipath: frames of subcarriers and symbols with pilots, each use equalised by what the receiver knows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels._base import Channel, Medium, Received, noise_variance, positive, sent_energy, sent_only
from channels._errors import UsageError
from channels._estimation import Estimator
from channels._paths import Paths, doppler
from channels._rng import Rng

SYMBOLS = 14
"""OFDM symbols of a frame: one slot of 5G NR."""

# Where the pilots of 1 to 4 symbols stand: TS 38.211, table 7.4.1.1.2-3 (mapping type A, 14 symbols, first at 2).
_PILOT_POSITIONS = {1: (2,), 2: (2, 11), 3: (2, 7, 11), 4: (2, 5, 8, 11)}

# Doppler over subcarrier spacing up to which a symbol's channel counts as constant: inter-carrier interference
# (2 pi 0.02)^2 / 24 is then 32 dB below the signal (Li and Cimini, 2001).
_DOPPLER_LIMIT = 0.02
_MOST_SUBCARRIERS = 3300  # of a 5G carrier: 275 resource blocks of 12


@dataclass(frozen=True)
class Grid:
    """A frame: 14 OFDM symbols of `subcarriers` subcarriers, some of them pilots of unit energy.

    Args:
        subcarriers: of a frame, pilots included.
        guard_subcarriers: empty ones, paid for.
        spacing_hz: of the subcarriers.
        pilot_symbols: of the 14, how many carry pilots: 1 to 4 stand as in 5G NR, more are spread evenly.
        pilot_comb: every how many subcarriers of such a symbol a pilot stands; the others carry data.
        cyclic_prefix: over the useful length of a symbol.

    Raises:
        UsageError: counts below one, no room for data.

    >>> Grid(24, 0, 30e3, 2, 2, 9 / 128).medium
    Medium(access='orthogonal', frame_data=312, frame_uses=360)
    """

    subcarriers: int
    guard_subcarriers: int
    spacing_hz: float
    pilot_symbols: int
    pilot_comb: int
    cyclic_prefix: float

    def __post_init__(self) -> None:
        for name, value, least in (
            ("subcarriers", self.subcarriers, 1),
            ("guard_subcarriers", self.guard_subcarriers, 0),
            ("pilot_symbols", self.pilot_symbols, 1),
            ("pilot_comb", self.pilot_comb, 1),
        ):
            if value < least:
                raise UsageError(f"{name} must be {least} or more, not {value}")
        if self.subcarriers > _MOST_SUBCARRIERS:
            raise UsageError(f"subcarriers must be at most {_MOST_SUBCARRIERS}, not {self.subcarriers}")
        if not 0 < self.spacing_hz < math.inf:
            raise UsageError(f"subcarrier_spacing_hz must be above 0, not {self.spacing_hz}")
        if not 0 <= self.cyclic_prefix <= 1:
            raise UsageError(f"cyclic_prefix is a part of a symbol's useful length, 0 to 1, not {self.cyclic_prefix}")
        if self.pilot_symbols > SYMBOLS or not len(self.data):
            raise UsageError(
                f"{self.pilot_symbols} pilot symbols on every {self.pilot_comb}. subcarrier leave no room for data "
                f"in {SYMBOLS} symbols: lower pilot_symbols or raise pilot_comb"
            )

    @property
    def pilots(self) -> Int[Tensor, "pilots 2"]:
        """OFDM symbol and subcarrier of each pilot."""
        spread = (torch.arange(min(self.pilot_symbols, SYMBOLS)) * SYMBOLS // max(self.pilot_symbols, 1)).tolist()
        symbols = _PILOT_POSITIONS.get(self.pilot_symbols, spread)
        return torch.cartesian_prod(torch.tensor(symbols), torch.arange(0, self.subcarriers, self.pilot_comb))

    @property
    def data(self) -> Int[Tensor, "data 2"]:
        """OFDM symbol and subcarrier of each data symbol, in the order of transmission."""
        free = torch.ones(SYMBOLS, self.subcarriers, dtype=torch.bool)
        free[self.pilots[:, 0], self.pilots[:, 1]] = False
        return free.nonzero()

    @property
    def symbol_s(self) -> float:
        """Length of an OFDM symbol with its prefix, seconds."""
        return (1 + self.cyclic_prefix) / self.spacing_hz

    @property
    def medium(self) -> Medium:
        """What a frame carries, and what it costs with pilots, prefix and guards."""
        occupied = (self.subcarriers + self.guard_subcarriers) * SYMBOLS * (1 + self.cyclic_prefix)
        return Medium(frame_data=len(self.data), frame_uses=math.ceil(occupied - 1e-9))


class Ofdm(Channel):
    """Y = H X + N on each subcarrier and symbol; X^ = sum over antennas of G* Y / sum |G|^2, G what is known of H.

    With csi "perfect" G = H and the noise left is N0 / |G|^2; otherwise G is the mean of H given the pilots, and what
    it misses is noise as well: (N0 + var(H - G)) / |G|^2 for symbols of unit energy. A row's frames follow each other
    in time over one realisation of the channel.

    The model is in the frequency domain: H is constant within an OFDM symbol and no echo outlasts the prefix. What
    would break that (Doppler above 2 % of the spacing, delays beyond the prefix) is refused.

    Args:
        grid: the frame.
        paths: the multipath channel.
        csi: "perfect", "ls" or "lmmse".
        antennas: at the receiver, fading independently.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, section 3.4.4.
    """

    def __init__(self, grid: Grid, paths: Paths, csi: str, antennas: int) -> None:
        if csi not in ("perfect", "ls", "lmmse"):
            raise UsageError(f"csi must be perfect, ls or lmmse, not {csi!r}")
        if not 1 <= antennas <= 64:
            raise UsageError(f"antennas must be 1 to 64, not {antennas}")
        prefix_s, latest_s = grid.cyclic_prefix / grid.spacing_hz, float(paths.delays_s.max())
        if latest_s > prefix_s:
            raise UsageError(
                f"the last echo comes after {latest_s * 1e6:.2f} us, past the cyclic prefix of {prefix_s * 1e6:.2f} us"
                ": raise cyclic_prefix, or lower delay_spread_s or subcarrier_spacing_hz"
            )
        if paths.doppler_hz > _DOPPLER_LIMIT * grid.spacing_hz:
            raise UsageError(
                f"a Doppler shift of {paths.doppler_hz:.0f} Hz is above 2 % of the subcarrier spacing, where "
                "subcarriers disturb each other: lower speed_m_s or carrier_hz, or raise subcarrier_spacing_hz"
            )
        self.grid, self.paths, self.csi, self.antennas = grid, paths, csi, antennas
        self.medium = grid.medium
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
            known, missed = gains, n0.new_zeros(len(rng), 1)
        else:
            noise = rng.derive("pilot noise").complex_normal(
                frames, self.antennas, len(self._pilots), variance=n0.cpu()
            )
            heard = response[..., self._pilots[:, 0], self._pilots[:, 1]] + noise.transpose(1, 2)
            known, missed = self._estimate(heard, n0.cpu())
            missed = missed.repeat(1, frames)[:, :length]
        gains, known = (part.flatten(2)[..., :length].to(symbols.device) for part in (gains, known))
        noise = rng.derive("noise").complex_normal(length, self.antennas, variance=n0.cpu()).mT.to(symbols.device)
        heard = gains * symbols.flatten(0, 1)[:, None] + noise
        power = torch.view_as_real(known).square().sum((1, 3))
        equalised = (known.conj() * heard).sum(1) / power
        noise_var = (n0[:, None] + missed.to(n0.device)) / power
        pilots = -(-uses // self.medium.frame_data) * len(self._pilots)
        return sent_only(
            Received(
                symbols=equalised.view(batch, users, length),
                noise_var=noise_var.expand(-1, length).reshape(batch, users, length),
                uses=uses,
                energy=sent_energy(symbols, uses) + pilots,
                gains=known.unflatten(0, (batch, users)),
            )
        )

    def responses(self, frames: int, rng: Rng) -> Complex[Tensor, "rows antennas frames symbols subcarriers"]:
        """H of every resource element, row by row: the same whatever the batch."""
        starts = torch.arange(frames, dtype=torch.float64) * (SYMBOLS * self.grid.symbol_s)
        offsets = torch.arange(SYMBOLS, dtype=torch.float64) * self.grid.symbol_s
        rows = []
        for waves in self.paths.draw(self.antennas, rng.derive("fading")):
            taps = waves.taps(starts, offsets).permute(0, 2, 3, 1)
            rows.append(taps @ self._steer)
        return torch.stack(rows)


def moving(
    grid: Grid, paths: Callable[[float], Paths], speed_m_s: float, carrier_hz: float, csi: str, antennas: int
) -> Ofdm:
    """OFDM to a receiver that moves.

    Args:
        grid: the frame.
        paths: makes the multipath channel of a largest Doppler shift in Hz.
        speed_m_s: of the receiver.
        carrier_hz: carrier frequency.
        csi: as of `Ofdm`.
        antennas: as of `Ofdm`.
    """
    if not 0 <= speed_m_s < math.inf:
        raise UsageError(f"speed_m_s must be 0 or more, not {speed_m_s}")
    return Ofdm(grid, paths(doppler(speed_m_s, positive("carrier_hz", carrier_hz))), csi, antennas)
