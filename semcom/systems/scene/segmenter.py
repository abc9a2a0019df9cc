"""Segmentation network of the transmitter: a small DeepLabV3+ on EfficientNet-Lite0."""

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
_FINE, _LOW, _DEEP, _DEEPEST = 16, 24, 112, 320  # features of the backbone at strides 2, 4, 16, 32


class Segmenter(nn.Module):
    """Segment an image: backbone, atrous spatial pyramid pooling, and skip connections from strides 4 and 2.

    Differences from the source:

    * The last stage has stride 32 and is upsampled to 16, where the source dilates it. This takes a third of the time.
    * The dilations of the pyramid are 3, 6 and 9 instead of 6, 12 and 18, because its features have half the size
      (16 x 12 for images of 256 x 192).
    * A second skip connection comes from stride 2, because poles are two pixels wide in these images.

    Args:
        classes: number of classes.
        width: channels of pyramid and decoder.

    Source: Chen, Zhu, Papandreou, Schroff, Adam, "Encoder-decoder with atrous separable convolution for semantic image
    segmentation", ECCV 2018.

    >>> Segmenter(width=16).eval().labels(torch.rand(1, 3, 33, 47)).shape
    torch.Size([1, 33, 47])
    """

    def __init__(self, classes: int = len(CLASSES), width: int = 128) -> None:
        super().__init__()
        with extra("semantic"):
            import timm

        self.configuration: dict[str, Any] = {"classes": classes, "width": width}
        self.backbone = timm.create_model(
            "efficientnet_lite0", features_only=True, out_indices=(0, 1, 3, 4), pretrained=False
        )
        self.deepest = _convolution(_DEEPEST, width, 1)
        self.pyramid = _Pyramid(_DEEP + width, width, dilations=(3, 6, 9))
        self.low = _convolution(_LOW, 32, 1)
        self.decoder = nn.Sequential(_separable(width + 32, width), _separable(width, width))
        self.fine = _separable(width // 2 + _FINE, width // 2)
        self.narrow = _convolution(width, width // 2, 1)
        self.classifier = nn.Conv2d(width // 2, classes, 1)

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows classes h w"]:
        """Class logits of each pixel, for images in [0, 1]."""
        padded, size = pad_to_multiple(images, _STRIDE)
        scaled = (padded * 255 - 127) / 128
        fine, low, deep, deepest = self.backbone(scaled.contiguous(memory_format=torch.channels_last))
        deep = torch.cat([deep, _resized(self.deepest(deepest), deep)], 1)
        features = torch.cat([_resized(self.pyramid(deep), low), self.low(low)], 1)
        features = self.narrow(self.decoder(features))
        features = self.fine(torch.cat([_resized(features, fine), fine], 1))
        return crop(_resized(self.classifier(features), padded), size)

    @torch.no_grad()
    def labels(self, images: Float[Tensor, "rows 3 h w"]) -> Int[Tensor, "rows h w"]:
        """Most likely class of each pixel."""
        return self(images).argmax(1)


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1, three dilated 3x3 convolutions and the image mean, concatenated."""

    def __init__(self, inputs: int, width: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.point = _convolution(inputs, width, 1)
        self.dilated = nn.ModuleList(_separable(inputs, width, dilation) for dilation in dilations)
        self.mean = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.ReLU())  # no batch norm: one pixel per image
        self.project = nn.Sequential(_convolution((2 + len(dilations)) * width, width, 1), nn.Dropout(0.1))

    def forward(self, features: Tensor) -> Tensor:
        mean = self.mean(features.mean((2, 3), keepdim=True)).expand(-1, -1, *features.shape[2:])
        branches = [self.point(features), *(dilated(features) for dilated in self.dilated), mean]
        return self.project(torch.cat(branches, 1))


def _convolution(inputs: int, outputs: int, taps: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, taps, padding=taps // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _separable(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution."""
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(inputs), nn.ReLU(), _convolution(inputs, outputs, 1))


def _resized(features: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)
