"""Captions as tokens of CLIP's text encoder, and tokens as bits."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from channels import modem
from semcom.systems.multimodal_generation.networks.clip import Clip


def token_bits(clip: Clip) -> int:
    """Number of bits per token."""
    return int(clip.model.token_embedding.num_embeddings - 1).bit_length()


def caption_tokens(clip: Clip, text: str) -> Int[Tensor, " tokens"]:
    """Return the tokens of a caption up to its end token; the start token, the same for all, is left out."""
    tokens = clip.tokens([text])[0].cpu()
    return tokens[1 : int(tokens.nonzero().max()) + 1]


def to_bits(tokens: Int[Tensor, " tokens"], bits: int, size: int) -> UInt8[Tensor, " size"]:
    """Write tokens as bits, padded with zeros; a caption that is too long loses its last words, not its end token.

    Args:
        tokens: int64 [tokens], from `caption_tokens`.
        bits: bits per token.
        size: payload size in bits.

    >>> to_bits(torch.tensor([5, 6, 7]), 3, 8).tolist()
    [1, 0, 1, 1, 1, 1, 0, 0]
    """
    fits = size // bits
    cut = tokens if len(tokens) <= fits else torch.cat([tokens[: max(0, fits - 1)], tokens[-1:]])[:fits]
    written = modem.integers_to_bits(cut, bits).flatten()
    return functional.pad(written, (0, size - len(written)))


@torch.no_grad()
def caption_features(clip: Clip, payload: UInt8[Tensor, "rows size"], bits: int) -> Float[Tensor, "rows dimension"]:
    """Return CLIP's text features of the captions in payloads; bits past the longest caption are ignored."""
    start = clip.tokens([""])[0].to(payload.device)
    count = min(payload.shape[1] // bits, len(start) - 1)
    tokens = modem.bits_to_integers(payload[:, : count * bits].reshape(len(payload), count, bits))
    tokens = tokens.clamp(max=clip.model.token_embedding.num_embeddings - 1)
    context = functional.pad(torch.cat([start[:1].expand(len(payload), 1), tokens], 1), (0, len(start) - 1 - count))
    return clip.model.encode_text(context.to(clip.mean.device), normalize=True).float()
