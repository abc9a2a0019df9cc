"""Evaluation network: it segments restored images for mIoU; no restorer is trained with it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from channels.extras import extra
from semcom.images.padding import crop, pad_to_multiple
from semcom.images.street_classes import CLASSES

_STRIDE = 32  # stride of the deepest features
_CHANNELS = (16, 24, 32, 96, 320)  # features of the backbone at strides 2, 4, 8, 16 and 32
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class EvaluationNetwork(nn.Module):
    """Segment an image with a U-Net on MobileNetV2, another architecture than the transmitter's segmenter.

    Args:
        classes: number of classes.
        width: channels at stride 2; 1.5, 2 and 4 times as many at strides 4, 8 and 16.

    Source: Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015;
        Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.

    >>> EvaluationNetwork(width=8).eval().labels(torch.rand(1, 3, 33, 47)).shape
    torch.Size([1, 33, 47])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int = len(CLASSES), width: int = 32) -> None:
        super().__init__()
        with extra("semantic"):
            import timm

        self.configuration: dict[str, Any] = {"classes": classes, "width": width}
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)
        self.backbone = timm.create_model("mobilenetv2_100", features_only=True, pretrained=False)
        widths = (width, width * 3 // 2, 2 * width, 4 * width)
        below = (*widths[1:], _CHANNELS[4])
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(beside + deep, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
            for beside, deep, out in zip(_CHANNELS[:4], below, widths, strict=True)
        )
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows classes h w"]:
        """Class logits of each pixel, for images in [0, 1]."""
        padded, size = pad_to_multiple(images, _STRIDE)
        scaled = (padded - self.mean) / self.deviation
        *finer, features = self.backbone(scaled.contiguous(memory_format=torch.channels_last))
        for step, beside in zip(reversed(self.steps), reversed(finer), strict=True):
            features = step(torch.cat([beside, functional.interpolate(features, size=beside.shape[2:])], 1))
        logits = self.classifier(features)
        return crop(functional.interpolate(logits, size=padded.shape[2:], mode="bilinear", align_corners=False), size)

    @torch.no_grad()
    def labels(self, images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, "rows h w"]:
        """Most likely class of each pixel."""
        return self(images).argmax(1)
