"""The quasi-cyclic LDPC codes of 5G NR: tables, choice of a code, encoder (3GPP TS 38.212, clause 5.3.2)."""

import csv
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from channels._errors import UsageError

LIFTING_SIZES = tuple(sorted(a << j for a in (2, 3, 5, 7, 9, 11, 13, 15) for j in range(8) if a << j <= 384))
"""Table 5.3.2-1."""
MAX_BLOCK_BITS = {1: 8448, 2: 3840}
"""Longest code block of each base graph, its CRC included (clause 5.2.2)."""
MIN_BLOCK_BITS = 12
"""Six columns of the smallest lifting size: fewer bits would leave nothing to send behind the two punctured columns."""

_ROTATION_STARTS = {1: (0, 17, 33, 56), 2: (0, 13, 25, 43)}


@dataclass(frozen=True)
class LdpcCode:
    """One lifted code: base graph 1 or 2 and the number of information bits of a block, its CRC included.

    The code word has `columns` blocks of `lifting` bits. The first two columns are never sent; filler bits (known
    zeros) pad the information bits to whole columns and are never sent either. What remains is the circular buffer.

    >>> code = LdpcCode(2, 1024)
    >>> code.lifting, code.columns, code.fillers, code.buffer_bits
    (104, 52, 16, 5184)
    """

    base_graph: int
    info_bits: int

    def __post_init__(self) -> None:
        if self.base_graph not in MAX_BLOCK_BITS:
            raise UsageError(f"there is no base graph {self.base_graph}: use 1 or 2")
        limit = MAX_BLOCK_BITS[self.base_graph]
        if not MIN_BLOCK_BITS <= self.info_bits <= limit:
            raise UsageError(
                f"base graph {self.base_graph} holds {MIN_BLOCK_BITS} to {limit} bits, not {self.info_bits}"
            )

    @cached_property
    def lifting(self) -> int:
        """Z: the smallest lifting size whose K_b columns hold the information bits."""
        if self.base_graph == 1:
            wanted = 22
        else:
            wanted = 10 if self.info_bits > 640 else 9 if self.info_bits > 560 else 8 if self.info_bits > 192 else 6
        return next(size for size in LIFTING_SIZES if wanted * size >= self.info_bits)

    @property
    def info_columns(self) -> int:
        return 22 if self.base_graph == 1 else 10

    @property
    def columns(self) -> int:
        return 68 if self.base_graph == 1 else 52

    @property
    def rows(self) -> int:
        return self.columns - self.info_columns

    @property
    def fillers(self) -> int:
        return self.info_columns * self.lifting - self.info_bits

    @property
    def buffer_bits(self) -> int:
        """Length of the circular buffer without its fillers."""
        return self.columns * self.lifting - 2 * self.lifting - self.fillers

    @cached_property
    def shifts(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each row of the base graph its (column, rotation) pairs: check j holds bit (j + rotation) mod Z."""
        rows = _table(self.base_graph)[_lifting_set(self.lifting)]
        return tuple(tuple((column, shift % self.lifting) for column, shift in row) for row in rows)

    def start(self, rv: int) -> int:
        """Position in the filler-free circular buffer where redundancy version `rv` begins (Table 5.4.2.1-2)."""
        if rv not in (0, 1, 2, 3):
            raise UsageError(f"redundancy version {rv} does not exist: use 0, 1, 2 or 3")
        position = _ROTATION_STARTS[self.base_graph][rv] * self.lifting
        first_filler = self.info_bits - 2 * self.lifting
        return position - min(max(position - first_filler, 0), self.fillers)

    def rows_needed(self, last: int) -> int:
        """Rows of the base graph that constrain something received, if buffer positions up to `last` were."""
        sent = self.info_bits - 2 * self.lifting
        position = last + 2 * self.lifting + (self.fillers if last >= sent else 0)
        return max(position // self.lifting - self.info_columns + 1, 4)

    def to_buffer(self, words: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Drop what is never sent: code words [blocks, columns * Z] to circular buffers [blocks, buffer_bits]."""
        fill = self.info_columns * self.lifting
        return np.concatenate([words[:, 2 * self.lifting : self.info_bits], words[:, fill:]], axis=1)

    def encode(self, info: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Encode blocks: all columns of the code word, fillers (zeros) and punctured bits included.

        Args:
            info: 0 or 1, uint8 [blocks, info_bits].

        Returns:
            uint8 [blocks, columns * lifting].
        """
        blocks, z, first = info.shape[0], self.lifting, self.info_columns
        # columns first, each doubled along Z, so that a rotated column is a contiguous slice
        word = np.zeros((self.columns, blocks, 2 * z), np.uint8)
        padded = np.zeros((blocks, first * z), np.uint8)
        padded[:, : self.info_bits] = info
        word[:first, :, :z] = padded.reshape(blocks, first, z).transpose(1, 0, 2)
        word[:first, :, z:] = word[:first, :, :z]

        def row_sum(row: int, until: int) -> NDArray[np.uint8]:
            total = np.zeros((blocks, z), np.uint8)
            for column, shift in self.shifts[row]:
                if column < until:
                    total ^= word[column, :, shift : shift + z]
            return total

        def store(column: int, values: NDArray[np.uint8]) -> None:
            word[column, :, :z] = values
            word[column, :, z:] = values

        # The four core rows sum to one rotated copy of the first parity column: its other two copies cancel.
        core = row_sum(0, first) ^ row_sum(1, first) ^ row_sum(2, first) ^ row_sum(3, first)
        copies = [shift for row in self.shifts[:4] for column, shift in row if column == first]
        single = next(shift for shift in copies if copies.count(shift) == 1)
        store(first, np.roll(core, single, axis=1))
        # From there on each of these rows holds one unknown column.
        for row, column in ((0, first + 1), (1, first + 2), (3, first + 3)):
            store(column, row_sum(row, column))
        for row in range(4, self.rows):
            store(first + row, row_sum(row, first + 4))
        return word[:, :, :z].transpose(1, 0, 2).reshape(blocks, -1)


def choose_base_graph(info_bits: int, code_rate: float) -> int:
    """Base graph of a transport block of `info_bits` (without CRC) at a code rate (38.212, clause 7.2.2).

    >>> choose_base_graph(1000, 0.5), choose_base_graph(9000, 0.5), choose_base_graph(9000, 0.2)
    (2, 1, 2)
    """
    return 2 if info_bits <= 292 or (info_bits <= 3824 and code_rate <= 0.67) or code_rate <= 0.25 else 1


@lru_cache
def code(base_graph: int, info_bits: int) -> LdpcCode:
    """The code object of these parameters, built once, so that its tables are too."""
    return LdpcCode(base_graph, info_bits)


def _lifting_set(lifting: int) -> int:
    odd = lifting
    while odd % 2 == 0 and odd > 2:
        odd //= 2
    return (2, 3, 5, 7, 9, 11, 13, 15).index(odd)


@lru_cache
def _table(base_graph: int) -> tuple[tuple[tuple[tuple[int, int], ...], ...], ...]:
    """Tables 5.3.2-2 and -3, as Sionna ships them, read without importing it: [set][row] -> (column, shift) pairs."""
    spec = find_spec("sionna")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("the LDPC base graphs come with Sionna: install sionna-no-rt")
    path = Path(spec.submodule_search_locations[0], "phy", "fec", "ldpc", "codes", f"5G_bg{base_graph}.csv")
    sets: list[list[list[tuple[int, int]]]] = [[] for _ in range(8)]
    with path.open(newline="") as file:
        for line in list(csv.reader(file, delimiter=";"))[2:]:
            if line[0]:
                for rows in sets:
                    rows.append([])
            for rows, shift in zip(sets, line[2:10], strict=True):
                rows[-1].append((int(line[1]), int(shift)))
    return tuple(tuple(tuple(row) for row in rows) for rows in sets)
