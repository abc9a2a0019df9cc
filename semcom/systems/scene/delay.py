"""How long a scene takes: to segment, on the air of the published demonstration's link, and to restore."""

from __future__ import annotations

import io
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from channels._errors import UsageError
from channels.arq import SelectiveRepeat
from semcom.codecs import label_map
from semcom.images import to_pil
from semcom.systems.scene.classes import CLASSES
from semcom.systems.scene.receiver import Restore
from semcom.systems.scene.transmitter import Segments


@dataclass(frozen=True)
class PacketLink:
    """A radio that carries files in packets and repeats those that were lost; the values are the demonstration's.

    A packet holds 212 bytes of the file and 11 of sync, type, length, number and CRC; RS(255, 223) makes them 255 bytes
    and a rate-1/2 convolutional code 510. With preamble, access code and tail 543 bytes go on the air, at one bit a
    symbol and (inferred) two samples a symbol of 1 MHz: 8.69 ms, 195 kbit/s of the file. Bursts of 20
    packets are acknowledged together.

    Args:
        file_bytes: of the file in each packet.
        air_bytes: on the air for each packet.
        symbol_rate_hz: one bit each.
        pause_s: between packets.
        acknowledgement_s: after each burst.
        window: packets of a burst.

    Source: the demonstration's script doubleretrans.py (github.com/meatery), which arXiv:2311.02926 describes.

    >>> link = PacketLink()
    >>> link.packets(20_863), round(link.packet_s * 1e3, 2)
    (99, 8.69)
    """

    file_bytes: int = 212
    air_bytes: int = 16 + 4 + 3 + 510 + 2 + 8
    symbol_rate_hz: float = 500e3
    pause_s: float = 0.0
    acknowledgement_s: float = 0.02
    window: int = 20

    def __post_init__(self) -> None:
        if self.file_bytes < 1 or self.air_bytes < 1 or not self.symbol_rate_hz > 0 or not self.pause_s >= 0:
            raise UsageError("file_bytes, air_bytes and symbol_rate_hz must be above 0, and pause_s 0 or more")

    @property
    def packet_s(self) -> float:
        """Seconds that a packet takes, with the pause behind it."""
        return 8 * self.air_bytes / self.symbol_rate_hz + self.pause_s

    def packets(self, size_bytes: int) -> int:
        """Packets of a file."""
        return 0 if size_bytes < 1 else -(-size_bytes // self.file_bytes)

    def air_s(self, size_bytes: int, packet_error: float = 0.0) -> float:
        """Expected seconds until a file is there, by selective repeat.

        Args:
            size_bytes: of the file.
            packet_error: probability that a packet is lost.
        """
        arq = SelectiveRepeat(self.packet_s, self.acknowledgement_s, self.window)
        return arq.expected_delay_s(self.packets(size_bytes), packet_error)


@dataclass(frozen=True)
class Trip:
    """A picture's way: the file that it became, and the parts of its delay.

    Args:
        size_bytes: of the file.
        segment_s: from the picture to the file, measured; 0 for a photograph, which is a file already.
        air_s: of the file.
        restore_s: from the file to the picture, measured; 0 for a photograph.

    >>> Trip(800, segment_s=0.1, air_s=0.5, restore_s=0.2).total_s
    0.8
    """

    size_bytes: int
    segment_s: float
    air_s: float
    restore_s: float

    @property
    def total_s(self) -> float:
        """T_segment + T_air + T_restore."""
        return self.segment_s + self.air_s + self.restore_s


def of_map(
    pixels: Float[Tensor, "3 h w"],
    segmenter: Segments,
    restore: Restore,
    air_s: Callable[[int], float],
    height: int | None = None,
) -> Trip:
    """The trip of a scene as its label map, with what segmenting and restoring take here.

    Args:
        pixels: of the scene.
        segmenter: sees its classes.
        restore: as of `SceneReceiver`.
        air_s: bytes of a file to seconds on the air.
        height: of what is segmented, sent and restored: higher pictures are shrunk first and enlarged last, as the
            published demonstration restores 512x256 and enlarges it. None takes every picture as it is.
    """
    size = (pixels.shape[1], pixels.shape[2])
    inner = size if height is None or height >= size[0] else (height, max(1, round(size[1] * height / size[0])))

    def segmented() -> bytes:
        seen = segmenter.labels(_resized(pixels[None], inner))
        return label_map.encode(seen[0].cpu().numpy(), len(CLASSES))

    file = segmented()

    def restored() -> Tensor:
        return _resized(restore(torch.from_numpy(label_map.decode(file)).long()[None], None, None), size)

    with torch.no_grad():
        return Trip(len(file), seconds(segmented), air_s(len(file)), seconds(restored))


def of_photo(
    pixels: Float[Tensor, "3 h w"], air_s: Callable[[int], float], container: str, quality: int | None = None
) -> Trip:
    """The trip of the photograph itself.

    Args:
        pixels: of the scene.
        air_s: bytes of a file to seconds on the air.
        container: "PNG" or "WEBP".
        quality: of WebP, 0 to 100.
    """
    size = len(file_of(pixels, container, quality))
    return Trip(size, 0.0, air_s(size), 0.0)


def file_of(pixels: Float[Tensor, "3 h w"], container: str, quality: int | None = None) -> bytes:
    """The picture as an image file; arguments are those of `of_photo`."""
    stream = io.BytesIO()
    to_pil(pixels).save(stream, format=container, **({} if quality is None else {"quality": quality}))
    return stream.getvalue()


def _resized(images: Float[Tensor, "rows 3 h w"], size: tuple[int, int]) -> Tensor:
    if images.shape[2:] == size:
        return images
    return functional.interpolate(images.float(), size=size, mode="bilinear", antialias=True)


def seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """The median of the seconds that an action takes, after one that warms up."""
    action()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def machine() -> str:
    """The processor's name and how many threads torch uses."""
    name = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        models = [line for line in listing.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {torch.get_num_threads()} thread(s)"
