"""Total delay of a scene: segmentation, transfer over the published demonstration's packet link, restoration."""

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

from channels.arguments import positive, within
from channels.arq import SelectiveRepeat
from semcom.codecs import label_map
from semcom.images.files import to_pil
from semcom.images.street_classes import CLASSES
from semcom.systems.scene.receiver import Restore
from semcom.systems.scene.transmitter import SegmentationNetwork


@dataclass(frozen=True)
class PacketLink:
    """A file transfer in packets with selective-repeat ARQ; the default values are those of the demonstration.

    A packet has 212 bytes of the file and 11 bytes of sync, type, length, number and CRC. RS(255, 223) extends them to
    255 bytes, a rate-1/2 convolutional code to 510. With preamble, access code and tail, 543 bytes are transmitted at
    one bit per symbol and 500 kHz (inferred: two samples per symbol at 1 MHz): 8.69 ms, or 195 kbit/s of the file.
    Bursts of 20 packets are acknowledged together.

    Args:
        file_bytes: file bytes in each packet.
        transmitted_bytes: transmitted bytes of each packet, after channel coding.
        symbol_rate_hz: symbols per second, one bit each.
        pause_s: seconds between packets.
        acknowledgement_s: seconds of the acknowledgement after each burst.
        window: packets in a burst.

    Source: the demonstration's script doubleretrans.py (github.com/meatery), which arXiv:2311.02926 describes.

    >>> link = PacketLink()
    >>> link.packets(20_863), round(link.packet_s * 1e3, 2)
    (99, 8.69)
    """

    file_bytes: int = 212
    transmitted_bytes: int = 16 + 4 + 3 + 510 + 2 + 8
    symbol_rate_hz: float = 500e3
    pause_s: float = 0.0
    acknowledgement_s: float = 0.02
    window: int = 20

    def __post_init__(self) -> None:
        within("file_bytes", self.file_bytes, 1)
        within("transmitted_bytes", self.transmitted_bytes, 1)
        positive("symbol_rate_hz", self.symbol_rate_hz)
        within("pause_s", self.pause_s, 0)

    @property
    def packet_s(self) -> float:
        """Seconds of one packet and the pause after it."""
        return 8 * self.transmitted_bytes / self.symbol_rate_hz + self.pause_s

    def packets(self, size_bytes: int) -> int:
        """Number of packets of a file."""
        return 0 if size_bytes < 1 else -(-size_bytes // self.file_bytes)

    def transfer_s(self, size_bytes: int, packet_error: float = 0.0) -> float:
        """Expected seconds to transfer a file with selective repeat.

        Args:
            size_bytes: bytes of the file.
            packet_error: packet error rate.
        """
        arq = SelectiveRepeat(self.packet_s, self.acknowledgement_s, self.window)
        return arq.expected_delay_s(self.packets(size_bytes), packet_error)


@dataclass(frozen=True)
class Delay:
    """File size of an image and the parts of its total delay.

    Args:
        size_bytes: bytes of the file.
        segment_s: measured seconds of segmentation and map coding; 0 for an image file.
        transfer_s: seconds of the transfer.
        restore_s: measured seconds of map decoding and restoration; 0 for an image file.

    >>> Delay(800, segment_s=0.1, transfer_s=0.5, restore_s=0.2).total_s
    0.8
    """

    size_bytes: int
    segment_s: float
    transfer_s: float
    restore_s: float

    @property
    def total_s(self) -> float:
        """Segmentation, transfer and restoration together."""
        return self.segment_s + self.transfer_s + self.restore_s


def delay_of_map(
    pixels: Float[Tensor, "3 h w"],
    segmenter: SegmentationNetwork,
    restore: Restore,
    transfer_s: Callable[[int], float],
    height: int | None = None,
) -> Delay:
    """Delay of a scene transmitted as label map; segmentation and restoration are timed on this machine.

    Args:
        pixels: float32 [3, h, w], image of the scene.
        segmenter: segmentation network.
        restore: restorer, as in `SceneReceiver`.
        transfer_s: function from file bytes to seconds of the transfer.
        height: largest height in pixels of segmentation and restoration: taller images are downsampled before and
            upsampled after, as the published demonstration restores at 512x256. None keeps the size of the image.
    """
    size = (pixels.shape[1], pixels.shape[2])
    inner = size if height is None or height >= size[0] else (height, max(1, round(size[1] * height / size[0])))

    def segment() -> bytes:
        labels = segmenter.labels(_resized(pixels[None], inner))
        return label_map.encode(labels[0].cpu().numpy(), len(CLASSES))

    file = segment()

    def restore_file() -> Tensor:
        return _resized(restore(torch.from_numpy(label_map.decode(file)).long()[None], None, None), size)

    with torch.no_grad():
        return Delay(len(file), median_seconds(segment), transfer_s(len(file)), median_seconds(restore_file))


def delay_of_file(
    pixels: Float[Tensor, "3 h w"], transfer_s: Callable[[int], float], container: str, quality: int | None = None
) -> Delay:
    """Delay of a scene transmitted as image file.

    Args:
        pixels: float32 [3, h, w], image of the scene.
        transfer_s: function from file bytes to seconds of the transfer.
        container: file format, "PNG" or "WEBP".
        quality: WebP quality, 0 to 100.
    """
    size = len(file_of(pixels, container, quality))
    return Delay(size, 0.0, transfer_s(size), 0.0)


def file_of(pixels: Float[Tensor, "3 h w"], container: str, quality: int | None = None) -> bytes:
    """Write an image file to memory; arguments as in `delay_of_file`."""
    stream = io.BytesIO()
    to_pil(pixels).save(stream, format=container, **({} if quality is None else {"quality": quality}))
    return stream.getvalue()


def _resized(images: Float[Tensor, "rows 3 h w"], size: tuple[int, int]) -> Tensor:
    if images.shape[2:] == size:
        return images
    return functional.interpolate(images.float(), size=size, mode="bilinear", antialias=True)


def median_seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """Median run time of an action in seconds, after one warm-up run."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine() -> str:
    """Processor name and number of torch threads."""
    name = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        models = [line for line in listing.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {torch.get_num_threads()} thread(s)"
