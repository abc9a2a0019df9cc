"""Shared configuration of both ends: allocation of channel uses to the streams, and the scheme of coded streams."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from channels import modem
from channels.arguments import one_of
from channels.errors import UsageError
from channels.modem import link_adaptation, scheme_header
from channels.modem.transport_block import Mcs
from semcom.system import uses_for

ImageStream = Literal["analog", "digital", "none"]
TextStream = Literal["analog", "digital", "caption", "class", "none"]

CLASS_BITS = 4
_ADAPTIVE = ("digital", "caption")  # streams whose scheme is chosen for the SNR and signaled in the header


@dataclass(frozen=True)
class Allocation:
    """Channel uses of header, image stream and text stream, in their order before interleaving."""

    header: int
    image: int
    text: int

    @property
    def total(self) -> int:
        """Channel uses of all parts."""
        return self.header + self.image + self.text


@dataclass(frozen=True)
class Agreement:
    """Configuration shared by transmitter and receiver.

    The channel-use budget is divided in proportion to the number of features of each stream. The header takes its
    channel uses from the adaptive streams ("digital", "caption"), or from all streams if it needs more than half of
    what the adaptive ones have. An analog stream sends all its features as often as they fit, so that no scale has to
    be sent; the rest goes to the text stream or stays unused. If its features do not fit once, it sends the first ones.
    A class has the channel uses that it needs, but none if that is more than half of the budget and the image stream
    is sent too.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        image_stream: transmission of the image features.
        text_stream: transmission of the text.
        image_reals: number of image features, even.
        text_reals: number of text features, even.
        token_bits: bits per token of a caption.

    Raises:
        UsageError: unknown stream, nothing to send, or an odd number of features.
    """

    cbr: float
    image_stream: ImageStream
    text_stream: TextStream
    image_reals: int
    text_reals: int
    token_bits: int

    def __post_init__(self) -> None:
        one_of("image_stream", self.image_stream, get_args(ImageStream))
        one_of("text_stream", self.text_stream, get_args(TextStream))
        if self.image_stream == self.text_stream == "none":
            raise UsageError("image_stream: none and text_stream: none leave nothing to send; set one of them")
        if self.image_reals % 2 or self.text_reals % 2:
            raise UsageError(
                "the number of image features and of text features must be even, not "
                f"{self.image_reals} and {self.text_reals}"
            )

    def allocate(self, size: tuple[int, int]) -> Allocation:
        """Return the channel uses of each part for images of height and width `size`; 0 if a stream does not fit."""
        budget = uses_for(self.cbr, size)
        header = scheme_header.USES if {self.image_stream, self.text_stream} & set(_ADAPTIVE) else 0
        rest = max(0, budget - header)
        reals = self.image_reals * (self.image_stream != "none"), self.text_reals * (self.text_stream != "none")
        adaptive = [stream in _ADAPTIVE for stream in (self.image_stream, self.text_stream)]
        adaptive_reals = sum(count for count, is_adaptive in zip(reals, adaptive, strict=True) if is_adaptive)
        if budget * adaptive_reals > 2 * header * sum(reals):
            part = budget * reals[0] // sum(reals) - header * adaptive[0] // max(1, sum(adaptive))
        else:
            part = rest * reals[0] // sum(reals)
        if self.text_stream == "class":
            part = min(part, rest - class_uses()) if rest >= 2 * class_uses() else rest
        image = _filled_uses(self.image_stream, part, self.image_reals)
        text = _filled_uses(self.text_stream, rest - image, self.text_reals)
        if not header or (adaptive[0] and image) or (adaptive[1] and text):
            return Allocation(header, image, text)
        if self.image_stream in ("none", *_ADAPTIVE) and self.text_stream in ("none", *_ADAPTIVE):
            return Allocation(0, 0, 0)
        without_adaptive = replace(
            self,
            image_stream="none" if adaptive[0] else self.image_stream,
            text_stream="none" if adaptive[1] else self.text_stream,
        )
        return without_adaptive.allocate(size)

    def adaptive_uses(self, allocation: Allocation) -> dict[str, int]:
        """Return the channel uses of each stream whose scheme is signaled in the header."""
        streams = {"image": (self.image_stream, allocation.image), "text": (self.text_stream, allocation.text)}
        return {name: uses for name, (stream, uses) in streams.items() if stream in _ADAPTIVE and uses}

    def digital_uses(self, allocation: Allocation) -> int:
        """Return the number of channel uses that are constellation points."""
        analog_image = allocation.image * (self.image_stream == "analog")
        return allocation.total - analog_image - allocation.text * (self.text_stream == "analog")


def scheme(index: int) -> Mcs:
    """Modulation and coding scheme of a header index; 0 is the most robust, which a class uses without a header."""
    return link_adaptation.adaptive().schemes[index]


def class_uses() -> int:
    """Smallest number of channel uses that hold a class."""
    return modem.transport_uses(CLASS_BITS, scheme(0))


def payload_bits(uses: int, index: int) -> int:
    """Number of payload bits that fit into `uses` channel uses with the scheme of a header index."""
    return modem.transport_bits(uses, scheme(index))


def choose_scheme(bits: dict[str, int], uses: dict[str, int], snr_db: float) -> int:
    """Return the index of the scheme for an SNR: the most robust one that holds all bits of every stream.

    Only schemes with a block error rate of at most 1e-3 on AWGN are considered; if none of these holds all bits, the
    fastest of them is returned.

    Args:
        bits: bits to send in each stream.
        uses: channel uses of each stream.
        snr_db: average Es/N0 in dB.
    """
    schemes = range(len(link_adaptation.adaptive().schemes))
    possible = [index for index in schemes if all(payload_bits(count, index) for count in uses.values())]
    fastest = min(link_adaptation.best(count + scheme_header.USES, snr_db) for count in uses.values())
    reliable = [index for index in possible if index <= fastest] or possible[:1]
    sufficient = (index for index in reliable if all(payload_bits(uses[name], index) >= bits[name] for name in uses))
    return next(sufficient, reliable[-1])


def _filled_uses(stream: str, uses: int, reals: int) -> int:
    """Return how many of the available channel uses a stream fills."""
    if stream == "analog":
        once = reals // 2
        return uses if uses < once else uses // once * once
    if stream == "class":
        return uses if uses >= class_uses() else 0
    fits = stream in _ADAPTIVE and uses > 0 and payload_bits(uses, len(link_adaptation.adaptive().schemes) - 1) > 0
    return uses * fits
