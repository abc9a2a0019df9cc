"""Shared configuration of transmitter and receiver of carrier images, and the sizes that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from channels.errors import UsageError
from channels.modem.transport_block import Mcs, transport_uses
from channels.rng import Rng, seed_for
from semcom.codecs.mask_positions import (
    MASK_CODES,
    BitPerPatch,
    ConstantWeight,
    MaskCode,
    mask_code_bits,
    shortest_mask_code,
)
from semcom.images.padding import pad_to_multiple
from semcom.system import uses_for
from semcom.systems.carrier_image.symbols import SCALE_BITS, analog_uses

Mapping = Literal["constant_weight", "bit_per_patch"]
SentTokens = Literal["visible", "all"]


@dataclass(frozen=True)
class Agreement:
    """Build arguments and shape of the networks; everything that depends on the image is transmitted.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        masked: number M of masked patches per tile; set by the message for `bit_per_patch`.
        mapping: mapping of message bits to a mask.
        mask_code: source code of the mask positions in the header.
        sent_tokens: tokens that are sent: "visible" (mask in the header) or "all" (mask tokens, no mask in the header).
        mcs: modulation and code rate of the header.
        tile: side of a tile, pixels.
        patches: number of patches per tile.
        latents: number of real latents per token.
        extra_tokens: number of tokens per tile that belong to no patch (class token).
        requires_all_latents: whether the networks require every latent; otherwise as many as fit are sent.
    """

    cbr: float
    masked: int
    mapping: Mapping
    mask_code: MaskCode
    sent_tokens: SentTokens
    mcs: Mcs
    tile: int
    patches: int
    latents: int
    extra_tokens: int = 0
    requires_all_latents: bool = False

    @cached_property
    def code(self) -> BitPerPatch | ConstantWeight:
        """Mapping of bits to the mask of one tile."""
        if self.mapping == "bit_per_patch":
            return BitPerPatch(self.patches)
        return ConstantWeight(self.patches, self.masked)

    def tiles(self, size: tuple[int, int]) -> int:
        """Number of tiles of an image of (height, width) pixels, padded to multiples of the tile side."""
        return -(-size[0] // self.tile) * -(-size[1] // self.tile)

    def message_bits(self, size: tuple[int, int]) -> int:
        """Message length of one image, bits."""
        return self.tiles(size) * self.code.bits

    @property
    def masked_patches(self) -> int | None:
        """Number M of masked patches per tile, None where the message sets it."""
        return None if self.mapping == "bit_per_patch" else self.masked

    def digital_bits(self, size: tuple[int, int]) -> int:
        """Header length before CRC and channel code, bits: latent scale and masks."""
        if self.sent_tokens == "all":
            return SCALE_BITS
        return SCALE_BITS + self.tiles(size) * mask_code_bits(self.mask_code, self.patches, self.masked_patches)

    def digital_uses(self, size: tuple[int, int]) -> int:
        """Channel uses of the header."""
        return transport_uses(self.digital_bits(size), self.mcs)

    def analog_uses(self, size: tuple[int, int], tokens: int) -> int:
        """Channel uses of the latents of `tokens` tokens.

        Raises:
            UsageError: the channel-use budget is too small.
        """
        budget, digital = uses_for(self.cbr, size), self.digital_uses(size)
        uses = analog_uses(budget - digital, tokens, self.latents)
        least = tokens * self.latents // 2 if self.requires_all_latents else -(-tokens // 2)  # 1 real per token
        if uses < least:
            raise UsageError(
                f"an image of {size[1]} x {size[0]} requires {digital} channel uses for the header and {least} for "
                f"latents, cbr {self.cbr:g} allows {budget}: raise cbr to "
                f"{(digital + least) / (3 * size[0] * size[1]):.4f} per user, or "
                f"{'lower visible_ratio' if tokens else 'raise code_rate'}"
            )
        return uses

    def mask_token(self) -> Float[Tensor, " latents"]:
        """Token sent for a masked patch with `sent_tokens: all`: fixed random signs, mean square 1."""
        generator = torch.Generator().manual_seed(seed_for("carrier image", "mask token"))
        return torch.randint(2, (self.latents,), generator=generator) * 2.0 - 1


def mask_code_named(mapping: Mapping, name: str, patches: int, masked: int) -> MaskCode:
    """Mask code of a build argument; "shortest" is resolved from the number of masked patches.

    Raises:
        UsageError: the code requires a fixed number of masked patches and the mapping has none.
    """
    if mapping == "bit_per_patch":
        if name not in ("shortest", "bitmap"):
            raise UsageError(f"mapping: bit_per_patch requires mask_code: bitmap, not {name}")
        return "bitmap"
    if name == "shortest":
        return shortest_mask_code(patches, masked)
    return MASK_CODES[MASK_CODES.index(name)]  # type: ignore[arg-type]


def to_tiles(images: Float[Tensor, "rows 3 h w"], side: int) -> Float[Tensor, "tiles 3 side side"]:
    """Cut images into square tiles in raster order, image by image; edges are padded by repetition.

    >>> to_tiles(torch.zeros(2, 3, 100, 130), 64).shape
    torch.Size([12, 3, 64, 64])
    """
    padded, _ = pad_to_multiple(images, side)
    cut = padded.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # rows 3 down side across side
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def from_tiles(tiles: Float[Tensor, "tiles 3 side side"], size: tuple[int, int]) -> Float[Tensor, "rows 3 h w"]:
    """Inverse of `to_tiles`."""
    side = tiles.shape[-1]
    down, across = -(-size[0] // side), -(-size[1] // side)
    rows = tiles.unflatten(0, (-1, down, across)).permute(0, 3, 1, 4, 2, 5)
    return rows.flatten(4, 5).flatten(2, 3)[..., : size[0], : size[1]]


def visible_patches(mask: Bool[ndarray, " patches"]) -> Tensor:
    """Indices of the visible patches of a mask, int64, in raster order."""
    return torch.from_numpy((~mask).nonzero()[0])


def groups(masks: Bool[ndarray, "tiles patches"]) -> list[Tensor]:
    """Indices of tiles with the same number of visible patches, which a network processes as one batch."""
    weights = torch.from_numpy(masks.sum(1))
    return [(weights == weight).nonzero()[:, 0] for weight in weights.unique().tolist()]


def random_masks(rng: Rng, tiles: int, patches: int, masked: int) -> Bool[ndarray, "tiles patches"]:
    """Uniformly random masks of `masked` patches: `tiles` masks for each row of `rng`."""
    order = rng.derive("mask").uniform(tiles, patches).argsort(-1).argsort(-1)
    return (order < masked).flatten(0, 1).numpy()
