"""The interface of a system: what the implementation of a paper provides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Complex, Float, Int, Shaped, UInt8
from torch import Tensor, nn

from channels.base import Channel, Received
from channels.errors import UsageError
from channels.rng import Rng
from semcom.devices import place


@dataclass(frozen=True)
class Sample:
    """Images to transmit and the data that belongs to them; one row per image.

    Args:
        images: float32 [rows, 3, h, w], RGB in [0, 1].
        message: uint8 [rows, bits] of 0 and 1, a message to transmit with the image, or None.
        captions: one sentence per row, or None.
        labels: int64 [rows, h, w], class of each pixel, or None.
        categories: int64 [rows], class of each whole image, or None.
        names: name of each image, for tables and titles.

    Raises:
        UsageError: an argument has another number of rows than `images`.
    """

    images: Float[Tensor, "rows 3 h w"]
    message: UInt8[Tensor, "rows bits"] | None = None
    captions: tuple[str, ...] | None = None
    labels: Int[Tensor, "rows h w"] | None = None
    categories: Int[Tensor, " rows"] | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("message", "captions", "labels", "categories"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.images):
                raise UsageError(f"{name} must have {len(self.images)} rows, one per image, not {len(given)}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, known to transmitter and receiver."""
        return self.images.shape[-2], self.images.shape[-1]


@dataclass(frozen=True)
class Payload:
    """Output of a transmitter.

    `truth` holds values that metrics compare the reception with; the receiver never sees them. Keys in use:

    ============  =====================================  =====================================  =====================
    key           value                                  set by                                 read by
    ============  =====================================  =====================================  =====================
    message       uint8 [rows, bits] of 0 and 1          carrier_image, multiplexed_message     message_ber,
                                                                                                message_success_rate,
                                                                                                message_bits
    bits          uint8 [rows, bits] of 0 and 1, padded  digital                                ber, the metrics of
                  with 2; before channel coding                                                 scene
    sent_bits     int64 [rows], before channel coding    scene                                  the metrics of scene
    labels        int64 [rows, h, w], transmitted map    scene                                  semcom app
    map_bytes     int64 [rows], bytes of the coded map   scene                                  semcom app
    downsampling  int64 [rows], factor of the coded map  scene                                  semcom app
    description   list of sentences, one per row         multimodal_generation                  semcom send,
                                                                                                semcom app
    scheme        list of modulations and code rates,    digital, scene, hybrid                 semcom app
                  one per row
    ============  =====================================  =====================================  =====================

    The first dimension of a tensor and the length of a list or tuple are rows: the link repeats them for the users of a
    broadcast.

    Args:
        symbols: complex64 [rows, uses]; zero after the last channel use of a row.
        uses: int64 [rows], channel uses of each row: data, headers, masks, lengths, CRC.
        digital_uses: int64 [rows], how many of these uses are points of a unit-energy constellation. The other symbols
            are analog and normalized so that the mean energy of the row is 1.
        truth: values by key, as in the table.
        parts: number of channel uses [rows] of each part of a row, such as header, data and parity, in the order of
            transmission; coded bits count in shares of a symbol. They add up to `uses`. Empty: one part.
        bits_per_symbol: int64 [rows, uses], constellation of each channel use, 0 for an analog symbol, for channels
            whose receiver decides on symbols (`Channel.with_constellation`). None: no use has a known constellation.
    """

    symbols: Complex[Tensor, "rows uses"]
    uses: Int[Tensor, " rows"]
    digital_uses: Int[Tensor, " rows"]
    truth: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Shaped[Tensor, " rows"]] = field(default_factory=dict)
    bits_per_symbol: Int[Tensor, "rows uses"] | None = None


@dataclass(frozen=True)
class Reception:
    """Output of a receiver.

    Args:
        images: float32 [rows, 3, h, w] in [0, 1].
        counted_uses: int64 [rows], counted channel uses: those sent, without repetitions that were not needed.
        outage: bool [rows], whether decoding failed; None if the receiver cannot detect it.
        blocks: int64 [rows], number of code blocks; None for a system without code blocks.
        block_errors: int64 [rows], number of code blocks whose CRC failed; None for a system without code blocks.
        bits: uint8 [rows, bits], hard decision of each transmitted bit, whether its CRC holds or not, padded with 2;
            compared with `truth["bits"]`. None for a system that transmits no bits.
        message: uint8 [rows, bits], recovered message; None for a system without one.
        labels: int64 [rows, h, w], recovered class of each pixel; None for a system without labels.
        candidates: float32 [rows, candidates, 3, h, w], images among which the receiver selected; None for a
            system without candidates.
        scores: float32 [rows, candidates], score of each candidate; the lowest is selected.
        chosen: int64 [rows], index of the selected candidate.
        details: results for the system's own metrics and tools, of a type that the system defines, or None.
    """

    images: Float[Tensor, "rows 3 h w"]
    counted_uses: Int[Tensor, " rows"]
    outage: Bool[Tensor, " rows"] | None = None
    blocks: Int[Tensor, " rows"] | None = None
    block_errors: Int[Tensor, " rows"] | None = None
    bits: UInt8[Tensor, "rows sent_bits"] | None = None
    message: UInt8[Tensor, "rows bits"] | None = None
    labels: Int[Tensor, "rows h w"] | None = None
    candidates: Float[Tensor, "rows candidates 3 h w"] | None = None
    scores: Float[Tensor, "rows candidates"] | None = None
    chosen: Int[Tensor, " rows"] | None = None
    details: object = None


class Transmitter(ABC):
    """Maps images to symbols, each row independently of the other rows.

    All tensors that it is given are on the device of the images. The link moves its results there.

    Attributes:
        only_size: height and width of the images in pixels, if the transmitter supports one size only; otherwise None.
    """

    only_size: tuple[int, int] | None = None

    @abstractmethod
    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        """Encode each row within its channel-use budget.

        Args:
            sample: images and the data that belongs to them.
            snr_db: float32 [rows], SNR that the transmitter knows, dB: the average SNR, or that of `Channel.csit`.
            rng: random numbers, one stream per row.
        """

    def for_channel(self, channel: Channel) -> Transmitter:
        """Transmitter that knows the statistics of its channel, not the realization; the same one if it ignores them.

        Args:
            channel: channel of the link; of several superposed users, that of one of them, see `superposed_user`.
        """
        return self


class Receiver(ABC):
    """Maps received symbols to images, from the received symbols and the shared configuration alone.

    All tensors that it is given are on one device, that of the images. The link moves its results there.
    """

    @abstractmethod
    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        """Decode each row.

        Args:
            received: received symbols [rows, uses]; [batch, users, uses] with the mixture for `joint_users`.
            size: height and width of the images in pixels.
            rng: random numbers, one stream per row.
        """


@dataclass(frozen=True)
class System:
    """A published method of image transmission.

    Args:
        name: name in scenarios.
        paper: citation of the source.
        transmitter: map from images to symbols.
        receiver: map from received symbols to images.
        agreement: description of the shared configuration, which the receiver knows without transmission.
        joint_users: whether the receiver decodes all users of a medium together.
        repeats: whether the receiver may count fewer channel uses than were sent (repetitions that were not needed).
        weights: names of the trained weights with the first 8 hex digits of their hashes; "" without trained weights.
        cbr: channel bandwidth ratio of the channel-use budget; required over channels with `csit` other than average.
        networks: networks of both ends, which the link moves to the device of the images. A transmitter or receiver
            that is an `nn.Module` itself is moved without being listed.
    """

    name: str
    paper: str
    transmitter: Transmitter
    receiver: Receiver
    agreement: str
    joint_users: bool = False
    repeats: bool = False
    weights: str = ""
    cbr: float | None = None
    networks: tuple[nn.Module, ...] = ()

    def to(self, device: torch.device) -> System:
        """Move the networks of both ends to a device, in place like `nn.Module.to`."""
        for part in (self.transmitter, self.receiver, *self.networks):
            if isinstance(part, nn.Module):
                place(part, device)
        return self


@dataclass(frozen=True)
class Bound(ABC):
    """A theoretical limit: it transmits nothing, is plotted as a dashed line and is never ranked.

    Args:
        name: name in scenarios.
        paper: citation of the source.
    """

    name: str
    paper: str

    @abstractmethod
    def best_reception(
        self, sample: Sample, snr_db: Float[Tensor, "batch users"], channel: Channel, rng: Rng
    ) -> tuple[Int[Tensor, " rows"], Reception]:
        """Return the channel uses that the limit assumes and the best possible reception; rows = batch * users."""


def uses_for(cbr: float, size: tuple[int, int]) -> int:
    """Channel-use budget of an image at a channel bandwidth ratio (CBR): floor(cbr * 3 h w).

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        size: height and width in pixels.

    >>> uses_for(1 / 16, (512, 768))
    73728
    """
    height, width = size
    return int(cbr * 3 * height * width + 1e-6)  # a ratio computed from a number of uses yields that number
