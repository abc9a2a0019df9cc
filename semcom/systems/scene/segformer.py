"""Pretrained SegFormer segmentation networks (Xie et al. 2021) in the format of transformers."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels.errors import UsageError
from semcom.images.street_classes import CITYSCAPES_TO_CAMVID, CLASSES
from semcom.weights import transformers as checkpoints

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SegFormer(nn.Module):
    """A pretrained SegFormer with CamVid's classes: the probabilities of merged classes are added.

    Args:
        model: a transformers SegformerForSemanticSegmentation.
        classes: number of CamVid's class for each class of the model.
    """

    mean: Tensor
    deviation: Tensor
    merged: Tensor

    def __init__(self, model: Any, classes: list[int]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1))
        self.register_buffer("merged", functional.one_hot(torch.tensor(classes), len(CLASSES)).float())

    @torch.no_grad()
    def labels(self, images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, "rows h w"]:
        """Most likely class of each pixel."""
        logits = self.model(pixel_values=(images - self.mean) / self.deviation).logits
        logits = functional.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)
        return torch.einsum("bchw,ck->bkhw", logits.softmax(1), self.merged).argmax(1)


def load_segformer(name: str) -> SegFormer:
    """Read a SegFormer checkpoint from a local folder or, unless offline, from the hub.

    Args:
        name: folder with config.json and model.safetensors, or "owner/repository". Its classes must have names of
            Cityscapes or CamVid.

    Raises:
        UsageError: the checkpoint does not exist, is of another type, lacks its head, or has other classes.
    """
    model = checkpoints.load(
        "SegformerForSemanticSegmentation", "segformer", name, "segmenter", "a backbone without its head"
    )
    config = model.config
    names = [config.id2label[number].lower() for number in range(config.num_labels)]
    numbers = {name: number for number, name in enumerate(CLASSES)} | CITYSCAPES_TO_CAMVID
    if unknown := sorted(set(names) - numbers.keys()):
        raise UsageError(f"{name} has a class {unknown[0]!r}; its classes must have names of Cityscapes or CamVid")
    return SegFormer(model, [int(numbers[one]) for one in names])
