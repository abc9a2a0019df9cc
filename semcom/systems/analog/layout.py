"""Bands of coefficients, which of them are sent, and with which gains: what both sides derive."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float, Int

from channels import modem
from semcom.system import uses_for
from semcom.systems.analog import header
from semcom.systems.analog.header import Header

# The constant term, then rings of frequency cut into sectors of direction. The finest is taken whose header costs no
# more than a share of the uses; past it, finer variances cost more than they are worth (measured on photographs).
_BANDS = ((8, 3, 0.05), (6, 2, 0.1), (4, 1, 0.2), (2, 1, 0.18), (0, 0, 1.0))
_PRIOR_EXPONENT = 1.1  # within a band, variance falls as frequency^-2.2


def squared_gains(variances: Float[np.ndarray, " n"], energy: float, noise_var: float) -> Float[np.ndarray, " n"]:
    """The gains g_i^2 of real coefficients that leave the least mean-squared error after linear estimation.

    Minimises sum_i v_i s / (g_i^2 v_i + s) subject to sum_i g_i^2 v_i = E: g_i^2 v_i = max(0, t sqrt(v_i) - s), with t
    such that the energy is spent. For s -> 0 this is SoftCast's g_i ~ v_i^(-1/4).

    Args:
        variances: v, all above 0, in falling order.
        energy: E, to be shared.
        noise_var: s, of the real noise of each coefficient; 0 asks for SoftCast's gains.

    Source: Jakubczak and Katabi, MobiCom 2011, section 3.2; Lee and Petersen, IEEE Trans. Commun. 24(12), 1976.

    >>> squared_gains(np.array([16.0, 1.0]), energy=10.0, noise_var=0.0)
    array([0.5, 2. ])
    """
    root = np.sqrt(variances)
    level = (energy + noise_var * np.arange(1, len(root) + 1)) / np.cumsum(root)
    used = max(int(np.count_nonzero(level * root > noise_var)), 1)  # true for a first part, then false
    return np.maximum(level[used - 1] * root - noise_var, 0) / variances


@dataclass(frozen=True)
class Sent:
    """The coefficients that are sent, strongest first, as the header describes them.

    Args:
        places: in the flattened spectrum.
        variances: as the header tells.
        squared_gains: of each, before the scale.
    """

    places: Int[np.ndarray, " sent"]
    variances: Float[np.ndarray, " sent"]
    squared_gains: Float[np.ndarray, " sent"]


@dataclass(frozen=True)
class Layout:
    """How the uses and the spectrum of a picture are divided.

    Args:
        size: height and width of the picture.
        uses: granted.
        rings: of frequency.
        sectors: of direction in each ring.
    """

    size: tuple[int, int]
    uses: int
    rings: int
    sectors: int

    @property
    def bands(self) -> int:
        """Of all three colours."""
        return 3 * (1 + self.rings * self.sectors)

    @cached_property
    def header_uses(self) -> int:
        """Uses of the header, its CRC included."""
        return modem.transport_uses(header.header_bits(self.bands), header.MCS)

    @property
    def stream_uses(self) -> int:
        """Uses of the analogue stream."""
        return self.uses - self.header_uses

    @cached_property
    def prior(self) -> Float[np.ndarray, "3 h w"]:
        """The variance at level 1: how a natural picture's falls within a band."""
        rows, columns = np.indices(self.size)
        spectrum = math.prod(self.size) * (rows**2 + columns**2 + 0.25) ** -_PRIOR_EXPONENT
        return np.broadcast_to(spectrum, (3, *self.size))

    @cached_property
    def band_of(self) -> Int[np.ndarray, "3 h w"]:
        """The band of each coefficient."""
        colour = np.arange(3)[:, None, None] * (self.bands // 3)
        if self.rings == 0:
            return np.broadcast_to(colour, (3, *self.size))
        rows, columns = np.indices(self.size)
        highest = max(0.75 * math.sqrt(math.prod(self.size)), 3.0)
        edges = [0.9, *np.geomspace(1.5, highest, self.rings)[1:]]
        ring = np.searchsorted(edges, np.hypot(rows, columns), side="right")
        direction = np.arctan2(rows, np.maximum(columns, 1e-9)) / (np.pi / 2)
        sector = np.minimum((direction * self.sectors).astype(np.int64), self.sectors - 1)
        return colour + np.where(ring == 0, 0, 1 + (ring - 1) * self.sectors + sector)

    def levels(self, coefficients: Float[np.ndarray, "3 h w"]) -> Int[np.ndarray, " bands"]:
        """The level of each band of a spectrum, quantised."""
        band_of = self.band_of.ravel()
        energy = np.bincount(band_of, (coefficients**2 / self.prior).ravel(), self.bands)
        members = np.bincount(band_of, minlength=self.bands)
        return header.quantised_levels(energy / np.maximum(members, 1))

    def sent(self, told: Header) -> Sent:
        """What a header implies."""
        variances = (told.variance_levels[self.band_of] * self.prior).ravel()
        count = min(2 * (self.stream_uses - 1), variances.size)  # one use is the filler
        if count < variances.size:
            strongest = np.argpartition(-variances, count)[:count]
        else:
            strongest = np.arange(variances.size)
        places = strongest[np.argsort(-variances[strongest], kind="stable")]
        gains = squared_gains(variances[places], float(self.stream_uses), told.design_noise)
        return Sent(places, variances[places], gains)


@lru_cache(maxsize=8)
def layout_for(cbr: float, size: tuple[int, int]) -> Layout | None:
    """What a bandwidth ratio and a size imply; None if not even the smallest header fits."""
    uses = uses_for(cbr, size)
    for rings, sectors, share in _BANDS:
        layout = Layout(size, uses, rings, sectors)
        if layout.header_uses <= share * uses and layout.stream_uses >= 2:
            return layout
    return None
