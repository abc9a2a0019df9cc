"""Classifier of Imagenette's ten classes: an evaluation network, not used in any training loss of the system."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels.extras import extra
from semcom.systems.multimodal_generation.words import CLASSES

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Classifier(nn.Module):
    """MobileNetV2 with global pooling and a linear head.

    Args:
        classes: number of classes.
        backbone: name in timm of the network below the head.

    Source: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.

    >>> Classifier(backbone="test_efficientnet").eval().categories(torch.rand(2, 3, 64, 64)).shape
    torch.Size([2])
    """

    backbone: Any  # timm has no common type
    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int = len(CLASSES), backbone: str = "mobilenetv2_100") -> None:
        super().__init__()
        with extra("semantic"):
            import timm

        self.configuration: dict[str, Any] = {"classes": classes, "backbone": backbone}
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)
        self.backbone = timm.create_model(backbone, num_classes=0, pretrained=False)
        self.head = nn.Linear(self.backbone.num_features, classes)

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows classes"]:
        """Return the logits of each class for images in [0, 1]."""
        return self.head(functional.dropout(self.features(images), 0.2, self.training))

    def features(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows dimension"]:
        """Return the pooled features before the head: deepest features, averaged over the image."""
        scaled = (images - self.mean) / self.deviation
        return self.backbone(scaled.contiguous(memory_format=torch.channels_last))

    @torch.no_grad()
    def categories(self, images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, " rows"]:
        """Return the most likely class of each image."""
        return self(images).argmax(1)
