"""A message as separate digital bits beside a picture: what a carrier image must be measured against."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from channels._base import Received
from channels._errors import UsageError
from channels._rng import Rng
from channels.modem import Mcs, decode, encode, transport_uses
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for

_LOST = 2  # a bit that was not recovered: neither 0 nor 1


class Pictures:
    """The system that sends the picture, with what the message leaves of the grant.

    Args:
        name: of the system.
        arguments: of its `build`, but for cbr.
        cbr: granted for both together.
        bits: of the message.
        mcs: of the message.
    """

    def __init__(self, name: str, arguments: dict[str, Any], cbr: float, bits: int, mcs: Mcs) -> None:
        self.cbr, self.bits, self.mcs = cbr, bits, mcs
        self.message_uses = transport_uses(bits, mcs)
        module = importlib.import_module(f"semcom.systems.{name}")
        self.built = lru_cache(maxsize=4)(lambda rest: module.build(cbr=rest, **arguments))

    def system(self, size: tuple[int, int]) -> System:
        """The system for a picture size.

        Raises:
            UsageError: the message leaves nothing.
        """
        rest = uses_for(self.cbr, size) - self.message_uses
        if rest < 1:
            raise UsageError(
                f"{self.bits} bits take {self.message_uses} uses, cbr {self.cbr:g} grants a picture of "
                f"{size[1]} x {size[0]} only {uses_for(self.cbr, size)}: raise cbr"
            )
        return self.built(rest / (3 * size[0] * size[1]))


class BesideTransmitter(Transmitter):
    """The message's symbols, then the picture's; a sample without a message carries random bits of the row's stream."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        pictures = self.pictures
        message = sample.message
        if message is None:
            message = (rng.derive("message").uniform(pictures.bits) < 0.5).to(torch.uint8)
        elif message.shape[1] != pictures.bits:
            raise UsageError(f"bits_beside was built for {pictures.bits} bits, the message has {message.shape[1]}")
        symbols = encode(message, pictures.mcs, pictures.message_uses)
        picture = pictures.system(sample.size).transmitter.encode(replace(sample, message=None), snr_db, rng)
        return Payload(
            symbols=torch.cat([symbols, picture.symbols], 1),
            uses=picture.uses + pictures.message_uses,
            digital_uses=picture.digital_uses + pictures.message_uses,
            truth={**picture.truth, "message": message},
        )

    def message_bits(self, size: tuple[int, int]) -> int:
        """Bits of a picture's message, whatever its size."""
        return self.pictures.bits


class BesideReceiver(Receiver):
    """The message from its symbols, the picture from the others; neither needs the other."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        pictures, first = self.pictures, self.pictures.message_uses
        found = decode(received.symbols[:, :first], received.noise_var[:, :first], pictures.mcs, pictures.bits)
        rest = replace(
            received,
            symbols=received.symbols[:, first:],
            noise_var=received.noise_var[:, first:],
            uses=received.uses - first,
            gains=received.gains[..., first:],
        )
        picture = pictures.system(size).receiver.decode(rest, size, rng)
        return replace(
            picture,
            uses_charged=picture.uses_charged + first,
            message=torch.where(found.ok[:, None], found.bits, _LOST).to(torch.uint8),
        )


def build(
    cbr: float,
    picture: Literal["digital", "deepjscc"] = "digital",
    bits: int = 251,
    code_rate: float = 0.25,
    codec: str = "avif",
    weights: str = "deepjscc",
) -> System:
    """A message as coded QPSK beside a picture that another system sends with the rest of the uses.

    Args:
        cbr: complex channel uses per real number of the picture, for picture and message together.
        picture: the system that sends the picture.
        bits: of the message; 251 is what a mask of half of 256 patches carries.
        code_rate: LDPC code rate of the message.
        codec: image format of `digital`.
        weights: of `deepjscc`.
    """
    arguments = {"codec": codec} if picture == "digital" else {"weights": weights}
    pictures = Pictures(picture, arguments, cbr, bits, Mcs(2, code_rate))
    return System(
        name="bits_beside",
        paper="two transmissions in one: the classical way to send both",
        transmitter=BesideTransmitter(pictures),
        receiver=BesideReceiver(pictures),
        weights=pictures.built(cbr).weights,
        agreement=f"length, modulation and code rate of the message; what {picture} agrees on",
    )
