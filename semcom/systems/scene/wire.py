"""What the scene link's ends agree on: how uses become packets, and how a map becomes pieces and comes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from channels import modem
from semcom.codecs import label_map
from semcom.systems.digital.schemes import Frame
from semcom.systems.scene import packets
from semcom.systems.scene.classes import CLASSES, IGNORED

_LEVELS = 31  # of each colour, 5 bits
COLOUR_BYTES = -(-15 * len(CLASSES) // 8)


@dataclass(frozen=True)
class Wire:
    """How granted uses are divided, and what is in them.

    Args:
        cbr: complex channel uses per real number of the picture.
        frame: the schemes that may be used; the header says which was.
        packets: of equal size, and bands that the map is cut into.
        colour: the mean colour of each class comes in front, unless it would take more than a quarter of the room.
    """

    cbr: float
    frame: Frame
    packets: int
    colour: bool

    def packet_uses(self, granted: int) -> int:
        """Channel uses of each packet."""
        return max(0, granted - self.frame.header_uses) // self.packets

    def spent(self, granted: int) -> int:
        """Channel uses of header and packets: what does not divide is not sent."""
        return self.frame.header_uses + self.packets * self.packet_uses(granted)

    def packet_bytes(self, granted: int, index: int) -> int:
        """Bytes of each packet with a scheme; 0 if nothing fits."""
        uses = self.packet_uses(granted)
        return modem.transport_bits(uses, self.frame.schemes[index]) // 8 if uses else 0

    def shape(self, size: tuple[int, int], coarseness: int) -> label_map.Shape:
        """Of the map that is sent: every side 2^coarseness times shorter, rounded up."""
        height, width = (-(-side // 2**coarseness) for side in size)
        return label_map.Shape(len(CLASSES), height, width, -(-height // self.packets))


def coarser(labels: Int[Tensor, "h w"], coarseness: int) -> Int[Tensor, "small_h small_w"]:
    """The commonest class of each square of 2^coarseness pixels; the lowest number of those that are equally common.

    >>> coarser(torch.tensor([[1, 1, 5], [1, 2, 5]]), 1).tolist()
    [[1, 5]]
    """
    step = 2**coarseness
    planes = functional.one_hot(labels, len(CLASSES)).permute(2, 0, 1).float()
    padded = functional.pad(planes, (0, -labels.shape[1] % step, 0, -labels.shape[0] % step))
    return functional.avg_pool2d(padded, step).argmax(0)


def enlarged(labels: Int[Tensor, "small_h small_w"], coarseness: int, size: tuple[int, int]) -> Int[Tensor, "h w"]:
    """A coarse map at the size that it had: each of its pixels a square of 2^coarseness.

    >>> enlarged(torch.tensor([[1, 5]]), 1, (2, 3)).tolist()
    [[1, 1, 5], [1, 1, 5]]
    """
    step = 2**coarseness
    return labels.repeat_interleave(step, 0).repeat_interleave(step, 1)[: size[0], : size[1]]


def slices_of(labels: Int[Tensor, "h w"], wire: Wire, coarseness: int) -> list[bytes]:
    """The slices of a map at some coarseness."""
    shape = wire.shape((labels.shape[0], labels.shape[1]), coarseness)
    small = coarser(labels, coarseness).numpy()
    return label_map.encode_slices(small, len(CLASSES), shape.rows)


def map_of(slices: list[bytes], wire: Wire, size: tuple[int, int], coarseness: int) -> Int[Tensor, "h w"]:
    """The map of what arrived, `IGNORED` where a slice is missing."""
    small, _ = label_map.decode_some(slices, wire.shape(size, coarseness), missing=IGNORED)
    return enlarged(torch.from_numpy(small.astype(np.int64)), coarseness, size)


def colours_to_bytes(palette: Float[Tensor, "classes 3"]) -> bytes:
    """The mean colour of each class, 5 bits each."""
    levels = (palette.clamp(0, 1) * _LEVELS).round().long().flatten().tolist()
    number = 0
    for level in levels:
        number = number << 5 | level
    return number.to_bytes(COLOUR_BYTES, "big")


def colours_from_bytes(data: bytes) -> Float[Tensor, "classes 3"]:
    """Inverse of `colours_to_bytes`, but for rounding.

    >>> colours_from_bytes(colours_to_bytes(torch.full((11, 3), 0.5)))[0, 0].item()
    0.5161290168762207
    """
    number = int.from_bytes(data, "big")
    places = range(3 * len(CLASSES) - 1, -1, -1)
    levels = torch.tensor([number >> 5 * place & _LEVELS for place in places], dtype=torch.float32)
    return levels.view(len(CLASSES), 3) / _LEVELS


def room(wire: Wire, granted: int, index: int) -> int:
    """Bytes for colours and slices with a scheme."""
    return packets.room(wire.packets, wire.packet_bytes(granted, index))
