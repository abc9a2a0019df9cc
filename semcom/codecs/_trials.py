"""Encodings of one image with single settings, the steps of a search for a file of limited length.

Each result is a pure function of image, codec and setting. A cache therefore lets the searches for all budgets of an
image share their encodings without an influence on what they find.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, features
from PIL import __version__ as pillow_version

from semcom import cache
from semcom.codecs import _streams
from semcom.codecs._streams import Pixels
from semcom.codecs._writers import codec_named
from semcom.codecs.plugins import load_plugin

_REVISION = "2"  # increase it when a change here or in the imported files changes the streams


@dataclass(frozen=True)
class Trial:
    """Result of one setting.

    Args:
        length: length of the stream, bytes.
        error: sum of the squared differences between decoded image and image.
        stream: the stream; empty for a preview.
    """

    length: int
    error: int
    stream: bytes = b""


class Trials:
    """Encodings of one image.

    Args:
        pixels: image.
        codec: image file format.
        speed: speed of the AVIF encoder.
        cached: whether encodings are read from the disk cache and stored there.
    """

    def __init__(self, pixels: Pixels, codec: str, speed: int, cached: bool = False) -> None:
        self.image = Image.fromarray(pixels)
        self.codec = codec
        self.speed = speed
        self._name = fingerprint(pixels) if cached else b""
        self._reduced: dict[int, Image.Image] = {}

    def preview(self, scale: int, group: int, quality: int) -> Trial:
        """Length and error of the fast encoder for the first variant of a group."""
        variant = group * codec_named(self.codec).equal

        def compute() -> bytes:
            length, error = _streams.preview(self._at(scale), self.image, self.codec, variant, quality)
            return error.to_bytes(8, "big") + length.to_bytes(8, "big")

        content = self._remember(f"preview, {scale}, {variant}, {quality}", compute)
        return Trial(int.from_bytes(content[8:], "big"), int.from_bytes(content[:8], "big"))

    def final(self, scale: int, group: int, quality: int) -> Trial:
        """Shortest stream of a group of variants."""
        equal = codec_named(self.codec).equal

        def compute() -> bytes:
            variants = range(group * equal, (group + 1) * equal)
            setting = quality, self.speed
            streams = [_streams.stream(self._at(scale), self.codec, scale, variant, *setting) for variant in variants]
            shortest = min(streams, key=len)
            return _streams.squared_error(shortest, self.codec, self.image).to_bytes(8, "big") + shortest

        content = self._remember(f"final, {scale}, {group}, {quality}, {self.speed}", compute)
        return Trial(len(content) - 8, int.from_bytes(content[:8], "big"), content[8:])

    def _remember(self, setting: str, compute: Callable[[], bytes]) -> bytes:
        return remember(self._name, self.codec, setting, compute) if self._name else compute()

    def _at(self, scale: int) -> Image.Image:
        if scale not in self._reduced:
            self._reduced[scale] = _streams.reduced(self.image, scale)
        return self._reduced[scale]


def fingerprint(pixels: Pixels) -> bytes:
    """Hash of an image."""
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest()


def remember(name: bytes, codec: str, setting: str, compute: Callable[[], bytes]) -> bytes:
    """Disk cache of results that depend on an image with this fingerprint, a codec and a setting."""
    library = load_plugin(codec) or features.version({"jpeg": "jpg", "jpeg2000": "jpg_2000"}.get(codec, codec))
    version = f"{_REVISION}, Pillow {pillow_version}, {codec} {library}"
    return cache.remember("image_file", version, [name, setting.encode()], compute)
