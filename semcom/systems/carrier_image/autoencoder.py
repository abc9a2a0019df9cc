"""Interface of the masked autoencoders of carrier images; implemented in `networks` and `pretrained`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor, nn


class TileEncoder(nn.Module, ABC):
    """Network that maps tiles to latents."""

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "tiles 3 side side"], visible: Int[Tensor, "tiles visible"]
    ) -> Float[Tensor, "tiles tokens latents"]:
        """Encode only the visible patches of each tile.

        Args:
            images: tiles, float32 in [0, 1].
            visible: indices of the visible patches, int64, in raster order.
        """


class TileDecoder(nn.Module, ABC):
    """Network that maps latents to tiles."""

    @abstractmethod
    def forward(
        self,
        latents: Float[Tensor, "tiles tokens latents"],
        noise_var: Float[Tensor, "tiles tokens latents"],
        visible: Int[Tensor, "tiles visible"],
    ) -> Float[Tensor, "tiles 3 side side"]:
        """Decode all patches.

        Args:
            latents: received latents, in the units of the encoder.
            noise_var: error variance of each latent, infinite where it was not sent.
            visible: indices of the visible patches, int64, in raster order.
        """

    @abstractmethod
    def decode_without_mask(
        self, latents: Float[Tensor, "tiles tokens latents"], noise_var: Float[Tensor, "tiles tokens latents"]
    ) -> Float[Tensor, "tiles 3 side side"]:
        """Estimate tiles when the mask could not be decoded.

        Args:
            latents: received latents in raster order of their unknown patches, mean square 1.
            noise_var: error variance of each latent, infinite where it was not sent.
        """


class MaskedAutoencoder(nn.Module):
    """Encoder, decoder and their shape; the attributes are those of `Agreement`."""

    tile: int
    patches: int
    latents: int
    extra_tokens: int
    requires_all_latents: bool
    encoder: TileEncoder
    decoder: TileDecoder
