"""Lossless compression of label maps in independently decodable slices.

A map is divided into slices of whole rows. Each slice is coded on its own by an adaptive context-mixing model
(`_label_model`) and has a CRC-32, so that a receiver can detect lost slices.

    slice   = index (varint) | code | CRC-32 of shape, index and code (4 bytes, big-endian)
    file    = "LM" | classes - 1 | height | width | rows per slice (varints) | CRC-32 of these
              | (length (varint) | slice) for each slice

A file contains its `Shape`; for single slices both ends must know it. A damaged slice passes its CRC with probability
2^-32.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channels.arguments import within
from channels.errors import UsageError
from semcom.codecs.varint import read_varint, write_varint

_MAGIC = b"LM"
_CRC = 4  # bytes
_MOST_PIXELS = 1 << 24
Data = bytes | bytearray | memoryview


class CorruptMap(ValueError):  # noqa: N818
    """Bytes that are not a complete label map."""


@dataclass(frozen=True)
class Shape:
    """Shape of a label map and its slices, known at both ends.

    Args:
        classes: number of classes, 2 to 256; labels are 0 to classes - 1.
        height, width: size in pixels, at most 2^24 pixels.
        rows: number of rows per slice (the last slice may have fewer); None for a single slice.

    Raises:
        UsageError: an argument is out of range.

    >>> Shape(classes=12, height=192, width=256, rows=64).slices
    3
    """

    classes: int
    height: int
    width: int
    rows: int | None = None

    def __post_init__(self) -> None:
        within("classes", self.classes, 2, 256)
        if min(self.height, self.width) < 1 or self.height * self.width > _MOST_PIXELS:
            raise UsageError(f"a label map has 1 to {_MOST_PIXELS} pixels, not {self.height} x {self.width}")
        within("rows", self.rows, 1, null="one slice")

    @cached_property
    def slices(self) -> int:
        """Number of slices."""
        return -(-self.height // self._step)

    def band(self, index: int) -> slice:
        """Rows of a slice."""
        return slice(index * self._step, min((index + 1) * self._step, self.height))

    @cached_property
    def _step(self) -> int:
        return self.height if self.rows is None else min(self.rows, self.height)

    @cached_property
    def head(self) -> bytes:
        """File header without its CRC; included in the CRC of each slice."""
        numbers = (self.classes - 1, self.height, self.width, self._step)
        return _MAGIC + b"".join(map(write_varint, numbers))


def encode_slices(labels: ArrayLike, classes: int, rows: int | None = None) -> list[bytes]:
    """Encode a map as slices; the receiver must know `Shape(classes, *labels.shape, rows)`.

    Args:
        labels: label map, integers or booleans [h, w], 0 to classes - 1.
        classes: number of classes, 2 to 256.
        rows: number of rows per slice; None for a single slice.

    Raises:
        UsageError: the labels or an argument are out of range.

    >>> slices = encode_slices(np.zeros((6, 8), int), classes=2, rows=3)
    >>> decode_slice(slices[1], Shape(2, 6, 8, 3))[1].shape
    (3, 8)
    """
    checked, shape = _checked(labels, classes, rows)
    coded = []
    for index in range(shape.slices):
        body = write_varint(index) + _code(checked[shape.band(index)], classes)
        coded.append(body + _check(shape.head, body))
    return coded


def decode_slice(data: Data, shape: Shape) -> tuple[int, NDArray[np.uint8]]:
    """Decode a slice to its index and labels, uint8 [rows, w].

    Raises:
        CorruptMap: the bytes are not a slice of this shape.
    """
    if not _is_whole(data, shape):
        raise CorruptMap("a slice of the label map fails its CRC")
    body = bytes(data[:-_CRC])
    index, start = _read_number(body, 0)
    if index >= shape.slices:
        raise CorruptMap(f"slice number {index} of a label map with {shape.slices} slices")
    band = shape.band(index)
    return index, _decode(body[start:], (band.stop - band.start, shape.width), shape.classes)


def encode(labels: ArrayLike, classes: int, rows: int | None = None) -> bytes:
    """Encode a map as a self-contained file; arguments and errors are those of `encode_slices`.

    >>> len(encode(np.zeros((192, 256), int), classes=12))
    19
    """
    head = _checked(labels, classes, rows)[1].head
    parts = [write_varint(len(part)) + part for part in encode_slices(labels, classes, rows)]
    return head + _check(b"", head) + b"".join(parts)


def decode(data: Data) -> NDArray[np.uint8]:
    """Decode a file to a label map, uint8 [h, w].

    Raises:
        CorruptMap: the file is damaged, truncated or too long.

    >>> decode(encode(np.arange(12).reshape(3, 4), classes=12)).tolist()
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    """
    data = bytes(data)
    shape, start = _read_head(data)
    labels = np.empty((shape.height, shape.width), np.uint8)
    for expected in range(shape.slices):
        length, start = _read_number(data, start)
        index, rows = decode_slice(data[start : start + length], shape)
        if index != expected:
            raise CorruptMap(f"slice {index} of the label map in place of slice {expected}")
        labels[shape.band(index)] = rows
        start += length
    if start != len(data):
        raise CorruptMap(f"{len(data) - start} extra bytes after the label map")
    return labels


def decode_some(slices: list[bytes], shape: Shape, missing: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Decode the received slices of a map.

    Args:
        slices: received slices in any order; slices with a failed CRC are ignored.
        shape: shape of the map.
        missing: label of the rows that were not received, 0 to 255.

    Returns:
        Labels, uint8 [h, w], and which rows were received, bool [h].

    Raises:
        UsageError: `missing` is out of range.
        CorruptMap: a slice passes its CRC but is invalid (no transmission error).

    >>> labels, is_received = decode_some(encode_slices(np.ones((4, 2), int), 2, rows=2)[1:], Shape(2, 4, 2, rows=2))
    >>> is_received.tolist()
    [False, False, True, True]
    """
    within("missing", missing, 0, 255)
    labels = np.full((shape.height, shape.width), missing, np.uint8)
    is_received = np.zeros(shape.height, bool)
    for data in slices:
        if not _is_whole(data, shape):
            continue
        index, rows = decode_slice(data, shape)
        labels[shape.band(index)] = rows
        is_received[shape.band(index)] = True
    return labels, is_received


def _checked(labels: ArrayLike, classes: int, rows: int | None) -> tuple[NDArray[np.int64], Shape]:
    array = np.asarray(labels)
    if array.dtype.kind not in "iub" or array.ndim != 2:
        raise UsageError(f"a label map must be integers [h, w], not {array.dtype} of shape {array.shape}")
    shape = Shape(classes, array.shape[0], array.shape[1], rows)
    if array.min() < 0 or array.max() >= classes:
        raise UsageError(f"labels must be 0 to {classes - 1}, not {array.min()} to {array.max()}")
    return np.ascontiguousarray(array, np.int64), shape


def _is_whole(data: Data, shape: Shape) -> bool:
    """Whether a slice passes its CRC."""
    return len(data) > _CRC and bytes(data[-_CRC:]) == _check(shape.head, data[:-_CRC])


def _code(rows: NDArray[np.int64], classes: int) -> bytes:
    from semcom.codecs import _label_model

    data = np.empty(rows.size + 64, np.uint8)
    while (length := _label_model.run(rows, data, classes, encoding=True)) < 0:
        data = np.empty(4 * len(data), np.uint8)  # only noise requires more than a byte per pixel
    return data[:length].tobytes()


def _decode(code: bytes, shape: tuple[int, int], classes: int) -> NDArray[np.uint8]:
    from semcom.codecs import _label_model

    rows = np.zeros(shape, np.int64)
    if _label_model.run(rows, np.frombuffer(bytearray(code), np.uint8), classes, encoding=False) < 0:
        raise CorruptMap("a slice of the label map has a wrong length")
    return rows.astype(np.uint8)


def _check(*parts: Data) -> bytes:
    return zlib.crc32(b"".join(parts)).to_bytes(_CRC, "big")


def _read_head(data: bytes) -> tuple[Shape, int]:
    if not data.startswith(_MAGIC):
        raise CorruptMap("the bytes are not a label map")
    numbers, start = [], len(_MAGIC)
    for _ in range(4):
        number, start = _read_number(data, start)
        numbers.append(number)
    if data[start : start + _CRC] != _check(data[:start]):
        raise CorruptMap("the header of the label map fails its CRC")
    try:
        return Shape(numbers[0] + 1, *numbers[1:]), start + _CRC
    except UsageError as error:
        raise CorruptMap(str(error)) from None


def _read_number(data: bytes, start: int) -> tuple[int, int]:
    found = read_varint(data, start)
    if found is None:
        raise CorruptMap("the label map ends within a number")
    return found
