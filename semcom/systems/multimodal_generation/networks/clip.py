"""CLIP, based on open_clip: unit vectors of images and texts in one space, close for matching pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels.arguments import one_of, within
from channels.errors import UsageError
from channels.extras import extra
from semcom.systems.multimodal_generation.words import TEMPLATES, VOCABULARY
from semcom.weights import files, hub

SYSTEM = "multimodal_generation"
ARCHITECTURE = "ViT-B-32"  # assumed for a file that holds only weights
HUB = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"

_PADDING, _UNKNOWN, _RESERVED = 0, 1, 2  # tokens 0 and 1, and the number of the first vocabulary token
_PROMPT = TEMPLATES[0]

Tokens = Int[Tensor, "rows context"]


class Clip(nn.Module):
    """Image encoder and text encoder of an open_clip model.

    Args:
        model: open_clip model with `encode_image` and `encode_text`.
        tokenize: function from texts to open_clip's tokens, int64 [rows, context].
        size: side of the image encoder's square input in pixels.
        mean: mean of the three color channels in its training data.
        deviation: standard deviation of the three color channels in its training data.
        vocabulary: number of the tokenizer's tokens that the text encoder knows; None if it knows all.
        words: words that `best_words` chooses from.

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
        words: Sequence[str] = VOCABULARY,
    ) -> None:
        super().__init__()
        self.model, self.size, self.words = model, size, tuple(words)
        self.name = "none"
        self.configuration: dict[str, Any] = {}
        self._tokenize = tokenize
        self._word_features: Tensor | None = None
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)
        self.register_buffer("vocabulary", None if vocabulary is None else torch.arange(vocabulary))
        with torch.no_grad():
            self.dimension = self.text_features([""]).shape[1]

    def image_features(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows dimension"]:
        """Return unit vectors of images in [0, 1] of any size; they are resized and cropped to the central square."""
        return self.model.encode_image(self.preprocess(images), normalize=True).float()

    def text_features(self, texts: Sequence[str]) -> Float[Tensor, "rows dimension"]:
        """Return unit vectors of texts; texts longer than the context are cut."""
        return self.model.encode_text(self.tokens(texts), normalize=True).float()

    def best_words(self, images: Float[Tensor, "rows 3 h w"], count: int = 4) -> list[str]:
        """Return a sentence for each image, made of the `count` words closest to it, the closest first."""
        within("count", count, 1, len(self.words))
        with torch.no_grad():
            if self._word_features is None or self._word_features.device != images.device:
                self._word_features = self.text_features([_PROMPT.format(word) for word in self.words])
            best = (self.image_features(images) @ self._word_features.T).topk(count).indices
        return [_PROMPT.format(", ".join(self.words[i] for i in row)) for row in best.tolist()]

    def preprocess(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows 3 size size"]:
        """Resize the short side of images to `size`, crop the central square and normalize the pixel values."""
        short = min(images.shape[-2:])
        if short != self.size:
            shape = [round(side * self.size / short) for side in images.shape[-2:]]
            images = functional.interpolate(images, shape, mode="bicubic", antialias=True).clamp(0, 1)
        top, left = ((side - self.size) // 2 for side in images.shape[-2:])
        cut = images[..., top : top + self.size, left : left + self.size]
        return ((cut - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """Return tokens, numbered by their place in the token vocabulary; 0 is padding, 1 an unknown token."""
        tokens = self._tokenize(list(texts)).to(self.mean.device)
        if self.vocabulary is None:
            return tokens
        place = torch.searchsorted(self.vocabulary, tokens).clamp(max=len(self.vocabulary) - 1)
        renumbered = torch.where(self.vocabulary[place] == tokens, place + _RESERVED, _UNKNOWN)
        return renumbered.masked_fill(
            tokens == 0, _PADDING
        )  # open_clip pads with 0, which is also its exclamation mark

    def cut(self, text: str) -> str:
        """Return the part of a text that fits into the context of the text encoder, with " ..." where it was cut."""
        words, tokens = text.split(), self.tokens([text])
        count = len(words)
        while count and bool((self.tokens([" ".join(words[: count - 1])]) == tokens).all()):
            count -= 1
        return text if count == len(words) else f"{' '.join(words[:count])} ..."


def tiny_clip(
    vocabulary: int = 64,
    words: Sequence[str] = VOCABULARY,
    dimension: int = 256,
    side: int = 128,
    trunk: str = "efficientnet_lite0",
    width: int = 128,
    layers: int = 2,
    context: int = 32,
) -> Clip:
    """Return a small CLIP: a network of timm for images, a transformer for text.

    Args:
        vocabulary: number of tokens of the text encoder, with start and end token; the buffer `vocabulary` lists them.
        words: words that `Clip.best_words` chooses from.
        dimension: number of features.
        side: side of the image encoder's square input in pixels.
        trunk: name of the image encoder in timm.
        width: width of the text encoder.
        layers: number of layers of the text encoder.
        context: number of tokens of the text encoder's input.

    >>> clip = tiny_clip(trunk="test_efficientnet", dimension=8, width=16).eval()
    >>> clip.image_features(torch.rand(2, 3, 96, 160)).shape
    torch.Size([2, 8])
    """
    with extra("semantic"):
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


def load_clip(preset: str, weights: str) -> Clip:
    """Return the frozen CLIP of a preset; its attribute `name` is the id of the weights.

    Args:
        preset: "tiny", the small CLIP of this project, or "base", a CLIP of open_clip.
        weights: tiny: name of a weight file, or "none" for random weights; base: as in `load_open_clip`, and "none" is
            LAION's ViT-B/32 on the hub.

    Raises:
        UsageError: unknown preset, or weights not found.
    """
    one_of("preset", preset, ("tiny", "base"))
    if preset == "base":
        clip = load_open_clip(HUB if weights == "none" else weights)
    else:
        clip, name = files.rebuild(weights, SYSTEM, tiny_clip)
        clip.name = name
    return clip.eval().requires_grad_(False)


def load_open_clip(name: str) -> Clip:
    """Read an open_clip checkpoint from a folder, a file or, unless offline, the Hugging Face hub.

    Args:
        name: folder with open_clip_config.json and open_clip_model.safetensors; file with the weights of a ViT-B/32; or
            "owner/repository" on the hub.

    Raises:
        UsageError: no such checkpoint, or it cannot be read.
    """
    hub.refuse_missing_path(name, "CLIP model")
    hub.check_connection(name, "CLIP model")
    with extra("semantic"):
        import open_clip

    path = Path(os.path.expanduser(name))
    model_name = ARCHITECTURE if path.is_file() else f"local-dir:{path}" if path.is_dir() else f"hf-hub:{name}"
    try:
        model, _, _ = open_clip.create_model_and_transforms(
            model_name, pretrained=str(path) if path.is_file() else None, require_pretrained=True
        )
        tokenize = open_clip.get_tokenizer(model_name)
    except Exception as error:  # open_clip and the hub's client raise many types
        problem = f"CLIP {name!r} is neither a folder, a file nor on the hub, or is damaged"
        raise UsageError(f"{problem}; {hub.fix(error)}") from None
    settings = open_clip.get_model_preprocess_cfg(model)
    side = settings["size"] if isinstance(settings["size"], int) else settings["size"][0]
    clip = Clip(model, tokenize, side, settings["mean"], settings["std"])
    clip.name = name
    return clip
