"""Receiver: symbols to features, features to candidates, and selection of one candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor
from torch.nn import functional

from channels import modem
from channels.arguments import one_of
from channels.base import Received
from channels.modem import link_adaptation, scheme_header
from channels.modem.interleaver import interleaver
from channels.rng import Rng
from semcom.system import Receiver, Reception
from semcom.systems.multimodal_generation.agreement import CLASS_BITS, Agreement, payload_bits, scheme
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.networks.candidate_generator import CandidateGenerator
from semcom.systems.multimodal_generation.networks.clip import Clip
from semcom.systems.multimodal_generation.networks.features import ImageFeatures, resized
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures
from semcom.systems.multimodal_generation.selection import (
    CandidateErrors,
    Criterion,
    ExtractedFeatures,
    Selection,
    image_errors,
    select,
    text_errors,
)
from semcom.systems.multimodal_generation.streams import captions, quantizer
from semcom.systems.multimodal_generation.streams.analog import combine_repeats
from semcom.systems.multimodal_generation.words import CLASSES, sentence

_BATCH = 64  # images of several rows that are generated together; those of one row always are


@dataclass(frozen=True)
class _ReceivedStream:
    """Received content of a stream.

    Args:
        features: received features.
        failed: bool [rows], the block could not be decoded or the stream did not fit; None if that cannot be known.
        coded: whether a code block of each row was sent.
    """

    features: NoisyFeatures
    failed: Bool[Tensor, " rows"] | None = None
    coded: bool = False


class GenerationReceiver(Receiver):
    """Generates candidates from received features and selects the one whose own features are closest to them.

    Args:
        clip: CLIP, for the text error of candidates.
        features: network of the image features, for the image error of candidates.
        autoencoder: decoder of the coarse image for the structural part of the image error; None excludes it.
        generator: generator of candidates.
        agreement: configuration shared with the transmitter.
        criterion: score of candidates.
        selection: selection rule, "best", "first" or "random".
        candidates: number of candidates per image.
        steps: number of diffusion steps.
    """

    def __init__(
        self,
        clip: Clip,
        features: ImageFeatures,
        autoencoder: Autoencoder | None,
        generator: CandidateGenerator,
        agreement: Agreement,
        criterion: Criterion,
        selection: Selection,
        candidates: int,
        steps: int,
    ) -> None:
        one_of("selection", selection, get_args(Selection))
        self.clip, self.features, self.autoencoder = clip, features, autoencoder
        self.generator, self.agreement = generator, agreement
        self.criterion, self.selection, self.candidates, self.steps = criterion, selection, candidates, steps

    @torch.no_grad()
    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        image, text = self._streams(received, size)
        failed = [stream.failed for stream in (image, text) if stream.failed is not None]
        block_errors = [stream.failed for stream in (image, text) if stream.failed is not None and stream.coded]
        rows = max(1, _BATCH // self.candidates)
        parts = [
            self._candidates(image.features[part], text.features[part], rng[part], size)
            for part in (slice(first, first + rows) for first in range(0, len(rng), rows))
        ]
        candidates, errors_of_image, errors_of_text = (torch.cat(part) for part in zip(*parts, strict=True))
        scores = self.criterion.scores(errors_of_image, errors_of_text)
        chosen = select(scores, self.selection, rng)
        uses = received.uses
        return Reception(
            images=candidates[torch.arange(len(rng), device=chosen.device), chosen],
            counted_uses=uses,
            outage=torch.stack(failed).all(0) if failed and len(failed) == self._stream_count() else None,
            blocks=torch.full_like(uses, len(block_errors)) if block_errors else None,
            block_errors=torch.stack(block_errors).sum(0) if block_errors else None,
            candidates=candidates,
            scores=scores,
            chosen=chosen,
            details=CandidateErrors(errors_of_image, errors_of_text),
        )

    def received_features(self, received: Received, size: tuple[int, int]) -> tuple[NoisyFeatures, NoisyFeatures]:
        """Return the received image features and text features, with the noise variance of each.

        Args:
            received: received symbols [rows, uses].
            size: height and width of the images in pixels.
        """
        image, text = self._streams(received, size)
        return image.features, text.features

    def _stream_count(self) -> int:
        return (self.agreement.image_stream != "none") + (self.agreement.text_stream != "none")

    def _candidates(
        self, image: NoisyFeatures, text: NoisyFeatures, rng: Rng, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return candidates resized to `size`, their image errors and their text errors."""
        generated = self.generator.generate(image, text, rng, self.candidates, self.steps)
        errors_of_image, errors_of_text = [], []
        for row, images in enumerate(generated):
            small = resized(images)
            received = ExtractedFeatures.from_received(self.features, self.autoencoder, image[row : row + 1])
            errors_of_image.append(image_errors(ExtractedFeatures.from_images(self.features, small), received))
            errors_of_text.append(text_errors(self.clip.image_features(small), text[row : row + 1]))
        shown = generated
        if generated.shape[-2:] != size:
            shown = functional.interpolate(generated.flatten(0, 1), size, mode="bicubic", antialias=True)
            shown = shown.clamp(0, 1).unflatten(0, generated.shape[:2])
        return shown, torch.stack(errors_of_image), torch.stack(errors_of_text)

    def _streams(self, received: Received, size: tuple[int, int]) -> tuple[_ReceivedStream, _ReceivedStream]:
        """Return the received image stream and text stream."""
        agreement, allocation = self.agreement, self.agreement.allocate(size)
        symbols, noise_var = received.ordered(torch.arange(len(received.uses)), interleaver(allocation.total))
        parts = symbols.split((allocation.header, allocation.image, allocation.text), 1)
        noise_vars = noise_var.split((allocation.header, allocation.image, allocation.text), 1)
        indices = torch.zeros_like(received.uses)
        if allocation.header:
            indices = scheme_header.decode(parts[0], noise_vars[0], len(link_adaptation.adaptive().schemes))
        image = self._stream(agreement.image_stream, parts[1], noise_vars[1], indices, agreement.image_reals)
        return image, self._stream(agreement.text_stream, parts[2], noise_vars[2], indices, agreement.text_reals)

    def _stream(
        self, stream: str, symbols: Tensor, noise_var: Tensor, indices: Int[Tensor, " rows"], reals: int
    ) -> _ReceivedStream:
        (rows, uses), device = symbols.shape, symbols.device
        features = NoisyFeatures.missing(rows, reals, device)
        failed = torch.ones(rows, dtype=torch.bool, device=device)
        if stream == "none":
            return _ReceivedStream(features)
        if not uses:
            return _ReceivedStream(features, failed)
        if stream == "analog":
            return _ReceivedStream(combine_repeats(symbols, noise_var, reals))
        for index in indices.unique().tolist():
            bits = CLASS_BITS if stream == "class" else payload_bits(uses, index)
            if not bits:
                continue  # only a header decoded with errors has such an index
            part = (indices == index).nonzero().flatten()
            decoded = modem.decode(symbols[part], noise_var[part], scheme(index), bits)
            good = part[decoded.ok]
            if len(good):
                content = self._content(stream, decoded.bits[decoded.ok], reals)
                features.values[good], features.noise_var[good] = content.values, content.noise_var
                failed[good] = False
        return _ReceivedStream(features, failed, coded=True)

    def _content(self, stream: str, payload: UInt8[Tensor, "rows bits"], reals: int) -> NoisyFeatures:
        """Return the features of payloads that were decoded without error."""
        if stream == "digital":
            return quantizer.from_bits(payload, reals)
        if stream == "caption":
            values = captions.caption_features(self.clip, payload, self.agreement.token_bits)
        else:
            numbers = modem.bits_to_integers(payload).tolist()
            names = [sentence(CLASSES[number]) if number < len(CLASSES) else "" for number in numbers]
            values = torch.cat([self.clip.text_features([name]) for name in names])
        return NoisyFeatures.exact(values * reals**0.5)
