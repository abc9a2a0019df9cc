"""Label maps as few bytes: lossless, any number of classes, in slices that decode alone.

A map is cut into slices, bands of whole rows. Each slice is coded without its neighbours by a context-mixing model
(`_label_model`) that learns as it goes, and carries a CRC-32, so that a receiver knows which bands it has.

    slice   = index (varint) | code | CRC-32 of the map's shape, the index and the code (4 bytes, big-endian)
    file    = "LM" | classes - 1 | height | width | rows a slice (varints) | CRC-32 of that
              | (length (varint) | slice) for each slice

Sender and receiver of single slices agree on the `Shape` beforehand; a file says it. A damaged slice passes its CRC
with probability 2^-32.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channels._errors import UsageError

_MAGIC = b"LM"
_CRC = 4  # bytes
_MOST_PIXELS = 1 << 24
Data = bytes | bytearray | memoryview


class CorruptMap(ValueError):  # noqa: N818 - what it says is not that the program erred
    """Bytes that are no label map, or not all of one."""


@dataclass(frozen=True)
class Shape:
    """What both ends know of a map.

    Args:
        classes: 2 to 256; labels are 0 to classes - 1.
        height, width: in pixels, 2^24 in all at most.
        rows: of a slice; the last one may have fewer. None is one slice for the whole map.

    Raises:
        UsageError: out of range.

    >>> Shape(classes=12, height=192, width=256, rows=64).slices
    3
    """

    classes: int
    height: int
    width: int
    rows: int | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= 256:
            raise UsageError(f"a label map has 2 to 256 classes, not {self.classes}")
        if min(self.height, self.width) < 1 or self.height * self.width > _MOST_PIXELS:
            raise UsageError(f"a label map has 1 to {_MOST_PIXELS} pixels, not {self.height} x {self.width}")
        if self.rows is not None and self.rows < 1:
            raise UsageError(f"a slice has 1 row or more, not {self.rows}")

    @cached_property
    def slices(self) -> int:
        """How many slices there are."""
        return -(-self.height // self._step)

    def band(self, index: int) -> slice:
        """The rows of a slice."""
        return slice(index * self._step, min((index + 1) * self._step, self.height))

    @cached_property
    def _step(self) -> int:
        return self.height if self.rows is None else min(self.rows, self.height)

    @cached_property
    def head(self) -> bytes:
        """How a file begins, without its CRC; part of what the CRC of each slice covers."""
        numbers = (self.classes - 1, self.height, self.width, self._step)
        return _MAGIC + b"".join(map(_varint, numbers))


def encode_slices(labels: ArrayLike, classes: int, rows: int | None = None) -> list[bytes]:
    """Code a map as slices for packets; `Shape(classes, *labels.shape, rows)` is what the receiver must know.

    Args:
        labels: integers or booleans [h, w] below `classes`.
        classes: 2 to 256.
        rows: of a slice; None is the whole map.

    Raises:
        UsageError: no such map.

    >>> slices = encode_slices(np.zeros((6, 8), int), classes=2, rows=3)
    >>> decode_slice(slices[1], Shape(2, 6, 8, 3))[1].shape
    (3, 8)
    """
    checked, shape = _checked(labels, classes, rows)
    coded = []
    for index in range(shape.slices):
        body = _varint(index) + _code(checked[shape.band(index)], classes)
        coded.append(body + _check(shape.head, body))
    return coded


def decode_slice(data: Data, shape: Shape) -> tuple[int, NDArray[np.uint8]]:
    """The index and the labels [rows, w] of one slice.

    Raises:
        CorruptMap: the bytes are not such a slice.
    """
    if not _is_whole(data, shape):
        raise CorruptMap("a slice of the label map fails its CRC")
    body = bytes(data[:-_CRC])
    index, start = _read_varint(body, 0)
    if index >= shape.slices:
        raise CorruptMap(f"the label map has {shape.slices} slices, and this claims to be number {index}")
    band = shape.band(index)
    return index, _decode(body[start:], (band.stop - band.start, shape.width), shape.classes)


def encode(labels: ArrayLike, classes: int, rows: int | None = None) -> bytes:
    """Code a map as one self-contained file; arguments and errors are those of `encode_slices`.

    >>> len(encode(np.zeros((192, 256), int), classes=12))
    19
    """
    head = _checked(labels, classes, rows)[1].head
    parts = [_varint(len(part)) + part for part in encode_slices(labels, classes, rows)]
    return head + _check(b"", head) + b"".join(parts)


def decode(data: Data) -> NDArray[np.uint8]:
    """The map of a file, uint8 [h, w].

    Raises:
        CorruptMap: anything is damaged, missing or left over.

    >>> decode(encode(np.arange(12).reshape(3, 4), classes=12)).tolist()
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    """
    data = bytes(data)
    shape, start = _read_head(data)
    labels = np.empty((shape.height, shape.width), np.uint8)
    for expected in range(shape.slices):
        length, start = _read_varint(data, start)
        index, rows = decode_slice(data[start : start + length], shape)
        if index != expected:
            raise CorruptMap(f"slice {index} of the label map stands where {expected} should")
        labels[shape.band(index)] = rows
        start += length
    if start != len(data):
        raise CorruptMap(f"{len(data) - start} bytes follow the label map")
    return labels


def decode_some(slices: list[bytes], shape: Shape, missing: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What arrived of a map: labels [h, w], `missing` where a slice is lost, and which rows [h] are there.

    Args:
        slices: in any order. Those that fail their CRC are lost.
        shape: of the map.
        missing: 0 to 255.

    Raises:
        UsageError: `missing` is out of range.
        CorruptMap: a slice passes its CRC and yet is none: something else than the way here is wrong.

    >>> labels, there = decode_some(encode_slices(np.ones((4, 2), int), 2, rows=2)[1:], Shape(2, 4, 2, rows=2))
    >>> there.tolist()
    [False, False, True, True]
    """
    if not 0 <= missing <= 255:
        raise UsageError(f"missing must be 0 to 255, not {missing}")
    labels = np.full((shape.height, shape.width), missing, np.uint8)
    there = np.zeros(shape.height, bool)
    for data in slices:
        if not _is_whole(data, shape):
            continue
        index, rows = decode_slice(data, shape)
        labels[shape.band(index)] = rows
        there[shape.band(index)] = True
    return labels, there


def _checked(labels: ArrayLike, classes: int, rows: int | None) -> tuple[NDArray[np.int64], Shape]:
    array = np.asarray(labels)
    if array.dtype.kind not in "iub" or array.ndim != 2:
        raise UsageError(f"a label map is integers [h, w], not {array.dtype} of the shape {array.shape}")
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
        data = np.empty(4 * len(data), np.uint8)  # noise; nothing that a camera sees takes a byte a pixel
    return data[:length].tobytes()


def _decode(code: bytes, shape: tuple[int, int], classes: int) -> NDArray[np.uint8]:
    from semcom.codecs import _label_model

    rows = np.zeros(shape, np.int64)
    if _label_model.run(rows, np.frombuffer(bytearray(code), np.uint8), classes, encoding=False) < 0:
        raise CorruptMap("a slice of the label map is longer or shorter than its code says")
    return rows.astype(np.uint8)


def _check(*parts: Data) -> bytes:
    return zlib.crc32(b"".join(parts)).to_bytes(_CRC, "big")


def _read_head(data: bytes) -> tuple[Shape, int]:
    if not data.startswith(_MAGIC):
        raise CorruptMap("these bytes are no label map")
    numbers, start = [], len(_MAGIC)
    for _ in range(4):
        number, start = _read_varint(data, start)
        numbers.append(number)
    if data[start : start + _CRC] != _check(data[:start]):
        raise CorruptMap("the head of the label map fails its CRC")
    try:
        return Shape(numbers[0] + 1, *numbers[1:]), start + _CRC
    except UsageError as error:
        raise CorruptMap(str(error)) from None


def _varint(number: int) -> bytes:
    """Seven bits a byte, least significant first; the top bit says that more follow."""
    coded = bytearray()
    while number > 127:
        coded.append(number & 127 | 128)
        number >>= 7
    return bytes([*coded, number])


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    number = 0
    for count, byte in enumerate(data[start : start + 5]):
        number |= (byte & 127) << (7 * count)
        if byte < 128:
            return number, start + count + 1
    raise CorruptMap("the label map ends in the middle of a number")
