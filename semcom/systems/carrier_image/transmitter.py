"""Transmitter of carrier images: message to mask, visible patches to latents, both to symbols."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from channels.errors import UsageError
from channels.modem.transport_block import encode
from channels.rng import Rng
from semcom.codecs.mask_positions import encode_masks
from semcom.system import Payload, Sample, Transmitter
from semcom.systems.carrier_image.agreement import Agreement, groups, random_masks, to_tiles, visible_patches
from semcom.systems.carrier_image.autoencoder import TileDecoder, TileEncoder
from semcom.systems.carrier_image.symbols import scale_to_bits, to_symbols

MaskChoice = Literal["message", "random", "best_of_64"]
_CANDIDATES = 64


class CarrierTransmitter(Transmitter, nn.Module):
    """Transmit a message as the positions of the masked patches, and the image as latents of the visible patches.

    For a sample without a message, random bits from the row's random stream are sent.

    Args:
        agreement: shared configuration.
        encoder: network (tiles, visible patches) -> latents.
        decoder: network of the receiver, used by "best_of_64" to evaluate masks.
        mask: selection of the mask: "message"; "random" (same number of masked patches, no message); or "best_of_64"
            (of 64 random masks, the one with the least squared error of the noiseless reconstruction).
    """

    def __init__(self, agreement: Agreement, encoder: TileEncoder, decoder: TileDecoder, mask: MaskChoice) -> None:
        super().__init__()
        self.agreement, self.mask = agreement, mask
        self.encoder, self.decoder = encoder, decoder

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        agreement, rows = self.agreement, len(sample.images)
        tiles = to_tiles(sample.images, agreement.tile)
        truth = {}
        if self.mask == "message":
            message = self.message(sample, rng)
            masks = agreement.code.embed(message.cpu().numpy().reshape(len(tiles), -1))
            truth["message"] = message
        else:
            masks = self.masks_without_message(tiles, rng)
        latents = self.latents(tiles, masks)

        per_row = len(tiles) // rows
        parts = [
            self.row(
                torch.cat(latents[row * per_row : (row + 1) * per_row]), masks[row * per_row :][:per_row], sample.size
            )
            for row in range(rows)
        ]
        uses = torch.tensor([len(part) for part in parts])
        header_uses = torch.full_like(uses, agreement.digital_uses(sample.size))
        return Payload(
            symbols=nn.utils.rnn.pad_sequence(parts, batch_first=True),
            uses=uses,
            digital_uses=header_uses,
            truth=truth,
            parts={"header": header_uses, "data": uses - header_uses},
        )

    def message_bits(self, size: tuple[int, int]) -> int:
        """Message length of one image, bits; 0 for masks that represent no message."""
        return self.agreement.message_bits(size) if self.mask == "message" else 0

    def message(self, sample: Sample, rng: Rng) -> UInt8[Tensor, "rows bits"]:
        """Message of the sample, or random bits if it has none.

        Raises:
            UsageError: the message length differs from `message_bits`.
        """
        bits = self.agreement.message_bits(sample.size)
        if sample.message is None:
            return (rng.derive("message").uniform(bits) < 0.5).to(torch.uint8)
        if sample.message.shape[1] != bits:
            raise UsageError(
                f"the masks of an image of {sample.size[1]} x {sample.size[0]} hold {bits} bits, the message has "
                f"{sample.message.shape[1]}: pad or split it"
            )
        return sample.message

    def latents(self, tiles: Float[Tensor, "tiles 3 side side"], masks: Bool[ndarray, "tiles patches"]) -> list[Tensor]:
        """Latents of each tile's tokens, [tokens, latents]."""
        latents: dict[int, Tensor] = {}
        for members in groups(masks):
            visible = torch.stack([visible_patches(masks[tile]) for tile in members.tolist()]).to(tiles.device)
            encoded = self.encoder(tiles[members.to(tiles.device)], visible)
            latents |= zip(members.tolist(), encoded.float(), strict=True)
        return [latents[tile] for tile in range(len(tiles))]

    def row(
        self, latents: Float[Tensor, "tokens latents"], masks: Bool[ndarray, "tiles patches"], size: tuple[int, int]
    ) -> Tensor:
        """Symbols of one image: header, then latents."""
        agreement = self.agreement
        if agreement.sent_tokens == "all":
            latents = self.with_mask_tokens(latents, masks, size)
        uses = agreement.analog_uses(size, len(latents))
        analog, scale = to_symbols(latents[None], uses)
        bits = scale_to_bits(float(scale))
        if agreement.sent_tokens == "visible":
            bits += encode_masks(agreement.mask_code, masks, agreement.masked_patches).ravel().tolist()
        payload = torch.tensor(bits, dtype=torch.uint8, device=analog.device)
        return torch.cat([encode(payload, agreement.mcs, agreement.digital_uses(size)), analog[0]])

    def with_mask_tokens(self, latents: Tensor, masks: Bool[ndarray, "tiles patches"], size: tuple[int, int]) -> Tensor:
        """Tokens of all patches; mask tokens have the mean square of the visible latents that are sent."""
        agreement = self.agreement
        reals = 2 * agreement.analog_uses(size, masks.size)
        amplitude = latents[:, : max(reals // masks.size, 1)].square().mean().sqrt()
        tokens = (agreement.mask_token().to(latents.device) * amplitude).repeat(masks.size, 1)
        return tokens.masked_scatter(torch.from_numpy(~masks).reshape(-1, 1).to(latents.device), latents)

    def masks_without_message(
        self, tiles: Float[Tensor, "tiles 3 side side"], rng: Rng
    ) -> Bool[ndarray, "tiles patches"]:
        """Random masks, or the best of 64 for each tile."""
        agreement = self.agreement
        candidates = 1 if self.mask == "random" else _CANDIDATES
        masks = random_masks(rng, candidates * len(tiles) // len(rng), agreement.patches, agreement.masked)
        if self.mask == "random":
            return masks
        return np.stack(
            [
                self.best(tile, options)
                for tile, options in zip(tiles, masks.reshape(len(tiles), candidates, -1), strict=True)
            ]
        )

    def best(
        self, tile: Float[Tensor, "3 side side"], masks: Bool[ndarray, "candidates patches"]
    ) -> Bool[ndarray, " patches"]:
        """Mask with the least squared error of the noiseless reconstruction; all mask the same number of patches."""
        visible = torch.stack([visible_patches(mask) for mask in masks]).to(tile.device)
        with torch.no_grad():
            latents = self.encoder(tile.expand(len(masks), -1, -1, -1), visible)
            images = self.decoder(latents, torch.zeros_like(latents), visible)
        return masks[int((images - tile).square().mean((1, 2, 3)).argmin())]
