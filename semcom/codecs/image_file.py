"""Image files fitted to a number of bytes: the source coder of a digital transmitter and its decoder.

A stream is one byte, scale index * 32 + variant (for JPEG a second one, the quality), and what `_containers` leaves of
the file; three bytes are a mean colour.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, features
from PIL import __version__ as pillow_version

from semcom.cache import remember
from semcom.codecs._containers import CONTAINERS
from semcom.codecs._writers import blank, codec_named, write

Pixels = UInt8[np.ndarray, "h w 3"]

# A picture may be sent smaller and enlarged by the receiver: the sides are multiplied by one of these.
SCALES = (1.0, 3 / 4, 1 / 2, 3 / 8, 1 / 4, 3 / 16, 1 / 8, 1 / 16)

_REVISION = "1"  # raise it when a change here or in the files it calls changes what is fitted
_HOPELESS = 1.26  # a variant that is 1 dB behind at its first try is not climbed
_WHOLE_FILE = 31  # the variant of a file that its container could not be taken from


class UndecodableFile(Exception):  # noqa: N818  (says what it is, as StopIteration does)
    """The bytes are not what `encode` makes."""


def fit(pixels: Pixels, codec: str, budget_bytes: int, speed: int = 6, downscale: bool = True) -> bytes | None:
    """`encode`, remembered on disk: the search is a pure function and the slowest part of a digital transmitter."""
    codec_named(codec)
    library = features.version({"jpeg": "jpg", "jpeg2000": "jpg_2000"}.get(codec, codec))
    version = f"{_REVISION}, Pillow {pillow_version}, {codec} {library}"
    settings = f"{pixels.shape}, {budget_bytes}, {speed}, {downscale}"

    def compute() -> bytes:
        return encode(pixels, codec, budget_bytes, speed, downscale) or b""

    return remember("image_file", version, [settings.encode(), pixels.tobytes()], compute) or None


def encode(pixels: Pixels, codec: str, budget_bytes: int, speed: int = 6, downscale: bool = True) -> bytes | None:
    """The stream of highest PSNR that is no longer than the budget.

    For each variant of the codec (chroma subsampling, entropy coding) and scale, the highest quality that fits is found
    by search; scales are climbed to the best. The PSNR is that of what the receiver will show, at the picture's own
    size. Where no file fits, the mean colour is sent.

    Args:
        pixels: uint8 [h, w, 3], RGB.
        codec: "jpeg", "webp", "avif" or "jpeg2000".
        budget_bytes: bytes that the stream may have.
        speed: of the AVIF encoder, 0 (slowest) to 10; others have none.
        downscale: whether the picture may be sent smaller.

    Returns:
        The stream for `decode`, or None for a budget below the three bytes of a mean colour.

    Raises:
        UsageError: no such codec.

    >>> stripes = np.zeros((16, 24, 3), np.uint8) + np.arange(24, dtype=np.uint8)[:, None] * 10
    >>> stream = encode(stripes, "webp", budget_bytes=100)
    >>> len(stream) <= 100, decode(stream, "webp", (16, 24)).shape
    (True, (16, 24, 3))
    """
    codec_named(codec)
    if budget_bytes < 3:
        return None
    mean = pixels.reshape(-1, 3).mean(0).round().astype(np.uint8).tobytes()
    fitted = _Fitter(pixels, codec, budget_bytes, speed).best(downscale)
    floor = _squared_error(decode(mean, codec, pixels.shape[:2]), pixels)
    return fitted.stream if fitted.error < floor else mean


def decode(data: bytes, codec: str, size: tuple[int, int]) -> Pixels:
    """The picture of a stream.

    Args:
        data: what `encode` returned, or whatever else has arrived.
        codec: that it was encoded with.
        size: height and width of the picture.

    Returns:
        uint8 [h, w, 3].

    Raises:
        UndecodableFile: the bytes are no picture of this size.
    """
    writer = codec_named(codec)
    height, width = size
    if len(data) == 3:
        return np.broadcast_to(np.frombuffer(data, np.uint8), (height, width, 3)).copy()
    if len(data) < 2:
        raise UndecodableFile(f"{len(data)} bytes are no {codec} file")
    scale, variant = divmod(data[0], 32)
    small = _scaled((width, height), scale)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if variant == _WHOLE_FILE:
                file = data[1:]
            else:
                quality, body = (data[1], data[2:]) if codec == "jpeg" else (0, data[1:])
                file = CONTAINERS[codec].restore(body, blank(codec, small, variant, quality))
            with Image.open(io.BytesIO(file), formats=[writer.format]) as image:
                if image.size != small:
                    raise UndecodableFile(f"the file holds {image.size}, not {small}")
                return _enlarged(image.convert("RGB"), (width, height))
    except UndecodableFile:
        raise
    except Exception as error:  # on damaged files Pillow's plugins raise whatever they stumble over
        raise UndecodableFile(f"no {codec} file: {error}") from None


@dataclass(frozen=True)
class _Fitted:
    """The longest stream that fits at some scale and variant; nothing fits where the error is infinite."""

    stream: bytes = b""
    error: float = math.inf
    place: int | None = None


class _Fitter:
    """One search for the best stream of one picture."""

    def __init__(self, pixels: Pixels, codec: str, budget_bytes: int, speed: int) -> None:
        self.pixels = pixels
        self.picture = Image.fromarray(pixels)
        self.codec = codec
        self.budget_bytes = budget_bytes
        self.speed = speed

    def best(self, downscale: bool) -> _Fitted:
        """The best of all variants, climbed from the best scale so far; the first from 0.15 bits a pixel."""
        width, height = self.picture.size
        dense = [k for k, scale in enumerate(SCALES) if 8 * self.budget_bytes > 0.15 * width * height * scale**2]
        top = min(dense, default=len(SCALES) - 1) if downscale else 0
        best, best_top = _Fitted(), top
        codec = codec_named(self.codec)
        for variant in range(len(codec.variants)):
            found = self._at(top, variant, best)
            if downscale and found.error <= best.error * _HOPELESS and variant < codec.climbed:
                top, found = self._climbed(top, variant, found)
            if found.error < best.error:
                best, best_top = found, top
            top = best_top
        return best

    def _climbed(self, top: int, variant: int, best: _Fitted) -> tuple[int, _Fitted]:
        """Smaller pictures while they are better or nothing fits; if that led nowhere, larger ones while better."""
        start = top
        for step in (1, -1):
            while top == start or step * (top - start) > 0:
                if not 0 <= top + step < len(SCALES):
                    break
                other = self._at(top + step, variant, best)
                if other.error >= best.error and (best.stream or step == -1):
                    break
                top, best = top + step, other
        return top, best

    def _at(self, scale: int, variant: int, rival: _Fitted) -> _Fitted:
        """The longest stream at a scale, searched from where a rival's search ended."""
        size = _scaled(self.picture.size, scale)
        if max(size) > codec_named(self.codec).longest_side:
            return _Fitted()
        small = self.picture if scale == 0 else self.picture.resize(size, Image.Resampling.LANCZOS)
        if scale and _squared_error(_enlarged(small, self.picture.size), self.pixels) >= rival.error:
            return _Fitted()  # so blurred that perfect coding would not help
        stream, place = self._longest(small, scale, variant, rival.place)
        if stream is None:
            return _Fitted()
        error = _squared_error(decode(stream, self.codec, self.pixels.shape[:2]), self.pixels)
        return _Fitted(stream, error, place)

    def _longest(
        self, image: Image.Image, scale: int, variant: int, guess: int | None
    ) -> tuple[bytes | None, int | None]:
        """The stream of the highest quality that fits, and the place of that quality."""
        qualities = codec_named(self.codec).qualities
        fitting, exceeding = -1, len(qualities)
        best: bytes | None = None
        lengths: dict[int, int] = {}
        while exceeding - fitting > 1:
            probe = _probe(lengths, fitting, exceeding, self.budget_bytes, guess)
            stream = _stream(image, self.codec, scale, variant, qualities[probe], self.speed)
            lengths[probe] = len(stream)
            if len(stream) <= self.budget_bytes:
                best, fitting = stream, probe
            else:
                exceeding = probe
        return best, (fitting if best else None)


def _probe(lengths: dict[int, int], fitting: int, exceeding: int, budget_bytes: int, guess: int | None) -> int:
    """The next quality to try: the guess and its neighbours, then where the log of the length crosses the budget."""
    if not lengths and guess is not None:
        return guess
    if fitting in lengths and exceeding in lengths:
        rise = math.log(lengths[exceeding] / lengths[fitting])
        share = math.log(budget_bytes / lengths[fitting]) / rise if rise > 0 else 0.5
        return min(max(fitting + round(share * (exceeding - fitting)), fitting + 1), exceeding - 1)
    if lengths and guess is not None:
        step = 2 ** (len(lengths) - 1)
        return min(fitting + step, exceeding - 1) if fitting in lengths else max(exceeding - step, fitting + 1)
    return (fitting + exceeding) // 2


def _stream(image: Image.Image, codec: str, scale: int, variant: int, quality: int, speed: int) -> bytes:
    file = write(image, codec, variant, quality, speed)
    container = CONTAINERS[codec]
    header = bytes((scale * 32 + variant, quality) if codec == "jpeg" else (scale * 32 + variant,))
    try:
        black = blank(codec, image.size, variant, quality if codec == "jpeg" else 0)
        body = container.strip(file, black)
        if container.restore(body, black) == file:
            return header + body
    except (ValueError, IndexError, KeyError, StopIteration):
        pass  # another layout than this library's usual one: sent as it is, and paid for
    return bytes((scale * 32 + _WHOLE_FILE,)) + file


def _scaled(size: tuple[int, int], scale: int) -> tuple[int, int]:
    width, height = size
    return max(1, round(width * SCALES[scale])), max(1, round(height * SCALES[scale]))


def _enlarged(image: Image.Image, size: tuple[int, int]) -> Pixels:
    return np.array(image if image.size == size else image.resize(size, Image.Resampling.BICUBIC))


def _squared_error(shown: Pixels, pixels: Pixels) -> float:
    return float(np.square(shown.astype(np.int32) - pixels).sum(dtype=np.int64))
