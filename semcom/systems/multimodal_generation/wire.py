"""What the ends agree on: how granted uses are divided between the streams, and how each fills its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels import modem
from channels._errors import UsageError
from channels.modem import Mcs
from semcom.system import uses_for
from semcom.systems.digital import header, schemes
from semcom.systems.multimodal_generation.air import Heard, from_symbols, to_symbols
from semcom.systems.multimodal_generation.choices import one_of

ImageStream = Literal["analogue", "digital", "none"]
TextStream = Literal["analogue", "digital", "caption", "class", "none"]

CLASS_BITS = 4
_ADAPTIVE = ("digital", "caption")  # streams whose scheme is chosen for the SNR, and said in the header


@dataclass(frozen=True)
class Share:
    """Channel uses of header, image stream and text stream, in this order before they are interleaved."""

    header: int
    image: int
    text: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.header + self.image + self.text


@dataclass(frozen=True)
class Wire:
    """How granted uses are divided, and what is in them.

    The streams share the grant in proportion to their numbers, and the coded ones pay for the header unless it takes
    half of what they have. An analogue stream sends its numbers as often as they fit whole, so that its power is one
    without a scale to be sent, and leaves the rest to the text or unused; where they do not fit once it sends the first
    of them, of unit mean square among themselves. A class has the uses that it needs, even if those are more than its
    part, but none beside features if they are more than half of the grant.

    Args:
        cbr: complex channel uses per real number of the picture.
        image, text: how each stream travels.
        image_reals, text_reals: numbers of each, even.
        token_bits: of a token of a caption.
    """

    cbr: float
    image: ImageStream
    text: TextStream
    image_reals: int
    text_reals: int
    token_bits: int

    def __post_init__(self) -> None:
        one_of("image_stream", self.image, get_args(ImageStream))
        one_of("text_stream", self.text, get_args(TextStream))
        if self.image == self.text == "none":
            raise UsageError("image_stream: none and text_stream: none leave nothing to send")
        if self.image_reals % 2 or self.text_reals % 2:
            raise UsageError(
                f"numbers travel two to a use: {self.image_reals} image and {self.text_reals} text features are odd"
            )

    def share(self, size: tuple[int, int]) -> Share:
        """The uses of each part for pictures of a size; 0 for a stream that does not fit."""
        granted = uses_for(self.cbr, size)
        asked = header.USES if {self.image, self.text} & set(_ADAPTIVE) else 0
        rest = max(0, granted - asked)
        numbers = self.image_reals * (self.image != "none"), self.text_reals * (self.text != "none")
        coded = [stream in _ADAPTIVE for stream in (self.image, self.text)]
        of_coded = sum(number for number, pays in zip(numbers, coded, strict=True) if pays)
        if granted * of_coded > 2 * asked * sum(numbers):
            part = granted * numbers[0] // sum(numbers) - asked * coded[0] // max(1, sum(coded))
        else:
            part = rest * numbers[0] // sum(numbers)
        if self.text == "class":
            part = min(part, rest - class_uses()) if rest >= 2 * class_uses() else rest
        image = _filled(self.image, part, self.image_reals)
        text = _filled(self.text, rest - image, self.text_reals)
        if not asked or (coded[0] and image) or (coded[1] and text):
            return Share(asked, image, text)
        if self.image in ("none", *_ADAPTIVE) and self.text in ("none", *_ADAPTIVE):
            return Share(0, 0, 0)
        alone = replace(self, image="none" if coded[0] else self.image, text="none" if coded[1] else self.text)
        return alone.share(size)

    def adaptive(self, share: Share) -> dict[str, int]:
        """Uses of the streams whose scheme the header says."""
        streams = {"image": (self.image, share.image), "text": (self.text, share.text)}
        return {name: uses for name, (stream, uses) in streams.items() if stream in _ADAPTIVE and uses}

    def digital_uses(self, share: Share) -> int:
        """Uses that are points of a constellation."""
        return share.total - share.image * (self.image == "analogue") - share.text * (self.text == "analogue")


def scheme(index: int) -> Mcs:
    """What an index in the header means; 0 is the most robust, of which a class makes use without a header."""
    return schemes.adaptive().schemes[index]


def class_uses() -> int:
    """The least uses that hold a class."""
    return modem.transport_uses(CLASS_BITS, scheme(0))


def room(uses: int, index: int) -> int:
    """Bits of the payload that so many uses hold."""
    return modem.transport_bits(uses, scheme(index))


def choose(wanted: dict[str, int], uses: dict[str, int], snr_db: float) -> int:
    """The most robust scheme that holds what is wanted of every stream, or the fastest that is safe at an SNR.

    Args:
        wanted: bits of each stream.
        uses: of each stream.
        snr_db: Es/N0 in dB.
    """
    possible = [index for index in range(len(schemes.adaptive().schemes)) if all(room(n, index) for n in uses.values())]
    fastest = min(schemes.best(n + header.USES, snr_db) for n in uses.values())
    safe = [index for index in possible if index <= fastest] or possible[:1]
    return next((index for index in safe if all(room(uses[name], index) >= wanted[name] for name in uses)), safe[-1])


def to_air(values: Float[Tensor, "rows reals"], uses: int) -> Complex[Tensor, "rows uses"]:
    """Numbers of unit mean square as symbols of mean energy 1: the first of them, or all of them several times.

    >>> to_air(torch.tensor([[1.0, -1.0, 2.0, 0.0]]), 1).abs().tolist()
    [[1.0]]
    """
    kept = values[:, : 2 * uses].float()
    kept = kept * kept.square().mean(1, keepdim=True).clamp(min=1e-12).rsqrt()
    symbols = to_symbols(kept)
    return symbols.repeat(1, uses // symbols.shape[1])


def from_air(symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"], reals: int) -> Heard:
    """The numbers of a row, of which there are `reals`; repeats are combined.

    Maximum-ratio combining: y = sum(y_i / v_i) / sum(1 / v_i), with a noise of variance 1 / sum(1 / v_i).

    >>> sent = to_air(torch.tensor([[1.0, -1.0]]), 2)
    >>> heard = from_air(sent, torch.tensor([[0.5, 0.5]]), 2)
    >>> heard.values.round(decimals=4).tolist(), heard.noise.tolist()
    ([[1.0, -1.0]], [[0.25, 0.25]])
    """
    uses, once = symbols.shape[1], reals // 2
    if uses >= once:
        weight = torch.where(noise_var > 0, 1 / noise_var.where(noise_var > 0, 1), 0).unflatten(1, (-1, once))
        total = weight.sum(1)
        symbols = (symbols.unflatten(1, (-1, once)) * weight).sum(1) / total.where(total > 0, 1)
        noise_var = torch.where(total > 0, 1 / total.where(total > 0, 1), 0)
    heard = from_symbols(symbols, noise_var, min(reals, 2 * uses))
    missing = Heard.nothing(len(symbols), reals - heard.values.shape[1])
    return Heard(torch.cat([heard.values, missing.values], 1), torch.cat([heard.noise, missing.noise], 1))


def _filled(stream: str, uses: int, reals: int) -> int:
    """Of the uses that are there, those that a stream fills."""
    if stream == "analogue":
        once = reals // 2
        return uses if uses < once else uses // once * once
    if stream == "class":
        return uses if uses >= class_uses() else 0
    fits = stream in _ADAPTIVE and uses > 0 and room(uses, len(schemes.adaptive().schemes) - 1) > 0
    return uses * fits
