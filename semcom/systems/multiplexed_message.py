"""Digital message and image in separate channel uses: the baseline for carrier images."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from channels.base import Channel, Received
from channels.errors import UsageError
from channels.modem.transport_block import Mcs, decode, encode, transport_uses
from channels.rng import Rng
from semcom.devices import moved
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for

TITLE = "Multiplexed message"
_ERASED_BIT = 2  # a bit that was not recovered; it differs from 0 and 1, so it counts as a bit error


class Agreement:
    """Shared configuration: the message format, and the image system with the remaining channel uses.

    Args:
        image_system: name of the system that transmits the image.
        arguments: arguments of its `build` without cbr.
        cbr: channel bandwidth ratio of message and image together, complex channel uses per real number of the image.
        bits: message length, bits.
        mcs: modulation and code rate of the message.
    """

    def __init__(self, image_system: str, arguments: dict[str, Any], cbr: float, bits: int, mcs: Mcs) -> None:
        self.cbr, self.bits, self.mcs = cbr, bits, mcs
        self.message_uses = transport_uses(bits, mcs)
        module = importlib.import_module(f"semcom.systems.{image_system}")
        self.built = lru_cache(maxsize=4)(lambda image_cbr: module.build(cbr=image_cbr, **arguments))

    def system(self, size: tuple[int, int]) -> System:
        """Image system for an image of (height, width) pixels.

        Raises:
            UsageError: the message leaves no channel use for the image.
        """
        image_uses = uses_for(self.cbr, size) - self.message_uses
        if image_uses < 1:
            raise UsageError(
                f"a message of {self.bits} bits requires {self.message_uses} channel uses, cbr {self.cbr:g} allows an "
                f"image of {size[1]} x {size[0]} only {uses_for(self.cbr, size)}: raise cbr or code_rate"
            )
        return self.built(image_uses / (3 * size[0] * size[1]))


class MultiplexedTransmitter(Transmitter):
    """Transmit the symbols of the message, then those of the image.

    For a sample without a message, random bits from the row's random stream are sent.

    Args:
        agreement: shared configuration.
        channel: channel whose statistics the transmitter of the image knows; None for none.
    """

    def __init__(self, agreement: Agreement, channel: Channel | None = None) -> None:
        self.agreement, self.channel = agreement, channel

    def for_channel(self, channel: Channel) -> MultiplexedTransmitter:
        return MultiplexedTransmitter(self.agreement, channel)

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        agreement, device = self.agreement, sample.images.device
        message = sample.message
        if message is None:
            message = (rng.derive("message").uniform(agreement.bits) < 0.5).to(torch.uint8)
        elif message.shape[1] != agreement.bits:
            raise UsageError(
                f"multiplexed_message was built for {agreement.bits} bits, the message has {message.shape[1]}: "
                f"write bits: {message.shape[1]}"
            )
        transmitter = agreement.system(sample.size).to(device).transmitter  # raises if the message is too long
        symbols = encode(message.to(device), agreement.mcs, agreement.message_uses)
        if self.channel is not None:
            transmitter = transmitter.for_channel(self.channel)
        image = moved(transmitter.encode(replace(sample, message=None), snr_db, rng), device)
        return Payload(
            symbols=torch.cat([symbols, image.symbols], 1),
            uses=image.uses + agreement.message_uses,
            digital_uses=image.digital_uses + agreement.message_uses,
            truth={**image.truth, "message": message},
            parts={
                "message": torch.full_like(image.uses, agreement.message_uses),
                **(image.parts or {"data": image.uses}),
            },
        )

    def message_bits(self, size: tuple[int, int]) -> int:
        """Message length of one image, bits; independent of the image size."""
        return self.agreement.bits


class MultiplexedReceiver(Receiver):
    """Decode the message and the image independently of each other.

    Args:
        agreement: shared configuration.
    """

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        agreement, first = self.agreement, self.agreement.message_uses
        message = decode(received.symbols[:, :first], received.noise_var[:, :first], agreement.mcs, agreement.bits)
        rest = replace(
            received,
            symbols=received.symbols[:, first:],
            noise_var=received.noise_var[:, first:],
            uses=received.uses - first,
            gains=received.gains[..., first:],
        )
        device = received.symbols.device
        image = moved(agreement.system(size).to(device).receiver.decode(rest, size, rng), device)
        return replace(
            image,
            counted_uses=image.counted_uses + first,
            message=torch.where(message.ok[:, None], message.bits, _ERASED_BIT).to(torch.uint8),
        )


def build(
    cbr: float,
    image_system: Literal["digital", "deepjscc"] = "digital",
    bits: int = 251,
    code_rate: float = 0.25,
    codec: str = "avif",
    weights: str = "deepjscc",
) -> System:
    """Multiplexed message: an LDPC-coded message and the image of another system.

    Args:
        cbr: channel bandwidth ratio of message and image together, complex channel uses per real number of the image.
        image_system: system that transmits the image in the remaining channel uses: digital or deepjscc.
        bits: message length, bits per image; the default 251 is that of `carrier_image` with 128 of 256 patches masked.
        code_rate: LDPC code rate of the message (QPSK), above 0 and up to 0.95.
        codec: image file format of `digital`; ignored for deepjscc.
        weights: weights of `deepjscc`: name or path of a weight file, or "none" for untrained networks; ignored for
            digital.

    >>> build(cbr=1 / 8, bits=203).transmitter.message_bits((128, 128))
    203
    """
    arguments = {"codec": codec} if image_system == "digital" else {"weights": weights}
    agreement = Agreement(image_system, arguments, cbr, bits, Mcs(2, code_rate))
    return System(
        name="multiplexed_message",
        paper="separate transmission of message and image, the classical baseline",
        transmitter=MultiplexedTransmitter(agreement),
        receiver=MultiplexedReceiver(agreement),
        weights=agreement.built(cbr).weights,
        agreement=f"length, modulation and code rate of the message; shared configuration of {image_system}",
        cbr=cbr,
    )
