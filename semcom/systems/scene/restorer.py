"""Restorer: a generator with spatially-adaptive normalization (SPADE) from label map to image; its discriminator."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from semcom.images.padding import crop, pad_to_multiple
from semcom.images.street_classes import CLASSES, IGNORED

_STRIDE = 16  # stride of the coarsest features


def one_hot(labels: Int[Tensor, "rows h w"]) -> Float[Tensor, "rows classes h w"]:
    """One-hot planes of the classes, and a last plane for `IGNORED` pixels."""
    planes = functional.one_hot(labels.clamp(0, IGNORED), IGNORED + 1)
    return planes.permute(0, 3, 1, 2).float()


class Restorer(nn.Module):
    """Generate an image of a street from its label map.

    A convolution of the downsampled map is followed by residual blocks, each with an upsampling by two. Features are
    normalized over the image, then scaled and shifted at each pixel by a small network of the map:
    f' = (f - mean) / deviation * (1 + gamma(map)) + beta(map). That network is a 3x3 and a 1x1 convolution; the source
    has two 3x3 convolutions, which take twice the time. Where class colors were received, each pixel also has the color
    of its class as input; a further input plane says whether it is known.

    Args:
        width: channels at full resolution; the coarsest features have eight times as many.

    Source: Park, Liu, Wang, Zhu, "Semantic image synthesis with spatially-adaptive normalization", CVPR 2019.

    >>> Restorer(width=4)(torch.zeros(1, 33, 50, dtype=torch.long)).shape
    torch.Size([1, 3, 33, 50])
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {"width": width}
        planes = len(CLASSES) + 1 + 4  # one-hot map; color of the class; whether the color is known
        widths = [8 * width, 8 * width, 4 * width, 2 * width, width]
        self.begin = nn.Conv2d(planes, widths[0], 3, padding=1)
        pairs = zip([widths[0], *widths], widths, strict=False)
        self.blocks = nn.ModuleList(_Block(inputs, outputs, planes, 2 * width) for inputs, outputs in pairs)
        self.end = nn.Conv2d(width, 3, 3, padding=1)

    def forward(
        self,
        labels: Int[Tensor, "rows h w"],
        class_colors: Float[Tensor, "rows classes 3"] | None = None,
        has_colors: Bool[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, "rows 3 h w"]:
        """Restore images in [0, 1].

        Args:
            labels: int64 [rows, h, w], class of each pixel; `IGNORED` where the map was not received.
            class_colors: float32 [rows, classes, 3], mean color of each class in [0, 1]; None if not received.
            has_colors: bool [rows], whether `class_colors` holds for a row; None means all rows.
        """
        colors = _color_planes(labels, class_colors)
        if has_colors is not None:
            colors = colors * has_colors[:, None, None, None]
        planes, size = pad_to_multiple(torch.cat([one_hot(labels), colors], 1), _STRIDE)
        height, width = planes.shape[2:]
        features = self.begin(_averaged(planes, (height // _STRIDE, width // _STRIDE)))
        for number, block in enumerate(self.blocks):
            if number:
                features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = block(features, _averaged(planes, (features.shape[2], features.shape[3])))
        return crop(torch.sigmoid(self.end(functional.leaky_relu(features, 0.2))), size)


class PatchDiscriminator(nn.Module):
    """Classify patches of an image with its label map as real or generated, at two scales.

    Args:
        width: channels of the first layer.

    Source: Isola, Zhu, Zhou, Efros, CVPR 2017 (patches); Wang et al., CVPR 2018 (scales, feature matching).
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_Patches(len(CLASSES) + 1 + 3, width) for _ in range(2))

    def forward(
        self, images: Float[Tensor, "rows 3 h w"], labels: Int[Tensor, "rows h w"]
    ) -> list[list[Float[Tensor, "rows _ _ _"]]]:
        """Features of each layer at each scale; the last layer gives the logits, high for real images."""
        pairs = torch.cat([images * 2 - 1, one_hot(labels)], 1)
        features = []
        for scale in self.scales:
            features.append(scale(pairs))
            pairs = functional.avg_pool2d(pairs, 2)
        return features


class _Patches(nn.Module):
    """Four convolutions, the first three with stride 2, and the patch logits; returns the features of each layer."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        layers = [nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2))]
        for number in range(3):
            channels, more = width << number, width << number + 1
            convolution = spectral_norm(nn.Conv2d(channels, more, 4, 2 if number < 2 else 1, 1))
            layers.append(nn.Sequential(convolution, nn.InstanceNorm2d(more), nn.LeakyReLU(0.2)))
        self.layers = nn.ModuleList([*layers, nn.Sequential(nn.Conv2d(8 * width, 1, 4, 1, 1))])

    def forward(self, inputs: Tensor) -> list[Tensor]:
        features = []
        for layer in self.layers:
            inputs = layer(inputs)
            features.append(inputs)
        return features


class _Block(nn.Module):
    """Residual block of two normalized convolutions."""

    def __init__(self, inputs: int, outputs: int, planes: int, hidden: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = _Norm(inputs, planes, hidden), _Norm(outputs, planes, hidden)
        self.first = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.round = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        changed = self.first(functional.leaky_relu(self.first_norm(features, planes), 0.2))
        changed = self.second(functional.leaky_relu(self.second_norm(changed, planes), 0.2))
        return self.round(features) + changed


class _Norm(nn.Module):
    """Normalization over the image, then gain and shift from the label map at each pixel."""

    def __init__(self, channels: int, planes: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(planes, hidden, 3, padding=1)
        self.gain_and_shift = nn.Conv2d(hidden, 2 * channels, 1)

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        gain, shift = self.gain_and_shift(functional.relu(self.hidden(planes))).chunk(2, 1)
        mean = features.mean((2, 3), keepdim=True)
        variance = (features - mean).square().mean((2, 3), keepdim=True)
        return (features - mean) * (variance + 1e-5).rsqrt() * (1 + gain) + shift


def _color_planes(labels: Tensor, class_colors: Tensor | None) -> Tensor:
    """Color of each pixel's class and a plane of ones; zeros without class colors and for `IGNORED` pixels."""
    rows, height, width = labels.shape
    if class_colors is None:
        return torch.zeros(rows, 4, height, width, device=labels.device)
    unknown = class_colors.new_zeros(rows, 1, 4)
    known = torch.cat([torch.cat([class_colors, torch.ones_like(class_colors[..., :1])], 2), unknown], 1)
    colors = known[torch.arange(rows, device=labels.device)[:, None, None], labels.clamp(0, IGNORED)]
    return colors.permute(0, 3, 1, 2)


def _averaged(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Downsample by averaging, which preserves thin objects better than nearest neighbor."""
    return planes if planes.shape[2:] == size else functional.adaptive_avg_pool2d(planes, size)
