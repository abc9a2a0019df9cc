"""CLIP, by open_clip: unit vectors of pictures and of sentences that lie near each other where they tell the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels._errors import UsageError
from semcom import weights as weight_files
from semcom.systems.multimodal_generation import hub
from semcom.systems.multimodal_generation.words import BANK, TEMPLATES

SYSTEM = "multimodal_generation"
ARCHITECTURE = "ViT-B-32"  # of a file that holds weights and nothing else
HUB = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"

_PADDING, _UNKNOWN, _RESERVED = 0, 1, 2  # tokens that stand before those of the vocabulary
_PROMPT = TEMPLATES[0]

Tokens = Int[Tensor, "rows context"]


class Clip(nn.Module):
    """Two towers into one space, by the networks of open_clip.

    Args:
        model: an open_clip model with `encode_image` and `encode_text`.
        tokenize: sentences to the tokens of open_clip, int64 [rows, context].
        size: side of the square that the picture tower sees.
        mean, deviation: of the pixel values that it was trained on.
        vocabulary: how many of the tokenizer's tokens the text tower has, or None for all of them.
        words: that `best_words` chooses from.

    Source: Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.
    """

    model: Any  # open_clip has no common type
    mean: Tensor
    deviation: Tensor
    vocabulary: Tensor | None

    def __init__(
        self,
        model: Any,
        tokenize: Callable[[list[str]], Tensor],
        size: int,
        mean: Sequence[float],
        deviation: Sequence[float],
        vocabulary: int | None = None,
        words: Sequence[str] = BANK,
    ) -> None:
        super().__init__()
        self.model, self.size, self.words = model, size, tuple(words)
        self.name = "none"
        self.configuration: dict[str, Any] = {}
        self._tokenize = tokenize
        self._bank: Tensor | None = None
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)
        self.register_buffer("vocabulary", None if vocabulary is None else torch.arange(vocabulary))
        with torch.no_grad():
            self.dimension = self.text_features([""]).shape[1]

    def image_features(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows dimension"]:
        """Unit vectors of pictures in [0, 1] of any size: resized so that the short side fits, cut to the centre."""
        return self.model.encode_image(self.seen(images), normalize=True).float()

    def text_features(self, texts: Sequence[str]) -> Float[Tensor, "rows dimension"]:
        """Unit vectors of sentences; what is longer than the context is cut."""
        return self.model.encode_text(self.tokens(texts), normalize=True).float()

    def best_words(self, images: Float[Tensor, "rows 3 h w"], count: int = 4) -> list[str]:
        """A sentence a picture, made of the `count` words of the bank that lie nearest to it, the nearest first."""
        if not 1 <= count <= len(self.words):
            raise UsageError(f"count must be 1 to {len(self.words)} words, not {count}")
        with torch.no_grad():
            if self._bank is None or self._bank.device != images.device:
                self._bank = self.text_features([_PROMPT.format(word) for word in self.words])
            best = (self.image_features(images) @ self._bank.T).topk(count).indices
        return [_PROMPT.format(", ".join(self.words[i] for i in row)) for row in best.tolist()]

    def seen(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows 3 size size"]:
        """Pictures as the picture tower takes them."""
        short = min(images.shape[-2:])
        if short != self.size:
            shape = [round(side * self.size / short) for side in images.shape[-2:]]
            images = functional.interpolate(images, shape, mode="bicubic", antialias=True).clamp(0, 1)
        top, left = ((side - self.size) // 2 for side in images.shape[-2:])
        cut = images[..., top : top + self.size, left : left + self.size]
        return ((cut - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """Tokens of sentences, numbered by their places in the vocabulary; 0 pads and 1 is any other token."""
        found = self._tokenize(list(texts)).to(self.mean.device)
        if self.vocabulary is None:
            return found
        place = torch.searchsorted(self.vocabulary, found).clamp(max=len(self.vocabulary) - 1)
        known = torch.where(self.vocabulary[place] == found, place + _RESERVED, _UNKNOWN)
        return known.masked_fill(found == 0, _PADDING)  # open_clip pads with 0, its exclamation mark


def tiny(
    vocabulary: int = 64,
    words: Sequence[str] = BANK,
    dimension: int = 256,
    side: int = 128,
    trunk: str = "efficientnet_lite0",
    width: int = 128,
    layers: int = 2,
    context: int = 32,
) -> Clip:
    """A small CLIP: a network of timm for pictures, a transformer for text.

    Args:
        vocabulary: tokens of the text tower, which are the `vocabulary` buffer's; both ends of a sentence are among
            them.
        words: as in `Clip`.
        dimension: of the features.
        side: of the square that the picture tower sees.
        trunk: timm's name of the picture tower.
        width, layers, context: of the text tower.

    >>> clip = tiny(trunk="test_efficientnet", dimension=8, width=16).eval()
    >>> clip.image_features(torch.rand(2, 3, 96, 160)).shape
    torch.Size([2, 8])
    """
    import open_clip

    vision = {"timm_model_name": trunk, "timm_pool": "avg", "timm_drop": 0.2, "image_size": side}
    text = {
        "context_length": context,
        "vocab_size": vocabulary + _RESERVED,
        "width": width,
        "heads": max(1, width // 32),
        "layers": layers,
    }
    configuration = {
        "vocabulary": vocabulary,
        "words": list(words),
        "dimension": dimension,
        "side": side,
        "trunk": trunk,
        "width": width,
        "layers": layers,
        "context": context,
    }
    model = open_clip.CLIP(dimension, vision, text)
    tokenize = open_clip.SimpleTokenizer(context_length=context)
    levels = (127 / 255,) * 3, (128 / 255,) * 3
    clip = Clip(model, tokenize, side, *levels, vocabulary=vocabulary, words=words)
    clip.configuration = configuration
    return clip


def load(preset: str, weights: str) -> Clip:
    """The CLIP of a preset, frozen, that says its name.

    Args:
        preset: "tiny" is this project's, "base" another one's.
        weights: tiny: a weight file's name, or "none" for untrained ones; base: as in `load_base`, and "none" is the
            ViT-B/32 that LAION trained, on the hub.

    Raises:
        UsageError: no such preset, no such weights.
    """
    if preset not in ("tiny", "base"):
        raise UsageError(f"preset must be tiny or base, not {preset!r}")
    if preset == "base":
        clip = load_base(HUB if weights == "none" else weights)
    else:
        clip, name = weight_files.rebuild(weights, SYSTEM, tiny)
        clip.name = name
    return clip.eval().requires_grad_(False)


def load_base(name: str) -> Clip:
    """Read a checkpoint of open_clip from a folder, a file or, unless offline, the hub.

    Args:
        name: a folder with open_clip_config.json and open_clip_model.safetensors; a file with the weights of a
            ViT-B/32; or "owner/repository" on the hub.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    import open_clip

    path = Path(name).expanduser()
    model_name = ARCHITECTURE if path.is_file() else f"local-dir:{path}" if path.is_dir() else f"hf-hub:{name}"
    try:
        model, _, _ = open_clip.create_model_and_transforms(
            model_name, pretrained=str(path) if path.is_file() else None, require_pretrained=True
        )
        tokenize = open_clip.get_tokenizer(model_name)
    except Exception as error:  # open_clip and the hub's client raise what they stumble over
        missing = f"CLIP {name!r} is neither a folder, a file nor on the hub, or is damaged"
        raise UsageError(f"{missing}; {hub.fix(error)}") from None
    settings = open_clip.get_model_preprocess_cfg(model)
    side = settings["size"] if isinstance(settings["size"], int) else settings["size"][0]
    clip = Clip(model, tokenize, side, settings["mean"], settings["std"])
    clip.name = name
    return clip
