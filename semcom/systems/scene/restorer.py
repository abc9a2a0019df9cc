"""The restorer: from a label map to a street, by a generator that is normalised by the map; and its critic."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from semcom.padding import crop, pad_to_multiple
from semcom.systems.scene.classes import CLASSES, IGNORED

_STRIDE = 16  # of the coarsest features


def one_hot(labels: Int[Tensor, "rows h w"]) -> Float[Tensor, "rows classes h w"]:
    """A plane of ones and zeros for each class, and a last one for pixels of which nothing is known."""
    planes = functional.one_hot(labels.clamp(0, IGNORED), IGNORED + 1)
    return planes.permute(0, 3, 1, 2).float()


class Restorer(nn.Module):
    """Paint a street that has the given label map.

    A convolution of the coarse map, then residual blocks, each followed by a doubling of the size. Features are
    normalised over the picture and then scaled and shifted, pixel by pixel, by what a small network makes of the map
    (3x3, then 1x1, where the source has 3x3 twice: half the time):
    f' = (f - mean) / deviation * (1 + gamma(map)) + beta(map), which keeps flat regions of the map from being washed
    out. The palette, a colour for each class, may say in which light: it is laid onto the map. Without it (zeros, and a
    plane that says so) the generator chooses.

    Args:
        width: channels at full resolution; eight times as many at the coarsest.

    Source: Park, Liu, Wang, Zhu, "Semantic image synthesis with spatially-adaptive normalization", CVPR 2019.

    >>> Restorer(width=4)(torch.zeros(1, 33, 50, dtype=torch.long)).shape
    torch.Size([1, 3, 33, 50])
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {"width": width}
        planes = len(CLASSES) + 1 + 4  # one-hot map; colour of the class, and whether it is known
        widths = [8 * width, 8 * width, 4 * width, 2 * width, width]
        self.begin = nn.Conv2d(planes, widths[0], 3, padding=1)
        pairs = zip([widths[0], *widths], widths, strict=False)
        self.blocks = nn.ModuleList(_Block(inputs, outputs, planes, 2 * width) for inputs, outputs in pairs)
        self.end = nn.Conv2d(width, 3, 3, padding=1)

    def forward(
        self,
        labels: Int[Tensor, "rows h w"],
        palette: Float[Tensor, "rows classes 3"] | None = None,
        sent: Bool[Tensor, " rows"] | None = None,
    ) -> Float[Tensor, "rows 3 h w"]:
        """Pictures in [0, 1].

        Args:
            labels: int64, classes; `IGNORED` where the map was lost.
            palette: mean colour of each class in [0, 1], where it was sent.
            sent: the rows whose palette is known; None is all of them.
        """
        colours = _laid_on(labels, palette)
        if sent is not None:
            colours = colours * sent[:, None, None, None]
        planes, size = pad_to_multiple(torch.cat([one_hot(labels), colours], 1), _STRIDE)
        height, width = planes.shape[2:]
        features = self.begin(_shrunk(planes, (height // _STRIDE, width // _STRIDE)))
        for number, block in enumerate(self.blocks):
            if number:
                features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = block(features, _shrunk(planes, (features.shape[2], features.shape[3])))
        return crop(torch.sigmoid(self.end(functional.leaky_relu(features, 0.2))), size)


class Critic(nn.Module):
    """Judge patches of a picture beside its label map, on two scales.

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
        """For each scale the features of each layer; the last ones are the verdicts, high for real."""
        pairs = torch.cat([images * 2 - 1, one_hot(labels)], 1)
        verdicts = []
        for scale in self.scales:
            verdicts.append(scale(pairs))
            pairs = functional.avg_pool2d(pairs, 2)
        return verdicts


class _Patches(nn.Module):
    """Four layers, the first three of which halve, and a verdict on each patch; returns what each layer sees."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        layers = [nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2))]
        for number in range(3):
            channels, more = width << number, width << number + 1
            convolution = spectral_norm(nn.Conv2d(channels, more, 4, 2 if number < 2 else 1, 1))
            layers.append(nn.Sequential(convolution, nn.InstanceNorm2d(more), nn.LeakyReLU(0.2)))
        self.layers = nn.ModuleList([*layers, nn.Sequential(nn.Conv2d(8 * width, 1, 4, 1, 1))])

    def forward(self, seen: Tensor) -> list[Tensor]:
        features = []
        for layer in self.layers:
            seen = layer(seen)
            features.append(seen)
        return features


class _Block(nn.Module):
    """Two normalised convolutions around which the input goes."""

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
    """Normalisation over the picture, then gain and shift by the label map at each pixel."""

    def __init__(self, channels: int, planes: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(planes, hidden, 3, padding=1)
        self.gain_and_shift = nn.Conv2d(hidden, 2 * channels, 1)

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        gain, shift = self.gain_and_shift(functional.relu(self.hidden(planes))).chunk(2, 1)
        mean = features.mean((2, 3), keepdim=True)
        variance = (features - mean).square().mean((2, 3), keepdim=True)
        return (features - mean) * (variance + 1e-5).rsqrt() * (1 + gain) + shift


def _laid_on(labels: Tensor, palette: Tensor | None) -> Tensor:
    """The colour of each pixel's class and a plane of ones; zeros where there is no palette, or nothing is known."""
    rows, height, width = labels.shape
    if palette is None:
        return torch.zeros(rows, 4, height, width, device=labels.device)
    unknown = palette.new_zeros(rows, 1, 4)
    known = torch.cat([torch.cat([palette, torch.ones_like(palette[..., :1])], 2), unknown], 1)
    colours = known[torch.arange(rows, device=labels.device)[:, None, None], labels.clamp(0, IGNORED)]
    return colours.permute(0, 3, 1, 2)


def _shrunk(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Class shares of each coarse pixel: an average keeps the pole that nearest neighbours would lose."""
    return planes if planes.shape[2:] == size else functional.adaptive_avg_pool2d(planes, size)
