"""Quasi-cyclic LDPC codes of 5G NR: tables, choice of the base graph, encoder (3GPP TS 38.212, clause 5.3.2)."""

import csv
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from channels.arguments import one_of, within

LIFTING_SIZES = tuple(sorted(a << j for a in (2, 3, 5, 7, 9, 11, 13, 15) for j in range(8) if a << j <= 384))
"""Lifting sizes Z of table 5.3.2-1."""
MAX_BLOCK_BITS = {1: 8448, 2: 3840}
"""Largest code block of each base graph in bits, CRC included (clause 5.2.2)."""
MIN_BLOCK_BITS = 12
"""Smallest code block in bits, six columns of the smallest lifting size: the first two columns are punctured."""

_ROTATION_STARTS = {1: (0, 17, 33, 56), 2: (0, 13, 25, 43)}


@dataclass(frozen=True)
class LdpcCode:
    """LDPC code of one block length.

    The code word has `columns` columns of `lifting` bits. The first two columns are never sent; filler bits (known
    zeros) pad the information bits to whole columns and are never sent either. The rest is the circular buffer.

    Args:
        base_graph: base graph, 1 or 2.
        info_bits: number of information bits of a block, CRC included.

    Raises:
        UsageError: the base graph does not exist, or the number of bits is out of range.

    >>> code = LdpcCode(2, 1024)
    >>> code.lifting, code.columns, code.fillers, code.buffer_bits
    (104, 52, 16, 5184)
    """

    base_graph: int
    info_bits: int

    def __post_init__(self) -> None:
        one_of("base_graph", self.base_graph, tuple(MAX_BLOCK_BITS))
        within("info_bits", self.info_bits, MIN_BLOCK_BITS, MAX_BLOCK_BITS[self.base_graph])

    @cached_property
    def lifting(self) -> int:
        """Lifting size Z: the smallest one whose K_b columns hold the information bits."""
        if self.base_graph == 1:
            columns = 22
        else:
            columns = 10 if self.info_bits > 640 else 9 if self.info_bits > 560 else 8 if self.info_bits > 192 else 6
        return next(size for size in LIFTING_SIZES if columns * size >= self.info_bits)

    @property
    def info_columns(self) -> int:
        """Number of columns of information bits."""
        return 22 if self.base_graph == 1 else 10

    @property
    def columns(self) -> int:
        """Number of columns of the base graph."""
        return 68 if self.base_graph == 1 else 52

    @property
    def rows(self) -> int:
        """Number of rows of the base graph."""
        return self.columns - self.info_columns

    @property
    def fillers(self) -> int:
        """Number of filler bits."""
        return self.info_columns * self.lifting - self.info_bits

    @property
    def buffer_bits(self) -> int:
        """Length of the circular buffer without filler bits."""
        return self.columns * self.lifting - 2 * self.lifting - self.fillers

    @cached_property
    def shifts(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """(column, rotation) pairs of each row of the base graph: check j contains bit (j + rotation) mod Z."""
        rows = _table(self.base_graph)[_lifting_set(self.lifting)]
        return tuple(tuple((column, shift % self.lifting) for column, shift in row) for row in rows)

    def start(self, rv: int) -> int:
        """Start of redundancy version `rv`, 0 to 3, in the circular buffer without fillers (table 5.4.2.1-2)."""
        one_of("rv", rv, (0, 1, 2, 3))
        position = _ROTATION_STARTS[self.base_graph][rv] * self.lifting
        first_filler = self.info_bits - 2 * self.lifting
        return position - min(max(position - first_filler, 0), self.fillers)

    def rows_needed(self, last: int) -> int:
        """Number of rows of the base graph that involve received bits, when positions up to `last` are received."""
        sent = self.info_bits - 2 * self.lifting
        position = last + 2 * self.lifting + (self.fillers if last >= sent else 0)
        return max(position // self.lifting - self.info_columns + 1, 4)

    def to_buffer(self, words: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Remove the bits that are never sent: code words [blocks, columns * Z] to buffers [blocks, buffer_bits]."""
        fill = self.info_columns * self.lifting
        return np.concatenate([words[:, 2 * self.lifting : self.info_bits], words[:, fill:]], axis=1)

    def encode(self, info: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Encode blocks into whole code words, filler bits (zeros) and punctured bits included.

        Args:
            info: information bits, 0 or 1, uint8 [blocks, info_bits].

        Returns:
            Code words, uint8 [blocks, columns * lifting].
        """
        blocks, z, first = info.shape[0], self.lifting, self.info_columns
        # column-major, each column stored twice along Z, so that a rotated column is a contiguous slice
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

        # the sum of the four core rows is one rotated copy of the first parity column: the other two copies cancel
        core = row_sum(0, first) ^ row_sum(1, first) ^ row_sum(2, first) ^ row_sum(3, first)
        copies = [shift for row in self.shifts[:4] for column, shift in row if column == first]
        single = next(shift for shift in copies if copies.count(shift) == 1)
        store(first, np.roll(core, single, axis=1))
        # each of these rows then has one unknown column
        for row, column in ((0, first + 1), (1, first + 2), (3, first + 3)):
            store(column, row_sum(row, column))
        for row in range(4, self.rows):
            store(first + row, row_sum(row, first + 4))
        return word[:, :, :z].transpose(1, 0, 2).reshape(blocks, -1)


def choose_base_graph(info_bits: int, code_rate: float) -> int:
    """Base graph of a transport block of `info_bits` bits (without CRC) at a code rate (TS 38.212, clause 7.2.2).

    >>> choose_base_graph(1000, 0.5), choose_base_graph(9000, 0.5), choose_base_graph(9000, 0.2)
    (2, 1, 2)
    """
    return 2 if info_bits <= 292 or (info_bits <= 3824 and code_rate <= 0.67) or code_rate <= 0.25 else 1


@lru_cache
def code(base_graph: int, info_bits: int) -> LdpcCode:
    """LdpcCode with these parameters, built once and cached with its tables."""
    return LdpcCode(base_graph, info_bits)


def _lifting_set(lifting: int) -> int:
    odd = lifting
    while odd % 2 == 0 and odd > 2:
        odd //= 2
    return (2, 3, 5, 7, 9, 11, 13, 15).index(odd)


@lru_cache
def _table(base_graph: int) -> tuple[tuple[tuple[tuple[int, int], ...], ...], ...]:
    """Tables 5.3.2-2 and -3: [set of lifting sizes][row] -> (column, shift) pairs."""
    text = Path(__file__).with_name("base_graphs.csv").read_text(encoding="ascii")
    entries = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    sets: list[list[list[tuple[int, int]]]] = [[] for _ in range(8)]
    for entry in entries:
        if int(entry["graph"]) == base_graph:
            for index, rows in enumerate(sets):
                if int(entry["row"]) == len(rows):
                    rows.append([])
                rows[-1].append((int(entry["column"]), int(entry[f"set{index}"])))
    return tuple(tuple(tuple(row) for row in rows) for rows in sets)
