"""Picture and sentence to features, features to symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Complex, Float, UInt8
from torch import Tensor

from channels import modem
from channels._errors import UsageError
from channels._rng import Rng
from semcom.system import Payload, Sample, Transmitter, uses_for
from semcom.systems._interleaver import interleaver
from semcom.systems.digital import header
from semcom.systems.multimodal_generation import captions, quantiser, wire
from semcom.systems.multimodal_generation.choices import one_of
from semcom.systems.multimodal_generation.clip import Clip
from semcom.systems.multimodal_generation.features import ImageFeatures, fitted
from semcom.systems.multimodal_generation.wire import CLASS_BITS, Share, Wire
from semcom.systems.multimodal_generation.words import CLASSES, sentence

Description = Literal["caption", "words"]


@dataclass(frozen=True)
class _Coded:
    """What a protected stream would like to say, in bits, and what it says in a payload of so many."""

    wanted: int
    to_bits: Callable[[int], UInt8[Tensor, " room"]]


class GenerationTransmitter(Transmitter):
    """Sends what a convolutional network sees in a picture and what CLIP understands of a sentence about it.

    Args:
        clip: of the text features; it finds words for a picture that nobody described, and its class.
        features: of the picture.
        agreement: what both ends know.
        description: "caption" is the sample's, where it has any; "words" are the nearest to the picture.
    """

    def __init__(self, clip: Clip, features: ImageFeatures, agreement: Wire, description: Description) -> None:
        one_of("description", description, get_args(Description))
        self.clip, self.features, self.agreement, self.description = clip, features, agreement, description

    @torch.no_grad()
    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        share = self.agreement.share(sample.size)
        images = fitted(sample.images.float())
        # Row by row: sums in another order may tip a quantised number, and a batch must not change what a row sends.
        texts = [self._text(sample, row, images[row : row + 1]) for row in range(len(images))]
        rows = [
            self._row(images[row : row + 1], texts[row], self._class(sample, row, images), snr, share)
            for row, snr in enumerate(snr_db.tolist())
        ]
        symbols = torch.zeros(len(rows), uses_for(self.agreement.cbr, sample.size), dtype=torch.complex64)
        symbols[:, interleaver(share.total)] = torch.stack(rows).cpu()
        uses = torch.full((len(rows),), share.total)
        digital_uses = torch.full_like(uses, self.agreement.digital_uses(share))
        return Payload(symbols, uses, digital_uses, truth={"description": texts})

    def _text(self, sample: Sample, row: int, image: Tensor) -> str:
        if self.agreement.text in ("class", "none"):
            return ""
        if self.description == "caption" and sample.captions is not None:
            return sentence(sample.captions[row])
        return self.clip.best_words(image)[0]

    def _class(self, sample: Sample, row: int, images: Tensor) -> int:
        """The picture's class, or the one that CLIP takes it for."""
        if self.agreement.text != "class":
            return 0
        if sample.categories is None:
            names = self.clip.text_features([sentence(name) for name in CLASSES])
            return int((names @ self.clip.image_features(images[row : row + 1])[0]).argmax())
        category = int(sample.categories[row])
        if not 0 <= category < len(CLASSES):
            raise UsageError(f"text_stream: class numbers 0 to {len(CLASSES) - 1}, not {category}: take imagenette")
        return category

    def _row(self, image: Tensor, text: str, category: int, snr_db: float, share: Share) -> Complex[Tensor, " uses"]:
        """Header, image stream and text stream of a picture."""
        agreement, uses = self.agreement, {"image": share.image, "text": share.text}
        parts: dict[str, Tensor] = {}
        coded: dict[str, _Coded] = {}
        for name, stream in (("image", agreement.image), ("text", agreement.text)):
            if stream in ("analogue", "digital"):
                values = self._values(name, image, text)
                if stream == "digital":
                    coded[name] = _numbers(values[0])
                elif uses[name]:
                    parts[name] = wire.to_air(values, uses[name])
        if agreement.text == "caption":
            coded["text"] = self._caption(text)
        elif agreement.text == "class" and share.text:
            bits = torch.tensor([category >> place & 1 for place in reversed(range(CLASS_BITS))], dtype=torch.uint8)
            parts["text"] = modem.encode(bits[None], wire.scheme(0), share.text)
        heading = torch.zeros(1, 0, dtype=torch.complex64)
        if adaptive := agreement.adaptive(share):
            index = wire.choose({name: coded[name].wanted for name in adaptive}, adaptive, snr_db)
            heading = header.encode(torch.tensor([index]))
            for name in adaptive:
                payload = coded[name].to_bits(wire.room(uses[name], index))
                parts[name] = modem.encode(payload[None], wire.scheme(index), uses[name])
        ordered = [heading, *(parts[name].cpu() for name in ("image", "text") if uses[name])]
        return torch.cat(ordered, 1)[0]

    def _values(self, name: str, image: Tensor, text: str) -> Float[Tensor, "1 reals"]:
        """The features of a stream, of unit mean square."""
        if name == "image":
            return self.features(image).float()
        return self.clip.text_features([text]) * self.agreement.text_reals**0.5

    def _caption(self, text: str) -> _Coded:
        tokens, bits = captions.tokens_of(self.clip, text), self.agreement.token_bits
        return _Coded(len(tokens) * bits, lambda room: captions.to_bits(tokens, bits, room))


def _numbers(values: Float[Tensor, " reals"]) -> _Coded:
    return _Coded(quantiser.MOST_BITS * len(values), lambda room: quantiser.to_bits(values, room))
