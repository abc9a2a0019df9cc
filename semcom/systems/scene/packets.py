"""Packets of a label map, each decodable without the others.

    packet = log2 of the map's downsampling (3 bits) | whether class colors are present (1 bit)
             | offset of the first slice that begins in this packet (20 bits, all ones for none) | payload

The payloads, concatenated, are the class colors, the slices of `codecs.label_map`, each preceded by its length
(varint), and zeros. A lost packet loses exactly the slices of which it holds a part.
"""

from __future__ import annotations

from collections.abc import Sequence

from semcom.codecs.varint import read_varint, write_varint

_HEADER_BYTES = 3
_NO_OFFSET = (1 << 20) - 1
DOWNSAMPLINGS = tuple(2**exponent for exponent in range(8))  # factors per side: 1 to 128
_LENGTH_BYTES = 4  # longest varint of a slice's length


def payload_bytes(packets: int, size: int) -> int:
    """Payload of `packets` packets of `size` bytes, in bytes.

    >>> payload_bytes(packets=4, size=103)
    400
    """
    return packets * max(0, size - _HEADER_BYTES)


def header_bytes(packets: int) -> int:
    """Bytes of all packet headers."""
    return packets * _HEADER_BYTES


def pack(colors: bytes, slices: Sequence[bytes], downsampling: int, packets: int, size: int) -> list[bytes]:
    """Write class colors and slices into packets of equal size.

    Args:
        colors: class colors, at the beginning of the first packet; may be empty.
        slices: slices of the map.
        downsampling: downsampling factor of the map, a power of two up to 128; stated in every packet.
        packets: number of packets.
        size: bytes of each packet; `payload_bytes` says whether everything fits.

    >>> [packet.hex(" ") for packet in pack(b"", [b"abcd"], downsampling=2, packets=2, size=7)]
    ['20 00 00 04 61 62 63', '2f ff ff 64 00 00 00']
    """
    stream, starts = bytearray(colors), []
    for piece in slices:
        starts.append(len(stream))
        stream += with_length(piece)
    length = size - _HEADER_BYTES
    exponent = downsampling.bit_length() - 1
    written = []
    for number in range(packets):
        offsets = [start - number * length for start in starts if number * length <= start < (number + 1) * length]
        header = exponent << 21 | bool(colors) << 20 | min(offsets[0] if offsets else _NO_OFFSET, _NO_OFFSET)
        payload = bytes(stream[number * length : (number + 1) * length])
        written.append(header.to_bytes(_HEADER_BYTES, "big") + payload.ljust(length, b"\0"))
    return written


def downsampling_of(packets: Sequence[bytes | None]) -> int | None:
    """Downsampling factor that the received packets state; None if all were lost."""
    received = [packet for packet in packets if packet is not None]
    return 1 << (received[0][0] >> 5) if received else None


def colors_of(packets: Sequence[bytes | None], length: int) -> bytes | None:
    """The class colors, `length` bytes; None if the first packet was lost or has none."""
    first = packets[0]
    if first is None or not first[0] & 16 or len(first) < _HEADER_BYTES + length:
        return None
    return first[_HEADER_BYTES : _HEADER_BYTES + length]


def unpack(packets: Sequence[bytes | None]) -> list[bytes]:
    """Slices that arrived completely.

    Args:
        packets: packets in order, None for each lost one.

    >>> unpack(pack(b"", [b"abcd", b"ef", b"ghijk"], 1, packets=4, size=7)[:2] + [None, None])
    [b'abcd', b'ef']
    """
    slices: list[bytes] = []
    run: bytes | None = None  # contiguous bytes from the beginning of a slice
    for packet in packets:
        if packet is None:
            run = None
            continue
        offset, payload = int.from_bytes(packet[:_HEADER_BYTES], "big") & _NO_OFFSET, packet[_HEADER_BYTES:]
        if run is None:
            run = payload[offset:] if offset < len(payload) else None
        else:
            run += payload
        while run is not None:
            piece, rest = _first_slice(run)
            if piece is None:
                break
            if not piece:  # length zero: padding
                return slices
            slices.append(piece)
            run = rest
    return slices


def _first_slice(run: bytes) -> tuple[bytes | None, bytes]:
    """The first complete slice of a run of bytes and the rest; None if more bytes are needed."""
    found = read_varint(run, most_bytes=_LENGTH_BYTES)
    if found is None:
        return None, run
    length, start = found
    return (run[start : start + length], run[start + length :]) if len(run) >= start + length else (None, run)


def with_length(piece: bytes) -> bytes:
    """A slice preceded by its length."""
    return write_varint(len(piece)) + piece
