"""Analog transmission of a residual: what a first stream of the same image left out.

The residual is transformed in blocks. The variance of a coefficient is the level of its color and frequency ring times
the activity of its group of blocks; a coded digital header transmits both. A group is a cell of 16 x 16 pixels. Where
both ends have the same image, a guide such as a decoded file, it is a class of blocks with similar gradients there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Complex, Float, Int, Shaped
from torch import Tensor

from channels import modem
from semcom.systems.analog import blocks, header, stream
from semcom.systems.analog.blocks import RINGS, SIDE
from semcom.systems.analog.header import Header

# 0.5 bits per channel use: decodable above about 0 dB. Below, a refinement would not improve the image.
MCS = modem.Mcs(bits_per_symbol=2, code_rate=0.25)

_CELL = 2  # blocks per cell, each direction
_CLASSES = 12
Grouping = Literal["one", "cells", "classes"]
_ACTIVITIES = {"one": (0, 0.0, 0.0), "cells": (2, 4.0, -8.0), "classes": (4, 2.5, -25.0)}  # bits, step dB, lowest dB
# (number of frequency bands per color, whether there is more than one group, largest header fraction of the channel
# uses). The first entry whose header fits is used; the fractions were tuned on natural images.
_HEADERS = ((RINGS, True, 0.2), (RINGS, False, 0.2), (2, False, 0.3))


@dataclass(frozen=True)
class Refinement:
    """Header and analog stream of a residual; the same at both ends.

    Args:
        size: height and width of the image, pixels.
        uses: channel uses of header and stream.
        bands: number of frequency bands per color.
        grouping: blocks that share an activity. one: all; cells: those of each cell; classes: those of each class of
            blocks in the guide.
    """

    size: tuple[int, int]
    uses: int
    bands: int
    grouping: Grouping

    @property
    def cells(self) -> tuple[int, int]:
        """Number of cells in each direction; the image is padded to whole cells."""
        side = _CELL * SIDE
        return -(-self.size[0] // side), -(-self.size[1] // side)

    @property
    def groups(self) -> int:
        """Number of groups of blocks."""
        return {"one": 1, "cells": self.cells[0] * self.cells[1], "classes": _CLASSES}[self.grouping]

    @property
    def level_bits(self) -> int:
        """Header bits of levels, scale and SNR."""
        return header.header_bits(3 * self.bands)

    @property
    def bits(self) -> int:
        """Header bits."""
        return self.level_bits + _ACTIVITIES[self.grouping][0] * self.groups

    @cached_property
    def header_uses(self) -> int:
        """Channel uses of the header, including its CRC."""
        return modem.transport_uses(self.bits, MCS)

    @property
    def stream_uses(self) -> int:
        """Channel uses of the analog stream."""
        return self.uses - self.header_uses

    def encode(
        self, residual: Float[np.ndarray, "3 h w"], snr_db: float, guide: Float[np.ndarray, "3 h w"] | None = None
    ) -> tuple[Tensor, Complex[Tensor, " stream_uses"]]:
        """Header bits, uint8 [bits], and analog symbols of mean energy 1.

        Args:
            residual: image minus what the receiver has without noise.
            snr_db: SNR of the analog symbols for which their power is allocated, dB.
            guide: image with values k / 255 that both ends have, required with `grouping: classes`.
        """
        coefficients, group_of = blocks.to_blocks(self._padded(residual)), self._group_of(guide)
        levels, activities = self._statistics(coefficients**2, group_of)
        snr = header.quantized_snr(snr_db)
        selection = self._selection(Header(levels, 0, snr), activities, group_of)
        scale, symbols = stream.encode(coefficients.ravel(), selection, self.stream_uses)
        parts = [torch.from_numpy(Header(levels, scale, snr).to_bits())]
        if width := _ACTIVITIES[self.grouping][0]:
            parts.append(modem.integers_to_bits(torch.from_numpy(activities), width).flatten())
        return torch.cat(parts), symbols

    def decode(
        self,
        bits: Tensor,
        symbols: Complex[Tensor, " stream_uses"],
        noise_var: Float[Tensor, " stream_uses"],
        guide: Float[np.ndarray, "3 h w"] | None = None,
    ) -> Float[np.ndarray, "3 h w"]:
        """Linear MMSE estimate of the residual.

        Args:
            bits: decoded header bits, uint8 [bits].
            symbols: received symbols of the stream, equalized without bias.
            noise_var: noise variance of each symbol.
            guide: image of the transmitter's `guide`.
        """
        side_information = Header.from_bits(bits[: self.level_bits].numpy())
        activities = np.zeros(self.groups, np.int64)
        if width := _ACTIVITIES[self.grouping][0]:
            activities = modem.bits_to_integers(bits[self.level_bits :].view(-1, width)).numpy()
        selection = self._selection(side_information, activities, self._group_of(guide))
        rows, columns = self.cells
        coefficients = np.zeros((3, rows * _CELL, columns * _CELL, SIDE, SIDE))
        coefficients.reshape(-1)[selection.places] = stream.decode(
            symbols, noise_var, selection, side_information.scale
        )
        return blocks.from_blocks(coefficients)[:, : self.size[0], : self.size[1]]

    def _padded(self, image: Shaped[np.ndarray, "*planes h w"]) -> Shaped[np.ndarray, "*planes padded_h padded_w"]:
        """Image padded to whole cells."""
        margins = [(0, -length % (_CELL * SIDE)) for length in self.size]
        return np.pad(image, [(0, 0)] * (image.ndim - 2) + margins, mode="edge")

    def _group_of(self, guide: Float[np.ndarray, "3 h w"] | None) -> Int[np.ndarray, "rows columns"]:
        """Group of each block."""
        rows, columns = self.cells
        if self.grouping == "cells":
            return np.arange(rows * columns).reshape(rows, columns).repeat(_CELL, 0).repeat(_CELL, 1)
        if self.grouping == "one":
            return np.zeros((rows * _CELL, columns * _CELL), np.int64)
        assert guide is not None
        # integers throughout, so that both ends have the same classes
        gray = self._padded(np.rint(255 * guide).astype(np.int64).sum(0))
        gradient = np.zeros_like(gray)
        gradient[1:] += np.abs(np.diff(gray, axis=0))
        gradient[:, 1:] += np.abs(np.diff(gray, axis=1))
        sums = gradient.reshape(rows * _CELL, SIDE, columns * _CELL, SIDE).sum((1, 3))
        around = np.pad(sums, 1, mode="edge")
        near = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        ranks = np.empty(sums.size, np.int64)
        ranks[np.argsort((4 * sums + near).ravel(), kind="stable")] = np.arange(sums.size)
        return (ranks * _CLASSES // sums.size).reshape(sums.shape)

    def _statistics(
        self, squares: Float[np.ndarray, "3 rows columns side side"], group_of: Int[np.ndarray, "rows columns"]
    ) -> tuple[Int[np.ndarray, " levels"], Int[np.ndarray, " groups"]]:
        """Quantized level of each color and band, and quantized activity of each group."""
        group_of, band_of = group_of.ravel(), _band_of(self.bands)
        flat = squares.reshape(3, -1, SIDE, SIDE)
        energy = np.stack([flat[..., band_of == band].mean(-1) for band in range(self.bands)], 1)  # [3, bands, blocks]
        members = np.bincount(band_of.ravel())
        activities = np.zeros(self.groups, np.int64)
        width, step_db, lowest_db = _ACTIVITIES[self.grouping]
        if width:
            activity = np.ones(group_of.size)
            for _ in range(2):  # levels and activities depend on each other; the luminance determines the activities
                level = np.maximum((energy[0] / activity).mean(-1), 1e-12)
                own = members @ (energy[0] / level[:, None]) / SIDE**2
                sums = np.bincount(group_of, own / max(float(own.mean()), 1e-12), minlength=self.groups)
                means = np.maximum(sums / np.maximum(np.bincount(group_of, minlength=self.groups), 1), 1e-6)
                steps = (10 * np.log10(means) - lowest_db) / step_db
                activities = np.clip(np.rint(steps), 0, 2**width - 1).astype(np.int64)
                activity = self._activity(activities)[group_of]
        return header.quantized_levels((energy / self._activity(activities)[group_of]).mean(-1).ravel()), activities

    def _activity(self, activities: Int[np.ndarray, " groups"]) -> Float[np.ndarray, " groups"]:
        _, step_db, lowest_db = _ACTIVITIES[self.grouping]
        return 10 ** ((lowest_db + step_db * activities) / 10)

    def _selection(
        self,
        side_information: Header,
        activities: Int[np.ndarray, " groups"],
        group_of: Int[np.ndarray, "rows columns"],
    ) -> stream.Selection:
        """Coefficients that are transmitted with a header, and their gains."""
        levels = side_information.variance_levels.reshape(3, self.bands)[:, _band_of(self.bands)]
        activity = self._activity(activities)[group_of]
        negative = -levels[:, None, None] * activity[:, :, None, None]
        return stream.select(negative.ravel(), self.stream_uses, side_information.design_noise)


def _band_of(bands: int) -> Int[np.ndarray, "side side"]:
    """Band of each coefficient of a block; the last band has all higher frequencies."""
    return np.minimum(blocks.rings(), bands - 1)


@lru_cache(maxsize=8)
def refinement_for(uses: int, size: tuple[int, int], guided: bool = False) -> Refinement | None:
    """Refinement of an image in a number of channel uses; None if the smallest header does not fit.

    Args:
        uses: channel uses of header and stream.
        size: height and width of the image, pixels.
        guided: whether both ends have a guide.

    >>> refinement_for(5000, (128, 128)).header_uses
    460
    """
    for bands, several, share in _HEADERS:
        refinement = Refinement(size, uses, bands, ("classes" if guided else "cells") if several else "one")
        if refinement.header_uses <= share * uses and refinement.stream_uses >= 2:
            return refinement
    return None
