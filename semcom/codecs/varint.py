"""Variable-length integers: seven bits in each byte, the least significant seven first."""

from __future__ import annotations


def write_varint(number: int) -> bytes:
    """Write a non-negative integer; the top bit of a byte says that another byte follows.

    >>> write_varint(300)
    b'\\xac\\x02'
    """
    coded = bytearray()
    while number > 127:
        coded.append(number & 127 | 128)
        number >>= 7
    return bytes([*coded, number])


def read_varint(data: bytes | memoryview, start: int = 0, most_bytes: int = 5) -> tuple[int, int] | None:
    """Read the integer that begins at `start`.

    Args:
        data: bytes that hold the integer.
        start: position of its first byte.
        most_bytes: largest number of bytes of an integer.

    Returns:
        The integer and the position of the byte after it, or None if the data end before the integer does or the
        integer has more than `most_bytes` bytes.

    >>> read_varint(b"\\xac\\x02"), read_varint(b"\\xac")
    ((300, 2), None)
    """
    number = 0
    for count, byte in enumerate(data[start : start + most_bytes]):
        number |= (byte & 127) << (7 * count)
        if byte < 128:
            return number, start + count + 1
    return None
