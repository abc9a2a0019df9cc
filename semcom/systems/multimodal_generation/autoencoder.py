"""Pictures to a few numbers and back: the space in which the tiny generator draws."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from channels._errors import UsageError
from semcom.systems.deepjscc.networks import colour_dct

STRIDE = 8  # pixels a side of one latent position
_PATCH = 4  # pixels a side of one position of the fine stage


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut; starts as nearly the identity.

    Args:
        channels: in and out.
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
    """Let what a network adds through its last layer begin small."""
    layer.weight.mul_(0.1)


class Autoencoder(nn.Module):
    """An autoencoder without an adversary whose latents have mean 0 and variance 1 in each channel.

    Encoder and decoder are the strongest functions of the colour DCT plus what convolutions add to them. Batch
    normalisation without weights holds the latents' scale, which is what a diffusion model assumes of them.

    Args:
        latent: channels of the latent, at an eighth of the resolution.
        fine: channels at a quarter of the resolution; twice as many at an eighth, half as many at a half.

    >>> network = Autoencoder(latent=4, fine=8).eval()
    >>> latents = network.encode(torch.rand(2, 3, 16, 24))
    >>> latents.shape, network.decode(latents).shape
    (torch.Size([2, 4, 2, 3]), torch.Size([2, 3, 16, 24]))
    """

    def __init__(self, latent: int = 8, fine: int = 64) -> None:
        super().__init__()
        self.configuration: dict[str, Any] = {"latent": latent, "fine": fine}
        self.latent = latent
        transform, deviation = colour_dct(latent)
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
        """Encode pictures in [0, 1].

        Raises:
            UsageError: a side is no multiple of 8.
        """
        if images.shape[2] % STRIDE or images.shape[3] % STRIDE:
            raise UsageError(f"the autoencoder takes sides that are multiples of {STRIDE}, not {images.shape[2:]}")
        centred = images - 0.5
        return self.scale((self.analyse(centred) + self.encoder(centred)).float())

    def decode(self, latents: Float[Tensor, "rows latent latent_h latent_w"]) -> Float[Tensor, "rows 3 h w"]:
        """Decode; the result is not clamped."""
        return (self.synthesise(latents) + self.decoder(latents)).float() + 0.5
