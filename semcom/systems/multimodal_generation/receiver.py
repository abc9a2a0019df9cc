"""Symbols to features, features to candidates, and of these the one whose own features come nearest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from channels import modem
from channels._base import Received
from channels._rng import Rng
from semcom.system import Receiver
from semcom.systems._interleaver import interleaver
from semcom.systems.digital import header, schemes
from semcom.systems.multimodal_generation import captions, quantiser, wire
from semcom.systems.multimodal_generation.clip import Clip
from semcom.systems.multimodal_generation.features import ImageFeatures
from semcom.systems.multimodal_generation.networks import Draws
from semcom.systems.multimodal_generation.selection import (
    Criterion,
    Generated,
    Keep,
    image_errors,
    kept,
    text_errors,
)
from semcom.systems.multimodal_generation.transmitter import fitted
from semcom.systems.multimodal_generation.wire import CLASS_BITS, Wire
from semcom.systems.multimodal_generation.words import CLASSES, sentence

_AT_ONCE = 64  # pictures that are generated together, which bounds the memory


@dataclass
class _Heard:
    """What came in of one stream: numbers, the variance of the noise on each, and which code blocks failed."""

    values: Float[Tensor, "rows reals"]
    noise: Float[Tensor, "rows reals"]
    failed: Bool[Tensor, " rows"] | None = None  # None of a stream that is not coded


class GenerationReceiver(Receiver):
    """Draws candidates from what came in and keeps the one that, seen by the same networks, tells the same.

    Args:
        clip, features: see what a candidate tells.
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
        draws: Draws,
        agreement: Wire,
        criterion: Criterion,
        keep: Keep,
        candidates: int,
        steps: int,
    ) -> None:
        self.clip, self.features, self.draws, self.agreement = clip, features, draws, agreement
        self.criterion, self.keep, self.candidates, self.steps = criterion, keep, candidates, steps

    @torch.no_grad()
    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Generated:
        image, text = self._listen(received, size)
        failed = [stream.failed for stream in (image, text) if stream.failed is not None]
        rows = max(1, _AT_ONCE // self.candidates)
        parts = [
            self._generated(image, text, rng, slice(first, first + rows), size) for first in range(0, len(rng), rows)
        ]
        candidates, of_image, of_text = (torch.cat(part) for part in zip(*parts, strict=True))
        scores = self.criterion.scores(of_image, of_text)
        chosen = kept(scores, self.keep, rng)
        uses = received.uses.cpu()
        return Generated(
            images=candidates[torch.arange(len(rng)), chosen],
            uses_charged=uses,
            outage=torch.stack(failed).all(0) if failed and len(failed) == self._streams() else None,
            blocks=torch.full_like(uses, len(failed)) if failed else None,
            block_errors=torch.stack(failed).sum(0) if failed else None,
            candidates=candidates,
            scores=scores,
            chosen=chosen,
            image_errors=of_image,
            text_errors=of_text,
        )

    def _streams(self) -> int:
        return (self.agreement.image != "none") + (self.agreement.text != "none")

    def _generated(
        self, image: _Heard, text: _Heard, rng: Rng, part: slice, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Candidates of some rows in the pictures' size, and both errors of each."""
        heard = image.values[part], image.noise[part], text.values[part], text.noise[part]
        drawn = self.draws.generate(*heard, rng[part], self.candidates, self.steps).cpu()
        seen = [fitted(pictures) for pictures in drawn]
        of_image = [image_errors(self.features(seen[row]), heard[0][row], heard[1][row]) for row in range(len(drawn))]
        of_text = [
            text_errors(self.clip.image_features(seen[row]), heard[2][row], heard[3][row]) for row in range(len(drawn))
        ]
        shown = drawn
        if drawn.shape[-2:] != size:
            shown = functional.interpolate(drawn.flatten(0, 1), size, mode="bicubic", antialias=True)
            shown = shown.clamp(0, 1).unflatten(0, drawn.shape[:2])
        return shown, torch.stack(of_image), torch.stack(of_text)

    def _listen(self, received: Received, size: tuple[int, int]) -> tuple[_Heard, _Heard]:
        """Both streams."""
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
    ) -> _Heard:
        """Numbers of a stream; those that never came in are zeros with infinite noise."""
        rows, uses = symbols.shape
        if stream == "analogue":
            return _Heard(*wire.from_air(symbols, noise_var, reals))
        heard = _Heard(torch.zeros(rows, reals), torch.full((rows, reals), torch.inf))
        if not uses:
            return heard
        heard.failed = torch.ones(rows, dtype=torch.bool)
        for index in indices.unique().tolist():
            room = CLASS_BITS if stream == "class" else wire.room(uses, index)
            if not room:
                continue  # only a misread header says so
            part = (indices == index).nonzero().flatten()
            found = modem.decode(symbols[part], noise_var[part], wire.scheme(index), room)
            good = part[found.ok]
            if len(good):
                heard.values[good], heard.noise[good] = self._told(stream, found.bits[found.ok], reals)
                heard.failed[good] = False
        return heard

    def _told(self, stream: str, payload: UInt8[Tensor, "rows room"], reals: int) -> tuple[Tensor, Tensor]:
        """Numbers of payloads that arrived, and the variance of what noise is on each."""
        if stream == "digital":
            return quantiser.from_bits(payload, reals)
        if stream == "caption":
            found = captions.features_of(self.clip, payload, self.agreement.token_bits)
        else:
            numbers = (payload.long() << torch.arange(CLASS_BITS - 1, -1, -1)).sum(1).tolist()
            names = [sentence(CLASSES[number]) if number < len(CLASSES) else "" for number in numbers]
            found = torch.cat([self.clip.text_features([name]) for name in names])
        return found.cpu() * reals**0.5, torch.zeros(len(payload), reals)
