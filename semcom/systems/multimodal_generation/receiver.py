"""Symbols to features, features to candidates, and of these the one whose own features come nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor
from torch.nn import functional

from channels import modem
from channels._base import Received
from channels._rng import Rng
from semcom.system import Receiver
from semcom.systems._interleaver import interleaver
from semcom.systems.digital import header, schemes
from semcom.systems.multimodal_generation import captions, quantiser, wire
from semcom.systems.multimodal_generation.air import Heard
from semcom.systems.multimodal_generation.autoencoder import Autoencoder
from semcom.systems.multimodal_generation.choices import one_of
from semcom.systems.multimodal_generation.clip import Clip
from semcom.systems.multimodal_generation.features import ImageFeatures, fitted
from semcom.systems.multimodal_generation.generator import Draws
from semcom.systems.multimodal_generation.selection import (
    Criterion,
    Generated,
    Keep,
    Understood,
    image_errors,
    kept,
    text_errors,
)
from semcom.systems.multimodal_generation.wire import CLASS_BITS, Wire
from semcom.systems.multimodal_generation.words import CLASSES, sentence

_AT_ONCE = 64  # pictures of several rows that are generated together; those of one row always are


@dataclass(frozen=True)
class _Stream:
    """What came in of a stream.

    Args:
        heard: its numbers.
        failed: rows whose block was lost, or all of a stream that its uses do not hold; None where nobody can tell.
        coded: a block of each row was sent.
    """

    heard: Heard
    failed: Bool[Tensor, " rows"] | None = None
    coded: bool = False


class GenerationReceiver(Receiver):
    """Draws candidates from what came in and keeps the one that, seen by the same networks, tells the same.

    Args:
        clip, features, autoencoder: see what a candidate tells; without the last, structure has no say.
        draws: makes candidates.
        agreement: what both ends know.
        criterion: scores candidates.
        keep: which candidate.
        candidates: how many.
        steps: of the diffusion model.
    """

    def __init__(
        self,
        clip: Clip,
        features: ImageFeatures,
        autoencoder: Autoencoder | None,
        draws: Draws,
        agreement: Wire,
        criterion: Criterion,
        keep: Keep,
        candidates: int,
        steps: int,
    ) -> None:
        one_of("keep", keep, get_args(Keep))
        self.clip, self.features, self.autoencoder = clip, features, autoencoder
        self.draws, self.agreement = draws, agreement
        self.criterion, self.keep, self.candidates, self.steps = criterion, keep, candidates, steps

    @torch.no_grad()
    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Generated:
        image, text = self._listen(received, size)
        failed = [stream.failed for stream in (image, text) if stream.failed is not None]
        errors = [stream.failed for stream in (image, text) if stream.failed is not None and stream.coded]
        rows = max(1, _AT_ONCE // self.candidates)
        parts = [
            self._generated(image.heard[part], text.heard[part], rng[part], size)
            for part in (slice(first, first + rows) for first in range(0, len(rng), rows))
        ]
        candidates, of_image, of_text = (torch.cat(part) for part in zip(*parts, strict=True))
        scores = self.criterion.scores(of_image, of_text)
        chosen = kept(scores, self.keep, rng)
        uses = received.uses.cpu()
        return Generated(
            images=candidates[torch.arange(len(rng)), chosen],
            uses_charged=uses,
            outage=torch.stack(failed).all(0) if failed and len(failed) == self._streams() else None,
            blocks=torch.full_like(uses, len(errors)) if errors else None,
            block_errors=torch.stack(errors).sum(0) if errors else None,
            candidates=candidates,
            scores=scores,
            chosen=chosen,
            image_errors=of_image,
            text_errors=of_text,
        )

    def _streams(self) -> int:
        return (self.agreement.image != "none") + (self.agreement.text != "none")

    def _generated(self, image: Heard, text: Heard, rng: Rng, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Candidates in the pictures' size, and both errors of each."""
        drawn = self.draws.generate(image, text, rng, self.candidates, self.steps).cpu()
        of_image, of_text = [], []
        for row, pictures in enumerate(drawn):
            seen = fitted(pictures)
            told = Understood.of_features(self.features, self.autoencoder, image[row : row + 1])
            of_image.append(image_errors(Understood.of_pictures(self.features, seen), told))
            of_text.append(text_errors(self.clip.image_features(seen), text[row : row + 1]))
        shown = drawn
        if drawn.shape[-2:] != size:
            shown = functional.interpolate(drawn.flatten(0, 1), size, mode="bicubic", antialias=True)
            shown = shown.clamp(0, 1).unflatten(0, drawn.shape[:2])
        return shown, torch.stack(of_image), torch.stack(of_text)

    def _listen(self, received: Received, size: tuple[int, int]) -> tuple[_Stream, _Stream]:
        """Image stream and text stream."""
        agreement, share = self.agreement, self.agreement.share(size)
        order = interleaver(share.total)
        symbols, noise_var = received.symbols.cpu()[:, order], received.noise_var.cpu()[:, order]
        parts = symbols.split((share.header, share.image, share.text), 1)
        noises = noise_var.split((share.header, share.image, share.text), 1)
        indices = torch.zeros(len(symbols), dtype=torch.int64)
        if share.header:
            indices = header.decode(parts[0], noises[0], len(schemes.adaptive().schemes))
        image = self._stream(agreement.image, parts[1], noises[1], indices, agreement.image_reals)
        return image, self._stream(agreement.text, parts[2], noises[2], indices, agreement.text_reals)

    def _stream(
        self, stream: str, symbols: Tensor, noise_var: Tensor, indices: Int[Tensor, " rows"], reals: int
    ) -> _Stream:
        rows, uses = symbols.shape
        heard, failed = Heard.nothing(rows, reals), torch.ones(rows, dtype=torch.bool)
        if stream == "none":
            return _Stream(heard)
        if not uses:
            return _Stream(heard, failed)
        if stream == "analogue":
            return _Stream(wire.from_air(symbols, noise_var, reals))
        for index in indices.unique().tolist():
            room = CLASS_BITS if stream == "class" else wire.room(uses, index)
            if not room:
                continue  # only a misread header says so
            part = (indices == index).nonzero().flatten()
            found = modem.decode(symbols[part], noise_var[part], wire.scheme(index), room)
            good = part[found.ok]
            if len(good):
                told = self._told(stream, found.bits[found.ok], reals)
                heard.values[good], heard.noise[good] = told.values, told.noise
                failed[good] = False
        return _Stream(heard, failed, coded=True)

    def _told(self, stream: str, payload: UInt8[Tensor, "rows room"], reals: int) -> Heard:
        """Numbers of payloads that arrived."""
        if stream == "digital":
            return quantiser.from_bits(payload, reals)
        if stream == "caption":
            found = captions.features_of(self.clip, payload, self.agreement.token_bits)
        else:
            numbers = (payload.long() << torch.arange(CLASS_BITS - 1, -1, -1)).sum(1).tolist()
            names = [sentence(CLASSES[number]) if number < len(CLASSES) else "" for number in numbers]
            found = torch.cat([self.clip.text_features([name]) for name in names])
        return Heard(found.cpu() * reals**0.5, torch.zeros(len(payload), reals))
