"""A file as messages of given lengths, checked as a whole.

The stream of bits that the messages cut up is length (32 bits), file, CRC-32 over both, zeros to fill up, exclusive-or
a fixed random sequence, so that bits that mask patches one by one mask about half of them whatever the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from channels._errors import UsageError
from channels._rng import Rng, seed_for

_FRAMING_BYTES = 8  # length and CRC-32


def capacity_bytes(bits: Sequence[int]) -> int:
    """The longest file that messages of so many bits carry, framing not counted.

    Raises:
        UsageError: messages that are too few or too short for any file.

    >>> capacity_bytes([100, 60])
    12
    """
    room = sum(bits) // 8 - _FRAMING_BYTES
    if room < 1:
        raise UsageError(
            f"{_pictures(bits)} {sum(bits)} bits, the framing of a file alone takes {8 * _FRAMING_BYTES}: "
            "send more or larger pictures"
        )
    return room


def split(data: bytes, bits: Sequence[int]) -> list[UInt8[Tensor, " _"]]:
    """Cut a file into messages of the given numbers of bits.

    Raises:
        UsageError: the file does not fit.

    >>> [len(frame) for frame in split(b"carrier", [100, 60])]
    [100, 60]
    """
    room = capacity_bytes(bits)
    if len(data) > room:
        enough = -(-8 * (len(data) + _FRAMING_BYTES) * len(bits) // sum(bits))
        raise UsageError(f"the file has {len(data)} bytes, {_pictures(bits)} {room}: it takes {enough} such pictures")
    framed = len(data).to_bytes(4, "big") + data
    framed += zlib.crc32(framed).to_bytes(4, "big")
    stream = np.zeros(sum(bits), np.uint8)
    stream[: 8 * len(framed)] = np.unpackbits(np.frombuffer(framed, np.uint8))
    return list((torch.from_numpy(stream) ^ _whitening(len(stream))).split(list(bits)))


def join(frames: Sequence[UInt8[Tensor, " _"]]) -> bytes | None:
    """The file from its messages; None if the CRC-32 does not hold, or a bit is neither 0 nor 1: lost.

    >>> join(split(b"carrier", [100, 60]))
    b'carrier'
    """
    stream = torch.cat(list(frames))
    if (stream > 1).any():
        return None
    octets = np.packbits((stream ^ _whitening(len(stream))).numpy()[: len(stream) // 8 * 8]).tobytes()
    end = 4 + int.from_bytes(octets[:4], "big")
    if end + 4 > len(octets) or zlib.crc32(octets[:end]).to_bytes(4, "big") != octets[end : end + 4]:
        return None
    return octets[4:end]


def _pictures(bits: Sequence[int]) -> str:
    return "1 picture carries" if len(bits) == 1 else f"{len(bits)} pictures carry"


def _whitening(bits: int) -> UInt8[Tensor, " bits"]:
    return (Rng([seed_for("file", "whitening")]).uniform(bits)[0] < 0.5).to(torch.uint8)
