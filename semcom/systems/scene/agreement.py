"""Shared configuration of the scene link, and the conversion between label maps, slices and class colors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from channels import modem
from channels.modem.link_adaptation import Frame
from semcom.codecs import label_map
from semcom.images.street_classes import CLASSES, IGNORED
from semcom.systems.scene import packets

_MAX_LEVEL = 31  # largest value of a color component in 5 bits
COLOR_BYTES = -(-15 * len(CLASSES) // 8)


@dataclass(frozen=True)
class Agreement:
    """Configuration that transmitter and receiver share: division of the channel uses, and content of the packets.

    Args:
        cbr: complex channel uses per real number of the image.
        frame: modulation and coding schemes, and the header that names the one in use.
        packets: number of packets of equal size; the map is cut into as many horizontal bands.
        send_class_colors: the mean color of each class precedes the map, unless that takes more than a quarter of the
            payload or of the first packet.
    """

    cbr: float
    frame: Frame
    packets: int
    send_class_colors: bool

    def packet_uses(self, budget: int) -> int:
        """Channel uses of each packet when `budget` channel uses are available."""
        return max(0, budget - self.frame.header_uses) // self.packets

    def total_uses(self, budget: int) -> int:
        """Channel uses of header and packets; the remainder of the division is not used."""
        return self.frame.header_uses + self.packets * self.packet_uses(budget)

    def packet_bytes(self, budget: int, scheme: int) -> int:
        """Bytes of each packet with the scheme of this index; 0 if nothing fits."""
        uses = self.packet_uses(budget)
        return modem.transport_bits(uses, self.frame.schemes[scheme]) // 8 if uses else 0

    def payload_bytes(self, budget: int, scheme: int) -> int:
        """Bytes for colors and slices in all packets together."""
        return packets.payload_bytes(self.packets, self.packet_bytes(budget, scheme))

    def map_shape(self, size: tuple[int, int], downsampling: int) -> label_map.Shape:
        """Shape of the transmitted map: each side divided by `downsampling`, rounded up."""
        height, width = (-(-side // downsampling) for side in size)
        return label_map.Shape(len(CLASSES), height, width, -(-height // self.packets))


def downsample(labels: Int[Tensor, "h w"], factor: int) -> Int[Tensor, "small_h small_w"]:
    """Most frequent class of each square of `factor` x `factor` pixels; the lowest class number in a tie.

    >>> downsample(torch.tensor([[1, 1, 5], [1, 2, 5]]), 2).tolist()
    [[1, 5]]
    """
    planes = functional.one_hot(labels, len(CLASSES)).permute(2, 0, 1).float()
    padded = functional.pad(planes, (0, -labels.shape[1] % factor, 0, -labels.shape[0] % factor))
    return functional.avg_pool2d(padded, factor).argmax(0)


def upsample(labels: Int[Tensor, "small_h small_w"], factor: int, size: tuple[int, int]) -> Int[Tensor, "h w"]:
    """Repeat each pixel of a downsampled map `factor` x `factor` times and crop to `size`.

    >>> upsample(torch.tensor([[1, 5]]), 2, (2, 3)).tolist()
    [[1, 1, 5], [1, 1, 5]]
    """
    return labels.repeat_interleave(factor, 0).repeat_interleave(factor, 1)[: size[0], : size[1]]


def map_miou(labels: Int[Tensor, "h w"], truth: Int[Tensor, "h w"]) -> float:
    """Mean over the classes in a map of intersection over union with another map.

    >>> map_miou(torch.tensor([[1, 1, 1, 5]]), torch.tensor([[1, 1, 5, 5]]))
    0.5833333730697632
    """
    planes, true_planes = (functional.one_hot(each, len(CLASSES)).bool().flatten(0, 1) for each in (labels, truth))
    intersection, union = (planes & true_planes).sum(0), (planes | true_planes).sum(0)
    return float((intersection[union > 0] / union[union > 0]).mean())


def encode_map(labels: Int[Tensor, "h w"], agreement: Agreement, downsampling: int) -> list[bytes]:
    """Downsample a map and code it without loss, one slice per band."""
    shape = agreement.map_shape((labels.shape[0], labels.shape[1]), downsampling)
    small = downsample(labels, downsampling).numpy()
    return label_map.encode_slices(small, len(CLASSES), shape.rows)


def decode_map(
    slices: list[bytes], agreement: Agreement, size: tuple[int, int], downsampling: int
) -> Int[Tensor, "h w"]:
    """Label map of the received slices in full size, `IGNORED` in the bands of missing slices."""
    small, _ = label_map.decode_some(slices, agreement.map_shape(size, downsampling), missing=IGNORED)
    return upsample(torch.from_numpy(small.astype(np.int64)), downsampling, size)


def encode_colors(colors: Float[Tensor, "classes 3"]) -> bytes:
    """Quantize the mean color of each class, in [0, 1], to 5 bits per component."""
    levels = (colors.clamp(0, 1) * _MAX_LEVEL).round().long().flatten().tolist()
    number = 0
    for level in levels:
        number = number << 5 | level
    return number.to_bytes(COLOR_BYTES, "big")


def decode_colors(data: bytes) -> Float[Tensor, "classes 3"]:
    """Inverse of `encode_colors`, up to quantization.

    >>> decode_colors(encode_colors(torch.full((11, 3), 0.5)))[0, 0].item()
    0.5161290168762207
    """
    number = int.from_bytes(data, "big")
    places = range(3 * len(CLASSES) - 1, -1, -1)
    levels = torch.tensor([number >> 5 * place & _MAX_LEVEL for place in places], dtype=torch.float32)
    return levels.view(len(CLASSES), 3) / _MAX_LEVEL
