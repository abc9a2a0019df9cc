"""Transmitter: image and text to features, features to symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Complex, Float, UInt8
from torch import Tensor

from channels import modem
from channels.arguments import one_of
from channels.errors import UsageError
from channels.modem import scheme_header
from channels.modem.interleaver import interleaver
from channels.rng import Rng
from semcom.system import Payload, Sample, Transmitter, uses_for
from semcom.systems.multimodal_generation.agreement import (
    CLASS_BITS,
    Agreement,
    Allocation,
    choose_scheme,
    payload_bits,
    scheme,
)
from semcom.systems.multimodal_generation.networks.clip import Clip
from semcom.systems.multimodal_generation.networks.features import ImageFeatures, resized
from semcom.systems.multimodal_generation.streams import captions, quantizer
from semcom.systems.multimodal_generation.streams.analog import repeat_to_fill
from semcom.systems.multimodal_generation.words import CLASSES, sentence

Description = Literal["caption", "words"]


@dataclass(frozen=True)
class _AdaptiveStream:
    """Content of a stream whose scheme is chosen for the SNR.

    Args:
        bits: number of bits of the whole content.
        to_bits: function that writes the content as a payload of a given number of bits.
    """

    bits: int
    to_bits: Callable[[int], UInt8[Tensor, " size"]]


class GenerationTransmitter(Transmitter):
    """Sends CNN features of an image and CLIP features of a text about it.

    Args:
        clip: CLIP, for the text features, for words about an image without a caption, and for its class.
        features: network of the image features.
        agreement: configuration shared with the receiver.
        description: text that is sent: "caption", the sample's, if it has one; "words", those closest to the image.
    """

    def __init__(self, clip: Clip, features: ImageFeatures, agreement: Agreement, description: Description) -> None:
        one_of("description", description, get_args(Description))
        self.clip, self.features, self.agreement, self.description = clip, features, agreement, description

    @torch.no_grad()
    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        allocation = self.agreement.allocate(sample.size)
        images = resized(sample.images.float())
        # Row by row: another order of summation may change a quantized number, and rows must not depend on the batch.
        texts = [self._text(sample, row, images[row : row + 1]) for row in range(len(images))]
        rows = [
            self._row(images[row : row + 1], texts[row], self._class(sample, row, images), snr, allocation)
            for row, snr in enumerate(snr_db.tolist())
        ]
        symbols = images.new_zeros(len(rows), uses_for(self.agreement.cbr, sample.size), dtype=torch.complex64)
        symbols[:, interleaver(allocation.total).to(images.device)] = torch.stack(rows)
        uses = torch.full((len(rows),), allocation.total)
        digital_uses = torch.full_like(uses, self.agreement.digital_uses(allocation))
        lengths = {"header": allocation.header, "image stream": allocation.image, "text stream": allocation.text}
        parts = {name: torch.full_like(uses, length) for name, length in lengths.items()}
        descriptions = [self.clip.cut(text) for text in texts]
        return Payload(symbols, uses, digital_uses, truth={"description": descriptions}, parts=parts)

    def _text(self, sample: Sample, row: int, image: Tensor) -> str:
        if self.agreement.text_stream in ("class", "none"):
            return ""
        if self.description == "caption" and sample.captions is not None:
            return sentence(sample.captions[row])
        return self.clip.best_words(image)[0]

    def _class(self, sample: Sample, row: int, images: Tensor) -> int:
        """Return the image's class, or the class that CLIP predicts if the sample has none."""
        if self.agreement.text_stream != "class":
            return 0
        if sample.categories is None:
            names = self.clip.text_features([sentence(name) for name in CLASSES])
            return int((names @ self.clip.image_features(images[row : row + 1])[0]).argmax())
        category = int(sample.categories[row])
        if not 0 <= category < len(CLASSES):
            raise UsageError(
                f"text_stream: class requires class numbers 0 to {len(CLASSES) - 1}, not {category}; "
                "use the images of imagenette"
            )
        return category

    def _row(
        self, image: Tensor, text: str, category: int, snr_db: float, allocation: Allocation
    ) -> Complex[Tensor, " uses"]:
        """Return header, image stream and text stream of one image."""
        agreement, device = self.agreement, image.device
        uses = {"image": allocation.image, "text": allocation.text}
        parts: dict[str, Tensor] = {}
        adaptive: dict[str, _AdaptiveStream] = {}
        for name, stream in (("image", agreement.image_stream), ("text", agreement.text_stream)):
            if stream in ("analog", "digital"):
                values = self._features(name, image, text)
                if stream == "digital":
                    adaptive[name] = _quantized(values[0])
                elif uses[name]:
                    parts[name] = repeat_to_fill(values, uses[name])
        if agreement.text_stream == "caption":
            adaptive["text"] = self._caption(text)
        elif agreement.text_stream == "class" and allocation.text:
            bits = torch.tensor([category >> place & 1 for place in reversed(range(CLASS_BITS))], dtype=torch.uint8)
            parts["text"] = modem.encode(bits[None].to(device), scheme(0), allocation.text)
        header = torch.zeros(1, 0, dtype=torch.complex64, device=device)
        if adaptive_uses := agreement.adaptive_uses(allocation):
            index = choose_scheme({name: adaptive[name].bits for name in adaptive_uses}, adaptive_uses, snr_db)
            header = scheme_header.encode(torch.tensor([index], device=device))
            for name in adaptive_uses:
                payload = adaptive[name].to_bits(payload_bits(uses[name], index))
                parts[name] = modem.encode(payload[None].to(device), scheme(index), uses[name])
        ordered = [header, *(parts[name] for name in ("image", "text") if uses[name])]
        return torch.cat(ordered, 1)[0]

    def _features(self, name: str, image: Tensor, text: str) -> Float[Tensor, "1 reals"]:
        """Return the features of a stream, of unit mean square."""
        if name == "image":
            return self.features(image).float()
        return self.clip.text_features([text]) * self.agreement.text_reals**0.5

    def _caption(self, text: str) -> _AdaptiveStream:
        tokens, bits = captions.caption_tokens(self.clip, text), self.agreement.token_bits
        return _AdaptiveStream(len(tokens) * bits, lambda size: captions.to_bits(tokens, bits, size))


def _quantized(values: Float[Tensor, " reals"]) -> _AdaptiveStream:
    return _AdaptiveStream(quantizer.MAX_BITS * len(values), lambda size: quantizer.to_bits(values, size))
