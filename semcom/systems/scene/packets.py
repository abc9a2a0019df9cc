"""A label map in packets, each with a CRC of its own, so that what arrives can be read without the rest.

    packet = coarseness (3 bits) | whether colours come first (1 bit)
             | offset at which the first slice begins (20 bits, all ones for none) | payload

The payloads, one after the other, are the colours, the slices of `codecs.label_map`, each behind its length (varint),
and zeros. A slice is lost with any packet that holds a part of it, and no other is.
"""

from __future__ import annotations

from collections.abc import Sequence

_HEAD = 3  # bytes
_NONE = (1 << 20) - 1
COARSEST = 7


def room(packets: int, size: int) -> int:
    """Bytes of payload that packets of this size hold together.

    >>> room(packets=4, size=103)
    400
    """
    return packets * max(0, size - _HEAD)


def overhead(packets: int) -> int:
    """Bytes of the packets' heads."""
    return packets * _HEAD


def pack(first: bytes, slices: Sequence[bytes], coarseness: int, packets: int, size: int) -> list[bytes]:
    """Packets of `size` bytes.

    Args:
        first: the colours, at the head of the first packet; may be empty.
        slices: of the map.
        coarseness: 0 to 7, said in every packet.
        packets: how many.
        size: of each, in bytes; `room` says whether everything fits.

    >>> [packet.hex(" ") for packet in pack(b"", [b"abcd"], coarseness=1, packets=2, size=7)]
    ['20 00 00 04 61 62 63', '2f ff ff 64 00 00 00']
    """
    stream, starts = bytearray(first), []
    for piece in slices:
        starts.append(len(stream))
        stream += behind_its_length(piece)
    length = size - _HEAD
    made = []
    for number in range(packets):
        begins = [start - number * length for start in starts if number * length <= start < (number + 1) * length]
        head = coarseness << 21 | bool(first) << 20 | min(begins[0] if begins else _NONE, _NONE)
        payload = bytes(stream[number * length : (number + 1) * length])
        made.append(head.to_bytes(_HEAD, "big") + payload.ljust(length, b"\0"))
    return made


def coarseness_of(packets: Sequence[bytes | None]) -> int | None:
    """What the packets say; None when nothing arrived."""
    heard = [packet for packet in packets if packet is not None]
    return heard[0][0] >> 5 if heard else None


def head_of(packets: Sequence[bytes | None], length: int) -> bytes | None:
    """The colours, the first `length` bytes of the first packet's payload; None if they did not arrive."""
    first = packets[0]
    if first is None or not first[0] & 16 or len(first) < _HEAD + length:
        return None
    return first[_HEAD : _HEAD + length]


def unpack(packets: Sequence[bytes | None]) -> list[bytes]:
    """The slices that arrived whole.

    Args:
        packets: in their order, None where one was lost.

    >>> unpack(pack(b"", [b"abcd", b"ef", b"ghijk"], 0, packets=4, size=7)[:2] + [None, None])
    [b'abcd', b'ef']
    """
    slices: list[bytes] = []
    run: bytes | None = None  # what follows without a gap from where a piece begins
    for packet in packets:
        if packet is None:
            run = None
            continue
        offset, payload = int.from_bytes(packet[:_HEAD], "big") & _NONE, packet[_HEAD:]
        if run is None:
            run = payload[offset:] if offset < len(payload) else None
        else:
            run += payload
        while run is not None:
            piece, rest = _first_piece(run)
            if piece is None:
                break
            if not piece:  # a length of zero: the padding begins
                return slices
            slices.append(piece)
            run = rest
    return slices


def _first_piece(run: bytes) -> tuple[bytes | None, bytes]:
    """The first whole piece of a run of bytes and what follows; None if more must come."""
    length = 0
    for count, byte in enumerate(run[:4]):
        length |= (byte & 127) << (7 * count)
        if byte < 128:
            start = count + 1
            return (run[start : start + length], run[start + length :]) if len(run) >= start + length else (None, run)
    return None, run


def behind_its_length(piece: bytes) -> bytes:
    """A slice as it stands in the stream."""
    return _varint(len(piece)) + piece


def _varint(number: int) -> bytes:
    """Seven bits a byte, least significant first; the top bit says that more follow."""
    coded = bytearray()
    while number > 127:
        coded.append(number & 127 | 128)
        number >>= 7
    return bytes([*coded, number])
