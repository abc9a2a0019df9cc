"""Sentences as tokens of CLIP's text tower, for the air: the shortest form from which the tower reads the same."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from semcom.systems.multimodal_generation.clip import Clip


def token_bits(clip: Clip) -> int:
    """Bits of a token."""
    return int(clip.model.token_embedding.num_embeddings - 1).bit_length()


def tokens_of(clip: Clip, text: str) -> Int[Tensor, " tokens"]:
    """The tokens of a sentence to its end; the first stands before every sentence and is left out."""
    tokens = clip.tokens([text])[0].cpu()
    return tokens[1 : int(tokens.nonzero().max()) + 1]


def to_bits(tokens: Int[Tensor, " tokens"], bits: int, room: int) -> UInt8[Tensor, " room"]:
    """Tokens as bits that fill a payload; of a sentence too long its last words are lost, not the token that ends it.

    >>> to_bits(torch.tensor([5, 6, 7]), 3, 8).tolist()
    [1, 0, 1, 1, 1, 1, 0, 0]
    """
    fits = room // bits
    sent = tokens if len(tokens) <= fits else torch.cat([tokens[: max(0, fits - 1)], tokens[-1:]])[:fits]
    written = (sent[:, None] >> torch.arange(bits - 1, -1, -1) & 1).flatten().to(torch.uint8)
    return functional.pad(written, (0, room - len(written)))


@torch.no_grad()
def features_of(clip: Clip, payload: UInt8[Tensor, "rows room"], bits: int) -> Float[Tensor, "rows dimension"]:
    """CLIP's features of the sentences in payloads; what no sentence can hold is ignored."""
    start = clip.tokens([""])[0].cpu()
    most = min(payload.shape[1] // bits, len(start) - 1)
    places = torch.arange(bits - 1, -1, -1)
    tokens = (payload[:, : most * bits].long().view(len(payload), most, bits) << places).sum(2)
    tokens = tokens.clamp(max=clip.model.token_embedding.num_embeddings - 1)
    whole = functional.pad(torch.cat([start[:1].expand(len(payload), 1), tokens], 1), (0, len(start) - 1 - most))
    return clip.model.encode_text(whole.to(clip.mean.device), normalize=True).float()
