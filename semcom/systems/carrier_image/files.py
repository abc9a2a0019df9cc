"""A file in a stream of pictures: split over their messages, checked as a whole.

The stream is length (32 bits), file, CRC-32 over both, zeros to fill up, exclusive-or a fixed random sequence, so that
bits that mask patches one by one mask about half of them whatever the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom.images import Picture
from semcom.link import Delivery, Link
from semcom.system import Sample, System
from semcom.systems.carrier_image.transmitter import CarrierTransmitter

_FRAMING_BYTES = 8  # length and CRC-32


@dataclass(frozen=True)
class FileDelivery:
    """What came of a file.

    Args:
        received: the file, byte for byte, or None when any part of it was lost.
        deliveries: the pictures that carried it, one delivery each.
    """

    received: bytes | None
    deliveries: tuple[Delivery, ...]


def capacity_bytes(system: System, pictures: Sequence[Picture]) -> int:
    """The longest file that the messages of these pictures carry, framing not counted.

    Raises:
        UsageError: a system without messages, or pictures that are too few or too small for any file.
    """
    return _room(_message_bits(system, pictures))


def send_file(
    link: Link, pictures: Sequence[Picture], data: bytes, snr_db: float, seeds: Sequence[int]
) -> FileDelivery:
    """Send a file over pictures, each with its share of the file in its message.

    Args:
        link: a carrier image system over any channel.
        pictures: the carriers, in order; receiver and transmitter agree on their number and sizes.
        data: the file.
        snr_db: Es/N0 per use in dB.
        seeds: one integer a picture.

    Raises:
        UsageError: a file that does not fit, with the number of bytes that do.
    """
    assert isinstance(link.system, System)
    frames = split(data, _message_bits(link.system, pictures))
    deliveries = tuple(
        link.deliver(Sample(picture.pixels[None], message=frame[None], names=(picture.name,)), snr_db, [seed])
        for picture, frame, seed in zip(pictures, frames, seeds, strict=True)
    )
    heard = [delivery.reception.message for delivery in deliveries]
    return FileDelivery(join([message[0] for message in heard if message is not None]), deliveries)


def split(data: bytes, bits: Sequence[int]) -> list[UInt8[Tensor, " bits"]]:
    """Cut a file into messages of the given numbers of bits.

    Raises:
        UsageError: the file does not fit.

    >>> [len(frame) for frame in split(b"carrier", [100, 60])]
    [100, 60]
    """
    room = _room(bits)
    if len(data) > room:
        raise UsageError(
            f"the file has {len(data)} bytes, {len(bits)} pictures carry {room}: about "
            f"{-(-(len(data) + _FRAMING_BYTES) * len(bits) // (room + _FRAMING_BYTES))} such pictures would do"
        )
    framed = len(data).to_bytes(4, "big") + data
    framed += zlib.crc32(framed).to_bytes(4, "big")
    stream = np.zeros(sum(bits), np.uint8)
    stream[: 8 * len(framed)] = np.unpackbits(np.frombuffer(framed, np.uint8))
    return list((torch.from_numpy(stream) ^ _whitening(len(stream))).split(list(bits)))


def join(frames: Sequence[UInt8[Tensor, " bits"]]) -> bytes | None:
    """The file from its messages; None if one was lost or the CRC-32 does not hold.

    >>> join(split(b"carrier", [100, 60]))
    b'carrier'
    """
    stream = torch.cat(list(frames))
    if (stream > 1).any():  # a lost message is filled with neither zeros nor ones
        return None
    octets = np.packbits((stream ^ _whitening(len(stream))).numpy()[: len(stream) // 8 * 8]).tobytes()
    end = 4 + int.from_bytes(octets[:4], "big")
    if end + 4 > len(octets) or zlib.crc32(octets[:end]).to_bytes(4, "big") != octets[end : end + 4]:
        return None
    return octets[4:end]


def _message_bits(system: System, pictures: Sequence[Picture]) -> list[int]:
    transmitter = system.transmitter
    if not isinstance(transmitter, CarrierTransmitter) or transmitter.mask != "message":
        raise UsageError("only carrier_image with mask: message takes a file along")
    return [transmitter.agreement.message_bits((p.pixels.shape[-2], p.pixels.shape[-1])) for p in pictures]


def _room(bits: Sequence[int]) -> int:
    room = sum(bits) // 8 - _FRAMING_BYTES
    if room < 0:
        raise UsageError(
            f"{len(bits)} pictures carry {sum(bits)} bits, the framing of a file alone takes {8 * _FRAMING_BYTES}: "
            "send more or larger pictures"
        )
    return room


def _whitening(bits: int) -> UInt8[Tensor, " bits"]:
    return (Rng([seed_for("carrier image", "whitening")]).uniform(bits)[0] < 0.5).to(torch.uint8)
