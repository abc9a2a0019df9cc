"""Transport of a file in messages of given lengths, with one CRC-32 for the whole file.

The bit stream is length (32 bits), file, CRC-32 of both and zero padding, XORed with a fixed random sequence
(scrambling), so that about half of the bits are ones for any file.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from channels import modem
from channels.errors import UsageError
from channels.rng import Rng, seed_for

_FRAMING_BYTES = 8  # length and CRC-32


def capacity_bytes(bits: Sequence[int]) -> int:
    """Length of the longest file that fits into messages, bytes, without framing.

    Args:
        bits: message lengths, bits.

    Raises:
        UsageError: the messages are too short for any file.

    >>> capacity_bytes([100, 60])
    12
    """
    room = sum(bits) // 8 - _FRAMING_BYTES
    if room < 1:
        raise UsageError(
            f"{_images(bits)} {sum(bits)} message bits, the framing of a file requires {8 * _FRAMING_BYTES}: "
            "send more or larger images"
        )
    return room


def split(data: bytes, bits: Sequence[int]) -> list[UInt8[Tensor, " _"]]:
    """Split a file into messages.

    Args:
        data: file content.
        bits: message lengths, bits.

    Raises:
        UsageError: the file does not fit.

    >>> [len(frame) for frame in split(b"carrier", [100, 60])]
    [100, 60]
    """
    room = capacity_bytes(bits)
    if len(data) > room:
        required = -(-8 * (len(data) + _FRAMING_BYTES) * len(bits) // sum(bits))
        raise UsageError(f"the file has {len(data)} bytes, {_images(bits)} {room}: send {required} such images")
    framed = len(data).to_bytes(4, "big") + data
    framed += zlib.crc32(framed).to_bytes(4, "big")
    stream = torch.zeros(sum(bits), dtype=torch.uint8)
    stream[: 8 * len(framed)] = modem.bytes_to_bits(framed)
    return list((stream ^ _scrambling(len(stream))).split(list(bits)))


def join(frames: Sequence[UInt8[Tensor, " _"]]) -> bytes | None:
    """Join received messages to the file; None if the CRC-32 fails or a bit is erased (neither 0 nor 1).

    >>> join(split(b"carrier", [100, 60]))
    b'carrier'
    """
    stream = torch.cat(list(frames))
    if (stream > 1).any():
        return None
    octets = modem.bits_to_bytes((stream ^ _scrambling(len(stream)))[: len(stream) // 8 * 8])
    end = 4 + int.from_bytes(octets[:4], "big")
    if end + 4 > len(octets) or zlib.crc32(octets[:end]).to_bytes(4, "big") != octets[end : end + 4]:
        return None
    return octets[4:end]


def _images(bits: Sequence[int]) -> str:
    return "1 image holds" if len(bits) == 1 else f"{len(bits)} images hold"


def _scrambling(bits: int) -> UInt8[Tensor, " bits"]:
    return (Rng([seed_for("file", "whitening")]).uniform(bits)[0] < 0.5).to(torch.uint8)
