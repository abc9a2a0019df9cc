"""What a masked autoencoder must be to carry messages; ours is in `networks`, others' in `pretrained`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor, nn


class TileEncoder(nn.Module, ABC):
    """Tiles to latents."""

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "tiles 3 side side"], kept: Int[Tensor, "tiles kept"]
    ) -> Float[Tensor, "tiles tokens latents"]:
        """Encode the kept patches, and nothing else, of each tile; `kept` in raster order."""


class TileDecoder(nn.Module, ABC):
    """Latents to tiles."""

    @abstractmethod
    def forward(
        self,
        latents: Float[Tensor, "tiles tokens latents"],
        noise_var: Float[Tensor, "tiles tokens latents"],
        kept: Int[Tensor, "tiles kept"],
    ) -> Float[Tensor, "tiles 3 side side"]:
        """Decode all patches.

        Args:
            latents: as received, in the encoder's units.
            noise_var: variance of the error of each latent, infinite where it was not sent.
            kept: which patches they belong to, in raster order.
        """

    @abstractmethod
    def guess(
        self, latents: Float[Tensor, "tiles tokens latents"], noise_var: Float[Tensor, "tiles tokens latents"]
    ) -> Float[Tensor, "tiles 3 side side"]:
        """Make the best of latents of unknown places, in raster order, and unknown scale, of mean square one."""


class MaskedAutoencoder(nn.Module):
    """An encoder and a decoder, and their shape; the attributes mean what they do in `Agreement`."""

    tile: int
    patches: int
    latents: int
    extra: int
    every_latent: bool
    encoder: TileEncoder
    decoder: TileDecoder
