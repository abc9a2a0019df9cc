"""Image files without the bytes that a receiver can write by itself.

Transmitter and receiver agree on the picture size and the codec, so each can write a `blank`: the file of a black
picture of that size under the same settings. What a file shares with its blank (boxes, markers, sizes, standard tables)
stays at home; what is left is sent, and the receiver puts it into its own blank. Lengths follow from how much arrived.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Container:
    """How one file format is taken apart and put together; restore(strip(file, blank), blank) == file.

    Either function may raise ValueError or IndexError on bytes that are no such file.
    """

    strip: Callable[[bytes, bytes], bytes]
    restore: Callable[[bytes, bytes], bytes]


# --- WebP: a RIFF chunk with one VP8 key frame, whose start code and size follow a 3-byte tag (RFC 6386, 9.1) ---


def _strip_webp(file: bytes, blank: bytes) -> bytes:
    length = int.from_bytes(file[16:20], "little")  # the file has a byte more where this is odd
    return file[20:23] + file[30 : 20 + length]


def _restore_webp(body: bytes, blank: bytes) -> bytes:
    frame = body[:3] + blank[23:30] + body[3:]
    chunk = b"VP8 " + len(frame).to_bytes(4, "little") + frame + bytes(len(frame) % 2)
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


# --- AVIF: boxes around a temporal delimiter, a sequence header and one frame (ISO/IEC 23000-22; AV1, 5.3) ---


def _strip_avif(file: bytes, blank: bytes) -> bytes:
    _, body = _leb128(file, _avif_frame(file) + 1)
    return file[body:]


def _restore_avif(body: bytes, blank: bytes) -> bytes:
    start = _avif_frame(blank)
    tail = blank[start : start + 1] + _to_leb128(len(body)) + body
    places = {kind: (at, end) for kind, at, end in _boxes(blank, 0, len(blank))}
    media, meta = places[b"mdat"][0], places[b"meta"]
    locations = next(end for kind, _, end in _boxes(blank, meta[0] + 12, meta[1]) if kind == b"iloc")
    head = bytearray(blank[:start])
    head[media : media + 4] = (start - media + len(tail)).to_bytes(4, "big")
    head[locations - 4 : locations] = (start - media - 8 + len(tail)).to_bytes(4, "big")  # length of the only item
    return bytes(head) + tail


def _avif_frame(file: bytes) -> int:
    """Where the frame begins: behind the temporal delimiter (2 bytes) and the sequence header."""
    media = next(at for kind, at, _ in _boxes(file, 0, len(file)) if kind == b"mdat")
    header = media + 8 + 2
    length, body = _leb128(file, header + 1)
    return body + length


def _boxes(file: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at < end:
        length = int.from_bytes(file[at : at + 4], "big")
        if length < 8:
            raise ValueError("a box shorter than its header")
        yield file[at + 4 : at + 8], at, at + length
        at += length


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """The number that starts at `at`, and where it ends."""
    value = 0
    for place in range(8):
        value |= (data[at + place] & 127) << 7 * place
        if data[at + place] < 128:
            return value, at + place + 1
    raise ValueError("a number longer than 8 bytes")


def _to_leb128(value: int) -> bytes:
    digits = [value & 127]
    while value := value >> 7:
        digits[-1] |= 128
        digits.append(value & 127)
    return bytes(digits)


# --- JPEG 2000: a bare codestream; main header, one tile-part, end marker (ISO/IEC 15444-1, annex A) ---


def _strip_jpeg2000(file: bytes, blank: bytes) -> bytes:
    return file[_codestream_data(file)[1] : -2]


def _restore_jpeg2000(body: bytes, blank: bytes) -> bytes:
    tile, data = _codestream_data(blank)
    head = bytearray(blank[:data])
    head[tile + 6 : tile + 10] = (data - tile + len(body)).to_bytes(4, "big")
    return bytes(head) + body + b"\xff\xd9"


def _codestream_data(file: bytes) -> tuple[int, int]:
    """Where the tile-part begins, and where its data do."""
    at, tile = 2, 0
    while (marker := file[at : at + 2]) != b"\xff\x93":
        if marker == b"\xff\x90":
            tile = at
        at += 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if at >= len(file):
            raise ValueError("no data in the codestream")
    return tile, at + 2


# --- JPEG: markers, then tables and scans (ITU-T T.81, annex B); a file may have the tables of its blank ---


def _strip_jpeg(file: bytes, blank: bytes) -> bytes:
    """The scan alone; with Huffman tables of its own, tables and scans without their lengths and scan headers."""
    segments = _jpeg_segments(file)
    if _tables(segments) == _tables(_jpeg_segments(blank)):
        return b"\0" + b"".join(scan for _, _, scan in segments)
    parts = [b"\1"]
    for marker, payload, scan in segments:
        if marker == 0xC4:
            parts.append(b"\xff\xc4" + payload)
        elif marker == 0xDA:
            parts.append(b"\xff\xda" + scan)
    return b"".join(parts)


def _restore_jpeg(body: bytes, blank: bytes) -> bytes:
    segments = _jpeg_segments(blank)
    own_tables = body[:1] == b"\1"
    kept = [(marker, payload) for marker, payload, _ in segments if not own_tables or marker not in (0xC4, 0xDA)]
    parts = [b"\xff\xd8"] + [_segment(marker, payload) for marker, payload in kept]
    if not own_tables:
        return b"".join(parts) + body[1:] + b"\xff\xd9"
    scan_headers = [payload for marker, payload, _ in segments if marker == 0xDA]
    at = 1
    while at < len(body):
        if body[at] != 0xFF:
            raise ValueError("neither a table nor a scan")
        marker, at = body[at + 1], at + 2
        if marker == 0xC4:
            end = at + 17 + sum(body[at + 1 : at + 17])
            parts.append(_segment(0xC4, body[at:end]))
        elif marker == 0xDA:
            end = _scan_end(body, at)
            parts.append(_segment(0xDA, scan_headers.pop(0)) + body[at:end])
        else:
            raise ValueError("neither a table nor a scan")
        at = end
    return b"".join(parts) + b"\xff\xd9"


def _jpeg_segments(file: bytes) -> list[tuple[int, bytes, bytes]]:
    """(marker, payload, entropy-coded data behind it) of each segment between the start and the end of the image."""
    segments, at = [], 2
    while file[at + 1] != 0xD9:
        start, end = at + 4, at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        scan_end = _scan_end(file, end) if file[at + 1] == 0xDA else end
        segments.append((file[at + 1], file[start:end], file[end:scan_end]))
        at = scan_end
    return segments


def _tables(segments: list[tuple[int, bytes, bytes]]) -> list[bytes]:
    return [payload for marker, payload, _ in segments if marker == 0xC4]


def _scan_end(data: bytes, at: int) -> int:
    """The next marker: 0xff that is not followed by the zero that stuffs it."""
    found = re.compile(rb"\xff[^\x00]", re.DOTALL).search(data, at)
    return found.start() if found else len(data)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


CONTAINERS = {
    "jpeg": Container(_strip_jpeg, _restore_jpeg),
    "webp": Container(_strip_webp, _restore_webp),
    "avif": Container(_strip_avif, _restore_avif),
    "jpeg2000": Container(_strip_jpeg2000, _restore_jpeg2000),
}
