"""Removal of constant container bytes from image files.

Both ends know the image size and the codec, so each can write a `blank`: the file of a black image of the same size
and settings. Bytes that a file shares with its blank (boxes, markers, sizes, standard tables) are not sent; the
receiver inserts the received bytes into its own blank. Length fields follow from the received length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from semcom.codecs.varint import read_varint, write_varint


@dataclass(frozen=True)
class Container:
    """Removal and restoration of container bytes of one format; restore(strip(file, blank), blank) == file.

    Both functions may raise ValueError or IndexError for bytes that are not a file of this format.

    Args:
        strip: function (file, blank) -> bytes to send.
        restore: function (received bytes, blank) -> file.
    """

    strip: Callable[[bytes, bytes], bytes]
    restore: Callable[[bytes, bytes], bytes]


# --- WebP: a RIFF chunk with one VP8 key frame, whose start code and size follow a 3-byte tag (RFC 6386, 9.1) ---


def _strip_webp(file: bytes, blank: bytes) -> bytes:
    length = int.from_bytes(file[16:20], "little")  # files are padded to an even length
    return file[20:23] + file[30 : 20 + length]


def _restore_webp(body: bytes, blank: bytes) -> bytes:
    frame = body[:3] + blank[23:30] + body[3:]
    chunk = b"VP8 " + len(frame).to_bytes(4, "little") + frame + bytes(len(frame) % 2)
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk


# --- AVIF: boxes around a temporal delimiter, a sequence header and one frame (ISO/IEC 23000-22; AV1, 5.3) ---


def _strip_avif(file: bytes, blank: bytes) -> bytes:
    _, body = _varint(file, _avif_frame(file) + 1)
    return file[body:]


def _restore_avif(body: bytes, blank: bytes) -> bytes:
    (media, _), start = _media(blank), _avif_frame(blank)
    return _with_media(blank, blank[media : start + 1] + write_varint(len(body)) + body)


def _avif_frame(file: bytes) -> int:
    """Start of the frame, after the temporal delimiter (2 bytes) and the sequence header."""
    header = _media(file)[0] + 2
    length, body = _varint(file, header + 1)
    return body + length


def _media(file: bytes) -> tuple[int, int]:
    """Start and end of the coded data of a file with one item."""
    return next((at + 8, end) for kind, at, end in _boxes(file, 0, len(file)) if kind == b"mdat")


def _with_media(file: bytes, data: bytes) -> bytes:
    """A file with one item, the last box of which is its coded data, with other data."""
    start, _ = _media(file)
    meta, meta_end = next((at, end) for kind, at, end in _boxes(file, 0, len(file)) if kind == b"meta")
    locations = next(end for kind, _, end in _boxes(file, meta + 12, meta_end) if kind == b"iloc")
    head = bytearray(file[:start])
    head[start - 8 : start - 4] = (8 + len(data)).to_bytes(4, "big")
    head[locations - 4 : locations] = len(data).to_bytes(4, "big")  # length of the only item
    return bytes(head) + data


def _boxes(file: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at < end:
        length = int.from_bytes(file[at : at + 4], "big")
        if length < 8:
            raise ValueError("box shorter than its header")
        yield file[at + 4 : at + 8], at, at + length
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Number that starts at `at`, and the position after it."""
    found = read_varint(data, at, most_bytes=8)
    if found is None:
        raise ValueError("truncated number, or longer than 8 bytes")
    return found


# --- HEIF: boxes around one slice of HEVC with its length; the parameter sets are in a box (ISO/IEC 23008-12) ---

_SLICE_HEADER = 4 + 2  # length and header of the only NAL unit


def _strip_hevc(file: bytes, blank: bytes) -> bytes:
    media, end = _media(file)
    if media + 4 + int.from_bytes(file[media : media + 4], "big") != end:
        raise ValueError("more than one NAL unit")
    return file[media + _SLICE_HEADER :]


def _restore_hevc(body: bytes, blank: bytes) -> bytes:
    media, _ = _media(blank)
    unit = blank[media + 4 : media + _SLICE_HEADER] + body
    return _with_media(blank, len(unit).to_bytes(4, "big") + unit)


# --- JPEG XL: a bare codestream; signature, image size and metadata before the frame (ISO/IEC 18181-1, annex D) ---


def _strip_jxl(file: bytes, blank: bytes) -> bytes:
    return file[_jxl_frame(file) :]


def _restore_jxl(body: bytes, blank: bytes) -> bytes:
    return blank[: _jxl_frame(blank)] + body


def _jxl_frame(file: bytes) -> int:
    """Start of the frame: after the signature (2 bytes), the size, and two bits of default metadata, in whole bytes."""
    bits = int.from_bytes(file[2:14], "little")

    def side(at: int) -> int:
        return at + 5 if bits & 1 else at + 2 + (9, 13, 18, 30)[bits >> at & 3]

    at = side(1)
    at, ratio = at + 3, bits >> at & 7
    return 2 + ((at if ratio else side(at)) + 2 + 7) // 8


# --- JPEG 2000: a bare codestream; main header, one tile-part, end marker (ISO/IEC 15444-1, annex A) ---


def _strip_jpeg2000(file: bytes, blank: bytes) -> bytes:
    return file[_codestream_data(file)[1] : -2]


def _restore_jpeg2000(body: bytes, blank: bytes) -> bytes:
    tile, data = _codestream_data(blank)
    head = bytearray(blank[:data])
    head[tile + 6 : tile + 10] = (data - tile + len(body)).to_bytes(4, "big")
    return bytes(head) + body + b"\xff\xd9"


def _codestream_data(file: bytes) -> tuple[int, int]:
    """Start of the tile-part, and start of its data."""
    at, tile = 2, 0
    while (marker := file[at : at + 2]) != b"\xff\x93":
        if marker == b"\xff\x90":
            tile = at
        at += 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if at >= len(file):
            raise ValueError("codestream without data")
    return tile, at + 2


# --- JPEG: markers, tables and scans (ITU-T T.81, annex B); the tables may equal those of the blank ---


def _strip_jpeg(file: bytes, blank: bytes) -> bytes:
    """Scans only; with Huffman tables that differ from the blank, tables and scans without lengths and scan headers."""
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
    shared = [(marker, payload) for marker, payload, _ in segments if not own_tables or marker not in (0xC4, 0xDA)]
    parts = [b"\xff\xd8"] + [_segment(marker, payload) for marker, payload in shared]
    if not own_tables:
        return b"".join(parts) + body[1:] + b"\xff\xd9"
    scan_headers = [payload for marker, payload, _ in segments if marker == 0xDA]
    at = 1
    while at < len(body):
        if body[at] != 0xFF:
            raise ValueError("segment is neither a table nor a scan")
        marker, at = body[at + 1], at + 2
        if marker == 0xC4:
            end = at + 17 + sum(body[at + 1 : at + 17])
            parts.append(_segment(0xC4, body[at:end]))
        elif marker == 0xDA:
            end = _scan_end(body, at)
            parts.append(_segment(0xDA, scan_headers.pop(0)) + body[at:end])
        else:
            raise ValueError("segment is neither a table nor a scan")
        at = end
    return b"".join(parts) + b"\xff\xd9"


def _jpeg_segments(file: bytes) -> list[tuple[int, bytes, bytes]]:
    """(marker, payload, entropy-coded data after it) of each segment between start and end of the image."""
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
    """Position of the next marker: 0xff that is not followed by a stuffed zero."""
    found = re.compile(rb"\xff[^\x00]", re.DOTALL).search(data, at)
    return found.start() if found else len(data)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


CONTAINERS = {
    "jpeg": Container(_strip_jpeg, _restore_jpeg),
    "webp": Container(_strip_webp, _restore_webp),
    "avif": Container(_strip_avif, _restore_avif),
    "jpeg2000": Container(_strip_jpeg2000, _restore_jpeg2000),
    "hevc": Container(_strip_hevc, _restore_hevc),
    "jxl": Container(_strip_jxl, _restore_jxl),
}
