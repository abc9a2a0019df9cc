"""Streams of image files: writing at a scale with one encoder setting, and decoding.

A stream is one byte, scale index * 32 + variant (for JPEG also a quality byte), followed by the file without its
constant container bytes (`_containers`); a stream of three bytes is a mean color.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageChops

from semcom.codecs._containers import CONTAINERS
from semcom.codecs._writers import blank, codec_named, write

Pixels = UInt8[np.ndarray, "h w 3"]

# Scale factors of an image that is sent smaller and enlarged by the receiver.
SCALES = (1.0, 3 / 4, 1 / 2, 3 / 8, 1 / 4, 3 / 16, 1 / 8, 1 / 16)

_WHOLE_FILE = 31  # variant of a file that is sent with its container
_FILTER = Image.Resampling.LANCZOS  # both ways: 0.02 dB above bicubic enlargement, 0.1 dB above bicubic both ways


class UndecodableFile(Exception):  # noqa: N818
    """Bytes that are not a valid stream of `encode`."""


def decode(data: bytes, codec: str, size: tuple[int, int]) -> Pixels:
    """Decode a stream to an image.

    Args:
        data: stream of `encode`, possibly with errors.
        codec: image file format of the stream.
        size: height and width of the image, pixels.

    Returns:
        Image, uint8 [h, w, 3].

    Raises:
        UndecodableFile: the bytes are not an image of this size.
    """
    height, width = size
    return np.array(_decoded(data, codec, (width, height)))


def _decoded(data: bytes, codec: str, size: tuple[int, int]) -> Image.Image:
    """Decoded image of size (width, height)."""
    codec_named(codec)
    if len(data) == 3:
        return Image.new("RGB", size, (data[0], data[1], data[2]))
    if len(data) < 2:
        raise UndecodableFile(f"a {codec} stream has 2 bytes or more, not {len(data)}")
    scale, variant = divmod(data[0], 32)
    small = scaled(size, scale)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if variant == _WHOLE_FILE:
                file = data[1:]
            else:
                quality, body = (data[1], data[2:]) if codec == "jpeg" else (0, data[1:])
                file = CONTAINERS[codec].restore(body, blank(codec, small, variant, quality))
            return _shown(file, codec, small, size)
    except UndecodableFile:
        raise
    except Exception as error:  # Pillow raises errors without a common base class for damaged files
        raise UndecodableFile(f"invalid {codec} file: {error}") from None


def _shown(file: bytes, codec: str, small: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Image of a file of size `small`, enlarged to `size`."""
    with Image.open(io.BytesIO(file), formats=[codec_named(codec).format]) as image:
        if image.size != small:
            raise UndecodableFile(f"the file holds {image.size}, not {small}")
        decoded = image.convert("RGB")
        return decoded if small == size else decoded.resize(size, _FILTER)


def stream(image: Image.Image, codec: str, scale: int, variant: int, quality: int, speed: int) -> bytes:
    """Stream of an image that has the size of this scale; `speed` as for `write`."""
    file = write(image, codec, variant, quality, speed)
    container = CONTAINERS[codec]
    header = bytes((scale * 32 + variant, quality) if codec == "jpeg" else (scale * 32 + variant,))
    try:
        black = blank(codec, image.size, variant, quality if codec == "jpeg" else 0)
        body = container.strip(file, black)
        if container.restore(body, black) == file:
            return header + body
    except (ValueError, IndexError, KeyError, StopIteration):
        pass  # unusual file layout: sent with its container
    return bytes((scale * 32 + _WHOLE_FILE,)) + file


def preview(reduced: Image.Image, image: Image.Image, codec: str, variant: int, quality: int) -> tuple[int, int]:
    """Length and error of the stream of a reduced image, with the codec's options for previews.

    The files of these options may differ in their container; therefore there is a length, and no stream to decode.
    """
    file = write(reduced, codec, variant, quality, speed=10, preview=True)
    try:
        length = 1 + len(CONTAINERS[codec].strip(file, file))
    except (ValueError, IndexError, KeyError, StopIteration):
        length = 1 + len(file)
    return length, _difference(_shown(file, codec, reduced.size, image.size), image)


def scaled(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Width and height of an image at a scale."""
    width, height = size
    return max(1, round(width * SCALES[scale])), max(1, round(height * SCALES[scale]))


def reduced(image: Image.Image, scale: int) -> Image.Image:
    """An image at a scale."""
    return image if scale == 0 else image.resize(scaled(image.size, scale), _FILTER)


def squared_error(data: bytes, codec: str, image: Image.Image) -> int:
    """Sum of the squared differences between the decoded stream and the image."""
    return _difference(_decoded(data, codec, image.size), image)


def _difference(shown: Image.Image, image: Image.Image) -> int:
    counts = ImageChops.difference(shown, image).histogram()
    return sum(count * (level % 256) ** 2 for level, count in enumerate(counts))
