"""Masked autoencoder of carrier images: visible patches to latents, noisy latents to an image.

Encoder and decoder process tiles of one fixed size; `agreement.to_tiles` cuts images of any size into tiles.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from semcom.systems.carrier_image.autoencoder import MaskedAutoencoder, TileDecoder, TileEncoder
from semcom.systems.carrier_image.harmonic import harmonic_fill
from semcom.systems.carrier_image.patches import cosine_code, patches_of, pixels_of, position_code, put, take
from semcom.systems.carrier_image.transformer import Block

TILE = 128
PATCH = 8
LATENTS = 96  # real latents per visible patch, most important first
SMALL_ENCODER = {"tile": TILE, "patch": PATCH, "latents": LATENTS, "width": 80, "depth": 2, "heads": 4}
"""Arguments of `PatchEncoder` with less than a quarter of the operations of the encoder of `Networks`."""

_ITERATIONS = (32, 16, 8, 4)  # within 0.5 dB of the harmonic solution, 2 ms per tile


class PatchEncoder(TileEncoder):
    """Encoder: a linear transform of each visible patch plus a correction by a vision transformer.

    z_p = B x_p + P ViT(x)_p over the visible patches; B is initialized as an 8 x 8 DCT of three decorrelated colors
    with coefficients scaled by variance^(-1/4), the linear code with the least squared error at high SNR.

    Args:
        tile: side of a tile, pixels.
        patch: side of a patch, pixels.
        latents: number of real latents per patch.
        width: token width.
        depth: number of transformer blocks.
        heads: number of attention heads per block.

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
        self, images: Float[Tensor, "tiles 3 side side"], visible: Int[Tensor, "tiles visible"]
    ) -> Float[Tensor, "tiles visible latents"]:
        patches = take(patches_of(images - 0.5, self.patch), visible)
        tokens = self.embed(patches) + self.positions[visible]
        return self.base(patches) + self.correct(self.norm(self.blocks(tokens)))


class PatchDecoder(TileDecoder):
    """Decoder: noisy latents of the visible patches to a whole tile.

    Each latent is scaled by v / (v + noise variance) with its learned variance v, so that a symbol in a deep fade or
    one that was not sent has no weight. Tokens of the visible patches and a learned mask token pass through ViT
    blocks. The visible patches are decoded linearly and the masked ones filled by harmonic inpainting; convolutions at
    a quarter and a half of the resolution, conditioned on the tokens, add a residual.

    Args:
        tile: side of a tile, pixels.
        patch: side of a patch, pixels, a multiple of 4.
        latents: number of real latents per patch.
        width: token width.
        depth: number of transformer blocks.
        heads: number of attention heads per block.
        channels: number of convolution channels at a quarter of the resolution; a third of them at half.
        refinements: number of residual blocks at a quarter of the resolution; half as many at half.

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
        latents: Float[Tensor, "tiles visible latents"],
        noise_var: Float[Tensor, "tiles visible latents"],
        visible: Int[Tensor, "tiles visible"],
    ) -> Float[Tensor, "tiles 3 side side"]:
        variance = self.log_variance.exp()
        weight = variance / (variance + noise_var)
        scaled = torch.where(weight > 0, weight * latents, 0)
        reliability = weight.mean(-1, keepdim=True)

        count = self.side**2
        tokens = self.embed(torch.cat([scaled, reliability], -1))
        tokens = put(tokens, visible, count, self.mask_token) + self.positions
        tokens = self.norm(self.blocks(tokens))

        zero = torch.zeros((), device=latents.device)
        grid = (self.side, self.side)
        linear = pixels_of(put(self.base(scaled).float(), visible, count, zero), self.patch)
        reliability_map = put(reliability.float(), visible, count, zero).unflatten(1, grid).movedim(-1, 1)
        known = put(torch.ones_like(reliability), visible, count, zero).unflatten(1, grid).movedim(-1, 1)
        known = functional.interpolate(known, linear.shape[-2:])
        with torch.no_grad():
            filled = harmonic_fill(linear.detach(), known, _ITERATIONS)
        estimate = torch.where(known > 0, linear, filled)

        coarse = functional.pixel_shuffle(_grid(self.spread(tokens), self.side), self.patch // 4)
        coarse = coarse + self.look(_with_map(functional.pixel_unshuffle(estimate, 4), reliability_map))
        coarse = self.refine(coarse.contiguous(memory_format=torch.channels_last))
        fine = functional.pixel_shuffle(self.rise(coarse), 2)
        fine = fine + self.look_closer(_with_map(functional.pixel_unshuffle(estimate, 2), reliability_map))
        fine = self.refine_closer(fine.contiguous(memory_format=torch.channels_last))
        return estimate + functional.pixel_shuffle(self.paint(fine), 2).float() + 0.5

    def decode_without_mask(
        self, latents: Float[Tensor, "tiles visible latents"], noise_var: Float[Tensor, "tiles visible latents"]
    ) -> Float[Tensor, "tiles 3 side side"]:
        """Horizontal bands of mean colors: raster order gives the position of a latent to within about one row."""
        variance = self.log_variance.exp()
        is_sent = noise_var[:, :1].isfinite().all(0)[0]
        scale = variance[is_sent].mean().sqrt()
        scaled = torch.where(is_sent, latents * scale * variance / (variance + noise_var * scale**2), 0)
        colors = self.base(scaled).unflatten(-1, (3, -1)).mean(-1)
        place = (torch.arange(latents.shape[1], device=latents.device) + 0.5) / latents.shape[1] * self.side
        row = torch.arange(self.side, device=latents.device) + 0.5
        weight = torch.softmax(-(row[:, None] - place).square() / 2, -1)
        bands = (weight @ colors).transpose(1, 2)[..., None]
        size = self.side * self.patch
        return functional.interpolate(bands.expand(-1, -1, -1, 2), (size, size), mode="bilinear") + 0.5


class _Residual(nn.Module):
    """Residual block x + conv(gelu(conv(gelu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(functional.gelu(self.first(functional.gelu(features))))


class Networks(MaskedAutoencoder):
    """Encoder and decoder for tiles of 128 x 128 pixels with 256 patches of 8 x 8 pixels.

    Args:
        width: token width.
        heads: number of attention heads per block.
        encoder_depth, decoder_depth: number of transformer blocks.
        channels: number of channels of the decoder's convolutions at a quarter of the resolution.
        refinements: number of the decoder's residual blocks at a quarter of the resolution.
    """

    encoder: PatchEncoder
    decoder: PatchDecoder
    tile = TILE
    patches = (TILE // PATCH) ** 2
    latents = LATENTS
    extra_tokens = 0
    requires_all_latents = False

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
    return nn.Sequential(*[Block(width, heads) for _ in range(depth)])


def _grid(tokens: Tensor, side: int) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, (side, side))


def _with_map(features: Tensor, reliability_map: Tensor) -> Tensor:
    """Features with the reliability of their patch as one more channel."""
    enlarged = functional.interpolate(reliability_map, features.shape[-2:])
    return torch.cat([features, enlarged], 1).contiguous(memory_format=torch.channels_last)
