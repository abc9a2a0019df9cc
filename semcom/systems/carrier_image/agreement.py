"""What transmitter and receiver of carrier images agreed on before, and the sizes that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from channels._errors import UsageError
from channels._rng import Rng, seed_for
from channels.modem import Mcs, transport_uses
from semcom.codecs.mask_positions import (
    WIRE_FORMS,
    BitPerPatch,
    ConstantWeight,
    WireForm,
    smallest_wire_form,
    wire_bits,
)
from semcom.padding import pad_to_multiple
from semcom.system import uses_for
from semcom.systems.carrier_image.symbols import SCALE_BITS, analog_uses

Mapping = Literal["constant_weight", "bit_per_patch"]
Sequence = Literal["sparse", "full"]


@dataclass(frozen=True)
class Agreement:
    """Build arguments and the networks' shape; what depends on the picture is sent.

    Args:
        cbr: complex uses per real number of the picture that are granted.
        masked: M, masked patches of a tile (what a bit per patch masks is up to the bits).
        mapping: how bits choose a mask.
        wire: how masks are written as bits.
        sequence: "sparse" sends latents of kept patches and the mask as bits; "full" sends latents of all patches,
            masked ones as a mask token, and no mask.
        mcs: modulation and code of the digital part.
        tile: side of a tile in pixels.
        patches: of a tile.
        latents: real numbers of a token.
        extra: tokens of a tile beside those of its patches.
        every_latent: the networks need all latents; otherwise they take as many as fit.
    """

    cbr: float
    masked: int
    mapping: Mapping
    wire: WireForm
    sequence: Sequence
    mcs: Mcs
    tile: int
    patches: int
    latents: int
    extra: int = 0
    every_latent: bool = False

    @cached_property
    def code(self) -> BitPerPatch | ConstantWeight:
        """Bits to mask of one tile."""
        if self.mapping == "bit_per_patch":
            return BitPerPatch(self.patches)
        return ConstantWeight(self.patches, self.masked)

    def tiles(self, size: tuple[int, int]) -> int:
        """Tiles of a picture, whose sides are padded to multiples of a tile's."""
        return -(-size[0] // self.tile) * -(-size[1] // self.tile)

    def message_bits(self, size: tuple[int, int]) -> int:
        """Bits that the masks of one picture carry."""
        return self.tiles(size) * self.code.bits

    @property
    def masked_patches(self) -> int | None:
        """M, or None where the bits decide how many."""
        return None if self.mapping == "bit_per_patch" else self.masked

    def digital_bits(self, size: tuple[int, int]) -> int:
        """Bits of the digital part before CRC and code: the scale of the latents, and the masks."""
        if self.sequence == "full":
            return SCALE_BITS
        return SCALE_BITS + self.tiles(size) * wire_bits(self.wire, self.patches, self.masked_patches)

    def digital_uses(self, size: tuple[int, int]) -> int:
        """Channel uses of the digital part."""
        return transport_uses(self.digital_bits(size), self.mcs)

    def analog_uses(self, size: tuple[int, int], tokens: int) -> int:
        """Channel uses of the latents of so many tokens.

        Raises:
            UsageError: the grant is too small.
        """
        granted, digital = uses_for(self.cbr, size), self.digital_uses(size)
        uses = analog_uses(granted - digital, tokens, self.latents)
        least = tokens * self.latents // 2 if self.every_latent else -(-tokens // 2)  # one real a token
        if uses < least:
            raise UsageError(
                f"a picture of {size[1]} x {size[0]} needs {digital} uses for masks and {least} for latents, cbr "
                f"{self.cbr:g} grants {granted}: raise cbr to {(digital + least) / (3 * size[0] * size[1]):.4f}, or "
                f"{'mask more patches' if tokens else 'take a higher mask_code_rate'}"
            )
        return uses

    def mask_token(self) -> Float[Tensor, " latents"]:
        """What stands for a masked patch in a full sequence: fixed signs, as strong as a latent is on average."""
        generator = torch.Generator().manual_seed(seed_for("carrier image", "mask token"))
        return torch.randint(2, (self.latents,), generator=generator) * 2.0 - 1


def wire_form(mapping: Mapping, wire: str, patches: int, masked: int) -> WireForm:
    """The wire form that a build argument names; "smallest" is chosen by the mask's weight.

    Raises:
        UsageError: a form that needs a constant weight for a mapping that has none.
    """
    if mapping == "bit_per_patch":
        if wire not in ("smallest", "bitmap"):
            raise UsageError(f"a bit per patch leaves the number of masked patches open: wire: bitmap, not {wire}")
        return "bitmap"
    if wire == "smallest":
        return smallest_wire_form(patches, masked)
    return WIRE_FORMS[WIRE_FORMS.index(wire)]  # type: ignore[arg-type]


def to_tiles(images: Float[Tensor, "rows 3 h w"], side: int) -> Float[Tensor, "tiles 3 side side"]:
    """Cut pictures into square tiles in raster order, tiles of one picture next to each other; edges are repeated.

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


def kept_patches(mask: Bool[ndarray, " patches"]) -> Tensor:
    """Indices of the kept patches of a mask, in raster order."""
    return torch.from_numpy((~mask).nonzero()[0])


def groups(masks: Bool[ndarray, "tiles patches"]) -> list[Tensor]:
    """Tiles that keep equally many patches, which a network takes together."""
    weights = torch.from_numpy(masks.sum(1))
    return [(weights == weight).nonzero()[:, 0] for weight in weights.unique().tolist()]


def random_masks(rng: Rng, tiles: int, patches: int, masked: int) -> Bool[ndarray, "tiles patches"]:
    """Masks of one weight, uniformly at random: `tiles` for each row of `rng`."""
    order = rng.derive("mask").uniform(tiles, patches).argsort(-1).argsort(-1)
    return (order < masked).flatten(0, 1).numpy()
