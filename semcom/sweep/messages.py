"""Messages that a system transmits with its images: their length, and texts in them. No torch at import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from channels.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from semcom.images.source_image import SourceImage
    from semcom.link import Link


@runtime_checkable
class CarriesMessages(Protocol):
    """A transmitter that transmits a message with each image."""

    def message_bits(self, size: tuple[int, int]) -> int:
        """Number of message bits for an image of (height, width) pixels."""


def message_bits(link: Link, image: SourceImage) -> int:
    """Number of message bits that the link transmits with an image.

    Raises:
        UsageError: the system transmits no messages.
    """
    transmitter = getattr(link.system, "transmitter", None)  # a bound has none
    height, width = image.pixels.shape[1:]
    bits = transmitter.message_bits((height, width)) if isinstance(transmitter, CarriesMessages) else 0
    if bits == 0:
        raise UsageError(
            f"{link.system.name} with these arguments transmits no message; use carrier_image or multiplexed_message"
        )
    return bits


def from_text(text: str, link: Link, image: SourceImage) -> Tensor:
    """A text as the message of an image: uint8 [bits] of 0 and 1, with the length of the text and a CRC-32.

    Args:
        text: the text.
        link: link that transmits the message.
        image: image of the transmitted shape.

    Raises:
        UsageError: the system transmits no messages, or the text is too long for one image.
    """
    from semcom.codecs import file_frames

    bits, data = message_bits(link, image), text.encode()
    if len(data) > (room := file_frames.capacity_bytes([bits])):
        raise UsageError(
            f"the message {text!r} of {link.system.name} has {len(data)} bytes, {image.name} holds {room}; shorten it"
        )
    return file_frames.split(data, [bits])[0]


def to_texts(messages: Tensor | None, rows: int) -> list[str]:
    """The text in each received message; "" where there is none or decoding failed.

    Args:
        messages: uint8 [rows, bits] of 0 and 1, or another number for a bit that was not decoded; None for no messages.
        rows: number of images.
    """
    from semcom.codecs import file_frames

    received = [None] * rows if messages is None else [file_frames.join([message]) for message in messages.cpu()]
    return ["" if data is None else data.decode(errors="replace") for data in received]
