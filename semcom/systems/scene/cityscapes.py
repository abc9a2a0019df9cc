"""Segmenters of Cityscapes' classes that others trained (SegFormer, Xie et al. 2021), in the format of transformers."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels._errors import UsageError
from semcom import checkpoints
from semcom.systems.scene.classes import CLASSES

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# What CamVid's eleven classes call Cityscapes' nineteen; as SegNet merged CamVid's own thirty-two.
SAME: dict[str, str] = {
    "road": "road",
    "sidewalk": "pavement",
    "building": "building",
    "wall": "building",
    "fence": "fence",
    "pole": "pole",
    "traffic light": "sign",
    "traffic sign": "sign",
    "vegetation": "tree",
    "terrain": "tree",
    "sky": "sky",
    "person": "pedestrian",
    "rider": "bicyclist",
    "car": "car",
    "truck": "car",
    "bus": "car",
    "train": "car",
    "motorcycle": "bicyclist",
    "bicycle": "bicyclist",
}


class SegFormer(nn.Module):
    """A pretrained SegFormer that answers in CamVid's classes: a class has the likelihood of all that it stands for.

    Args:
        model: a transformers SegformerForSemanticSegmentation.
        classes: of CamVid, for each of the model's.
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
        """The likeliest class of each pixel."""
        logits = self.model(pixel_values=(images - self.mean) / self.deviation).logits
        logits = functional.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)
        return torch.einsum("bchw,ck->bkhw", logits.softmax(1), self.merged).argmax(1)


def load_segformer(name: str) -> SegFormer:
    """Read a SegFormer checkpoint from a local folder or, unless offline, from the hub.

    Args:
        name: a folder with config.json and model.safetensors, or "owner/repository"; its classes must have the names
            of Cityscapes' or of CamVid's.

    Raises:
        UsageError: no such checkpoint, one of another kind, without its head, or of other classes.
    """
    from transformers import SegformerForSemanticSegmentation

    model = checkpoints.load(
        SegformerForSemanticSegmentation, "segformer", name, "segmenter", "a backbone without its head"
    )
    config = model.config
    names = [config.id2label[number].lower() for number in range(config.num_labels)]
    classes = [SAME.get(called, called) for called in names]
    if strangers := sorted(set(classes) - set(CLASSES)):
        raise UsageError(f"{name} knows {strangers[0]}, which is neither a class of Cityscapes nor of CamVid")
    return SegFormer(model, [CLASSES.index(called) for called in classes])
