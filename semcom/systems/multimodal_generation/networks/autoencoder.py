"""Autoencoder of the latent space in which the tiny generator works."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from channels.errors import UsageError
from semcom.systems.deepjscc.networks import color_dct

STRIDE = 8  # side of a latent position in pixels
_PATCH = 4  # side of a position of the fine stage in pixels


class Residual(nn.Module):
    """Residual block of two 3x3 convolutions, initialized close to the identity.

    Args:
        channels: number of input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.2)

    def forward(self, features: Float[Tensor, "rows channels h w"]) -> Float[Tensor, "rows channels h w"]:
        return features + self.second(functional.silu(self.first(functional.silu(features))))


@torch.no_grad()
def damp(layer: Any) -> None:
    """Scale the initial weights of a layer by 0.1, so that its branch starts small."""
    layer.weight.mul_(0.1)


class Autoencoder(nn.Module):
    """Autoencoder, trained without a discriminator, whose latents have mean 0 and variance 1 in each channel.

    Encoder and decoder are each the sum of the color DCT's strongest basis functions and a convolutional network. Batch
    normalization without weights fixes the scale of the latents, as a diffusion model requires.

    Args:
        latent: number of latent channels, at 1/8 of the resolution.
        fine: number of channels at 1/4 of the resolution; twice as many at 1/8, half as many at 1/2.

    >>> network = Autoencoder(latent=4, fine=8).eval()
    >>> latents = network.encode(torch.rand(2, 3, 16, 24))
    >>> latents.shape, network.decode(latents).shape
    (torch.Size([2, 4, 2, 3]), torch.Size([2, 3, 16, 24]))
    """

    def __init__(self, latent: int = 8, fine: int = 64) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {"latent": latent, "fine": fine}
        self.latent = latent
        transform, deviation = color_dct(latent)
        # `analyse` and `synthesise` are keys of the bundled weight file.
        self.analyse = nn.Conv2d(3, latent, STRIDE, STRIDE, bias=False)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(_PATCH),
            nn.Conv2d(3 * _PATCH**2, fine, 3, padding=1),
            Residual(fine),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * fine, 2 * fine, 1),
            Residual(2 * fine),
            Residual(2 * fine),
            nn.Conv2d(2 * fine, latent, 3, padding=1),
        )
        self.scale = nn.BatchNorm2d(latent, momentum=0.02, affine=False)
        self.synthesise = nn.ConvTranspose2d(latent, 3, STRIDE, STRIDE, bias=False)
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, 2 * fine, 3, padding=1),
            Residual(2 * fine),
            Residual(2 * fine),
            nn.Conv2d(2 * fine, 4 * fine, 1),
            nn.PixelShuffle(2),
            Residual(fine),
            Residual(fine),
            nn.Conv2d(fine, 2 * fine, 1),
            nn.PixelShuffle(2),
            Residual(fine // 2),
            nn.Conv2d(fine // 2, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )
        with torch.no_grad():
            self.analyse.weight.copy_(transform)
            self.synthesise.weight.copy_(transform * deviation[:, None, None, None])
        damp(self.encoder[-1])
        damp(self.decoder[-2])

    def encode(self, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows latent latent_h latent_w"]:
        """Encode images in [0, 1].

        Raises:
            UsageError: height or width is not a multiple of 8.
        """
        if images.shape[2] % STRIDE or images.shape[3] % STRIDE:
            raise UsageError(
                f"height and width must be multiples of {STRIDE}, not {images.shape[2]} and {images.shape[3]}"
            )
        centered = images - 0.5
        return self.scale((self.analyse(centered) + self.encoder(centered)).float())

    def decode(self, latents: Float[Tensor, "rows latent latent_h latent_w"]) -> Float[Tensor, "rows 3 h w"]:
        """Decode latents; the result is not clamped to [0, 1]."""
        return (self.synthesise(latents) + self.decoder(latents)).float() + 0.5
