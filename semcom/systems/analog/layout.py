"""Shared configuration of the analog system: bands of coefficients, their selection and their gains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float, Int, Int16

from channels import modem
from semcom.system import uses_for
from semcom.systems.analog import header, stream
from semcom.systems.analog.header import Header

# (rings of frequency, sectors of direction per ring, largest header fraction of the channel uses). The constant term
# is a separate band. The first entry whose header fits is used; the fractions were tuned on natural images.
_BANDS = ((8, 3, 0.05), (6, 2, 0.1), (4, 1, 0.2), (2, 1, 0.18), (0, 0, 1.0))
_PRIOR_EXPONENT = 1.1  # within a band, the variance is proportional to frequency^-2.2
_BLOCK = 1 << 20  # coefficients whose bands are computed together


@dataclass(frozen=True)
class Layout:
    """Division of the channel uses and of the spectrum of an image; the same at both ends.

    Args:
        size: height and width of the image, pixels.
        uses: channel-use budget.
        rings: number of frequency rings.
        sectors: number of direction sectors per ring.
    """

    size: tuple[int, int]
    uses: int
    rings: int
    sectors: int

    @property
    def bands(self) -> int:
        """Number of bands of all three colors."""
        return 3 * (1 + self.rings * self.sectors)

    @cached_property
    def header_uses(self) -> int:
        """Channel uses of the header, including its CRC."""
        return modem.transport_uses(header.header_bits(self.bands), header.MCS)

    @property
    def stream_uses(self) -> int:
        """Channel uses of the analog stream."""
        return self.uses - self.header_uses

    def levels(self, coefficients: Float[np.ndarray, "3 h w"]) -> Int[np.ndarray, " bands"]:
        """Quantized level of each band of a spectrum."""
        prior, band_of = _planes(self.size, self.rings, self.sectors)
        bands = self.bands // 3
        members = np.maximum(np.bincount(band_of.ravel(), minlength=bands), 1)
        energies = [
            np.bincount(band_of.ravel(), (color**2 / prior).ravel(), minlength=bands) / members
            for color in coefficients
        ]
        return header.quantized_levels(np.concatenate(energies))

    def selection(self, side_information: Header) -> stream.Selection:
        """Coefficients that are transmitted with a header, and their gains."""
        prior, band_of = _planes(self.size, self.rings, self.sectors)
        planes = np.empty((3, *self.size))  # variances with the opposite sign, as `stream.select` expects
        for color, levels in zip(planes, side_information.variance_levels.reshape(3, -1), strict=True):
            np.multiply(-levels[band_of], prior, out=color)
        return stream.select(planes.ravel(), self.stream_uses, side_information.design_noise)


@lru_cache(maxsize=2)  # 10 bytes per pixel
def _planes(
    size: tuple[int, int], rings: int, sectors: int
) -> tuple[Float[np.ndarray, "h w"], Int16[np.ndarray, "h w"]]:
    """Prior variance and band of each coefficient of one color; the variance is to be scaled by the band's level."""
    height, width = size
    prior, band_of = np.empty(size), np.zeros(size, np.int16)
    edges = [0.9, *np.geomspace(1.5, max(0.75 * math.sqrt(height * width), 3.0), max(rings, 1))[1:]]
    step = max(_BLOCK // width, 1)
    for start in range(0, height, step):  # in blocks of rows, which bound the memory of large images
        block = slice(start, min(start + step, height))
        rows, columns = np.indices((block.stop - start, width))
        rows += start
        prior[block] = height * width * (rows**2 + columns**2 + 0.25) ** -_PRIOR_EXPONENT
        if rings:
            ring = np.searchsorted(edges, np.hypot(rows, columns), side="right")
            direction = np.arctan2(rows, np.maximum(columns, 1e-9)) / (np.pi / 2)
            sector = np.minimum((direction * sectors).astype(np.int64), sectors - 1)
            band_of[block] = np.where(ring == 0, 0, 1 + (ring - 1) * sectors + sector)
    return prior, band_of


@lru_cache(maxsize=8)
def layout_for(cbr: float, size: tuple[int, int]) -> Layout | None:
    """Layout of a channel bandwidth ratio and an image size; None if the smallest header does not fit."""
    uses = uses_for(cbr, size)
    for rings, sectors, share in _BANDS:
        layout = Layout(size, uses, rings, sectors)
        if layout.header_uses <= share * uses and layout.stream_uses >= 2:
            return layout
    return None
