"""Layout of a frame: preamble, header, blocks of pilots and payload symbols, closing pilots."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.arguments import within
from channels.base import Medium
from channels.errors import UsageError
from channels.propagation.ofdm import SYMBOLS, Grid
from channels.waveform import sequences
from channels.waveform.pulse import Pulse

_MOST_INTERFERENCE = 1e-4  # power ratio of intersymbol interference: 20 dB below the noise at an SNR of 20 dB


@dataclass(frozen=True)
class Layout:
    """Positions of known symbols and payload in a frame, in symbols; shared by both ends.

        preamble | header | pilots payload | pilots payload | ... | pilots

    With a resource grid, each of these payloads is an OFDM symbol, and a block has the 14 OFDM symbols of the grid.
    Payload positions, or resource elements, after the last payload symbol of a frame hold pilots. An empty interval of
    `pulse.span` symbols follows each frame, in which its pulses end.

    Args:
        pulse: pulse of the symbols.
        preamble: number of preamble symbols, a multiple of 16, 64 to 4096.
        header: number of header symbols, 64 to 4096.
        pilots: number of pilots before each block of payload symbols, or before each OFDM symbol, 1 to 64.
        spacing: number of payload symbols between two groups of pilots of a single carrier, 1 to 4096.
        payload: largest number of payload symbols of a frame; a longer payload is divided into several frames.
        grid: resource grid of OFDM, the one of the OFDM channels, its cyclic prefix a whole number of symbol durations;
            None for a single carrier.

    Raises:
        UsageError: a number is out of range.

    >>> layout = Layout(Pulse(4, 0.25, 16), 256, 256, 4, 60, 15360)
    >>> layout.blocks(100), layout.symbols(100)
    (2, 644)
    """

    pulse: Pulse
    preamble: int
    header: int
    pilots: int
    spacing: int
    payload: int
    grid: Grid | None = None

    def __post_init__(self) -> None:
        if self.pulse.interference > _MOST_INTERFERENCE:
            raise UsageError(
                f"roll_off {self.pulse.roll_off:g} with pulse_span {self.pulse.span} has intersymbol interference "
                f"of {10 * math.log10(self.pulse.interference):.0f} dB, at most -40 dB: raise one of them"
            )
        within("preamble_symbols", self.preamble, 64, 4096)
        if self.preamble % sequences.SEGMENT:
            raise UsageError(f"preamble_symbols must be a multiple of {sequences.SEGMENT}, not {self.preamble}")
        within("header_symbols", self.header, 64, 4096)
        within("pilot_symbols", self.pilots, 1, 64)
        within("pilot_spacing", self.spacing, 1, 4096)
        within("frame_payload", self.payload, self.block_payload, 1 << 20)

    def __repr__(
        self,
    ) -> str:  # both ends compare its hash: recordings of single carriers before the grid stay readable
        values = [f"{field.name}={getattr(self, field.name)!r}" for field in fields(self)[:-1]]
        return f"Layout({', '.join(values)}, {'prefix=None' if self.grid is None else f'grid={self.grid!r}'})"

    @property
    def start(self) -> int:
        """Number of symbols before the first group of pilots."""
        return self.preamble + self.header

    @cached_property
    def block_payload(self) -> int:
        """Number of payload symbols of a block."""
        return self.spacing if self.grid is None else self.grid.medium.frame_data

    @property
    def sections(self) -> int:
        """Number of groups of pilots of a block."""
        return 1 if self.grid is None else SYMBOLS

    @property
    def section(self) -> int:
        """Number of positions between two groups of pilots: payload symbols, or an OFDM symbol with its prefix."""
        return self.spacing if self.grid is None else self.prefix + self.subcarriers

    @property
    def subcarriers(self) -> int:
        """Number of subcarriers of an OFDM symbol, guards included; 0 for a single carrier."""
        return 0 if self.grid is None else self.grid.subcarriers + self.grid.guard_subcarriers

    @property
    def prefix(self) -> int:
        """Length of the cyclic prefix in symbol durations; 0 for a single carrier."""
        return 0 if self.grid is None else round(self.grid.cyclic_prefix * self.subcarriers)

    @property
    def most_blocks(self) -> int:
        """Largest number of blocks of a frame."""
        return -(-self.payload // self.block_payload)

    @property
    def medium(self) -> Medium:
        """Uses of the medium: symbols times (1 + roll-off), the bandwidth of the pulse."""
        wide = 1 + self.pulse.roll_off
        ends, grid = self.pilots + self.pulse.span, () if self.grid is None else self.grid.medium.overhead
        overhead = {"pilots": self.sections * self.pilots}
        for part, uses in grid:
            overhead[part] = overhead.get(part, 0) + uses
        block = self.sections * (self.pilots + self.section)
        overhead["excess bandwidth"] = math.ceil(block * wide - 1e-9) - block
        return Medium(
            frame_data=self.block_payload,
            frame_uses=block + overhead["excess bandwidth"],
            overhead=tuple(overhead.items()),
            burst_frames=self.most_blocks,
            burst_overhead=(
                ("preamble", self.preamble),
                ("frame header", self.header),
                ("end of frame", ends),
                ("excess bandwidth", math.ceil((self.start + ends) * (wide - 1) - 1e-9)),
            ),
        )

    def parts(self, uses: int) -> list[int]:
        """Number of payload symbols of each frame of a transmission."""
        room = self.most_blocks * self.block_payload
        return [min(room, uses - first) for first in range(0, uses, room)]

    def blocks(self, uses: int) -> int:
        """Number of payload blocks of a frame of `uses` payload symbols."""
        return -(-uses // self.block_payload)

    def symbols(self, uses: int) -> int:
        """Number of symbols of a frame, without the empty interval after it."""
        return self.start + self.blocks(uses) * self.sections * (self.pilots + self.section) + self.pilots

    def data(self, uses: int) -> NDArray[np.int64]:
        """Positions of the payload, int64: one of each symbol, or all of the OFDM symbols."""
        index = np.arange(uses if self.grid is None else self.blocks(uses) * self.sections * self.section)
        return self.start + self.pilots + index + index // self.section * self.pilots

    def known(self, uses: int) -> NDArray[np.int64]:
        """Positions of the pilots, int64 [pilots]."""
        taken = np.zeros(self.symbols(uses), bool)
        taken[: self.start] = taken[self.data(uses)] = True
        return np.flatnonzero(~taken)

    def skeleton(self, uses: int, header: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """All symbols of a frame with zeros in place of the payload, complex128 [symbols].

        Args:
            uses: number of payload symbols.
            header: header symbols.
        """
        frame = np.zeros(self.symbols(uses), complex)
        frame[: self.preamble] = sequences.preamble(self.preamble)
        frame[self.preamble : self.start] = header
        frame[self.start :] = _pilot_sequence(self)[: len(frame) - self.start]
        frame[self.data(uses)] = 0
        return frame


@lru_cache(maxsize=8)
def _pilot_sequence(layout: Layout) -> NDArray[np.complex128]:
    """The pilot of each position after the header; payload symbols take the place of some."""
    return sequences.pilots(layout.symbols(layout.payload) - layout.start)
