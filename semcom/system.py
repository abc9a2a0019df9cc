"""What a paper provides: a transmitter, a receiver, and what the two agreed on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Bool, Complex, Float, Int, UInt8
from torch import Tensor

from channels._base import Channel, Received
from channels._errors import UsageError
from channels._rng import Rng


@dataclass(frozen=True)
class Sample:
    """What is to be sent, one row a picture.

    Args:
        images: float32 [rows, 3, h, w], RGB in [0, 1].
        message: uint8 [rows, bits] of zeros and ones that travel beside or inside the picture, or None.
        captions: one sentence a row, or None.
        labels: int64 [rows, h, w], class of each pixel, or None.
        categories: int64 [rows], class of each whole picture, or None.
        names: what each picture is called, for tables and titles.

    Raises:
        UsageError: something is given of more pictures, or fewer.
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
                raise UsageError(f"{name} must have one for each of {len(self.images)} pictures, not {len(given)}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, which transmitter and receiver agree on."""
        return self.images.shape[-2], self.images.shape[-1]


@dataclass(frozen=True)
class Payload:
    """What a transmitter puts on the air.

    Args:
        symbols: complex64 [rows, uses]; zero past a row's uses.
        uses: int64 [rows], channel uses of each row: data, headers, masks, lengths, CRC.
        digital_uses: int64 [rows], how many of them are points of a unit-energy constellation. The others are analogue
            and normalised: their mean energy makes the row's mean one.
        truth: what only metrics may know, under the names that they ask for.
    """

    symbols: Complex[Tensor, "rows uses"]
    uses: Int[Tensor, " rows"]
    digital_uses: Int[Tensor, " rows"]
    truth: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reception:
    """What a receiver makes of what it heard.

    Args:
        images: float32 [rows, 3, h, w] in [0, 1].
        uses_charged: int64 [rows], channel uses that were needed (fewer than sent when repeats were not).
        outage: bool [rows], the receiver knows that it could not decode; None when it cannot know.
        blocks: int64 [rows], code blocks sent, and `block_errors` of them failed their CRC; None without code blocks.
        bits: uint8 [rows, bits], what each bit sent was taken for, CRC met or not, and 2 past a row's bits; to compare
            with the transmitter's `truth["bits"]`. None for a system that sends no bits.
        message: uint8 [rows, bits], the recovered message; None when there is none.
        labels: int64 [rows, h, w], the recovered classes; None when there are none.
        candidates: float32 [rows, candidates, 3, h, w], what a receiver that selects had to choose from.
        scores: float32 [rows, candidates], by which it chose; the least is best.
        chosen: int64 [rows], the candidate it kept.
    """

    images: Float[Tensor, "rows 3 h w"]
    uses_charged: Int[Tensor, " rows"]
    outage: Bool[Tensor, " rows"] | None = None
    blocks: Int[Tensor, " rows"] | None = None
    block_errors: Int[Tensor, " rows"] | None = None
    bits: UInt8[Tensor, "rows sent_bits"] | None = None
    message: UInt8[Tensor, "rows bits"] | None = None
    labels: Int[Tensor, "rows h w"] | None = None
    candidates: Float[Tensor, "rows candidates 3 h w"] | None = None
    scores: Float[Tensor, "rows candidates"] | None = None
    chosen: Int[Tensor, " rows"] | None = None


class Transmitter(ABC):
    """Picture to symbols; one picture a row, whoever else uses the channel."""

    @abstractmethod
    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        """Encode each row within its granted uses.

        Args:
            sample: pictures and what travels with them.
            snr_db: float32 [rows], the average SNR: all that a transmitter knows of its channel.
            rng: one stream a row, for transmitters that draw.
        """


class Receiver(ABC):
    """Symbols to picture, from nothing but what crossed the channel and the agreement."""

    @abstractmethod
    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        """Decode each row.

        Args:
            received: folded to [rows, uses]; [batch, users, uses] with its mixture for `joint_users`.
            size: height and width of the pictures.
            rng: one stream a row, for receivers that draw.
        """


@dataclass(frozen=True)
class System:
    """One published way to send pictures.

    Args:
        name: as scenarios write it.
        paper: citation of the source.
        transmitter: picture to symbols.
        receiver: symbols to picture.
        agreement: in words, what the receiver knows without being told over the air.
        joint_users: the receiver decodes all users of a medium together.
        repeats: the receiver may need, and is then charged, fewer uses than were sent.
        weights: names of its trained weights with the first 8 hex digits of their hashes; "" when nothing is trained.
    """

    name: str
    paper: str
    transmitter: Transmitter
    receiver: Receiver
    agreement: str
    joint_users: bool = False
    repeats: bool = False
    weights: str = ""


@dataclass(frozen=True)
class Bound(ABC):
    """A limit that no system passes: exempt from the air, drawn dashed, never ranked.

    Args:
        name: as scenarios write it.
        paper: citation of the source.
    """

    name: str
    paper: str

    @abstractmethod
    def reach(
        self, sample: Sample, snr_db: Float[Tensor, "batch users"], channel: Channel, rng: Rng
    ) -> tuple[Int[Tensor, " rows"], Reception]:
        """Return the uses that the limit stands for and what it delivers; rows = batch * users."""


def uses_for(cbr: float, size: tuple[int, int]) -> int:
    """Channel uses that a channel bandwidth ratio grants a picture: floor(cbr * 3 h w).

    Args:
        cbr: complex channel uses per real number of the picture.
        size: height and width in pixels.

    >>> uses_for(1 / 16, (512, 768))
    73728
    """
    height, width = size
    return int(cbr * 3 * height * width + 1e-6)  # a ratio that was itself computed from uses must give them back
