"""The image-level features: what a convolutional network tells of a picture, and what can be read from it in noise."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from channels._errors import UsageError
from semcom.systems.deepjscc.networks import colour_dct
from semcom.systems.multimodal_generation.air import Heard
from semcom.systems.multimodal_generation.autoencoder import Autoencoder, Residual, damp

SIDE = 128  # pixels of the pictures that have features
GRID = 8  # positions a side that features have
_FINE, _DEEP = 40, 112  # channels of the backbone's features at strides 8 and 16


class ImageFeatures(nn.Module):
    """Features of a picture on a grid of 8 x 8, made for the air, and the estimate of a latent from noisy ones.

    f = g / rms(g), g = D x + h(b(x)): D the strongest functions of the colour DCT of 16 x 16 blocks, b the first stages
    of EfficientNet-Lite0, h convolutions. A row has unit mean square, so its numbers are sent as they are.

    Args:
        channels: numbers a position.
        width: channels of the convolutions.
        latent: channels of the autoencoder's latent that is estimated, on a grid of 16 x 16.

    Source: the system of Liang and Li, "Image generation with multimodule semantic feature-aided selection for
        semantic communications", 2024, has a CNN extract image-level features; this one is our choice.

    >>> network = ImageFeatures(channels=2, width=8).eval()
    >>> features = network(torch.rand(3, 3, 128, 128))
    >>> features.shape, bool((features.square().mean(1) - 1).abs().max() < 1e-5)
    (torch.Size([3, 128]), True)
    >>> network.estimate(Heard(features, torch.full((3, 128), 0.1))).shape
    torch.Size([3, 8, 16, 16])
    """

    def __init__(self, channels: int = 8, width: int = 128, latent: int = 8) -> None:
        super().__init__()
        import timm

        self.configuration: dict[str, Any] = {"channels": channels, "width": width, "latent": latent}
        self.channels, self.dimension, self.hidden = channels, channels * GRID**2, width
        self.backbone = _first_stages(
            timm.create_model("efficientnet_lite0", features_only=True, out_indices=(2, 3), pretrained=False)
        )
        self.linear = nn.Conv2d(3, channels, GRID, GRID, bias=False)
        self.fine = nn.Conv2d(_FINE, width, 2, 2)
        self.deep = nn.Conv2d(_DEEP, width, 1)
        self.encoder = nn.Sequential(
            Residual(width), Residual(width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1)
        )
        self.enter = nn.Sequential(
            nn.Conv2d(2 * channels, width, 3, padding=1), Residual(width), Residual(width), Residual(width)
        )
        self.leave = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1),
            nn.PixelShuffle(2),
            Residual(width // 2),
            Residual(width // 2),
            nn.Conv2d(width // 2, latent, 3, padding=1),
        )
        transform, deviation = colour_dct(channels)
        with torch.no_grad():
            self.linear.weight.copy_(transform / deviation.sqrt()[:, None, None, None])
        damp(self.encoder[-1])

    def train(self, mode: bool = True) -> ImageFeatures:
        """As any network, but for the backbone, which is not trained: its statistics stay those of ImageNet."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows features"]:
        """Features of pictures in [0, 1].

        Raises:
            UsageError: pictures of another size.
        """
        return self.encode(images)[0]

    def encode(self, images: Float[Tensor, "rows 3 h w"]) -> tuple[Tensor, Tensor]:
        """Features [rows, features], and the backbone's at stride 16, [rows, 112, 8, 8], from which they were made."""
        height, width = images.shape[-2:]
        if (height, width) != (SIDE, SIDE):
            raise UsageError(f"features are told of pictures of {SIDE}x{SIDE}, not {width}x{height}: resize them")
        scaled = ((images * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        fine, deep = self.backbone(scaled)
        told = self.encoder(self.fine(fine) + self.deep(deep))
        grid = (self.linear(functional.avg_pool2d(images - 0.5, 2)) + told).float().flatten(1)
        return grid * grid.square().mean(1, keepdim=True).clamp(min=1e-12).rsqrt(), deep

    def read(self, heard: Heard) -> Float[Tensor, "rows hidden 8 8"]:
        """What is understood of features that came in."""
        weight = heard.reliability
        grids = torch.cat([heard.values * weight, weight], 1).unflatten(1, (2 * self.channels, GRID, GRID))
        return self.enter(grids)

    def unit_reading(self, heard: Heard) -> Float[Tensor, "rows hidden 8 8"]:
        """What is understood, as a unit vector at each position; zeros where nothing of a row came in."""
        came = heard.reliability.amax(1) > 0
        return functional.normalize(self.read(heard), dim=1) * came[:, None, None, None]

    def estimate(self, heard: Heard) -> Float[Tensor, "rows latent 16 16"]:
        """The autoencoder's latent as far as noisy features tell it, in the mean square."""
        return self.leave(self.read(heard)).float()


@torch.no_grad()
def coarse(autoencoder: Autoencoder, features: ImageFeatures, image: Heard) -> Float[Tensor, "rows 3 h w"]:
    """The picture of the latent that image features let estimate, in [0, 1]."""
    return autoencoder.decode(features.estimate(image)).clamp(0, 1)


def fitted(images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows 3 side side"]:
    """Pictures as the image features know them: of 128 x 128 pixels, whatever they were."""
    if images.shape[-2:] == (SIDE, SIDE):
        return images
    return functional.interpolate(images, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)


def _first_stages(backbone: Any) -> Any:
    """A frozen backbone without what lies behind stride 16."""
    del backbone.blocks[5:]
    return backbone.requires_grad_(False)
