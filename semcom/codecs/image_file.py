"""Source coding of images as files of limited length: encoder and decoder."""

from __future__ import annotations

import numpy as np

from semcom.codecs._search import Search
from semcom.codecs._streams import SCALES, Pixels, UndecodableFile, decode, squared_error
from semcom.codecs._trials import Trials, fingerprint, remember
from semcom.codecs._writers import codec_named

__all__ = ["SCALES", "UndecodableFile", "codec_named", "decode", "encode", "fit"]


def fit(pixels: Pixels, codec: str, budget_bytes: int, speed: int = 6, downscale: bool = True) -> bytes | None:
    """Encode an image like `encode`, with a cache on disk; the search is the slowest part of a digital transmitter.

    The cache also has the encodings that were tried, for other budgets of the same image. The stream is the same
    with and without a cache, whatever was computed before.
    """
    codec_named(codec)
    setting = f"fit, {budget_bytes}, {speed}, {downscale}"

    def compute() -> bytes:
        return _fitted(Trials(pixels, codec, speed, cached=True), budget_bytes, downscale) or b""

    return remember(fingerprint(pixels), codec, setting, compute) or None


def encode(pixels: Pixels, codec: str, budget_bytes: int, speed: int = 6, downscale: bool = True) -> bytes | None:
    """Encode an image as the stream of highest PSNR that was found and that is not longer than the budget.

    Variants of the codec (chroma subsampling, tuning, entropy coding), scales and qualities are searched, see
    `semcom.codecs._search`. The PSNR is that of the decoded image at its original size. If no file fits, the mean
    color is sent.

    Args:
        pixels: image, uint8 [h, w, 3], RGB.
        codec: image file format: "jpeg", "webp", "avif", "jpeg2000", "hevc" or "jxl".
        budget_bytes: maximum length of the stream, bytes.
        speed: speed of the AVIF encoder, 0 (slowest) to 10; ignored by other codecs.
        downscale: whether the image may be sent at a reduced size.

    Returns:
        Stream for `decode`, or None for a budget below three bytes.

    Raises:
        UsageError: the codec is unknown or not installed.

    >>> stripes = np.zeros((16, 24, 3), np.uint8) + np.arange(24, dtype=np.uint8)[:, None] * 10
    >>> stream = encode(stripes, "webp", budget_bytes=100)
    >>> len(stream) <= 100, decode(stream, "webp", (16, 24)).shape
    (True, (16, 24, 3))
    """
    codec_named(codec)
    return _fitted(Trials(pixels, codec, speed), budget_bytes, downscale)


def _fitted(trials: Trials, budget_bytes: int, downscale: bool) -> bytes | None:
    if budget_bytes < 3:
        return None
    mean = np.asarray(trials.image).reshape(-1, 3).mean(0).round().astype(np.uint8).tobytes()
    found = Search(trials, budget_bytes, downscale).run()
    if found is None or found.error >= squared_error(mean, trials.codec, trials.image):
        return mean
    return found.stream
