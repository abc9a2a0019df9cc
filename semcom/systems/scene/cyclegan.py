"""The baseline restorer: CycleGAN, two generators and two critics that know no pairs.

Reduced against the published training: half the width (32 instead of 64 channels) and 128x96 pictures instead of
512x256, so that it can be trained for as many pictures as the restorer it stands beside.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from semcom.padding import crop, pad_to_multiple
from semcom.systems.scene.classes import coloured

_NARROWEST = 8  # pixels: at a quarter of it there is still something to reflect


class Translator(nn.Module):
    """A generator of CycleGAN: 7x7, two halvings, nine residual blocks, two doublings, 7x7 and tanh.

    Args:
        width: channels of the first layer; 64 in the source.
        blocks: residual blocks; nine in the source.

    Source: Zhu, Park, Isola, Efros, "Unpaired image-to-image translation using cycle-consistent adversarial networks",
    ICCV 2017.

    >>> Translator(width=4, blocks=1)(torch.rand(1, 3, 30, 40)).shape
    torch.Size([1, 3, 30, 40])
    """

    def __init__(self, width: int = 32, blocks: int = 9) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {"width": width, "blocks": blocks}
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_normalised(nn.Conv2d(3, width, 7), width),
            *_normalised(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width),
            *_normalised(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), 4 * width),
            *(_Residual(4 * width) for _ in range(blocks)),
            *_normalised(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, 1), 2 * width),
            *_normalised(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),
            nn.Tanh(),
        )
        self.apply(_initialise)

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows 3 h w"]:
        """Pictures in [0, 1] to pictures of the other kind in [0, 1]."""
        padded, size = pad_to_multiple(images * 2 - 1, 4)
        return crop(self.layers(padded), size) / 2 + 0.5


class CycleGan(nn.Module):
    """The translator to photographs, around which the other three networks are there for training only.

    Args:
        width, blocks: of the translator.
        side: height in pixels at which it was trained and works; pictures of another size are resized.
    """

    def __init__(self, width: int = 32, blocks: int = 9, side: int = 96) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {"width": width, "blocks": blocks, "side": side}
        self.side = side
        self.to_photo = Translator(width, blocks)

    def forward(self, labels: Int[Tensor, "rows h w"]) -> Float[Tensor, "rows 3 h w"]:
        """Pictures in [0, 1] with the given label maps, which it sees as colours."""
        height, width = labels.shape[1:]
        across = max(_NARROWEST, round(width * self.side / height))
        small = functional.interpolate(coloured(labels), size=(self.side, across), mode="nearest")
        photo = self.to_photo(small)
        return functional.interpolate(photo, size=(height, width), mode="bicubic", antialias=True).clamp(0, 1)


class Verdict(nn.Module):
    """The published critic: one number a picture, the mean over its patches.

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
        self.apply(_initialise)

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
        """Logits, high for real."""
        return self.layers(images * 2 - 1).mean((1, 2, 3))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            *_normalised(nn.Conv2d(channels, channels, 3), channels),
            nn.ReflectionPad2d(1),
            *_normalised(nn.Conv2d(channels, channels, 3), channels)[:2],
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def _normalised(convolution: nn.Module, channels: int) -> tuple[nn.Module, ...]:
    return convolution, nn.InstanceNorm2d(channels), nn.ReLU()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def adversarial(logits: Float[Tensor, " rows"], real: bool) -> Tensor:
    """Binary cross-entropy of a verdict."""
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
