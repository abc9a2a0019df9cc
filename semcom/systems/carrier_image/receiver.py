"""Receiver of carrier images: symbols to masks and message, then to the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from numpy import ndarray
from torch import Tensor, nn

from channels.base import Received
from channels.modem.transport_block import decode
from channels.rng import Rng
from semcom.codecs.mask_positions import decode_masks
from semcom.system import Receiver, Reception
from semcom.systems.carrier_image.agreement import Agreement, from_tiles, groups, visible_patches
from semcom.systems.carrier_image.autoencoder import TileDecoder
from semcom.systems.carrier_image.symbols import SCALE_BITS, from_symbols, scale_of_bits

ERASED_BIT = 2  # a bit that was not recovered; it differs from 0 and 1, so it counts as a bit error


@dataclass(frozen=True)
class ReceivedTokens:
    """Tokens of one image.

    Args:
        masks: masks, bool [tiles, patches], True where a patch is masked.
        latents: latents of the visible patches, float32 [tokens, latents].
        noise_var: error variance of each latent, float32 [tokens, latents].
    """

    masks: Bool[ndarray, "tiles patches"]
    latents: Tensor
    noise_var: Tensor


class CarrierReceiver(Receiver, nn.Module):
    """Decode the masks and the message, then reconstruct the image from the latents of the visible patches.

    A failed header CRC, or masks that the transmitter cannot have sent, are an outage: all message bits are
    `ERASED_BIT` and the image is estimated by `TileDecoder.decode_without_mask`.

    Args:
        agreement: shared configuration.
        decoder: network (latents, noise variance, visible patches) -> tiles.
        has_message: whether the masks represent a message; otherwise they are random.
    """

    def __init__(self, agreement: Agreement, decoder: TileDecoder, has_message: bool) -> None:
        super().__init__()
        self.agreement, self.decoder, self.has_message = agreement, decoder, has_message

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        agreement = self.agreement
        digital = agreement.digital_uses(size)
        header = decode(
            received.symbols[:, :digital], received.noise_var[:, :digital], agreement.mcs, agreement.digital_bits(size)
        )
        rows: list[ReceivedTokens | None] = [None] * len(received.uses)
        for row in header.ok.nonzero()[:, 0].tolist():
            rows[row] = self.tokens(received, row, header.bits[row].cpu().numpy(), size)
        return Reception(
            images=self.images(rows, received, size).clamp(0, 1),
            counted_uses=received.uses,
            outage=torch.tensor([tokens is None for tokens in rows]),
            blocks=torch.full_like(received.uses, header.block_ok.shape[1]),
            block_errors=(~header.block_ok).sum(1),
            message=self.messages(rows, size) if self.has_message else None,
        )

    def tokens(
        self, received: Received, row: int, bits: UInt8[ndarray, " bits"], size: tuple[int, int]
    ) -> ReceivedTokens | None:
        """Masks and latents of a row with a valid header CRC, or None if the transmitter cannot have sent the masks."""
        agreement = self.agreement
        scale = scale_of_bits(bits[:SCALE_BITS].tolist())
        tiles = agreement.tiles(size)
        if agreement.sent_tokens == "all":
            latents, noise_var = self.latents(received, row, scale, tiles * agreement.patches, size)
            masks = self.detected_masks(latents, noise_var, scale)
            visible = torch.from_numpy(~masks.ravel()).to(latents.device)
            latents, noise_var, valid = latents[visible], noise_var[visible], np.ones(tiles, bool)
        else:
            code = bits[SCALE_BITS:].reshape(tiles, -1)
            masks, valid = decode_masks(agreement.mask_code, code, agreement.patches, agreement.masked_patches)
            tokens = int((~masks).sum()) + tiles * agreement.extra_tokens
            latents, noise_var = self.latents(received, row, scale, tokens, size)
        if not valid.all() or (self.has_message and not agreement.code.is_valid(masks).all()):
            return None
        return ReceivedTokens(masks, latents, noise_var)

    def latents(
        self, received: Received, row: int, scale: float, tokens: int, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Latents of a row's tokens in the units of the encoder, and their error variances."""
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

    def detected_masks(self, latents: Tensor, noise_var: Tensor, scale: float) -> Bool[ndarray, "tiles patches"]:
        """Masks for `sent_tokens: all`: M tokens of each tile nearest to the mask token, weighted by reliability."""
        agreement = self.agreement
        token = agreement.mask_token().to(latents.device)
        distance = ((latents - token * scale).square() / noise_var).sum(1)
        order = distance.view(-1, agreement.patches).argsort(1).argsort(1)
        return (order < agreement.masked).cpu().numpy()

    def images(self, rows: list[ReceivedTokens | None], received: Received, size: tuple[int, int]) -> Tensor:
        """Images of all rows; tiles with the same number of visible patches are decoded as one batch."""
        tiles, extra_tokens = self.agreement.tiles(size), self.agreement.extra_tokens
        decoded: list[Tensor | None] = [None] * (len(rows) * tiles)
        known = [(row, tokens) for row, tokens in enumerate(rows) if tokens is not None]
        places = [row * tiles + tile for row, _ in known for tile in range(tiles)]
        if known:
            masks = np.concatenate([tokens.masks for _, tokens in known])
            lengths = ((~masks).sum(1) + extra_tokens).tolist()
            latents = torch.cat([tokens.latents for _, tokens in known]).split(lengths)
            noise_var = torch.cat([tokens.noise_var for _, tokens in known]).split(lengths)
            for members in groups(masks):
                batch = members.tolist()
                images = self.decoder(
                    torch.stack([latents[tile] for tile in batch]),
                    torch.stack([noise_var[tile] for tile in batch]),
                    torch.stack([visible_patches(masks[tile]) for tile in batch]).to(received.symbols.device),
                )
                for tile, image in zip(batch, images, strict=True):
                    decoded[places[tile]] = image
        for row, tokens in enumerate(rows):
            if tokens is None:
                decoded[row * tiles : (row + 1) * tiles] = self.tiles_without_mask(received, row, size)
        return from_tiles(torch.stack([tile for tile in decoded if tile is not None]), size)

    def tiles_without_mask(self, received: Received, row: int, size: tuple[int, int]) -> list[Tensor]:
        """Tiles of a row in outage, from latents of unknown positions; mid-gray if the number of latents is unknown."""
        agreement, tiles = self.agreement, self.agreement.tiles(size)
        side = agreement.tile
        if agreement.mapping == "bit_per_patch" or agreement.sent_tokens == "all":
            return [torch.full((3, side, side), 0.5, device=received.symbols.device)] * tiles
        tokens = agreement.patches - agreement.masked + agreement.extra_tokens
        latents, noise_var = self.latents(received, row, 1.0, tiles * tokens, size)
        return list(
            self.decoder.decode_without_mask(latents.unflatten(0, (tiles, -1)), noise_var.unflatten(0, (tiles, -1)))
        )

    def messages(self, rows: list[ReceivedTokens | None], size: tuple[int, int]) -> UInt8[Tensor, "rows bits"]:
        """Message bits of the masks; `ERASED_BIT` for rows in outage."""
        messages = torch.full((len(rows), self.agreement.message_bits(size)), ERASED_BIT, dtype=torch.uint8)
        for row, tokens in enumerate(rows):
            if tokens is not None:
                messages[row] = torch.from_numpy(self.agreement.code.extract(tokens.masks).ravel())
        return messages
