"""The masked autoencoder of carrier images: kept patches to latents, noisy latents in their places to a picture.

Both work on tiles of one fixed size, into which `agreement.to_tiles` cuts pictures of any size.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from semcom.systems.carrier_image.autoencoder import MaskedAutoencoder, TileDecoder, TileEncoder
from semcom.systems.carrier_image.harmonic import harmonic_fill
from semcom.systems.carrier_image.patches import cosine_code, patches_of, pixels_of, position_code, put, take

TILE = 128
PATCH = 8
LATENTS = 96  # real numbers a kept patch may send, the most important first
_SWEEPS = (32, 16, 8, 4)  # within 0.5 dB of the harmonic solution, 2 ms a tile


class PatchEncoder(TileEncoder):
    """Kept patches to latents: a linear transform of each patch, corrected by what its neighbours tell.

    z_p = B x_p + P ViT(x)_p over the kept patches alone; B starts as an 8 x 8 DCT of three decorrelated colours whose
    coefficients are scaled by variance^(-1/4), the linear code of least squared error at high SNR.

    Args:
        tile: side of a tile in pixels.
        patch: side of a patch in pixels.
        latents: real numbers a patch.
        width: of the tokens.
        depth: blocks.
        heads: attention heads a block.

    Source: He et al., "Masked autoencoders are scalable vision learners", CVPR 2022 (blocks, position codes); Lee and
    Petersen, "Optimal linear coding for vector channels", IEEE Trans. Communications 24(12), 1976 (scaling).
    """

    positions: Tensor

    def __init__(self, tile: int, patch: int, latents: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(3 * patch * patch, width)
        self.blocks = _blocks(width, depth, heads)
        self.norm = nn.LayerNorm(width)
        self.correct = nn.Linear(width, latents)
        self.base = nn.Linear(3 * patch * patch, latents)
        self.register_buffer("positions", position_code(tile // patch, width), persistent=False)
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)
        transform, deviations = cosine_code(patch, latents)
        with torch.no_grad():
            self.base.weight.copy_(transform / deviations.sqrt()[:, None])
            self.base.bias.zero_()

    def forward(
        self, images: Float[Tensor, "tiles 3 side side"], kept: Int[Tensor, "tiles kept"]
    ) -> Float[Tensor, "tiles kept latents"]:
        patches = take(patches_of(images - 0.5, self.patch), kept)
        tokens = self.embed(patches) + self.positions[kept]
        return self.base(patches) + self.correct(self.norm(self.blocks(tokens)))


class PatchDecoder(TileDecoder):
    """Noisy latents of the kept patches to all patches, then a convolutional refinement across their borders.

    Each latent is shrunk by its learned variance v, v / (v + noise variance), so that a symbol that was lost in a fade
    or never sent counts for nothing. Tokens of kept patches and a learned mask token pass ViT blocks. A linear reading
    of the kept patches, with the holes filled harmonically, is then refined with what the tokens say on grids of a
    quarter and a half of the resolution: the network learns what smooth interpolation leaves to be learned.

    Args:
        tile: side of a tile in pixels.
        patch: side of a patch in pixels, a multiple of 4.
        latents: real numbers a patch.
        width: of the tokens.
        depth: blocks.
        heads: attention heads a block.
        channels: features of the refinement on the coarser grid; a third of them on the finer.
        refinements: residual pairs of convolutions on the coarser grid; half as many on the finer.

    Source: He et al., "Masked autoencoders are scalable vision learners", CVPR 2022.
    """

    positions: Tensor

    def __init__(
        self,
        tile: int,
        patch: int,
        latents: int,
        width: int,
        depth: int,
        heads: int,
        channels: int,
        refinements: int,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.side = tile // patch
        transform, deviations = cosine_code(patch, latents)
        self.log_variance = nn.Parameter(deviations.log())
        self.base = nn.Linear(latents, 3 * patch * patch)
        with torch.no_grad():
            self.base.weight.copy_((transform * deviations.sqrt()[:, None]).T)
            self.base.bias.zero_()
        self.embed = nn.Linear(latents + 1, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("positions", position_code(self.side, width), persistent=False)
        self.blocks = _blocks(width, depth, heads)
        self.norm = nn.LayerNorm(width)
        cells = (patch // 4) ** 2
        self.spread = nn.Linear(width, cells * channels)
        self.look = nn.Conv2d(3 * 16 + 1, channels, 3, padding=1)
        self.refine = nn.Sequential(*[_Residual(channels) for _ in range(refinements)])
        fine = channels // 3
        self.rise = nn.Conv2d(channels, 4 * fine, 1)
        self.look_closer = nn.Conv2d(3 * 4 + 1, fine, 3, padding=1)
        self.refine_closer = nn.Sequential(*[_Residual(fine) for _ in range(max(refinements // 2, 1))])
        self.paint = nn.Conv2d(fine, 3 * 4, 3, padding=1)
        with torch.no_grad():
            for value in self.paint.parameters():
                value.zero_()

    def forward(
        self,
        latents: Float[Tensor, "tiles kept latents"],
        noise_var: Float[Tensor, "tiles kept latents"],
        kept: Int[Tensor, "tiles kept"],
    ) -> Float[Tensor, "tiles 3 side side"]:
        variance = self.log_variance.exp()
        trust = variance / (variance + noise_var)
        shrunk = torch.where(trust > 0, trust * latents, 0)
        reliability = trust.mean(-1, keepdim=True)

        count = self.side**2
        tokens = self.embed(torch.cat([shrunk, reliability], -1))
        tokens = put(tokens, kept, count, self.mask_token) + self.positions
        tokens = self.norm(self.blocks(tokens))

        zero = torch.zeros((), device=latents.device)
        read = pixels_of(put(self.base(shrunk).float(), kept, count, zero), self.patch)
        trusted = put(reliability.float(), kept, count, zero).unflatten(1, (self.side, self.side)).movedim(-1, 1)
        known = put(torch.ones_like(reliability), kept, count, zero).unflatten(1, (self.side, self.side)).movedim(-1, 1)
        known = functional.interpolate(known, read.shape[-2:])
        with torch.no_grad():
            filled = harmonic_fill(read.detach(), known, _SWEEPS)
        drawn = torch.where(known > 0, read, filled)

        coarse = functional.pixel_shuffle(_grid(self.spread(tokens), self.side), self.patch // 4)
        coarse = coarse + self.look(_with_map(functional.pixel_unshuffle(drawn, 4), trusted))
        coarse = self.refine(coarse.contiguous(memory_format=torch.channels_last))
        fine = functional.pixel_shuffle(self.rise(coarse), 2)
        fine = fine + self.look_closer(_with_map(functional.pixel_unshuffle(drawn, 2), trusted))
        fine = self.refine_closer(fine.contiguous(memory_format=torch.channels_last))
        return drawn + functional.pixel_shuffle(self.paint(fine), 2).float() + 0.5

    def guess(
        self, latents: Float[Tensor, "tiles kept latents"], noise_var: Float[Tensor, "tiles kept latents"]
    ) -> Float[Tensor, "tiles 3 side side"]:
        """Bands of the mean colours along the raster order, in which places are known to about a row."""
        variance = self.log_variance.exp()
        sent = noise_var[:, :1].isfinite().all(0)[0]
        usual = variance[sent].mean().sqrt()
        shrunk = torch.where(sent, latents * usual * variance / (variance + noise_var * usual**2), 0)
        colours = self.base(shrunk).unflatten(-1, (3, -1)).mean(-1)
        place = (torch.arange(latents.shape[1], device=latents.device) + 0.5) / latents.shape[1] * self.side
        row = torch.arange(self.side, device=latents.device) + 0.5
        weight = torch.softmax(-(row[:, None] - place).square() / 2, -1)
        bands = (weight @ colours).transpose(1, 2)[..., None]
        size = self.side * self.patch
        return functional.interpolate(bands.expand(-1, -1, -1, 2), (size, size), mode="bilinear") + 0.5


class _Residual(nn.Module):
    """x + conv(gelu(conv(gelu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(functional.gelu(self.first(functional.gelu(features))))


class Networks(MaskedAutoencoder):
    """Encoder and decoder of one configuration, on tiles of 128 x 128 pixels: 256 patches of 8 x 8.

    Args:
        width: of the tokens.
        heads: attention heads a block.
        encoder_depth, decoder_depth: blocks.
        channels, refinements: of the decoder's convolutions.
    """

    tile = TILE
    patches = (TILE // PATCH) ** 2
    latents = LATENTS
    extra = 0  # tokens beside those of patches
    every_latent = False  # fewer latents than there are will do

    def __init__(
        self,
        width: int = 192,
        heads: int = 3,
        encoder_depth: int = 2,
        decoder_depth: int = 4,
        channels: int = 96,
        refinements: int = 4,
    ) -> None:
        super().__init__()
        self.configuration = {
            "width": width,
            "heads": heads,
            "encoder_depth": encoder_depth,
            "decoder_depth": decoder_depth,
            "channels": channels,
            "refinements": refinements,
        }
        self.encoder = PatchEncoder(TILE, PATCH, LATENTS, width, encoder_depth, heads)
        self.decoder = PatchDecoder(TILE, PATCH, LATENTS, width, decoder_depth, heads, channels, refinements)


def _blocks(width: int, depth: int, heads: int) -> nn.Sequential:
    from timm.models.vision_transformer import Block  # seconds to import: only who builds a network pays

    return nn.Sequential(*[Block(width, heads, mlp_ratio=4, qkv_bias=True) for _ in range(depth)])


def _grid(tokens: Tensor, side: int) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, (side, side))


def _with_map(features: Tensor, trusted: Tensor) -> Tensor:
    """Features with the reliability of the patch that they lie in as one more channel."""
    enlarged = functional.interpolate(trusted, features.shape[-2:])
    return torch.cat([features, enlarged], 1).contiguous(memory_format=torch.channels_last)
