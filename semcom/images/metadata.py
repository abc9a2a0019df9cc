"""Metadata of image files: removed before decoding, except for the orientation, so that no damaged entry matters."""

from __future__ import annotations

import io
import struct
from io import BufferedReader, BytesIO

from PIL import Image

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"}  # what determines the pixels
_JPEG_APPLICATION = {*range(0xE1, 0xEE), 0xEF, 0xFE}  # APP1 to APP13, APP15 and comments; APP0 and APP14 define colors
_START_OF_SCAN = 0xDA
_EXIF = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3  # EXIF tag and its type
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def without_metadata(file: BytesIO | BufferedReader) -> tuple[BytesIO | BufferedReader, bytes]:
    """The same image without profiles, texts and EXIF entries, and its EXIF entries.

    Args:
        file: image file of any format; only PNG and JPEG are changed.

    Returns:
        File to decode, and EXIF bytes, empty without any.
    """
    start = file.read(len(_PNG))
    if start == _PNG:
        return _png(file)
    file.seek(0)
    return _jpeg(file.read()) if start.startswith(_JPEG) else (file, b"")


def upright(image: Image.Image, exif: bytes) -> Image.Image:
    """Apply the orientation of EXIF entries to an image.

    >>> upright(Image.new("L", (2, 1)), b"II*\\0\\x08\\0\\0\\0\\1\\0\\x12\\1\\3\\0\\1\\0\\0\\0\\6\\0\\0\\0").size
    (1, 2)
    """
    method = _UNDO.get(_orientation(exif))
    return image if method is None else image.transpose(method)


def _orientation(exif: bytes) -> int:
    """The orientation, 1 to 8; 1 if the entry is missing or damaged."""
    data = exif.removeprefix(_EXIF)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", data, place)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value
    except struct.error:  # an entry beyond the end
        pass
    return 1


def _png(file: BytesIO | BufferedReader) -> tuple[BytesIO | BufferedReader, bytes]:
    parts, exif = [_PNG], b""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in _PNG_CHUNKS:
            parts.append(head + file.read(length + 4))
        elif kind == b"eXIf":
            exif = file.read(length + 4)[:length]
        else:
            file.seek(length + 4, io.SEEK_CUR)
    return io.BytesIO(b"".join(parts)), exif


def _jpeg(data: bytes) -> tuple[BytesIO | BufferedReader, bytes]:
    parts, exif, place = [_JPEG], b"", len(_JPEG)
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _START_OF_SCAN:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xE1 and data.startswith(_EXIF, place + 4) and not exif:
            exif = data[place + 4 : end]
        if marker not in _JPEG_APPLICATION:
            parts.append(data[place:end])
        place = end
    return io.BytesIO(b"".join([*parts, data[place:]])), exif
