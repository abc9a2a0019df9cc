"""Image features: extraction by a convolutional network, and estimation of an image from noisy features."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from channels.errors import UsageError
from channels.extras import extra
from semcom.systems.deepjscc.networks import color_dct
from semcom.systems.multimodal_generation.networks.autoencoder import Autoencoder, Residual, damp
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures

SIDE = 128  # side of the input image in pixels
GRID = 8  # side of the feature grid in positions
_FINE, _DEEP = 40, 112  # channels of the backbone's features at strides 8 and 16


class ImageFeatures(nn.Module):
    """Image features on a grid of 8 x 8 for analog transmission, and a latent estimated from noisy features.

    f = g / rms(g), g = D x + h(b(x)): D are the strongest basis functions of the color DCT of 16 x 16 blocks, b the
    first stages of EfficientNet-Lite0 (frozen), h convolutions. Each row has unit mean square, so its numbers are sent
    without scaling.

    Args:
        channels: number of features at each position.
        width: number of channels of the convolutions.
        latent: number of channels of the estimated autoencoder latent, on a grid of 16 x 16.

    Source: the system of Liang and Li, "Image generation with multimodule semantic feature-aided selection for
        semantic communications", 2024, has a CNN extract image-level features; this CNN is this project's choice.

    >>> network = ImageFeatures(channels=2, width=8).eval()
    >>> features = network(torch.rand(3, 3, 128, 128))
    >>> features.shape, bool((features.square().mean(1) - 1).abs().max() < 1e-5)
    (torch.Size([3, 128]), True)
    >>> network.estimate(NoisyFeatures(features, torch.full((3, 128), 0.1))).shape
    torch.Size([3, 8, 16, 16])
    """

    def __init__(self, channels: int = 8, width: int = 128, latent: int = 8) -> None:
        super().__init__()
        with extra("semantic"):
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
        transform, deviation = color_dct(channels)
        with torch.no_grad():
            self.linear.weight.copy_(transform / deviation.sqrt()[:, None, None, None])
        damp(self.encoder[-1])

    def train(self, mode: bool = True) -> ImageFeatures:
        """Set training mode, except for the frozen backbone, which keeps its ImageNet statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows features"]:
        """Return the features of images in [0, 1].

        Raises:
            UsageError: images are not 128 x 128.
        """
        return self.encode(images)[0]

    def encode(self, images: Float[Tensor, "rows 3 h w"]) -> tuple[Tensor, Tensor]:
        """Return the features [rows, features] and the backbone's features at stride 16 [rows, 112, 8, 8]."""
        height, width = images.shape[-2:]
        if (height, width) != (SIDE, SIDE):
            raise UsageError(
                f"image features require images of {SIDE}x{SIDE} pixels, not {width}x{height}: resize them"
            )
        scaled = ((images * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        fine, deep = self.backbone(scaled)
        learned = self.encoder(self.fine(fine) + self.deep(deep))
        grid = (self.linear(functional.avg_pool2d(images - 0.5, 2)) + learned).float().flatten(1)
        return grid * grid.square().mean(1, keepdim=True).clamp(min=1e-12).rsqrt(), deep

    def feature_map(self, received: NoisyFeatures) -> Float[Tensor, "rows hidden 8 8"]:
        """Return the hidden feature map that the network extracts from received features."""
        weight = received.reliability
        grids = torch.cat([received.values * weight, weight], 1).unflatten(1, (2 * self.channels, GRID, GRID))
        return self.enter(grids)

    def unit_feature_map(self, received: NoisyFeatures) -> Float[Tensor, "rows hidden 8 8"]:
        """Return the feature map with a unit vector at each position; zeros for rows without received features."""
        is_received = received.reliability.amax(1) > 0
        return functional.normalize(self.feature_map(received), dim=1) * is_received[:, None, None, None]

    def estimate(self, received: NoisyFeatures) -> Float[Tensor, "rows latent 16 16"]:
        """Return the estimate of the autoencoder latent from received features (trained for least squared error)."""
        return self.leave(self.feature_map(received)).float()


@torch.no_grad()
def coarse_image(
    autoencoder: Autoencoder, features: ImageFeatures, received: NoisyFeatures
) -> Float[Tensor, "rows 3 h w"]:
    """Return the image in [0, 1] decoded from the latent that is estimated from received image features."""
    return autoencoder.decode(features.estimate(received)).clamp(0, 1)


def resized(images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows 3 side side"]:
    """Return images resized to 128 x 128 pixels, the input size of the image features."""
    if images.shape[-2:] == (SIDE, SIDE):
        return images
    return functional.interpolate(images, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)


def _first_stages(backbone: Any) -> Any:
    """Freeze a backbone and remove its stages after stride 16."""
    del backbone.blocks[5:]
    return backbone.requires_grad_(False)
