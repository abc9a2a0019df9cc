"""Baseline restorer: CycleGAN, two generators and two discriminators trained on unpaired images.

Smaller than the published network, so that it can be trained on as many images as `Restorer`: half the width (32
instead of 64 channels) and images of 128x96 instead of 512x256.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from semcom.images.padding import crop, pad_to_multiple
from semcom.images.street_classes import colored

_NARROWEST = 8  # pixels; reflection padding needs two at a quarter of the size


class Generator(nn.Module):
    """Generator of CycleGAN: 7x7 convolution, two of stride 2, residual blocks, two transposed, 7x7 and tanh.

    Args:
        width: channels of the first layer; 64 in the source.
        blocks: residual blocks; nine in the source.

    Source: Zhu, Park, Isola, Efros, "Unpaired image-to-image translation using cycle-consistent adversarial networks",
    ICCV 2017.

    >>> Generator(width=4, blocks=1)(torch.rand(1, 3, 30, 40)).shape
    torch.Size([1, 3, 30, 40])
    """

    def __init__(self, width: int = 32, blocks: int = 9) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {"width": width, "blocks": blocks}
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_normalized(nn.Conv2d(3, width, 7), width),
            *_normalized(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width),
            *_normalized(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), 4 * width),
            *(_Residual(4 * width) for _ in range(blocks)),
            *_normalized(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, 1), 2 * width),
            *_normalized(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),
            nn.Tanh(),
        )
        self.apply(_initialize)

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows 3 h w"]:
        """Translate images in [0, 1] to the other domain, in [0, 1]."""
        padded, size = pad_to_multiple(images * 2 - 1, 4)
        return crop(self.layers(padded), size) / 2 + 0.5


class CycleGan(nn.Module):
    """Restorer that translates colored label maps to photographs; the other three networks serve training only.

    Args:
        width: channels of the generator's first layer.
        blocks: residual blocks of the generator.
        side: height in pixels for which the generator was trained; maps of another size are resized.
    """

    def __init__(self, width: int = 32, blocks: int = 9, side: int = 96) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {"width": width, "blocks": blocks, "side": side}
        self.side = side
        self.to_photo = Generator(width, blocks)

    def forward(self, labels: Int[Tensor, "rows h w"]) -> Float[Tensor, "rows 3 h w"]:
        """Restore images in [0, 1] from label maps."""
        height, width = labels.shape[1:]
        photo = self.to_photo(self.colored_maps(labels))
        return functional.interpolate(photo, size=(height, width), mode="bicubic", antialias=True).clamp(0, 1)

    def colored_maps(self, labels: Int[Tensor, "rows h w"]) -> Float[Tensor, "rows 3 side across"]:
        """Label maps as color images of the generator's height."""
        return functional.interpolate(colored(labels), size=self._size(labels), mode="nearest")

    def resized(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows 3 side across"]:
        """Photographs in [0, 1] at the generator's height."""
        if images.shape[-2] == self.side:
            return images
        return functional.interpolate(images, size=self._size(images), mode="bicubic", antialias=True).clamp(0, 1)

    def _size(self, images: Tensor) -> tuple[int, int]:
        height, width = images.shape[-2:]
        return self.side, max(_NARROWEST, round(width * self.side / height))


class Discriminator(nn.Module):
    """Published discriminator: one logit per image, the mean over its patches.

    Args:
        width: channels of the first layer; 64 in the source.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for number, stride in enumerate((2, 2, 1)):
            more = width << number + 1
            layers += [nn.Conv2d(width << number, more, 4, stride, 1), nn.InstanceNorm2d(more), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
        self.apply(_initialize)

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
        """Logits [rows], high for real images."""
        return self.layers(images * 2 - 1).mean((1, 2, 3))


def adversarial(logits: Float[Tensor, " rows"], real: bool) -> Tensor:
    """Binary cross-entropy of a discriminator's logits."""
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            *_normalized(nn.Conv2d(channels, channels, 3), channels),
            nn.ReflectionPad2d(1),
            *_normalized(nn.Conv2d(channels, channels, 3), channels)[:2],
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def _normalized(convolution: nn.Module, channels: int) -> tuple[nn.Module, ...]:
    return convolution, nn.InstanceNorm2d(channels), nn.ReLU()


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
