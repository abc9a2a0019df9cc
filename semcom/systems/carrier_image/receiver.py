"""Symbols to masks and message first, then to the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from numpy import ndarray
from torch import Tensor, nn

from channels._base import Received
from channels._rng import Rng
from channels.modem import decode
from semcom.codecs.mask_positions import from_wire
from semcom.system import Receiver, Reception
from semcom.systems.carrier_image.agreement import Agreement, from_tiles, groups, kept_patches
from semcom.systems.carrier_image.autoencoder import TileDecoder
from semcom.systems.carrier_image.symbols import SCALE_BITS, from_symbols, scale_of_bits

LOST = 2  # stands for a bit that was not recovered: it equals neither 0 nor 1, so every count of errors counts it


@dataclass(frozen=True)
class Heard:
    """One picture's masks and, in the order of its tokens, latents with the variance of their errors."""

    masks: Bool[ndarray, "tiles patches"]
    latents: Tensor
    noise_var: Tensor


class CarrierReceiver(Receiver, nn.Module):
    """Recover the masks, and with them the message; put the latents in their places and paint all patches.

    Masks whose CRC fails, or that the transmitter could not have made, are an outage: all bits of the message are
    `LOST` and the picture is a guess from latents of unknown places.

    Args:
        agreement: what both sides know.
        decoder: (latents, noise variance, kept patches) -> tiles; its `guess` does without places.
        carries_message: masks mean bits; otherwise they were drawn at random.
    """

    def __init__(self, agreement: Agreement, decoder: TileDecoder, carries_message: bool) -> None:
        super().__init__()
        self.agreement, self.decoder, self.carries_message = agreement, decoder, carries_message

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        agreement = self.agreement
        digital = agreement.digital_uses(size)
        found = decode(
            received.symbols[:, :digital], received.noise_var[:, :digital], agreement.mcs, agreement.digital_bits(size)
        )
        heard: list[Heard | None] = [None] * len(received.uses)
        for row in found.ok.nonzero()[:, 0].tolist():
            heard[row] = self.hear(received, row, found.bits[row].numpy(), size)
        return Reception(
            images=self.pictures(heard, received, size).clamp(0, 1),
            uses_charged=received.uses,
            outage=torch.tensor([each is None for each in heard]),
            blocks=torch.full_like(received.uses, found.block_ok.shape[1]),
            block_errors=(~found.block_ok).sum(1),
            message=self.messages(heard, size) if self.carries_message else None,
        )

    def hear(self, received: Received, row: int, bits: UInt8[ndarray, " bits"], size: tuple[int, int]) -> Heard | None:
        """Masks and latents of a row whose CRC held, or None where the masks are not the transmitter's."""
        agreement = self.agreement
        scale = scale_of_bits(bits[:SCALE_BITS].tolist())
        tiles = agreement.tiles(size)
        if agreement.sequence == "full":
            latents, noise_var = self.latents(received, row, scale, tiles * agreement.patches, size)
            masks = self.detected(latents, noise_var, scale)
            kept = torch.from_numpy(~masks.ravel())
            latents, noise_var, valid = latents[kept], noise_var[kept], np.ones(tiles, bool)
        else:
            code = bits[SCALE_BITS:].reshape(tiles, -1)
            masks, valid = from_wire(agreement.wire, code, agreement.patches, agreement.masked_patches)
            tokens = int((~masks).sum()) + tiles * agreement.extra
            latents, noise_var = self.latents(received, row, scale, tokens, size)
        if not valid.all() or (self.carries_message and not agreement.code.carries(masks).all()):
            return None
        return Heard(masks, latents, noise_var)

    def latents(
        self, received: Received, row: int, scale: float, tokens: int, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """The latents of a row's tokens in the encoder's units, and their noise variance."""
        first = self.agreement.digital_uses(size)
        last = first + self.agreement.analog_uses(size, tokens)
        latents, noise_var = from_symbols(
            received.symbols[row : row + 1, first:last],
            received.noise_var[row : row + 1, first:last],
            torch.tensor([scale], device=received.symbols.device),
            tokens,
            self.agreement.latents,
        )
        return latents[0], noise_var[0]

    def detected(self, latents: Tensor, noise_var: Tensor, scale: float) -> Bool[ndarray, "tiles patches"]:
        """In a full sequence, the M tokens of each tile that lie nearest to the mask token, weighted by reliability."""
        agreement = self.agreement
        distance = ((latents - agreement.mask_token() * scale).square() / noise_var).sum(1)
        order = distance.view(-1, agreement.patches).argsort(1).argsort(1)
        return (order < agreement.masked).numpy()

    def pictures(self, heard: list[Heard | None], received: Received, size: tuple[int, int]) -> Tensor:
        """Decode all tiles that keep equally many patches together; guess those of unknown masks."""
        tiles, extra = self.agreement.tiles(size), self.agreement.extra
        found: list[Tensor | None] = [None] * (len(heard) * tiles)
        known = [row for row, each in enumerate(heard) if each is not None]
        places = [row * tiles + tile for row in known for tile in range(tiles)]
        if known:
            masks = np.concatenate([each.masks for each in heard if each is not None])
            lengths = ((~masks).sum(1) + extra).tolist()
            latents = torch.cat([each.latents for each in heard if each is not None]).split(lengths)
            noise_var = torch.cat([each.noise_var for each in heard if each is not None]).split(lengths)
            for members in groups(masks):
                chosen = members.tolist()
                decoded = self.decoder(
                    torch.stack([latents[tile] for tile in chosen]),
                    torch.stack([noise_var[tile] for tile in chosen]),
                    torch.stack([kept_patches(masks[tile]) for tile in chosen]),
                )
                for tile, picture in zip(chosen, decoded, strict=True):
                    found[places[tile]] = picture
        for row, each in enumerate(heard):
            if each is None:
                found[row * tiles : (row + 1) * tiles] = self.guess(received, row, size)
        return from_tiles(torch.stack([tile for tile in found if tile is not None]), size)

    def guess(self, received: Received, row: int, size: tuple[int, int]) -> list[Tensor]:
        """Tiles of a row whose masks are lost: the latents come in raster order, so roughly from top to bottom."""
        agreement, tiles = self.agreement, self.agreement.tiles(size)
        side = agreement.tile
        if agreement.mapping == "bit_per_patch" or agreement.sequence == "full":
            return [torch.full((3, side, side), 0.5)] * tiles  # not even the number of latents is known
        tokens = agreement.patches - agreement.masked + agreement.extra
        latents, noise_var = self.latents(received, row, 1.0, tiles * tokens, size)
        return list(self.decoder.guess(latents.unflatten(0, (tiles, -1)), noise_var.unflatten(0, (tiles, -1))))

    def messages(self, heard: list[Heard | None], size: tuple[int, int]) -> UInt8[Tensor, "rows bits"]:
        """The bits that the masks mean; `LOST` where there is no mask."""
        messages = torch.full((len(heard), self.agreement.message_bits(size)), LOST, dtype=torch.uint8)
        for row, each in enumerate(heard):
            if each is not None:
                messages[row] = torch.from_numpy(self.agreement.code.extract(each.masks).ravel())
        return messages
