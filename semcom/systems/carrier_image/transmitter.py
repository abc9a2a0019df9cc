"""Message to mask, kept patches to latents, both to symbols."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from channels._errors import UsageError
from channels._rng import Rng
from channels.modem import encode
from semcom.codecs.mask_positions import to_wire
from semcom.system import Payload, Sample, Transmitter
from semcom.systems.carrier_image.agreement import Agreement, groups, kept_patches, random_masks, to_tiles
from semcom.systems.carrier_image.autoencoder import TileDecoder, TileEncoder
from semcom.systems.carrier_image.symbols import scale_to_bits, to_symbols

MaskChoice = Literal["message", "random", "best_of_64"]
_CANDIDATES = 64


class CarrierTransmitter(Transmitter, nn.Module):
    """Send a message as the places of masked patches, and the picture as the latents of the others.

    A sample without a message carries random bits, drawn from the row's own stream.

    Args:
        agreement: what both sides know.
        encoder: (tiles, kept patches) -> latents.
        decoder: the receiver's, by which "best_of_64" judges masks; unused otherwise.
        mask: what chooses the masks: the message; chance, with the same weight and no message; or the best of 64 of
            chance's masks by the squared error of the noiseless reconstruction.
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
            masks = agreement.code.embed(message.numpy().reshape(len(tiles), -1))
            truth["message"] = message
        else:
            masks = self.chosen(tiles, rng)
        latents = self.latents(tiles, masks)

        per_row = len(tiles) // rows
        parts = [
            self.row(
                torch.cat(latents[row * per_row : (row + 1) * per_row]), masks[row * per_row :][:per_row], sample.size
            )
            for row in range(rows)
        ]
        uses = torch.tensor([len(part) for part in parts])
        return Payload(
            symbols=nn.utils.rnn.pad_sequence(parts, batch_first=True),
            uses=uses,
            digital_uses=torch.full_like(uses, agreement.digital_uses(sample.size)),
            truth=truth,
        )

    def message_bits(self, size: tuple[int, int]) -> int:
        """Bits of a picture's message; none where chance chooses the masks."""
        return self.agreement.message_bits(size) if self.mask == "message" else 0

    def message(self, sample: Sample, rng: Rng) -> UInt8[Tensor, "rows bits"]:
        """The sample's message, or random bits where it has none.

        Raises:
            UsageError: a message of another length than the masks carry.
        """
        bits = self.agreement.message_bits(sample.size)
        if sample.message is None:
            return (rng.derive("message").uniform(bits) < 0.5).to(torch.uint8)
        if sample.message.shape[1] != bits:
            raise UsageError(
                f"the masks of a picture of {sample.size[1]} x {sample.size[0]} carry {bits} bits, the message has "
                f"{sample.message.shape[1]}: fill it up or split it"
            )
        return sample.message

    def latents(self, tiles: Float[Tensor, "tiles 3 side side"], masks: Bool[ndarray, "tiles patches"]) -> list[Tensor]:
        """Latents of each tile's tokens, [tokens, latents]."""
        found: dict[int, Tensor] = {}
        for members in groups(masks):
            kept = torch.stack([kept_patches(masks[tile]) for tile in members.tolist()])
            found |= zip(members.tolist(), self.encoder(tiles[members], kept).float(), strict=True)
        return [found[tile] for tile in range(len(tiles))]

    def row(
        self, latents: Float[Tensor, "tokens latents"], masks: Bool[ndarray, "tiles patches"], size: tuple[int, int]
    ) -> Tensor:
        """The symbols of one picture: its digital part, then its latents."""
        agreement = self.agreement
        if agreement.sequence == "full":
            latents = self.with_mask_tokens(latents, masks, size)
        uses = agreement.analog_uses(size, len(latents))
        analog, scale = to_symbols(latents[None], uses)
        bits = scale_to_bits(float(scale))
        if agreement.sequence == "sparse":
            bits += to_wire(agreement.wire, masks, agreement.masked_patches).ravel().tolist()
        digital = encode(torch.tensor(bits, dtype=torch.uint8), agreement.mcs, agreement.digital_uses(size))
        return torch.cat([digital.to(analog.device), analog[0]])

    def with_mask_tokens(self, latents: Tensor, masks: Bool[ndarray, "tiles patches"], size: tuple[int, int]) -> Tensor:
        """Every patch's token, mask tokens as strong as the kept latents that are sent."""
        agreement = self.agreement
        sent = 2 * agreement.analog_uses(size, masks.size)
        strength = latents[:, : max(sent // masks.size, 1)].square().mean().sqrt()
        every = (agreement.mask_token() * strength).repeat(masks.size, 1)
        return every.masked_scatter(torch.from_numpy(~masks).reshape(-1, 1), latents)

    def chosen(self, tiles: Float[Tensor, "tiles 3 side side"], rng: Rng) -> Bool[ndarray, "tiles patches"]:
        """Masks that carry nothing: drawn at random, the best of 64 if so asked."""
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
        """Of masks of equal weight the one from which the noiseless decoder comes closest to the tile."""
        kept = torch.stack([kept_patches(mask) for mask in masks])
        with torch.inference_mode():
            latents = self.encoder(tile.expand(len(masks), -1, -1, -1), kept)
            pictures = self.decoder(latents, torch.zeros_like(latents), kept)
        return masks[int((pictures - tile).square().mean((1, 2, 3)).argmin())]
